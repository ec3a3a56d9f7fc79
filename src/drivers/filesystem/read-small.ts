import { closeSync, fstatSync, open, openSync, read, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { systemCode } from './errors.ts';
import { ReadPace } from './read-pace.ts';

/** A file that is larger than asked for is not read at all. */
export type SmallFile = { bytes: Uint8Array } | { tooLargeBytes: number };

/** A file's content, one character for each byte: see `ObjectStat`. */
export interface ListedFile {
  sizeBytes: number;
  content: string;
}

export interface SmallReader {
  /** A promise only where calls have turned out to be slow: each would take longer than the read itself. */
  read: (path: string, maxBytes: number) => SmallFile | Promise<SmallFile>;
  /**
   * Reads at once. Undefined where the file is too large or cannot be read, or where calls have turned out to be slow,
   * so that it is better read beside others.
   */
  readNow: (path: string, maxBytes: number) => ListedFile | undefined;
}

/**
 * Reads small files whole. A registry is mostly links of 71 bytes, and for those the asynchronous calls cost
 * far more than the disk: open, fstat, read and close were two thirds of the CPU of a first copy to S3.
 * So files are read synchronously for as long as that is fast, and asynchronously once it shows that calls
 * wait for something, as on a disk of which nothing is in memory or a network file system: they would hold up
 * everything else, and several of them can be waited for at once.
 */
export function openSmallReader(pace: ReadPace = new ReadPace()): SmallReader {
  return {
    read(path, maxBytes) {
      return pace.isWaiting() ? readAsync(path, maxBytes) : pace.timed(() => readBlocking(path, maxBytes));
    },

    readNow(path, maxBytes) {
      if (pace.isWaiting()) {
        return undefined;
      }
      try {
        return pace.timed(() => readText(path, maxBytes));
      } catch (error) {
        if (systemCode(error) === undefined) {
          throw error;
        }
        return undefined;
      }
    },
  };
}

/** Manifests and links are smaller. */
const FIRST_READ_BYTES = 4096;

/** Used for one file after another, so that a read need not ask for the file's size before. */
const spare = Buffer.allocUnsafeSlow(64 * 1024);

function readBlocking(path: string, maxBytes: number): SmallFile {
  const file = openSync(path, 'r');
  try {
    const roomBytes = Math.min(maxBytes + 1, spare.byteLength);
    const seenBytes = fill(file, spare, 0, roomBytes);
    if (seenBytes < roomBytes) {
      return { bytes: Buffer.from(spare.subarray(0, seenBytes)) };
    }
    const { size } = fstatSync(file);
    if (size > maxBytes) {
      return { tooLargeBytes: size };
    }
    const bytes = Buffer.allocUnsafe(Math.max(size, seenBytes));
    spare.copy(bytes, 0, 0, seenBytes);
    return { bytes: bytes.subarray(0, fill(file, bytes, seenBytes, bytes.byteLength)) };
  } finally {
    closeSync(file);
  }
}

/**
 * One read in place of two saves a fifth of what a link costs. Of a regular file a read gives fewer bytes than there is
 * room for only where the file ends, unless a signal came in between (POSIX, `read`), and then what was read is a
 * broken link, which is read again before it is called so.
 */
function readText(path: string, maxBytes: number): ListedFile | undefined {
  const file = openSync(path, 'r');
  try {
    const roomBytes = Math.min(maxBytes + 1, spare.byteLength);
    const sizeBytes = readSync(file, spare, 0, roomBytes, null);
    return sizeBytes < roomBytes ? { sizeBytes, content: spare.toString('latin1', 0, sizeBytes) } : undefined;
  } finally {
    closeSync(file);
  }
}

/** Reads until the file ends or there is no more room, and tells up to where there are bytes. */
function fill(file: number, bytes: Buffer, start: number, end: number): number {
  let seenBytes = start;
  while (seenBytes < end) {
    const count = readSync(file, bytes, seenBytes, end - seenBytes, seenBytes);
    if (count === 0) {
      break;
    }
    seenBytes += count;
  }
  return seenBytes;
}

const openFile = promisify(open);
const readSome = promisify(read);

/**
 * What may have to be waited for is done beside others: the opening, which looks the file up, and the first bytes, which
 * are most files' only ones. What is behind them is in memory by then or comes with them, and closing a file that was
 * only read waits for nothing: a thread for each of these would cost more than the call.
 */
async function readAsync(path: string, maxBytes: number): Promise<SmallFile> {
  const file = await openFile(path, 'r');
  try {
    const bytes = Buffer.allocUnsafe(Math.min(maxBytes + 1, FIRST_READ_BYTES));
    const { bytesRead } = await readSome(file, bytes, 0, bytes.byteLength, 0);
    // Fewer bytes than there is room for are no end: not on every file system, and not after every signal.
    const seenBytes = bytesRead === 0 ? 0 : fill(file, bytes, bytesRead, bytes.byteLength);
    if (seenBytes < bytes.byteLength) {
      return { bytes: bytes.subarray(0, seenBytes) };
    }
    const { size } = fstatSync(file);
    return size > maxBytes ? { tooLargeBytes: size } : { bytes: await readRest(file, bytes, size) };
  } finally {
    closeSync(file);
  }
}

/** The first bytes and those behind them, up to where the file ended when its size was asked for. */
async function readRest(file: number, first: Buffer, sizeBytes: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(Math.max(sizeBytes, first.byteLength));
  let seenBytes = first.copy(bytes);
  while (seenBytes < bytes.byteLength) {
    const { bytesRead } = await readSome(file, bytes, seenBytes, bytes.byteLength - seenBytes, seenBytes);
    if (bytesRead === 0) {
      break;
    }
    seenBytes += bytesRead;
  }
  return bytes.subarray(0, seenBytes);
}
