import { randomUUID } from 'node:crypto';
import {
  chown,
  mkdir,
  open,
  readdir,
  realpath,
  rename,
  rmdir,
  unlink,
  type FileHandle,
} from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { DriverError } from '../errors.ts';
import { systemCode } from './errors.ts';

export interface Owner {
  uid: number;
  gid: number;
}

/** How many folders are remembered as checked before the memory of them is dropped. */
const KNOWN_FOLDERS_MAX = 20_000;

/**
 * Atomic, durable file writes below one root: temporary file beside the target, fsync, rename, fsync of the folder.
 * A write or removal through a symbolic link that leads out of the root is refused.
 */
export function openWriter(root: string, owner: Owner | undefined) {
  const knownFolders = new Set<string>();

  /** Writes `chunks` to `path`; on failure nothing is left and the former file is untouched. */
  async function replaceFile(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const folder = dirname(path);
    const temporary = `${folder}/${temporaryName(basename(path))}`;
    const file = await createIn(folder, temporary);
    try {
      await fill(file, chunks);
      await rename(temporary, path);
    } catch (error) {
      await discard(temporary);
      throw error;
    }
    await syncFolder(folder);
  }

  /** Removes a failed write's file and the folders that were made for it: an empty tag folder is listed as a tag. */
  async function discard(temporary: string): Promise<void> {
    try {
      await unlink(temporary);
      await removeEmptyFolders(dirname(temporary));
    } catch (error) {
      // What made the write fail may hinder this, too; that first error is the one to tell.
      if (systemCode(error) === undefined) {
        throw error;
      }
    }
  }

  async function createIn(folder: string, temporary: string): Promise<FileHandle> {
    await ensureFolder(folder);
    try {
      return await open(temporary, 'wx');
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') {
        throw error;
      }
      // Another deletion emptied and removed the folder in between.
      knownFolders.clear();
      await ensureFolder(folder);
      return open(temporary, 'wx');
    }
  }

  async function fill(file: FileHandle, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of chunks) {
        await file.writeFile(chunk);
      }
      if (owner !== undefined) {
        await file.chown(owner.uid, owner.gid);
      }
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async function ensureFolder(folder: string): Promise<void> {
    if (knownFolders.has(folder)) {
      return;
    }
    const firstCreated = await mkdir(folder, { recursive: true });
    if (firstCreated !== undefined) {
      await settleNewFolders(firstCreated, folder);
    }
    await assertInside(folder, 'write');
    if (knownFolders.size >= KNOWN_FOLDERS_MAX) {
      knownFolders.clear();
    }
    knownFolders.add(folder);
  }

  async function assertInside(folder: string, operation: string): Promise<void> {
    const real = `${await realpath(folder)}/`;
    if (!real.startsWith(root)) {
      throw new DriverError(
        'INVALID_KEY',
        `${folder} leads out of the store through a symbolic link (to ${real}): nothing is written or removed there.`,
        { driver: 'filesystem', operation, key: folder.slice(root.length) },
      );
    }
  }

  /** Makes folders from `first` down to `last` durable, and gives them the root's owner. */
  async function settleNewFolders(first: string, last: string): Promise<void> {
    for (let folder = last; folder.length >= first.length; folder = dirname(folder)) {
      if (owner !== undefined) {
        await chown(folder, owner.uid, owner.gid);
      }
      await syncFolder(dirname(folder));
    }
  }

  /**
   * Removes a file, and the folders that this leaves empty: an empty tag folder would be listed as a tag.
   * Returns the folder to pass to `settleRemovals`; undefined when there was no such file.
   */
  async function removeFile(path: string): Promise<string | undefined> {
    try {
      await assertInside(dirname(path), 'delete');
      await unlink(path);
    } catch (error) {
      const code = systemCode(error);
      if (code === 'ENOENT' || code === 'ENOTDIR') {
        return undefined;
      }
      throw error;
    }
    return removeEmptyFolders(dirname(path));
  }

  /** Makes removals durable: a tag must not come back after a power cut when its blob does not. */
  async function settleRemovals(folders: ReadonlySet<string>): Promise<void> {
    for (const first of folders) {
      for (let folder = first; folder.length >= root.length - 1; folder = dirname(folder)) {
        try {
          await syncFolder(folder);
          break;
        } catch (error) {
          // Another removal took this folder away; then the one above it is what has to be durable.
          if (systemCode(error) !== 'ENOENT') {
            throw error;
          }
        }
      }
    }
  }

  /** Removes a folder and those above it as long as they are empty; returns the first that stays. */
  async function removeEmptyFolders(first: string): Promise<string> {
    let folder = first;
    for (; folder.length >= root.length; folder = dirname(folder)) {
      knownFolders.delete(folder);
      try {
        await rmdir(folder);
      } catch (error) {
        const code = systemCode(error);
        if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'EBUSY') {
          break;
        }
        if (code !== 'ENOENT') {
          throw error;
        }
      }
    }
    return folder.length >= root.length ? folder : root;
  }

  /** Removes a folder and the folders in it; the system refuses for each that is not empty. */
  async function removeEmptyTree(folder: string): Promise<boolean> {
    await assertInside(folder, 'delete');
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      if (!entry.isDirectory() || !(await removeEmptyTree(`${folder}/${entry.name}`))) {
        return false;
      }
    }
    knownFolders.delete(folder);
    try {
      await rmdir(folder);
    } catch (error) {
      if (systemCode(error) === 'ENOTEMPTY' || systemCode(error) === 'EEXIST') {
        return false;
      }
      throw error;
    }
    await syncFolder(dirname(folder));
    return true;
  }

  return { replaceFile, removeFile, settleRemovals, removeEmptyTree };
}

/** `<name>.<uuid>.regtool.tmp`: known to the layout as regtool's own left-over, should the process be killed. */
function temporaryName(name: string): string {
  return `${name.slice(0, 50)}.${randomUUID()}.regtool.tmp`;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
