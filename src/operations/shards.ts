import pLimit from 'p-limit';
import type { Driver, FolderListing } from '../drivers/driver.ts';
import { isDriverError } from '../drivers/errors.ts';
import { compareKeys } from '../drivers/keys.ts';
import { BLOBS_PREFIX, LOCKFILES_PREFIX, REGISTRY_ROOT, REPOSITORIES_PREFIX } from '../layout/paths.ts';
import type { ObjectStat } from '../drivers/driver.ts';

/**
 * The unit of work: all keys that start with `prefix`, listed on the sides that have any.
 * Shards of one group do not overlap, so they can be read side by side.
 */
export interface Shard {
  prefix: string;
  inSource: boolean;
  inTarget: boolean;
}

/** One object found above the shards: lockfiles, foreign files, markers. */
export interface LooseObject {
  key: string;
  source: ObjectStat | undefined;
  target: ObjectStat | undefined;
}

export interface ShardMap {
  /** Below `repositories/`: one for each namespace, or deeper where there are few namespaces. */
  repositories: Shard[];
  /** Below `blobs/`: one for each `<algorithm>/<xx>/`. */
  blobs: Shard[];
  loose: LooseObject[];
  /** Folders beside the registry's own, which are not walked. */
  foreignFolders: { folder: string; inSource: boolean; inTarget: boolean }[];
}

/** A folder, seen on both sides at once. */
interface Level {
  folders: Shard[];
  loose: LooseObject[];
}

/**
 * Namespaces are split until there are so many shards: enough to hide the latency of a store, for a page of 1,000
 * keys takes this process about as long to work on as the store takes to answer. Each further shard costs a request.
 */
const REPOSITORY_SHARDS = 32;
const SPLIT_DEPTH_MAX = 8;

/**
 * How many shards are read side by side: enough to hide a store's latency behind the work on its pages. Each further
 * one has pages of both sides under way.
 */
export const LISTINGS_AT_ONCE = 16;

export interface FindShardsOptions {
  concurrency: number;
  signal?: AbortSignal | undefined;
}

/**
 * Finds the shards of two stores (or of one, when `target` is undefined) by listing single folder levels.
 * A folder that may not or cannot be listed becomes a shard of its own.
 * @throws DriverError of the listing that failed, for the levels down to `blobs/` and `repositories/`.
 */
export async function findShards(
  source: Driver,
  target: Driver | undefined,
  { concurrency, signal }: FindShardsOptions,
): Promise<ShardMap> {
  const limit = pLimit(concurrency);
  const none: FolderListing = { folders: [], objects: [] };
  const level = async (folder: string, inSource = true, inTarget = true): Promise<Level> => {
    const [left, right] = await Promise.all([
      inSource ? limit(() => source.listFolder(folder, { signal })) : none,
      inTarget && target !== undefined ? limit(() => target.listFolder(folder, { signal })) : none,
    ]);
    return mergeLevels(left, right);
  };

  /** Undefined where the folder cannot be listed: as a shard of its own it fails alone, and is named then. */
  const levelBelow = async ({ prefix, inSource, inTarget }: Shard): Promise<Level | undefined> => {
    try {
      return await level(prefix, inSource, inTarget);
    } catch (error) {
      if (isDriverError(error, 'PERMISSION_DENIED', 'BAD_LISTING', 'INVALID_KEY')) {
        return undefined;
      }
      throw error;
    }
  };

  const above = ['', 'docker/', 'docker/registry/', REGISTRY_ROOT];
  const sha256: Shard = { prefix: `${BLOBS_PREFIX}sha256/`, inSource: true, inTarget: true };
  // That folder is asked for before it is known to be there, as it nearly always is: one round trip less.
  const [upper, lockfiles, repositories, algorithms, sha256Folders] = await Promise.all([
    Promise.all(above.map((folder) => level(folder))),
    level(LOCKFILES_PREFIX),
    level(REPOSITORIES_PREFIX),
    level(BLOBS_PREFIX),
    levelBelow(sha256),
  ]);
  const [digestFolders, split] = await Promise.all([
    Promise.all(
      algorithms.folders.map(async (shard) => {
        const below = shard.prefix === sha256.prefix ? sha256Folders : await levelBelow(shard);
        return below ?? { folders: [shard], loose: [] };
      }),
    ),
    splitRepositories(repositories, levelBelow),
  ]);
  const own = new Set([...above.slice(1), LOCKFILES_PREFIX, REPOSITORIES_PREFIX, BLOBS_PREFIX]);
  return {
    repositories: split.shards,
    blobs: digestFolders.flatMap(({ folders }) => folders),
    loose: [...upper, lockfiles, repositories, algorithms, ...digestFolders, split]
      .flatMap(({ loose }) => loose)
      .sort((a, b) => compareKeys(a.key, b.key)),
    foreignFolders: [...upper, lockfiles]
      .flatMap(({ folders }) => folders)
      .filter(({ prefix }) => !own.has(prefix))
      .map(({ prefix, inSource, inTarget }) => ({ folder: prefix, inSource, inTarget })),
  };
}

