import { once } from 'node:events';
import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { systemCode } from '../drivers/filesystem/errors.ts';
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

export interface ReportOptions {
  /**
   * Asked when the report ends without a record: whether the run has a result, of which an empty report is a part. A
   * report that was there stays where it has none, and a file that was not there goes again.
   */
  hasResult?: () => boolean;
}

/**
 * Opens the file of `--report`; without a path, a report that takes everything and keeps nothing.
 * The file is replaced by the first record, readable by its owner only (names of private repositories stand in it),
 * and written as the work goes, so that it tells what was done even if the process is killed.
 * @throws UsageError REPORT_UNWRITABLE, also from `write` and `close` when the disk is full.
 */
export async function openReport(
  path: string | undefined,
  { hasResult = () => true }: ReportOptions = {},
): Promise<Report> {
  if (path === undefined) {
    return { write: () => Promise.resolve(), close: () => Promise.resolve() };
  }
  const file = await openFile(path);
  let written: Promise<ReportStream> | undefined;
  let closed: Promise<void> | undefined;

  function begin(): Promise<ReportStream> {
    written ??= replace(file).then(
      () => streamTo(file),
      (error: unknown) => {
        throw unwritable(file.path, error);
      },
    );
    return written;
  }

  async function end(): Promise<void> {
    if (written !== undefined || hasResult()) {
      const stream = await begin();
      await stream.end();
      return;
    }
    await file.handle.close();
    if (file.isNew) {
      await rm(file.path, { force: true });
    }
  }

  return {
    async write(record) {
      const stream = await begin();
      await stream.write(`${terminalSafeJson(record)}\n`);
    },
    close() {
      closed ??= end();
      return closed;
    },
  };
}

interface ReportFile {
  path: string;
  handle: FileHandle;
  /** Whether it was made now. */
  isNew: boolean;
}

interface ReportStream {
  write(line: string): Promise<void>;
  end(): Promise<void>;
}

function streamTo({ handle, path }: ReportFile): ReportStream {
  const stream = handle.createWriteStream();
  let failure: UsageError | undefined;
  let drained: Promise<void> | undefined;
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
      throw unwritable(path, error);
    } finally {
      drained = undefined;
    }
  }

  return {
    async write(line) {
      throwIfFailed();
      if (!stream.write(line)) {
        drained ??= drain();
        await drained;
      }
    },
    async end() {
      throwIfFailed();
      await new Promise<void>((resolve) => {
        stream.once('close', resolve);
        stream.end();
      });
      throwIfFailed();
    },
  };
}

/** Opens it for writing, and leaves what is in it. */
async function openFile(path: string): Promise<ReportFile> {
  const { O_WRONLY, O_CREAT, O_EXCL } = constants;
  try {
    return { path, handle: await open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600), isNew: true };
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') {
      throw unwritable(path, error);
    }
  }
  try {
    // Also through a link to a file that is not there yet.
    return { path, handle: await open(path, O_WRONLY | O_CREAT, 0o600), isNew: false };
  } catch (error) {
    throw unwritable(path, error);
  }
}

/** Empties a file and makes it private. A pipe or device is somebody else's. */
async function replace({ handle }: ReportFile): Promise<void> {
  if ((await handle.stat()).isFile()) {
    await handle.truncate(0);
    await handle.chmod(0o600);
  }
}

function unwritable(path: string, error: unknown): UsageError {
  const message = `The report ${path} cannot be written, as ${whyUnwritable(error)}.`;
  return new UsageError('REPORT_UNWRITABLE', message, error);
}
