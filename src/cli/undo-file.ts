import { constants } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import type { Driver } from '../drivers/driver.ts';
import type { UndoEntry, UndoLog, UndoRecord } from '../operations/repair/undo-log.ts';
import type { UndoHeader } from './undo-schema.ts';
import { UsageError } from './usage-error.ts';

export interface UndoFile extends UndoLog {
  /** Whether anything was written to it. */
  readonly isUsed: boolean;
  close(): Promise<void>;
}

/**
 * Opens the file of `--undo-file` when the first change is noted: a run that changes nothing leaves none. One that is
 * there is continued, if it is of the same store, so that what an interrupted run changed can still be put back. Only
 * its owner can read it, and each line is on the disk before the change that it is about is made.
 * @throws UsageError, also from `append`, when it cannot be written or is of another store.
 */
export function openUndoFile(path: string, { location, identity }: Driver): UndoFile {
  let file: FileHandle | undefined;
  let last: Promise<void> = Promise.resolve();

  async function begin(): Promise<FileHandle> {
    const former = await readIfThere(path);
    if (former !== undefined && !isSameStore(former.identity, identity)) {
      throw new UsageError(
        'FLAG_INVALID',
        `The undo file ${path} is of a repair of ${former.location}: name another file.`,
      );
    }
    const handle = await open(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT, 0o600);
    if ((await handle.stat()).isFile()) {
      await handle.chmod(0o600);
    }
    if (former === undefined) {
      const header: UndoHeader = { type: 'regtool-undo', format: 1, location, identity };
      await writeLine(handle, header);
    }
    return handle;
  }

  async function add(line: UndoEntry): Promise<void> {
    try {
      file ??= await begin();
      await writeLine(file, line);
    } catch (error) {
      throw error instanceof UsageError ? error : unwritable(path, error);
    }
  }

  return {
    get isUsed() {
      return file !== undefined;
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
  const record = await readIfThere(path);
  if (record === undefined) {
    throw new UsageError('FLAG_INVALID', `The undo file ${path} does not exist, or is empty.`);
  }
  return record;
}

async function readIfThere(path: string): Promise<UndoRecord | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      return undefined;
    }
    throw new UsageError('FLAG_INVALID', `The undo file ${path} cannot be read (${codeOf(error)}).`, error);
  }
  const lines = text.split('\n').slice(0, -1);
  const [first, ...rest] = lines.map(parseLine);
  if (first === undefined) {
    return undefined;
  }
  // Only now, as it loads zod: most runs read no such file.
  const { checkUndoRecord } = await import('./undo-schema.ts');
  const record = checkUndoRecord(first, rest);
  if (record === undefined) {
    throw new UsageError('FLAG_INVALID', `${path} is not an undo file of regtool repair, or was changed.`);
  }
  return record;
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

function unwritable(path: string, error: unknown): UsageError {
  return new UsageError(
    'FLAG_INVALID',
    `The undo file ${path} cannot be written (${codeOf(error)}), so nothing more was changed: name another with --undo-file.`,
    error,
  );
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
