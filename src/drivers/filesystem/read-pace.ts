import { countSleeps } from './sleeps.ts';

/** Of so many reads one is looked at: to ask for sleeps before and after takes 20 us, and a read as much. */
const READS_FOR_ONE_LOOK = 8;
/** Reads are judged by so many of these at a time: a single one that waited says nothing of the next. */
const WINDOW_LOOKS = 6;
/** A read whose file is in memory never sleeps; one that has to be fetched sleeps once, and on a network for each of its calls. */
const SLEEPS_PER_READ = 0.3;
/** A disk that answers sooner is read faster by one call after another: a thread in between takes about as long. */
const WAITED_MS_PER_READ = 0.1;
/** So many reads wait beside each other before it is looked again whether they still would. */
const READS_BETWEEN_LOOKS = 2000;

export interface ReadPaceOptions {
  /** Milliseconds on any scale that only goes forward. */
  now?: () => number;
  sleeps?: () => number;
}

/** Tells whether reads of small files have to be waited for. */
export class ReadPace {
  readonly #now: () => number;
  readonly #sleeps: () => number;
  #reads = 0;
  #looks = 0;
  #spentMs = 0;
  #slept = 0;
  #readsLeft = 0;

  constructor({ now = () => performance.now(), sleeps = countSleeps }: ReadPaceOptions = {}) {
    this.#now = now;
    this.#sleeps = sleeps;
  }

  /** Asked once for each read. While it says yes, reads are not timed. */
  isWaiting(): boolean {
    if (this.#readsLeft === 0) {
      return false;
    }
    this.#readsLeft -= 1;
    return true;
  }

  /** Reads something, and takes note of how that went. */
  timed<Result>(read: () => Result): Result {
    this.#reads += 1;
    if (this.#reads % READS_FOR_ONE_LOOK !== 0) {
      return read();
    }
    const sleepsBefore = this.#sleeps();
    const startedAtMs = this.#now();
    try {
      return read();
    } finally {
      this.#spentMs += this.#now() - startedAtMs;
      this.#slept += this.#sleeps() - sleepsBefore;
      this.#looks += 1;
      if (this.#looks === WINDOW_LOOKS) {
        this.#judge();
      }
    }
  }

  /** By time and by sleeps: a busy machine makes any read long, and a sleep can be short. */
  #judge(): void {
    if (this.#slept > WINDOW_LOOKS * SLEEPS_PER_READ && this.#spentMs > WINDOW_LOOKS * WAITED_MS_PER_READ) {
      this.#readsLeft = READS_BETWEEN_LOOKS;
    }
    this.#looks = 0;
    this.#spentMs = 0;
    this.#slept = 0;
  }
}
