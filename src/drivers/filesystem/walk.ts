import { readdirSync, statSync, lstatSync, type Dirent, type Stats } from 'node:fs';
import type { FolderListing, ObjectStat } from '../driver.ts';
import { DriverError } from '../errors.ts';
import { compareKeys } from '../keys.ts';
import { filesystemError, systemCode } from './errors.ts';

/**
 * Walks a folder tree in key order. The calls are synchronous on purpose: readdirSync and lstatSync
 * cost a fifth of their asynchronous forms per file (10-17 us against 74-91 us on 150,000 files).
 *
 * Whatever hides files (an unreadable folder, a dangling or circular link, a name that is not UTF-8)
 * is thrown. A file or folder that vanishes between two calls is an absence: a live registry deletes uploads.
 */

interface Entry {
  /** With a trailing `/` for a folder, so that sorting names sorts keys: `a-b/` comes before `a/`. */
  name: string;
  isLink: boolean;
  stats: Stats | undefined;
}

/** Yields every file whose key starts with `prefix`, ascending by key bytes. `root` ends in `/`. */
export function* walkFiles(root: string, prefix: string): Generator<ObjectStat> {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  yield* walkFolder(root, folder, prefix.slice(folder.length), []);
}

/** One level of the tree: the files in `folder` and its folders, both ascending. */
export function listOneFolder(root: string, folder: string): FolderListing {
  const listing: FolderListing = { folders: [], objects: [] };
  for (const entry of readEntries(root, folder)) {
    if (entry.name.endsWith('/')) {
      listing.folders.push(folder + entry.name);
      continue;
    }
    const object = describeFile(root, folder + entry.name, entry.stats);
    if (object !== undefined) {
      listing.objects.push(object);
    }
  }
  return listing;
}

function* walkFolder(
  root: string,
  folder: string,
  namePrefix: string,
  ancestors: string[],
): Generator<ObjectStat> {
  for (const entry of readEntries(root, folder)) {
    if (!entry.name.startsWith(namePrefix) && !namePrefix.startsWith(entry.name)) {
      continue;
    }
    const key = folder + entry.name;
    if (entry.name.endsWith('/')) {
      if (entry.isLink) {
        refuseCircle(root, key, [...ancestors, folder]);
      }
      yield* walkFolder(root, key, '', [...ancestors, folder]);
      continue;
    }
    const object = entry.name.startsWith(namePrefix) ? describeFile(root, key, entry.stats) : undefined;
    if (object !== undefined) {
      yield object;
    }
  }
}

function readEntries(root: string, folder: string): Entry[] {
  let found: Dirent[];
  try {
    found = readdirSync(root + folder, { withFileTypes: true });
  } catch (error) {
    // ENOTDIR: what the caller took for a folder is a file, so no key starts with `folder`.
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') {
      return [];
    }
    throw filesystemError(error, 'list', root + folder, folder);
  }
  const entries = found.flatMap((dirent) => classify(root, folder, dirent) ?? []);
  return entries.sort((first, second) => compareKeys(first.name, second.name));
}

function classify(root: string, folder: string, dirent: Dirent): Entry | undefined {
  const { name } = dirent;
  if (name.includes('\uFFFD')) {
    throw listingError(
      `${root}${folder} holds a name that is not valid UTF-8 (${JSON.stringify(name)}): rename it.`,
      folder,
    );
  }
  if (dirent.isFile()) {
    return { name, isLink: false, stats: undefined };
  }
  if (dirent.isDirectory()) {
    return { name: `${name}/`, isLink: false, stats: undefined };
  }
  const stats = followedStats(root, folder + name, dirent.isSymbolicLink());
  if (stats === undefined) {
    return undefined;
  }
  if (stats.isDirectory()) {
    return { name: `${name}/`, isLink: dirent.isSymbolicLink(), stats: undefined };
  }
  if (stats.isFile()) {
    return { name, isLink: dirent.isSymbolicLink(), stats };
  }
  throw listingError(
    `${root}${folder}${name} is neither a file nor a folder: move it out of the registry's storage.`,
    folder,
  );
}

function followedStats(root: string, key: string, isLink: boolean): Stats | undefined {
  try {
    return statSync(root + key);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') {
      throw filesystemError(error, 'list', root + key, key);
    }
    if (isLink && isStillThere(root + key)) {
      throw listingError(
        `${root}${key} is a symbolic link whose target does not exist: mend or remove it.`,
        key,
      );
    }
    return undefined;
  }
}

function isStillThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function refuseCircle(root: string, key: string, ancestors: string[]): void {
  const target = statSync(root + key);
  for (const ancestor of ancestors) {
    const stats = statSync(root + ancestor);
    if (stats.ino === target.ino && stats.dev === target.dev) {
      throw listingError(`${root}${key} is a symbolic link to a folder that holds it: remove the link.`, key);
    }
  }
}

function describeFile(root: string, key: string, known: Stats | undefined): ObjectStat | undefined {
  let stats = known;
  if (stats === undefined) {
    try {
      stats = lstatSync(root + key, { throwIfNoEntry: false });
    } catch (error) {
      throw filesystemError(error, 'list', root + key, key);
    }
  }
  return stats === undefined ? undefined : { key, sizeBytes: stats.size, modifiedAtMs: stats.mtimeMs };
}

function listingError(message: string, key: string): DriverError {
  return new DriverError('BAD_LISTING', message, { driver: 'filesystem', operation: 'list', key });
}
