import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TemporaryFileError } from './errors.ts';

/** What a spool keeps in memory before it goes to a file: small registries never touch the disk. */
const MEMORY_BYTES = 1024 * 1024;

/**
 * A list that does not grow in memory: JSON lines in order of arrival, first in memory, then in a
 * temporary file without a name, which `dispose` ends. Written first, read afterwards, as often as wanted.
 */
export class Spool<T> {
  readonly #memoryBytes: number;
  #lines: string[] = [];
  #sizeBytes = 0;
  #length = 0;
  #file: FileHandle | undefined;
  #lastWrite: Promise<void> = Promise.resolve();

  constructor(memoryBytes = MEMORY_BYTES) {
    this.#memoryBytes = memoryBytes;
  }

  get length(): number {
    return this.#length;
  }

  /**
   * Appends an item; items of calls that overlap keep their order.
   * @throws TemporaryFileError
   */
  async append(item: T): Promise<void> {
    const line = JSON.stringify(item);
    this.#lines.push(line);
    this.#length += 1;
    this.#sizeBytes += line.length;
    if (this.#sizeBytes >= this.#memoryBytes) {
      this.#sizeBytes = 0;
      this.#lastWrite = this.#lastWrite.then(() => this.#flush());
      await this.#lastWrite;
    }
  }

  /** @throws TemporaryFileError also when the file does not give back all that was put in: what is missing would pass for done. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    await this.#lastWrite;
    let given = 0;
    if (this.#file !== undefined) {
      await this.#flush();
      for await (const lines of batchesOfLines(this.#file)) {
        given += lines.length;
        for (const line of lines) {
          yield JSON.parse(line) as T;
        }
      }
    }
    for (const line of this.#lines) {
      given += 1;
      yield JSON.parse(line) as T;
    }
    if (given !== this.#length) {
      throw new TemporaryFileError(
        `The temporary file of the plan gave ${given} of the ${this.#length} entries that were written to it: check the disk that holds TMPDIR, and run again.`,
      );
    }
  }

  async dispose(): Promise<void> {
    this.#lines = [];
    // Whoever called `append` was told of its failure; the file has to go all the same.
    await Promise.allSettled([this.#lastWrite]);
    await this.#file?.close();
    this.#file = undefined;
  }

  async #flush(): Promise<void> {
    const lines = this.#lines;
    this.#lines = [];
    if (lines.length === 0) {
      return;
    }
    try {
      this.#file ??= await openPrivateFile();
      await this.#file.appendFile(`${lines.join('\n')}\n`);
    } catch (error) {
      throw unusable(error);
    }
  }
}

const CHUNK_BYTES = 256 * 1024;
const LINE_END = 10;

/** The lines of a file that ends with a line end. JSON has none within a line. */
async function* batchesOfLines(file: FileHandle): AsyncGenerator<string[]> {
  let chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  let position = 0;
  // A line that the chunk before ended in the middle of stands at the beginning of this one.
  let keptBytes = 0;
  for (;;) {
    const { bytesRead } = await read(file, chunk, keptBytes, position);
    if (bytesRead === 0) {
      return;
    }
    position += bytesRead;
    const filledBytes = keptBytes + bytesRead;
    const end = chunk.lastIndexOf(LINE_END, filledBytes - 1);
    if (end === -1) {
      // A repository with many tags is one line.
      chunk = Buffer.concat([chunk], filledBytes * 2);
      keptBytes = filledBytes;
      continue;
    }
    const lines = chunk.toString('utf8', 0, end).split('\n');
    chunk.copy(chunk, 0, end + 1, filledBytes);
    keptBytes = filledBytes - end - 1;
    yield lines;
  }
}

async function read(file: FileHandle, chunk: Buffer, offset: number, position: number) {
  try {
    return await file.read(chunk, offset, chunk.byteLength - offset, position);
  } catch (error) {
    throw unusable(error);
  }
}

/** What the system says of the temporary file, and what to do. */
function unusable(error: unknown): TemporaryFileError {
  const why = error instanceof Error ? error.message : String(error);
  return new TemporaryFileError(
    `The plan does not fit into memory, and its temporary file in ${tmpdir()} cannot be used (${why}): name a folder with space on a disk by the variable TMPDIR, and run again.`,
    { cause: error },
  );
}

/** A file that has no name any more once it is open, so that nothing stays behind even when the process is killed. */
async function openPrivateFile(): Promise<FileHandle> {
  const folder = await mkdtemp(join(tmpdir(), 'regtool-plan-'));
  try {
    return await open(join(folder, 'plan.ndjson'), 'wx+', 0o600);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
