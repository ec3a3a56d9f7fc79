import pLimit, { type LimitFunction } from 'p-limit';
import type { ContentWanted, Driver, ObjectStat } from '../../drivers/driver.ts';
import { isDriverError } from '../../drivers/errors.ts';
import { MAX_LINK_BYTES } from '../../layout/digest.ts';
import { LEAF_FOLDERS } from '../../layout/leaf-folders.ts';
import { copyRank, contentNamed } from '../../layout/order.ts';
import { fromRepository, parsePath, type RegistryPath } from '../../layout/paths.ts';
import { sameContent } from '../compare.ts';
import { forEachConcurrently } from '../concurrency.ts';
import { addCount } from '../counts.ts';
import { DigestSet } from '../digest-set.ts';
import { KeySum } from '../key-sum.ts';
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
import { Spool } from '../spool.ts';
import { RepositorySpool } from './repository-spool.ts';
import { planSelectedBlobs, type SelectedBlobs } from './selected-blobs.ts';
import { type CopyReason, disposePlan, type Plan, type PlannedCopy, type RepositoryPlan } from './plan.ts';

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

/** 27 MB at most, of which a registry takes as much as its blobs need; registries with more blobs than this cost a request for each further one that is looked for. */
const KNOWN_BLOBS_MAX = 1_000_000;
const FOREIGN_SAMPLES = 20;
const NAME_SAMPLES = 5;
/** What is compared by content: a store that is a folder reads it while it lists. */
const TAGS: ContentWanted = { ending: '/current/link', maxBytes: MAX_LINK_BYTES };

/**
 * Lists both stores and writes down every difference. Reads roots first: repositories before blobs, so that
 * whatever a link of a live source refers to was there before the blobs are listed (restic's read order).
 * A shard that cannot be listed is left out of the plan as a whole and named in `listingFailures`.
 * @throws DriverError when the upper folder levels cannot be listed.
 */
