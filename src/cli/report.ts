import { type FileHandle, open } from 'node:fs/promises';
import { once } from 'node:events';
import { UsageError } from './usage-error.ts';
import { terminalSafeJson } from './units.ts';
import { whyUnwritable } from './unwritable.ts';

/** Takes one record per object or finding. */
export interface Report {
  /** Appends a record as one line of JSON. Wait for it before the next: that is what keeps memory bounded. */
  write(record: object): Promise<void>;
  /** Ends the file. Calling it again does nothing. */
  close(): Promise<void>;
}

/**
 * Opens the file of `--report`; without a path, a report that takes everything and keeps nothing.
 * The file is replaced, readable by its owner only (names of private repositories stand in it), and written as
 * the work goes, so that it tells what was done even if the process is killed.
 * @throws UsageError REPORT_UNWRITABLE, also from `write` and `close` when the disk is full.
 */
export async function openReport(path: string | undefined): Promise<Report> {
  if (path === undefined) {
    return { write: () => Promise.resolve(), close: () => Promise.resolve() };
  }
  const stream = (await openPrivately(path)).createWriteStream();
  let failure: UsageError | undefined;
  let drained: Promise<void> | undefined;
  let closed: Promise<void> | undefined;
  stream.on('error', (error) => {
    failure ??= unwritable(path, error);
  });

  function throwIfFailed(): void {
    if (failure !== undefined) {
      throw failure;
    }
  }

  /** All writers wait for the same drain, as one listener each would be thousands. */
  async function drain(): Promise<void> {
    try {
      await once(stream, 'drain');
    } catch (error) {
      throw unwritable(path ?? '', error);
    } finally {
      drained = undefined;
    }
  }

  async function end(): Promise<void> {
    throwIfFailed();
    await new Promise<void>((resolve) => {
      stream.once('close', resolve);
      stream.end();
    });
    throwIfFailed();
  }

  return {
    async write(record) {
      throwIfFailed();
      if (!stream.write(`${terminalSafeJson(record)}\n`)) {
        drained ??= drain();
        await drained;
      }
    },
    close() {
      closed ??= end();
      return closed;
    },
  };
}

async function openPrivately(path: string): Promise<FileHandle> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'w', 0o600);
    // A file that was there keeps its mode otherwise. A pipe or device is somebody else's.
    if ((await file.stat()).isFile()) {
      await file.chmod(0o600);
    }
    return file;
  } catch (error) {
    await file?.close();
    throw unwritable(path, error);
  }
}

function unwritable(path: string, error: unknown): UsageError {
  const message = `The report ${path} cannot be written, as ${whyUnwritable(error)}.`;
  return new UsageError('REPORT_UNWRITABLE', message, error);
}
