import type { TimeSpent } from './messages.ts';

/** So that a thread has its next file at hand when it is done with one. */
const FILES_PER_THREAD = 2;
/** So many threads at least where they wait for a disk, as on one behind a network. */
const THREADS_WHERE_WAITING = 4;
/** From the page cache reading takes a seventh of the time, on a busy machine too; half of it is a disk that is waited for. */
const WAITING_SHARE = 0.5;
/** What was spent longer ago than about this counts half as much, and half of that. */
const MEMORY_MS = 2000;

/**
 * Tells when files that are to be hashed go to a thread. Where they are read as fast as they are hashed there are no
 * more threads than cores, for each takes 50 ms of CPU time to start; where threads wait for a disk there are more.
 * Of the files that wait the largest is next: one that comes last would leave the other cores without work.
 */
export class FileTurns {
  readonly #cores: number;
  readonly #waiting: { sizeBytes: number; start: () => void }[] = [];
  #underWay = 0;
  #readMs = 0;
  #hashMs = 0;

  constructor(cores: number) {
    this.#cores = cores;
  }

  /** How many threads there should be for files. */
  get threads(): number {
    const isWaiting = this.#readMs > (this.#readMs + this.#hashMs) * WAITING_SHARE;
    return isWaiting ? Math.max(THREADS_WHERE_WAITING, this.#cores) : this.#cores;
  }

  note({ readMs, hashMs }: TimeSpent): void {
    if (this.#readMs + this.#hashMs > MEMORY_MS) {
      this.#readMs /= 2;
      this.#hashMs /= 2;
    }
    this.#readMs += readMs;
    this.#hashMs += hashMs;
    this.#startNext();
  }

  async take<Result>(sizeBytes: number, action: () => Promise<Result>): Promise<Result> {
    await new Promise<void>((start) => {
      this.#waiting.push({ sizeBytes, start });
      this.#startNext();
    });
    try {
      return await action();
    } finally {
      this.#underWay -= 1;
      this.#startNext();
    }
  }

  #startNext(): void {
    while (this.#waiting.length > 0 && this.#underWay < this.threads * FILES_PER_THREAD) {
      const sizes = this.#waiting.map(({ sizeBytes }) => sizeBytes);
      const [next] = this.#waiting.splice(sizes.indexOf(Math.max(...sizes)), 1);
      this.#underWay += 1;
      next?.start();
    }
  }
}