export async function scan(source: Driver, target: Driver, options: ScanOptions): Promise<Plan> {
  const { concurrency, signal, observer } = options;
  const plan = emptyPlan(options.selects !== undefined);
  const tagReads = pLimit(concurrency);
  const listings = Math.min(concurrency, LISTINGS_AT_ONCE);
  // What lies beside a link or a blob's data at the source is left there, and need not be found.
  const sourceLeaves = options.includeForeign ? undefined : LEAF_FOLDERS;
  const selected: SelectedBlobs | undefined = options.selects === undefined ? undefined : new Set();
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
        const waiting = place(pair, parsePath(pair.key), undefined);
        if (waiting !== undefined) {
          await waiting;
        }
      }
      observer.progress({ objects: pairs.length });
    }
  }

  /** A repository's own keys stand together in the listing, so a plan is complete when another name begins. */
  async function scanRepositories(shard: Shard): Promise<void> {
    let current: RepositoryScan | undefined;
    for await (const pairs of marchShard(source, target, shard, { signal, sourceLeaves, content: TAGS })) {
      await take(pairs);
      observer.progress({ objects: pairs.length });
    }
    await finish(current);

    /** By itself, so that nothing of these pairs is held while the next ones are waited for. */
    async function take(pairs: Pair[]): Promise<void> {
      const parsed = await parsePairs(pairs, tagReads);
      for (const { pair, path, tagMoved } of parsed) {
        const repository = fromRepository(path);
        if (repository !== undefined && options.selects?.(repository) === false) {
          noteSample(plan.unselectedSamples, repository);
          continue;
        }
        if (repository !== undefined && repository !== current?.plan.repository) {
          await finish(current);
          current = newRepository(repository);
          plan.hasRepositories = true;
        }
        const waiting = place(pair, path, current, tagMoved);
        if (waiting !== undefined) {
          await waiting;
        }
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

  async function finish(scanned: RepositoryScan | undefined): Promise<void> {
    if (scanned === undefined) {
      return;
    }
    const { layers, revisions, tagIndexes, tagCurrents } = scanned.plan;
    const copies = layers.length + revisions.length + tagIndexes.length + tagCurrents.length;
    if (copies > 0) {
      await plan.repositories.append(scanned.plan);
    }
    if (copies + scanned.deletions > 0) {
      plan.repositoryTallies.push({
        repository: scanned.plan.repository,
        tags: tagCurrents.length,
        revisions: revisions.length,
        layers: layers.length,
        deletions: scanned.deletions,
      });
    }
  }

  /**
   * Puts one pair where it belongs in the plan. Gives a promise only where something is written down: of most pairs
   * both sides are equal, and a promise for each would be a tenth of the time of a pass.
   */
  function place(
    pair: Pair,
    path: RegistryPath,
    current: RepositoryScan | undefined,
    contentDiffers = false,
  ): Promise<void> | undefined {
    if (copyRank(path) === undefined) {
      return placeNotContent(pair, path);
    }
    const { source: left, target: right } = pair;
    plan.sourceObjects += left === undefined ? 0 : 1;
    plan.targetObjects += right === undefined ? 0 : 1;
    if (left === undefined) {
      if (!options.deletes) {
        plan.keptAtTarget += 1;
        if (path.kind === 'lockfile') {
          plan.keptLockfiles.push(pair.key);
        }
        return undefined;
      }
      // With a selection only what belongs to a selected repository may go.
      if (selected === undefined || current !== undefined) {
        deletionsOf(path.kind).push(pair.key);
      }
      if (current !== undefined) {
        current.deletions += 1;
      }
      return undefined;
    }
    plan.hasSourceRepositories ||= current !== undefined;
    if (path.kind === 'layer-link' || path.kind === 'revision-link') {
      selected?.add(path.digest);
    }
    if (options.deletes && path.kind === 'revision-link') {
      plan.sourceRevisions.add(pair.key);
    }
    const reason = copyReason(left, right, contentDiffers);
    if (reason === undefined) {
      addCount(plan.equal, path.kind, left.sizeBytes);
      if (path.kind === 'blob-data') {
        plan.knownBlobs.add(path.digest);
      }
      return undefined;
    }
    addCount(plan.toCopy, path.kind, left.sizeBytes);
    if (path.kind === 'tag-current' && right !== undefined) {
      plan.movedTags.count += 1;
      noteSample(plan.movedTags.samples, `${path.repository}:${path.tag}`);
    }
    return schedule({ key: pair.key, sizeBytes: left.sizeBytes, reason }, path, current?.plan);
  }

  function schedule(
    copy: PlannedCopy,
    path: RegistryPath,
    repository: RepositoryPlan | undefined,
  ): Promise<void> | undefined {
    switch (path.kind) {
      case 'layer-link':
      case 'signature-link':
        repository?.layers.push(copy);
        break;
      case 'revision-link':
        repository?.revisions.push(copy);
        break;
      case 'tag-index':
        repository?.tagIndexes.push(copy);
        break;
      case 'tag-current':
        repository?.tagCurrents.push(copy);
        break;
      case 'tarsum':
        if (path.of === 'layer-link') {
          repository?.layers.push(copy);
        } else {
          return plan.blobs.append(copy);
        }
        break;
      case 'blob-data':
        return plan.blobs.append(copy);
      default:
        plan.others.push(copy);
    }
    return undefined;
  }

  async function placeNotContent(
    { key, source: left, target: right }: Pair,
    path: RegistryPath,
  ): Promise<void> {
    if (left !== undefined) {
      addCount(plan.notContent.source, path.kind, left.sizeBytes);
    }
    if (right !== undefined) {
      addCount(plan.notContent.target, path.kind, right.sizeBytes);
      if (path.kind === 'temporary' && path.by === 'regtool') {
        plan.leftovers.push(key);
      }
    }
    if (path.kind !== 'foreign') {
      return;
    }
    if (left !== undefined && plan.foreignSamples.length < FOREIGN_SAMPLES) {
      plan.foreignSamples.push(key);
    }
    if (left !== undefined && options.includeForeign) {
      await planForeign(left, right);
    } else {
      const size = left?.sizeBytes ?? right?.sizeBytes ?? 0;
      const side = left === undefined ? 'target' : 'source';
      await observer.record({
        type: 'object',
        action: 'leave',
        outcome: 'left',
        kind: 'foreign',
        key,
        sizeBytes: size,
        reason: `not the registry's (${path.reason}), at the ${side}`,
      });
    }
  }

  async function planForeign(left: ObjectStat, right: ObjectStat | undefined): Promise<void> {
    const contentDiffers =
      right !== undefined &&
      left.sizeBytes === right.sizeBytes &&
      (await differs({ key: left.key, source: left, target: right }));
    const reason = copyReason(left, right, contentDiffers);
    if (reason === undefined) {
      addCount(plan.equal, 'foreign', left.sizeBytes);
      return;
    }
    addCount(plan.toCopy, 'foreign', left.sizeBytes);
    await plan.foreign.append({ key: left.key, sizeBytes: left.sizeBytes, reason });
  }

  async function scanLoose(loose: LooseObject): Promise<void> {
    const path = parsePath(loose.key);
    const both = loose.source !== undefined && loose.target !== undefined;
    const contentDiffers =
      both && copyRank(path) !== undefined && !contentNamed(path) && (await differs(loose));
    await place(loose, path, undefined, contentDiffers);
  }

  async function scanForeignFolders(folders: ShardMap['foreignFolders']): Promise<void> {
    for (const { folder, inSource, inTarget } of folders) {
      if (inSource && plan.foreignSamples.length < FOREIGN_SAMPLES) {
        plan.foreignSamples.push(folder);
      }
      if (!options.includeForeign || !inSource) {
        continue;
      }
      const shard = { prefix: folder, inSource, inTarget };
      await guarded(shard, async () => {
        for await (const pairs of marchShard(source, target, shard, { signal })) {
          for (const pair of pairs) {
            await place(pair, parsePath(pair.key), undefined);
          }
        }
      });
    }
  }

  function deletionsOf(kind: RegistryPath['kind']): string[] {
    const keys = plan.deletions.get(kind) ?? [];
    plan.deletions.set(kind, keys);
    return keys;
  }
}

interface ParsedPair {
  pair: Pair;
  path: RegistryPath;
  tagMoved: boolean;
}

interface RepositoryScan {
  plan: RepositoryPlan;
  deletions: number;
}

function newRepository(repository: string): RepositoryScan {
  return {
    plan: { repository, layers: [], revisions: [], tagIndexes: [], tagCurrents: [] },
    deletions: 0,
  };
}

/** Keeps the first names, for messages. */
function noteSample(samples: string[], name: string): void {
  if (samples.length < NAME_SAMPLES && !samples.includes(name)) {
    samples.push(name);
  }
}

function copyReason(
  left: ObjectStat,
  right: ObjectStat | undefined,
  contentDiffers: boolean,
): CopyReason | undefined {
  if (right === undefined) {
    return 'missing';
  }
  if (left.sizeBytes !== right.sizeBytes) {
    return 'size';
  }
  return contentDiffers ? 'content' : undefined;
}

function emptyPlan(isSelection: boolean): Plan {
  return {
    isSelection,
    hasRepositories: false,
    hasSourceRepositories: false,
    unselectedSamples: [],
    blobs: new Spool(),
    others: [],
    repositories: new RepositorySpool(),
    foreign: new Spool(),
    deletions: new Map(),
    keptAtTarget: 0,
    keptLockfiles: [],
    leftovers: [],
    toCopy: {},
    equal: {},
    movedTags: { count: 0, samples: [] },
    sourceObjects: 0,
    targetObjects: 0,
    sourceRevisions: new KeySum(),
    repositoryTallies: [],
    notContent: { source: {}, target: {} },
    foreignSamples: [],
    listingFailures: [],
    knownBlobs: new DigestSet(KNOWN_BLOBS_MAX),
  };
}
