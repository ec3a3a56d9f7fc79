import { hash } from 'node:crypto';
import pLimit from 'p-limit';
import type { Driver, ObjectStat } from '../../drivers/driver.ts';
import { isDriverError } from '../../drivers/errors.ts';
import { formatLink, MAX_LINK_BYTES } from '../../layout/digest.ts';
import { contentNamed, isContent } from '../../layout/order.ts';
import { parsePath, type RegistryPath } from '../../layout/paths.ts';
import { md5Of } from '../compare.ts';
import { addCount, type KindCounts } from '../counts.ts';
import type { Pair } from '../march.ts';
import { marchShard, type Side } from '../march-shard.ts';
import type { Sample } from '../sample.ts';
import { findShards, LISTINGS_AT_ONCE, type Shard, type ShardMap } from '../shards.ts';
import type { Spool } from '../spool.ts';
import type { Outcome } from './outcome.ts';
import { type Candidate, seenObject } from './records.ts';

export interface CompareOptions {
  concurrency: number;
  signal: AbortSignal | undefined;
  outcome: Outcome;
  candidates: Spool<Candidate>;
  /** Counts every blob at the target in. Of a percentage also the links are read where no listing proves them. */
  sample: Sample | undefined;
  /** Whose MD5s are taken for those of the content. Set to false for a store that is caught with another one. */
  trust: Md5Trust;
}

/**
 * Whether the MD5s in a store's listings are what they seem. The ETags of a bucket that is encrypted by default
 * with a key of its own (SSE-KMS) have the form of an MD5 and are none (S3 API reference, Object), and no
 * listing tells.
 */
export type Md5Trust = Record<Side, boolean>;

/** What both listings say, but for the differences, which went to `candidates`. */
export interface Comparison {
  counts: Record<Side, KindCounts>;
  /** The first foreign keys, for messages. */
  foreignSamples: string[];
  /** Folders outside `docker/registry/`, which are named and not walked. */
  foreignFolders: ShardMap['foreignFolders'];
  /** Where the target's blobs are. */
  blobShards: Shard[];
}

const FOREIGN_SAMPLES = 20;
/** A tag is compared by its content: where a listing can tell it, the tag need not be read once more. */
const TAG_CONTENT = { ending: '/current/link', maxBytes: MAX_LINK_BYTES };
/** Folders in here are listed and counted, whatever they are; what is beside it may be of any size. */
const REGISTRY_FOLDER = 'docker/registry/';

/**
 * Lists both stores side by side, counts everything by kind, and writes down what differs by name, size or, of
 * what is small, content. Holds one page of each side for each listing under way.
 * A part that cannot be listed is taken down in `outcome`, and nothing is said about it.
 * @throws DriverError when the upper folder levels cannot be listed.
 */