/**
 * Joins the two-letter folders of blobs that share their first letter: `blobs/sha256/a`. Up to 16 folders of a small
 * registry then come in two requests, and of a large one each joined shard still has thousands of objects. Folders
 * with any other name, and what an odd name or a file beside them would be mixed up with, stay as they are.
 */
export function joinBlobShards({ blobs, loose }: Pick<ShardMap, 'blobs' | 'loose'>): Shard[] {
  const groups = new Map<string, Shard[]>();
  for (const shard of blobs) {
    const joined = BLOB_FOLDER.exec(shard.prefix)?.[1] ?? shard.prefix;
    groups.set(joined, [...(groups.get(joined) ?? []), shard]);
  }
  const keys = [...blobs.map(({ prefix }) => prefix), ...loose.map(({ key }) => key)];
  return [...groups].flatMap(([prefix, shards]) => {
    const isWhole = keys.filter((key) => key.startsWith(prefix)).length === shards.length;
    return isWhole && shards.length > 1
      ? [
          {
            prefix,
            inSource: shards.some(({ inSource }) => inSource),
            inTarget: shards.some(({ inTarget }) => inTarget),
          },
        ]
      : shards;
  });
}

const BLOB_FOLDER = /^(.*\/[0-9a-f])[0-9a-f]\/$/;

/** Goes down level by level while there are too few shards to keep all listings busy. */
async function splitRepositories(
  top: Level,
  levelBelow: (shard: Shard) => Promise<Level | undefined>,
): Promise<{ shards: Shard[]; loose: LooseObject[] }> {
  let shards = top.folders;
  const done: Shard[] = [];
  const loose: LooseObject[] = [];
  for (let depth = 0; depth < SPLIT_DEPTH_MAX; depth += 1) {
    if (shards.length === 0 || done.length + shards.length >= REPOSITORY_SHARDS) {
      break;
    }
    const levels = await Promise.all(
      shards.map(async (shard) => ({
        shard,
        below: await levelBelow(shard),
      })),
    );
    shards = [];
    for (const { shard, below } of levels) {
      if (below !== undefined && isNamespaceOnly(shard, below)) {
        shards.push(...below.folders);
        loose.push(...below.loose);
      } else {
        done.push(shard);
      }
    }
  }
  return { shards: [...done, ...shards], loose };
}

/** A repository's own folders (`_layers`, ...) stay in one shard with it, so that it is read as a whole. */
function isNamespaceOnly(shard: Shard, below: Level): boolean {
  return (
    below.folders.length > 0 &&
    !below.folders.some(({ prefix }) => prefix.startsWith('_', shard.prefix.length))
  );
}

function mergeLevels(source: FolderListing, target: FolderListing): Level {
  const inSource = new Set(source.folders);
  const inTarget = new Set(target.folders);
  const folders = [...new Set([...source.folders, ...target.folders])].sort(compareKeys);
  const left = new Map(source.objects.map((object) => [object.key, object]));
  const right = new Map(target.objects.map((object) => [object.key, object]));
  return {
    folders: folders.map((prefix) => ({
      prefix,
      inSource: inSource.has(prefix),
      inTarget: inTarget.has(prefix),
    })),
    loose: [...new Set([...left.keys(), ...right.keys()])].map((key) => ({
      key,
      source: left.get(key),
      target: right.get(key),
    })),
  };
}
