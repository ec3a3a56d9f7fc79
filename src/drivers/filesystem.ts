import { realpathSync, statSync, type Stats } from 'node:fs';
import { open, stat as statPath } from 'node:fs/promises';
import { resolve } from 'node:path';
import pLimit from 'p-limit';
import { provenBody, throwIfAborted } from './body.ts';
import type {
  Body,
  CallOptions,
  ContentDigest,
  DeleteFailure,
  Driver,
  FolderListing,
  HashOptions,
  ListOptions,
  ObjectStat,
  ReadOptions,
  WriteOptions,
} from './driver.ts';
import { DriverError } from './errors.ts';
import { danglingLinkTo, openAttachedFolders } from './filesystem/attached-folders.ts';
import { filesystemError, systemCode } from './filesystem/errors.ts';
import { findFolders } from './filesystem/find-folders.ts';
import { probeFolder } from './filesystem/probe.ts';
import { openSmallReader } from './filesystem/read-small.ts';
import { listOneFolder } from './filesystem/walk.ts';
import { openWalker, type WalkerOptions } from './filesystem/walker.ts';
import { openWriter } from './filesystem/write.ts';
import { hashFile } from './hashing/hash-threads.ts';
import { readMemory } from './read-memory.ts';

export interface FilesystemOptions {
  /** The folder that holds `docker/`; relative to the working directory. */
  root: string;
  /** For messages; the root itself when left out. */
  location?: string;
  /** When listings go to other threads, where that is not left to the machine; for tests. */
  walker?: Pick<WalkerOptions, 'patienceMs' | 'cores'>;
  /** Where the system tells what is mounted, if not where Linux does; for tests. */
  mountsFile?: string;
}

/**
 * A few of these are in memory for each object that is read, until they are collected: 32 layers of 32 MiB, copied to
 * S3 side by side, took 196 MB in place of 393 with chunks of 1 MiB, and as much CPU time; 128 KiB took 20 MB less and
 * a tenth more time.
 */
const READ_CHUNK_BYTES = 256 * 1024;
/** Memory that the caller gives is filled by as few reads as let it be interrupted in time. */
const READ_INTO_MAX_BYTES = 8 * 1024 * 1024;
const COMPONENT_MAX_BYTES = 255;
const DELETES_AT_ONCE = 16;

/**
 * A folder tree. Files that regtool creates get the owner of the root folder when it runs as root,
 * because the registry's own user must be able to read them.
 * @throws DriverError STORE_NOT_FOUND when the root does not exist or is not a folder; it is never created,
 * since a missing root is more often an unmounted disk than a new store.
 */
