import pLimit, { type LimitFunction } from 'p-limit';
import type { ContentWanted, Driver } from '../../drivers/driver.ts';
import { isDriverError } from '../../drivers/errors.ts';
import { MAX_LINK_BYTES } from '../../layout/digest.ts';
import { LEAF_FOLDERS } from '../../layout/leaf-folders.ts';
import { copyRank, contentNamed } from '../../layout/order.ts';
import { fromRepository, parsePath, type RegistryPath } from '../../layout/paths.ts';
import { sameContent } from '../compare.ts';
import { forEachConcurrently } from '../concurrency.ts';
import type { Pair } from '../march.ts';
import { marchShard } from '../march-shard.ts';
import type { Observer } from '../observer.ts';
import {
  findShards,
  joinBlobShards,
  LISTINGS_AT_ONCE,
  type LooseObject,
  type Shard,
  type ShardMap,
} from '../shards.ts';
import { disposePlan, emptyPlan, type Plan } from './plan.ts';
import { newRepository, PlanWriter, type ScannedRepository } from './plan-writer.ts';
import { planSelectedBlobs, type SelectedBlobs } from './selected-blobs.ts';

export interface ScanOptions {
  concurrency: number;
  includeForeign: boolean;
  /** Write down what only the target has; else it is only counted. */
  deletes: boolean;
  /** Only repositories for which this is true, and the blobs that they name. */
  selects?: ((repository: string) => boolean) | undefined;
  signal: AbortSignal | undefined;
  observer: Observer;
}

/** What is compared by content: a store that is a folder reads it while it lists. */
const TAGS: ContentWanted = { ending: '/current/link', maxBytes: MAX_LINK_BYTES };

/**
 * Lists both stores and writes down every difference. Reads roots first: repositories before blobs, so that
 * whatever a link of a live source refers to was there before the blobs are listed (restic's read order).
 * A shard that cannot be listed is left out of the plan as a whole and named in `listingFailures`.
 * @throws DriverError when the upper folder levels cannot be listed.
 */
export async function scan(source: Driver, target: Driver, options: ScanOptions): Promise<Plan> {
  const { concurrency, signal, observer, includeForeign, deletes } = options;
  const plan = emptyPlan(options.selects !== undefined);
  const tagReads = pLimit(concurrency);
  const listings = Math.min(concurrency, LISTINGS_AT_ONCE);
  // What lies beside a link or a blob's data at the source is left there, and need not be found.
  const sourceLeaves = includeForeign ? undefined : LEAF_FOLDERS;
  const selected: SelectedBlobs | undefined = options.selects === undefined ? undefined : new Set();
  const writer = new PlanWriter(plan, { includeForeign, deletes, selected, differs, observer });
  observer.phase('listing');
  try {
    const shards = await findShards(source, target, { concurrency, signal });
    await forEachConcurrently(shards.repositories, listings, (shard) =>
      guarded(shard, () => scanRepositories(shard)),
    );
    if (selected === undefined) {
      await forEachConcurrently(joinBlobShards(shards), listings, (shard) =>
        guarded(shard, () => scanBlobs(shard)),
      );
    } else {
      await planSelectedBlobs(source, target, selected, plan, { concurrency, signal });
    }
    for (const loose of shards.loose) {
      await scanLoose(loose);
    }
    await scanForeignFolders(shards.foreignFolders);
  } catch (error) {
    await disposePlan(plan);
    throw error;
  }
  plan.repositoryTallies.sort((a, b) => (a.repository < b.repository ? -1 : 1));
  return plan;

  async function guarded(shard: Shard, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (!isDriverError(error) || isDriverError(error, 'ABORTED', 'STORE_NOT_FOUND', 'UNAUTHENTICATED')) {
        throw error;
      }
      plan.listingFailures.push({ prefix: shard.prefix, error });
    }
  }

  async function scanBlobs(shard: Shard): Promise<void> {
    for await (const pairs of marchShard(source, target, shard, { signal, sourceLeaves })) {
      for (const pair of pairs) {
        const waiting = writer.add(pair, parsePath(pair.key), undefined);
        if (waiting !== undefined) {
          await waiting;
        }
      }
      observer.progress({ objects: pairs.length });
    }
  }

  /** A repository's own keys stand together in the listing, so a plan is complete when another name begins. */
  async function scanRepositories(shard: Shard): Promise<void> {
    let current: ScannedRepository | undefined;
    for await (const pairs of marchShard(source, target, shard, { signal, sourceLeaves, content: TAGS })) {
      await take(pairs);
      observer.progress({ objects: pairs.length });
    }
    await finish();

    /** By itself, so that nothing of these pairs is held while the next ones are waited for. */
    async function take(pairs: Pair[]): Promise<void> {
      const parsed = await parsePairs(pairs, tagReads);
      for (const { pair, path, tagMoved } of parsed) {
        const repository = fromRepository(path);
        if (repository !== undefined && options.selects?.(repository) === false) {
          writer.noteUnselected(repository);
          continue;
        }
        if (repository !== undefined && repository !== current?.plan.repository) {
          await finish();
          current = newRepository(repository);
          plan.hasRepositories = true;
        }
        const waiting = writer.add(pair, path, current, tagMoved);
        if (waiting !== undefined) {
          await waiting;
        }
      }
    }

    async function finish(): Promise<void> {
      if (current !== undefined) {
        await writer.finishRepository(current);
      }
    }
  }

  /** Compares the content of tags that are on both sides, several at a time. */
  async function parsePairs(pairs: Pair[], reads: LimitFunction): Promise<ParsedPair[]> {
    const parsed = pairs.map((pair) => ({ pair, path: parsePath(pair.key), tagMoved: false }));
    const tags = parsed.filter(
      ({ pair, path }) =>
        path.kind === 'tag-current' &&
        pair.source !== undefined &&
        pair.target !== undefined &&
        options.selects?.(path.repository) !== false,
    );
    await Promise.all(
      tags.map(async (tag) => {
        tag.tagMoved = await reads(() => differs(tag.pair));
      }),
    );
    return parsed;
  }

  async function differs({ source: left, target: right }: Pair): Promise<boolean> {
    if (left === undefined || right === undefined) {
      return true;
    }
    try {
      return !(await sameContent({ driver: source, stat: left }, { driver: target, stat: right }, signal));
    } catch (error) {
      if (isDriverError(error, 'NOT_FOUND', 'CHANGED')) {
        // It was deleted or rewritten since it was listed; copying looks at it again.
        return true;
      }
      throw error;
    }
  }

  async function scanLoose(loose: LooseObject): Promise<void> {
    const path = parsePath(loose.key);
    const both = loose.source !== undefined && loose.target !== undefined;
    const contentDiffers =
      both && copyRank(path) !== undefined && !contentNamed(path) && (await differs(loose));
    await writer.add(loose, path, undefined, contentDiffers);
  }

  async function scanForeignFolders(folders: ShardMap['foreignFolders']): Promise<void> {
    for (const { folder, inSource, inTarget } of folders) {
      if (inSource) {
        writer.noteForeign(folder);
      }
      if (!includeForeign || !inSource) {
        continue;
      }
      const shard = { prefix: folder, inSource, inTarget };
      await guarded(shard, async () => {
        for await (const pairs of marchShard(source, target, shard, { signal })) {
          for (const pair of pairs) {
            await writer.add(pair, parsePath(pair.key), undefined);
          }
        }
      });
    }
  }
}

interface ParsedPair {
  pair: Pair;
  path: RegistryPath;
  tagMoved: boolean;
}
