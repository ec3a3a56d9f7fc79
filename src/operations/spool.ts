import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

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

  /** Appends an item; items of calls that overlap keep their order. */
  async append(item: T): Promise<void> {
    // Line readers also end lines at U+2028 and U+2029, which JSON leaves as they are.
    const line = JSON.stringify(item)
      .replaceAll('\u2028', String.raw`\u2028`)
      .replaceAll('\u2029', String.raw`\u2029`);
    this.#lines.push(line);
    this.#length += 1;
    this.#sizeBytes += line.length;
    if (this.#sizeBytes >= this.#memoryBytes) {
      this.#sizeBytes = 0;
      this.#lastWrite = this.#lastWrite.then(() => this.#flush());
      await this.#lastWrite;
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    await this.#lastWrite;
    if (this.#file !== undefined) {
      await this.#flush();
      const stream = this.#file.createReadStream({ start: 0, autoClose: false });
      for await (const line of createInterface({ input: stream })) {
        yield JSON.parse(line) as T;
      }
    }
    for (const line of this.#lines) {
      yield JSON.parse(line) as T;
    }
  }

  async dispose(): Promise<void> {
    this.#lines = [];
    await this.#lastWrite;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #flush(): Promise<void> {
    const lines = this.#lines;
    this.#lines = [];
    if (lines.length === 0) {
      return;
    }
    this.#file ??= await openPrivateFile();
    await this.#file.appendFile(`${lines.join('\n')}\n`);
  }
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
