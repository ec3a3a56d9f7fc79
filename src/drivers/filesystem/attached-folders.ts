import { lstatSync, readFileSync, statSync, type Stats } from 'node:fs';
import { DriverError } from '../errors.ts';
import { systemCode } from './errors.ts';

/** A folder below the root that something else is attached to. Plain data, which can be handed to another thread. */
export interface AttachedFolder {
  /** Its key, which ends in `/`. */
  folder: string;
  /** What was there: see `identify`. */
  identity: string;
}

/**
 * Folders below the root that may go away with all that is in them while nobody deletes anything: on what is mounted
 * there, or behind a symbolic link. An empty folder, or none, is left in their place, which must not pass for a deletion.
 */
export interface AttachedFolders {
  /** To be asked before anything below or above `prefix` is listed: remembers what is mounted there, and links above it. */
  look: (prefix: string) => void;
  /**
   * Remembers a link that a listing followed.
   * @throws DriverError STORE_NOT_FOUND when it led elsewhere before.
   */
  note: (link: AttachedFolder) => void;
  /**
   * To be asked before an absence is believed: of this key or, in a listing, of any key that starts with it.
   * @throws DriverError STORE_NOT_FOUND when a folder that matters to it is not what it was when it was first seen.
   */
  assertUnchanged: (operation: string, key: string, reach: 'key' | 'prefix') => void;
}

/**
 * What is mounted, as this process sees it: proc_pid_mountinfo(5). A change of the device between a folder and the one
 * above would not tell, for another folder of the same disk can be mounted as well; and to ask for it takes a call for
 * each folder.
 */
const MOUNTS_FILE = '/proc/self/mountinfo';
const MOUNT_POINT_FIELD = 4;

/** @param root ends in `/`. */
export function openAttachedFolders(root: string, mountsFile: string = MOUNTS_FILE): AttachedFolders {
  const known = new Map<string, string>();
  let mounts = { text: '', folders: [] as string[] };

  /** What is mounted below the root, as keys of folders. */
  function mountedFolders(): string[] {
    const text = readMounts(mountsFile);
    if (text !== mounts.text) {
      mounts = { text, folders: foldersBelow(root, mountPoints(text)) };
    }
    return mounts.folders;
  }

  function look(prefix: string): void {
    for (const folder of mountedFolders()) {
      if (isAbove(folder, prefix) || folder.startsWith(prefix)) {
        remember(folder);
      }
    }
    for (const folder of foldersAbove(prefix)) {
      if (!known.has(folder) && isLink(root + folder.slice(0, -1))) {
        remember(folder);
      }
    }
  }

  /** As it was when it was first seen: what was listed then is what may be missed now. */
  function remember(folder: string): void {
    if (!known.has(folder)) {
      known.set(folder, identityOf(root + folder));
    }
  }

  function note({ folder, identity }: AttachedFolder): void {
    if ((known.get(folder) ?? identity) !== identity) {
      throw changed(folder, 'list');
    }
    known.set(folder, identity);
  }

  function assertUnchanged(operation: string, key: string, reach: 'key' | 'prefix'): void {
    for (const [folder, identity] of known) {
      const matters = isAbove(folder, key) || (reach === 'prefix' && folder.startsWith(key));
      if (matters && identityOf(root + folder) !== identity) {
        throw changed(folder, operation);
      }
    }
  }

  function changed(folder: string, operation: string): DriverError {
    return new DriverError(
      'STORE_NOT_FOUND',
      `${root}${folder.slice(0, -1)} is no longer the folder that it was at the start: was its disk unmounted, or its link replaced?`,
      { driver: 'filesystem', operation, key: folder },
    );
  }

  return { look, note, assertUnchanged };
}

/** Tells one folder from any other on this machine. */
export function identify({ dev, ino }: Stats): string {
  return `${dev}:${ino}`;
}

/**
 * The symbolic link because of which nothing is found at a key, and behind which it may be all the same: its target
 * does not exist. Undefined where the absence is a plain one.
 */
export function danglingLinkTo(root: string, key: string): string | undefined {
  const folders = foldersAbove(key).map((folder) => folder.slice(0, -1));
  for (const path of [key.replace(/\/$/, ''), ...folders.reverse()]) {
    const entry = resultOf(() => lstatSync(root + path));
    if (typeof entry !== 'string') {
      const leadsNowhere =
        entry.isSymbolicLink() && typeof resultOf(() => statSync(root + path)) === 'string';
      return leadsNowhere ? path : undefined;
    }
  }
  return undefined;
}

/** Of a folder given with its slash, so that what is mounted there only when it is used is mounted. */
function identityOf(path: string): string {
  const stats = resultOf(() => statSync(path));
  return typeof stats === 'string' ? stats : identify(stats);
}

/** What a system call gives, or the code of its failure. */
function resultOf(call: () => Stats): Stats | string {
  try {
    return call();
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) {
      throw error;
    }
    return code;
  }
}

/** Whether this is the folder of `key`, or one further up. */
function isAbove(folder: string, key: string): boolean {
  return key.startsWith(folder);
}

/** `a/` and `a/b/` of `a/b/c`, and of `a/b/` as well. */
function foldersAbove(key: string): string[] {
  const folders: string[] = [];
  for (let end = key.indexOf('/'); end !== -1; end = key.indexOf('/', end + 1)) {
    folders.push(key.slice(0, end + 1));
  }
  return folders;
}

function isLink(path: string): boolean {
  const entry = resultOf(() => lstatSync(path));
  // Where that fails the listing that follows fails as well, and says why.
  return typeof entry !== 'string' && entry.isSymbolicLink();
}

/** Empty on a system that does not tell. */
function readMounts(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (systemCode(error) === undefined) {
      throw error;
    }
    return '';
  }
}

function mountPoints(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const point = line.split(' ', MOUNT_POINT_FIELD + 1)[MOUNT_POINT_FIELD];
    return point === undefined ? [] : [unescaped(point)];
  });
}

/** Spaces, tabs, newlines and backslashes are written as `\040`. */
function unescaped(point: string): string {
  return point.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCodePoint(Number.parseInt(octal, 8)),
  );
}

function foldersBelow(root: string, points: readonly string[]): string[] {
  return points
    .filter((point) => point.startsWith(root) && point !== root)
    .map((point) => `${point.slice(root.length)}/`);
}
