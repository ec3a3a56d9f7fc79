import { constants } from 'node:fs';
import { type FileHandle, open, readFile, rm } from 'node:fs/promises';
import type { Driver } from '../drivers/driver.ts';
import { systemCode } from '../drivers/filesystem/errors.ts';
import type { UndoEntry, UndoLog, UndoRecord } from '../operations/repair/undo-log.ts';
import type { UndoHeader } from './undo-schema.ts';
import { whyUnwritable } from './unwritable.ts';
import { UsageError } from './usage-error.ts';

export interface UndoFile extends UndoLog {
  /** Whether anything was written to it. */
  readonly isUsed: boolean;
  /**
   * Notices, before a long check and a question, that it cannot be written or is of another store. Leaves no file
   * where there was none.
   * @throws UsageError
   */
  assertUsable(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the file of `--undo-file` when the first change is noted: a run that changes nothing leaves none. One that is
 * there is continued, if it is of the same store, so that what an interrupted run changed can still be put back; a last
 * line that is cut short goes, and anything that is no undo file is left as it is. Only
 * its owner can read it, and each line is on the disk before the change that it is about is made.
 * @throws UsageError, also from `append`, when it cannot be written or is of another store.
 */
export function openUndoFile(path: string, { location, identity }: Driver): UndoFile {
  let file: FileHandle | undefined;
  let last: Promise<void> = Promise.resolve();

  const header: UndoHeader = { type: 'regtool-undo', format: 1, location, identity };

  /** What it holds that is whole. */
  async function read(): Promise<{ former: UndoRecord | undefined; wholeBytes: number }> {
    const text = await textIfThere(path);
    const wholeBytes = Buffer.byteLength(text.slice(0, text.lastIndexOf('\n') + 1));
    const former = await recordIn(path, text);
    if (former === undefined && !JSON.stringify(header).startsWith(text)) {
      throw notAnUndoFile(path);
    }
    if (former !== undefined && !isSameStore(former.identity, identity)) {
      throw new UsageError(
        'FLAG_INVALID',
        `The undo file ${path} is of a repair of ${former.location}: name another file.`,
      );
    }
    return { former, wholeBytes };
  }

  async function begin(): Promise<FileHandle> {
    const { former, wholeBytes } = await read();
    const handle = await open(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o600);
    if ((await handle.stat()).isFile()) {
      await handle.chmod(0o600);
      // A process that was killed may have written a part of a line. What follows must not become a part of it, too.
      await handle.truncate(wholeBytes);
    }
    if (former === undefined) {
      await writeLine(handle, header);
    }
    return handle;
  }

  async function add(line: UndoEntry): Promise<void> {
    try {
      file ??= await begin();
      await writeLine(file, line);
    } catch (error) {
      throw error instanceof UsageError ? error : unwritable(path, error, 'Nothing more was changed');
    }
  }

  return {
    get isUsed() {
      return file !== undefined;
    },
    async assertUsable() {
      try {
        await read();
        await assertWritable(path);
      } catch (error) {
        throw error instanceof UsageError ? error : unwritable(path, error, 'Nothing was changed');
      }
    },
    append(line) {
      // One after another: half a line of one must not stand in another.
      last = last.then(() => add(line));
      return last;
    },
    async close() {
      await file?.close();
    },
  };
}

/**
 * Reads the file of `--undo`. A last line that is cut short is left out: the change that it is about was not made.
 * @throws UsageError when it is no such file.
 */
export async function readUndoFile(path: string): Promise<UndoRecord> {
  const record = await recordIn(path, await textIfThere(path));
  if (record === undefined) {
    throw new UsageError('FLAG_INVALID', `The undo file ${path} does not exist, or is empty.`);
  }
  return record;
}

/** What a file holds; nothing where there is none. */
async function textIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      return '';
    }
    throw new UsageError(
      'FLAG_INVALID',
      `The undo file ${path} cannot be read, as ${whyUnreadable(error)}.`,
      error,
    );
  }
}

/** Opens the file for writing, and removes it again if it was not there. */
async function assertWritable(path: string): Promise<void> {
  const { O_WRONLY, O_APPEND, O_CREAT, O_EXCL } = constants;
  try {
    const made = await open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600);
    await made.close();
    await rm(path);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') {
      throw error;
    }
    const former = await open(path, O_WRONLY | O_APPEND);
    await former.close();
  }
}

/** Undefined where there is not even a whole first line. */
async function recordIn(path: string, text: string): Promise<UndoRecord | undefined> {
  const lines = text.split('\n').slice(0, -1);
  const [first, ...rest] = lines.map(parseLine);
  if (first === undefined) {
    return undefined;
  }
  // Only now, as it loads zod: most runs read no such file.
  const { checkUndoRecord } = await import('./undo-schema.ts');
  const record = checkUndoRecord(first, rest);
  if (record === undefined) {
    throw notAnUndoFile(path);
  }
  return record;
}

function notAnUndoFile(path: string): UsageError {
  return new UsageError('FLAG_INVALID', `${path} is not an undo file of regtool repair, or was changed.`);
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // What is no JSON is no header and no entry either, and is refused as such.
    return null;
  }
}

async function writeLine(handle: FileHandle, line: object): Promise<void> {
  await handle.appendFile(`${JSON.stringify(line)}\n`);
  await handle.sync();
}

function isSameStore(left: UndoRecord['identity'], right: UndoRecord['identity']): boolean {
  return left.service === right.service && left.container === right.container && left.root === right.root;
}

function unwritable(path: string, error: unknown, state: string): UsageError {
  return new UsageError(
    'FLAG_INVALID',
    `The undo file ${path} cannot be written, as ${whyUnwritable(error)}. ${state}: name another file with --undo-file.`,
    error,
  );
}

/** Why a file cannot be read, and what to do, for a sentence that ends with it. */
function whyUnreadable(error: unknown): string {
  const code = systemCode(error) ?? String(error);
  const reasons: Readonly<Record<string, string>> = {
    EISDIR: 'it is a folder: name a file in it',
    EACCES: 'permission is denied: run as the user whom it belongs to, or name another file',
    ENOTDIR: 'a part of its path is no folder: name another file',
  };
  return reasons[code] ?? `the system says ${code}: name another file`;
}
