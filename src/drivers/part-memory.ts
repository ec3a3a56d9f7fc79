import { DriverError, type DriverErrorDetails } from './errors.ts';
import { sharedReadMemory } from './read-memory.ts';

/**
 * What the parts of all uploads of this process may take at once. Twelve parts of 8 MiB: enough to have each of a few
 * hashed or read while the others are on their way, and to fill a line of some Gbit/s at the 50 to 100 MB/s that one
 * connection to a cloud's store gives.
 */
const PART_MEMORY_BYTES = 96 * 1024 * 1024;

/** Memory for one part, which all threads see. */
export interface PartBuffer {
  /** As many bytes as were asked for. What is in them is left from before. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** Gives it back for other parts to use: nothing may read or write it any more. */
  release(): void;
  /** Gives its room back, and the memory itself to nobody: something may write to it still. */
  abandon(): void;
}

interface Waiting {
  sizeBytes: number;
  grant: () => void;
}

/**
 * Hands out buffers within a budget, in the order in which they are asked for, and keeps those that come back: fresh
 * memory for each part costs the system more than the copy of a file into it, and what is thrown away is there until
 * it is collected. A part that is larger than the whole budget is served when nothing else is out.
 */
export class PartMemory {
  readonly #budgetBytes: number;
  /** Of buffers that are out. */
  #usedBytes = 0;
  #spare: Uint8Array<SharedArrayBuffer>[] = [];
  readonly #waiting: Waiting[] = [];

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
  }

  /** @throws DriverError ABORTED as soon as the signal is aborted. */
  async take(sizeBytes: number, signal: AbortSignal, details: DriverErrorDetails): Promise<PartBuffer> {
    await this.#room(sizeBytes, signal, details);
    const bytes = this.#find(sizeBytes);
    let isOut = true;
    const giveBack = (isReusable: boolean): void => {
      if (!isOut) {
        return;
      }
      isOut = false;
      this.#usedBytes -= sizeBytes;
      if (isReusable && sizeBytes <= this.#budgetBytes) {
        this.#spare.push(bytes);
      }
      this.#serve();
    };
    return { bytes, release: () => giveBack(true), abandon: () => giveBack(false) };
  }

  async #room(sizeBytes: number, signal: AbortSignal, details: DriverErrorDetails): Promise<void> {
    const interrupted = (): DriverError =>
      new DriverError('ABORTED', 'Interrupted.', { ...details, cause: signal.reason });
    if (signal.aborted) {
      throw interrupted();
    }
    if (this.#waiting.length === 0 && this.#fits(sizeBytes)) {
      this.#usedBytes += sizeBytes;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(interrupted());
        this.#serve();
      };
      const waiting = {
        sizeBytes,
        grant: () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      this.#waiting.push(waiting);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  #fits(sizeBytes: number): boolean {
    return this.#usedBytes === 0 || this.#usedBytes + sizeBytes <= this.#budgetBytes;
  }

  #serve(): void {
    for (
      let next = this.#waiting[0];
      next !== undefined && this.#fits(next.sizeBytes);
      next = this.#waiting[0]
    ) {
      this.#waiting.shift();
      this.#usedBytes += next.sizeBytes;
      next.grant();
    }
  }

  /** A spare buffer of that size, or a new one, for which spare ones of other sizes are let go. */
  #find(sizeBytes: number): Uint8Array<SharedArrayBuffer> {
    const index = this.#spare.findLastIndex((bytes) => bytes.byteLength === sizeBytes);
    const [spare] = index === -1 ? [] : this.#spare.splice(index, 1);
    if (spare !== undefined) {
      return spare;
    }
    let keptBytes = this.#usedBytes;
    this.#spare = this.#spare.filter(({ byteLength }) => {
      keptBytes += byteLength;
      return keptBytes <= this.#budgetBytes;
    });
    return sharedReadMemory(sizeBytes);
  }
}

/** Of this process: uploads to all stores share it. */
export const partMemory = new PartMemory(PART_MEMORY_BYTES);
