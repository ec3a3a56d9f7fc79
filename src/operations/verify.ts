import type { Driver } from '../drivers/driver.ts';
import { isDriverError } from '../drivers/errors.ts';
import { COPY_ORDER } from '../layout/order.ts';
import { SafetyRefusal } from './errors.ts';
import type { KindCounts } from './counts.ts';
import type { Side } from './march-shard.ts';
import { assertStores } from './migrate/guards.ts';
import type { Observer } from './observer.ts';
import { findRegistryRoot } from './find-registry-root.ts';
import { type DataSubset, Sample, type SampleSize } from './sample.ts';
import type { ShardMap } from './shards.ts';
import { Spool } from './spool.ts';
import { compareStores, type Md5Trust } from './verify/compare-stores.ts';
import { lookAgain } from './verify/look-again.ts';
import { type DifferenceCounts, type Kept, Outcome } from './verify/outcome.ts';
import { readBlobs, type ReadTally } from './verify/read-blobs.ts';
import type { Candidate, Difference, Newer, Unread, VerifyRecord } from './verify/records.ts';
import { type OpenAbove, whereElse } from './where-else.ts';

export interface VerifyOptions {
  /** Which blobs at the target are proved by their bytes; undefined: none. */
  readData: { subset: DataSubset; seed: number } | undefined;
  concurrency: number;
  /** Opens what the target's root is in, to look for a registry that is not in the target. */
  openAboveTarget?: OpenAbove | undefined;
  signal?: AbortSignal | undefined;
  observer: Observer<VerifyRecord>;
  /** In milliseconds since 1970, to tell what the source wrote after the start. */
  now?: (() => number) | undefined;
  /** How many of the objects that seem missing, extra or of another size are looked at once more. */
  looksMax?: number | undefined;
}

/**
 * `verified`: both stores hold the same content, but for what is newer than the start.
 * `different`: they do not. `incomplete`: a part could not be read, so that nothing is said about the whole.
 */
export type Verdict = 'verified' | 'different' | 'incomplete';

export interface VerifyResult {
  verdict: Verdict;
  startedAtMs: number;
  counts: Record<Side, KindCounts>;
  foreignSamples: string[];
  foreignFolders: ShardMap['foreignFolders'];
  /** False when the target has no `docker/registry/v2/` at all, as with a wrong root. */
  targetIsRegistry: boolean;
  /** Where a registry lies that the target's root misses, or what else to look at: one sentence. Only if it is none. */
  targetAdvice: string | undefined;
  differences: Kept<Difference>;
  differencesBy: DifferenceCounts;
  newer: Kept<Newer>;
  unread: Kept<Unread>;
  settled: number;
  notLookedAgain: number;
  readData: (ReadTally & { subset: DataSubset; seed: number; chosen: SampleSize }) | undefined;
}

const LOOKS_MAX = 10_000;

/**
 * Proves that the target holds what the source holds, and names everything that differs. Writes nothing.
 * Both sides are read as streams; what differs is kept on disk until it was looked at a second time.
 * @throws SafetyRefusal STORES_OVERLAP, NOT_A_REGISTRY, OTHER_ROOT, SOURCE_EMPTY; DriverError when a store cannot be read at all.
 */
export async function verify(source: Driver, target: Driver, options: VerifyOptions): Promise<VerifyResult> {
  const { concurrency, signal, observer, readData, now = Date.now, looksMax = LOOKS_MAX } = options;
  const startedAtMs = now();
  await assertStores(source, target, { signal });
  const { exists: targetIsRegistry } = await findRegistryRoot(target, { signal });
  const targetAdvice = targetIsRegistry ? undefined : await adviceAbout(source, target, options);
  const outcome = new Outcome(observer);
  const sample = readData === undefined ? undefined : new Sample(readData.subset, readData.seed);
  const trust: Md5Trust = { source: true, target: true };
  const candidates = new Spool<Candidate>();
  const shared = { concurrency, signal, outcome };
  try {
    observer.phase('listing');
    const { counts, foreignSamples, foreignFolders, blobShards } = await compareStores(source, target, {
      ...shared,
      candidates,
      sample,
      trust,
    });
    if (outcome.unread.total === 0 && contentCount(counts.source) === 0) {
      throw new SafetyRefusal(
        'SOURCE_EMPTY',
        'The source has no content at all, so there is nothing to prove. Is its disk mounted?',
      );
    }
    const read =
      sample === undefined
        ? undefined
        : await readBlobs(source, target, { ...shared, candidates, sample, blobShards });
    if (candidates.length > 0) {
      observer.phase('looking again', { objects: candidates.length });
      const hashesBlobs = sample !== undefined;
      await lookAgain(source, target, candidates, {
        ...shared,
        trust,
        hashesBlobs,
        startedAtMs,
        now,
        looksMax,
      });
    }
    const { differences, differencesBy, newer, unread, settled, notLookedAgain } = outcome;
    return {
      verdict: unread.total > 0 ? 'incomplete' : differences.total > 0 ? 'different' : 'verified',
      startedAtMs,
      counts,
      foreignSamples,
      foreignFolders,
      targetIsRegistry,
      targetAdvice,
      differences,
      differencesBy,
      newer,
      unread,
      settled,
      notLookedAgain,
      readData:
        read === undefined || readData === undefined || sample === undefined
          ? undefined
          : { ...readData, ...read, chosen: sample.size },
    };
  } finally {
    observer.phase('');
    await candidates.dispose();
  }
}

/** What is no registry is listed all the same; only the advice is missing where it cannot be looked around. */
async function adviceAbout(
  source: Driver,
  target: Driver,
  { openAboveTarget, signal }: VerifyOptions,
): Promise<string | undefined> {
  try {
    return await whereElse(target, { openAbove: openAboveTarget, besides: source.identity, signal });
  } catch (error) {
    if (isDriverError(error) && error.code !== 'ABORTED') {
      return undefined;
    }
    throw error;
  }
}

function contentCount(counts: KindCounts): number {
  const kinds = new Set(COPY_ORDER.flat());
  return [...kinds].reduce((sum, kind) => sum + (counts[kind]?.objects ?? 0), 0);
}