export async function compareStores(
  source: Driver,
  target: Driver,
  { concurrency, signal, outcome, candidates, sample, trust }: CompareOptions,
): Promise<Comparison> {
  const counts: Record<Side, KindCounts> = { source: {}, target: {} };
  const foreignSamples: string[] = [];
  const listings = pLimit(Math.min(concurrency, LISTINGS_AT_ONCE));
  const reads = pLimit(concurrency);
  const shards = await findShards(source, target, { concurrency, signal });
  const inRegistry = shards.foreignFolders.filter(({ folder }) => folder.startsWith(REGISTRY_FOLDER));
  const walked: Shard[] = [
    ...shards.repositories,
    ...shards.blobs,
    ...inRegistry.map(({ folder, ...sides }) => ({ prefix: folder, ...sides })),
  ];
  await comparePairs(shards.loose);
  await listings.map(walked, (shard) =>
    outcome.attemptShard(shard.prefix, async (onFailure) => {
      for await (const pairs of marchShard(source, target, shard, {
        signal,
        onFailure,
        content: TAG_CONTENT,
      })) {
        await comparePairs(pairs);
        outcome.observer.progress({ objects: pairs.length });
      }
    }),
  );
  return {
    counts,
    foreignSamples,
    foreignFolders: shards.foreignFolders.filter((folder) => !inRegistry.includes(folder)),
    blobShards: shards.blobs.filter(({ inTarget }) => inTarget),
  };

  async function comparePairs(pairs: readonly Pair[]): Promise<void> {
    const underWay: Promise<void>[] = [];
    for (const pair of pairs) {
      const path = parsePath(pair.key);
      count(pair, path);
      if (!isContent(path)) {
        continue;
      }
      const decision = decide(pair, path, trust, sample);
      if (decision === 'read') {
        underWay.push(reads(() => compareByReading(pair, path)));
      } else if (decision !== 'equal') {
        await suspect(pair, decision);
      }
    }
    await Promise.all(underWay);
  }

  function count({ key, source: left, target: right }: Pair, path: RegistryPath): void {
    if (left !== undefined) {
      addCount(counts.source, path.kind, left.sizeBytes);
    }
    if (right !== undefined) {
      addCount(counts.target, path.kind, right.sizeBytes);
      if (path.kind === 'blob-data') {
        sample?.count(path.digest, right.sizeBytes);
      }
    }
    if (path.kind === 'foreign' && foreignSamples.length < FOREIGN_SAMPLES) {
      foreignSamples.push(key);
    }
  }

  async function compareByReading(pair: Pair, path: RegistryPath): Promise<void> {
    const { source: left, target: right } = pair;
    // What was learnt since the page came may have settled it.
    if (left === undefined || right === undefined || decide(pair, path, trust, sample) !== 'read') {
      return;
    }
    const [sourceMd5, targetMd5] = await bothMd5s(trusted(left, 'source'), trusted(right, 'target'));
    if (sourceMd5 === undefined || targetMd5 === undefined || isSame(sourceMd5, targetMd5)) {
      return;
    }
    // Before a store's word is taken for a difference, the bytes have it.
    const [sourceRead, targetRead] = await bothMd5s(withoutMd5(left), withoutMd5(right));
    if (sourceRead === undefined || targetRead === undefined) {
      return;
    }
    if (contentNamed(path)) {
      // A tag may have been moved since it was listed; what is named by its content has not changed.
      trust.source &&= left.md5 === undefined || isSame(sourceRead, { value: left.md5 });
      trust.target &&= right.md5 === undefined || isSame(targetRead, { value: right.md5 });
    }
    if (!isSame(sourceRead, targetRead)) {
      await suspect(pair, 'content', sourceRead.value);
    }
  }

  function trusted(stat: ObjectStat, side: Side): ObjectStat {
    return trust[side] ? stat : withoutMd5(stat);
  }

  async function bothMd5s(left: ObjectStat, right: ObjectStat) {
    return Promise.all([
      outcome.attempt('source', left.key, () => md5OrChanged(source, left)),
      outcome.attempt('target', right.key, () => md5OrChanged(target, right)),
    ]);
  }

  /** Undefined for what is gone, or not as long any more as it was listed. */
  async function md5OrChanged(driver: Driver, stat: ObjectStat): Promise<string | undefined> {
    try {
      return await md5Of({ driver, stat }, signal);
    } catch (error) {
      if (isDriverError(error, 'NOT_FOUND', 'CHANGED')) {
        return undefined;
      }
      throw error;
    }
  }

  async function suspect(
    { key, source: left, target: right }: Pair,
    problem: Candidate['problem'],
    sourceMd5?: string,
  ): Promise<void> {
    await candidates.append({
      problem,
      key,
      ...(left === undefined ? {} : { source: seenObject(left, sourceMd5) }),
      ...(right === undefined ? {} : { target: seenObject(right) }),
    });
  }
}

type Decision = 'equal' | 'read' | Candidate['problem'];

/** What the two listings prove. What they leave open is read only where a name does not settle the content. */
function decide(
  { source, target, key }: Pair,
  path: RegistryPath,
  trust: Md5Trust,
  sample: Sample | undefined,
): Decision {
  if (source === undefined) {
    return 'extra';
  }
  if (target === undefined) {
    return 'missing';
  }
  if (source.sizeBytes !== target.sizeBytes) {
    return 'size';
  }
  const sourceMd5 = listedMd5(source, trust.source);
  const targetMd5 = listedMd5(target, trust.target);
  if (sourceMd5 !== undefined && sourceMd5 === targetMd5) {
    return 'equal';
  }
  const expected = linkContent(path);
  if (contentNamed(path) && expected === undefined) {
    return sourceMd5 === undefined || targetMd5 === undefined ? 'equal' : 'content';
  }
  if (expected === undefined) {
    return 'read';
  }
  if (targetMd5 !== undefined) {
    // An alias under SHA-512 says another digest than its name: reading both tells.
    return targetMd5 === hash('md5', expected, 'hex') ? 'equal' : 'read';
  }
  const isChosen = sample !== undefined && 'percent' in sample.subset && sample.includes(key);
  return isChosen ? 'read' : 'equal';
}

/** Of the content where the listing told it, which needs no trust. */
function listedMd5({ content, md5 }: ObjectStat, isTrusted: boolean): string | undefined {
  if (content !== undefined) {
    return hash('md5', Buffer.from(content, 'latin1'), 'hex');
  }
  return isTrusted ? md5 : undefined;
}

/**
 * What the link at this place says, unless it is an alias. Undefined for what is no link, for tags, which may say
 * anything, and for links whose name is no digest.
 */
function linkContent(path: RegistryPath): string | undefined {
  switch (path.kind) {
    case 'layer-link':
    case 'revision-link':
    case 'tag-index':
    case 'signature-link':
      return formatLink(path.digest);
    default:
      return undefined;
  }
}

type KnownMd5 = { value: string | undefined };

function isSame(left: KnownMd5, right: KnownMd5): boolean {
  return left.value !== undefined && left.value === right.value;
}

function withoutMd5(stat: ObjectStat): ObjectStat {
  return { ...stat, md5: undefined };
}