export async function openFilesystem({
  root: given,
  location = given,
  walker: walkerOptions = {},
  mountsFile,
}: FilesystemOptions): Promise<Driver> {
  const { root, stats: rootStats } = resolveRoot(given);
  const writer = openWriter(
    root,
    process.geteuid?.() === 0 ? { uid: rootStats.uid, gid: rootStats.gid } : undefined,
  );

  const smallFiles = openSmallReader();
  const attached = openAttachedFolders(root, mountsFile);
  const walker = openWalker({
    root,
    readNow: smallFiles.readNow,
    onLink: attached.note,
    ...walkerOptions,
  });

  /** An unmounted or replaced root makes every file look absent; that must never pass for an empty store. */
  function assertRootUnchanged(operation: string): void {
    let now: Stats | undefined;
    try {
      now = statSync(root, { throwIfNoEntry: false });
    } catch (error) {
      throw filesystemError(error, operation, root, '');
    }
    if (now === undefined || now.ino !== rootStats.ino || now.dev !== rootStats.dev) {
      throw new DriverError(
        'STORE_NOT_FOUND',
        `${root} is no longer the folder that it was at the start: was it unmounted or replaced?`,
        { driver: 'filesystem', operation },
      );
    }
  }

  /** What is absent at a key counts only while the root and all that leads from it to there is what it was. */
  function assertAbsent(operation: string, key: string): void {
    assertRootUnchanged(operation);
    attached.assertUnchanged(operation, key, 'key');
    const link = danglingLinkTo(root, key);
    if (link !== undefined) {
      throw new DriverError(
        'BAD_LISTING',
        `Whether ${root}${key} exists cannot be told: ${root}${link} is a symbolic link whose target does not exist. Mend or remove it.`,
        describe(operation, key),
      );
    }
  }

  async function* list(
    prefix: string,
    { signal, ...wanted }: ListOptions = {},
  ): AsyncGenerator<ObjectStat[]> {
    const details = describe('list', prefix);
    throwIfAborted(signal, details);
    try {
      if (isPlainPrefix(prefix)) {
        attached.look(prefix);
        yield* walker.pages(prefix, wanted, signal);
      }
    } catch (error) {
      throwIfAborted(signal, details);
      throw filesystemError(error, 'list', root + prefix, prefix);
    }
    // What is absent counts as absent once the listing has ended.
    assertRootUnchanged('list');
    attached.assertUnchanged('list', prefix, 'prefix');
  }

  async function stat(key: string, { signal }: CallOptions = {}): Promise<ObjectStat | undefined> {
    throwIfAborted(signal, describe('stat', key));
    if (invalidKeyReason(key) !== undefined) {
      return undefined;
    }
    try {
      const stats = await statPath(root + key);
      return stats.isFile() ? { key, sizeBytes: stats.size, modifiedAtMs: stats.mtimeMs } : undefined;
    } catch (error) {
      const code = systemCode(error);
      if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') {
        assertAbsent('stat', key);
        return undefined;
      }
      throw filesystemError(error, 'stat', root + key, key);
    }
  }

  async function* read(key: string, { signal, into }: ReadOptions = {}): AsyncGenerator<Uint8Array> {
    throwIfAborted(signal, describe('read', key));
    assertReadable(key);
    try {
      const file = await open(root + key, 'r');
      try {
        const { size } = await file.stat();
        let seenBytes = 0;
        while (seenBytes < size) {
          const room = into?.();
          const mostBytes = Math.min(room?.byteLength ?? READ_CHUNK_BYTES, READ_INTO_MAX_BYTES);
          const wanted = Math.min(mostBytes, size - seenBytes);
          const { bytesRead, buffer } = await file.read(room ?? readMemory(wanted), 0, wanted);
          throwIfAborted(signal, describe('read', key));
          if (bytesRead === 0) {
            throw becameShorter(key);
          }
          seenBytes += bytesRead;
          yield buffer.subarray(0, bytesRead);
        }
      } finally {
        await file.close();
      }
    } catch (error) {
      throw readError(error, key);
    }
  }

  async function hash(
    key: string,
    algorithm: ContentDigest['algorithm'],
    { signal, onSeen, sizeBytes: expectedBytes }: HashOptions = {},
  ): Promise<string> {
    throwIfAborted(signal, describe('read', key));
    assertReadable(key);
    try {
      const options = { signal, onSeen, sizeBytes: expectedBytes };
      const { hex, sizeBytes, seenBytes } = await hashFile(root + key, algorithm, options);
      if (seenBytes !== sizeBytes) {
        throw becameShorter(key);
      }
      onSeen?.(seenBytes);
      return hex;
    } catch (error) {
      throwIfAborted(signal, describe('read', key));
      throw readError(error, key);
    }
  }

  async function readSmall(key: string, maxBytes: number, { signal }: CallOptions = {}): Promise<Uint8Array> {
    throwIfAborted(signal, describe('readSmall', key));
    assertReadable(key);
    try {
      const read = smallFiles.read(root + key, maxBytes);
      const file = read instanceof Promise ? await read : read;
      if ('bytes' in file) {
        return file.bytes;
      }
      throw new DriverError(
        'CHANGED',
        `${root}${key} has ${file.tooLargeBytes} bytes, more than the ${maxBytes} expected.`,
        describe('readSmall', key),
      );
    } catch (error) {
      throw readError(error, key);
    }
  }

  function becameShorter(key: string): DriverError {
    return new DriverError(
      'CHANGED',
      `${root}${key} became shorter while it was read; run again.`,
      describe('read', key),
    );
  }

  function readError(error: unknown, key: string): unknown {
    if (systemCode(error) === 'ENOENT') {
      assertAbsent('read', key);
    }
    return filesystemError(error, 'read', root + key, key);
  }

  async function write(
    key: string,
    body: Body,
    { expectedDigest, signal }: WriteOptions = {},
  ): Promise<void> {
    const details = describe('write', key);
    throwIfAborted(signal, details);
    const reason = invalidKeyReason(key);
    if (reason !== undefined) {
      throw new DriverError(
        'INVALID_KEY',
        `${JSON.stringify(key)} cannot be a file: ${reason}. Rename it at the source, or leave it out.`,
        details,
      );
    }
    assertRootUnchanged('write');
    attached.assertUnchanged('write', key, 'key');
    try {
      await writer.replaceFile(root + key, provenBody(body, { expectedDigest, signal, details }));
    } catch (error) {
      throw filesystemError(error, 'write', root + key, key);
    }
  }

  async function remove(keys: readonly string[], { signal }: CallOptions = {}): Promise<DeleteFailure[]> {
    throwIfAborted(signal, describe('delete'));
    const failures: DeleteFailure[] = [];
    const changed = new Set<string>();
    const limit = pLimit(DELETES_AT_ONCE);
    await limit.map(keys, async (key) => {
      try {
        throwIfAborted(signal, describe('delete', key));
        if (invalidKeyReason(key) === undefined) {
          const folder = await writer.removeFile(root + key);
          if (folder === undefined) {
            assertAbsent('delete', key);
          } else {
            changed.add(folder);
          }
        }
      } catch (error) {
        const known = filesystemError(error, 'delete', root + key, key);
        failures.push({ key, error: known instanceof Error ? known : new Error(String(known)) });
      }
    });
    await writer.settleRemovals(changed);
    return failures;
  }

  async function removeEmptyFolder(folder: string, { signal }: CallOptions = {}): Promise<boolean> {
    throwIfAborted(signal, describe('delete', folder));
    if (!folder.endsWith('/') || invalidKeyReason(folder.slice(0, -1)) !== undefined) {
      return false;
    }
    try {
      return await writer.removeEmptyTree(root + folder.slice(0, -1));
    } catch (error) {
      throw filesystemError(error, 'delete', root + folder, folder);
    }
  }

  return {
    name: 'filesystem',
    location,
    identity: { service: 'filesystem', container: '', root },
    supports: {
      provesSha256UpToBytes: 0,
      serverSideCopy: false,
      multipartUploads: false,
      emptyFolders: true,
      deleteBatchSize: 1000,
      partSizeBytes: Number.MAX_SAFE_INTEGER,
    },
    list,
    async listFolder(folder: string, { signal }: CallOptions = {}) {
      throwIfAborted(signal, describe('listFolder', folder));
      const listing = isPlainPrefix(folder) ? listLevel(folder) : { folders: [], objects: [] };
      assertRootUnchanged('listFolder');
      attached.assertUnchanged('listFolder', folder, 'key');
      return listing;
    },
    stat,
    read,
    hash,
    readSmall,
    write,
    delete: remove,
    probe: (options) => probeFolder(root, options),
    removeEmptyFolder,
    findFolders: (ending, options) => findFolders(root, ending, options),
    close: () => walker.close(),
  };

  function listLevel(folder: string): FolderListing {
    attached.look(folder);
    return listOneFolder(root, folder, attached.note);
  }

  function assertReadable(key: string): void {
    if (invalidKeyReason(key) !== undefined) {
      throw new DriverError('NOT_FOUND', `${JSON.stringify(key)} cannot be a file.`, describe('read', key));
    }
  }
}

function resolveRoot(given: string): { root: string; stats: Stats } {
  const details = { driver: 'filesystem', operation: 'open' };
  let real: string;
  let stats: Stats;
  try {
    real = realpathSync(resolve(given));
    stats = statSync(real);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') {
      throw new DriverError(
        'STORE_NOT_FOUND',
        `${given} does not exist: check the path, and that its disk is mounted. The folder of a new target is to be created first.`,
        {
          ...details,
          cause: error,
        },
      );
    }
    throw filesystemError(error, 'open', given);
  }
  if (!stats.isDirectory()) {
    throw new DriverError(
      'STORE_NOT_FOUND',
      `${given} is a file, not the folder that holds docker/.`,
      details,
    );
  }
  return { root: real.endsWith('/') ? real : `${real}/`, stats };
}

/** Short ASCII components that do not begin with a dot: nearly every key of a registry, for a tenth of the work. */
const PLAIN_KEY = /^[\w-][\w.+@:-]{0,199}(?:\/[\w-][\w.+@:-]{0,199})*$/;

/** Why no file below the root can have this key, or undefined when one can. */
function invalidKeyReason(key: string): string | undefined {
  if (PLAIN_KEY.test(key)) {
    return undefined;
  }
  if (key.includes('\0')) {
    return 'it holds a zero byte';
  }
  for (const component of key.split('/')) {
    if (component === '') {
      return 'it starts or ends with a slash, or has two in a row';
    }
    if (component === '.' || component === '..') {
      return `"${component}" in a path means another folder`;
    }
    if (component.length > COMPONENT_MAX_BYTES / 4 && Buffer.byteLength(component) > COMPONENT_MAX_BYTES) {
      return `a part of it is longer than ${COMPONENT_MAX_BYTES} bytes`;
    }
  }
  return undefined;
}

/** Whether any file's key can start with this prefix. */
function isPlainPrefix(prefix: string): boolean {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  return folder === '' || invalidKeyReason(folder.slice(0, -1)) === undefined;
}

function describe(operation: string, key?: string) {
  return key === undefined ? { driver: 'filesystem', operation } : { driver: 'filesystem', operation, key };
}
