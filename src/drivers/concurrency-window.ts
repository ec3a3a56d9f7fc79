export interface ConcurrencyWindowOptions {
  /** Calls at once at most. */
  max: number;
  /** Calls at once to begin with. Default 128: what a store 30 ms away needs for 4,000 small objects a second. */
  start?: number | undefined;
  /** Milliseconds on any scale that only goes forward. */
  now?: (() => number) | undefined;
}

/**
 * What a client can do that takes 0.25 ms for each small object. In a model of one, with a store 30 ms or 100 ms away,
 * 6,600 objects take a ninth less time than from 64 on, and where the store is what is slow, the same.
 */
const DEFAULT_START = 128;
/** A store that asks for less still gets so many calls at once: a few, and progress shows. */
const MIN = 4;
const GROWTH = 1.5;
/** What is gained must be more than chance brings, or the window would grow for nothing. */
const GAIN_MIN = 1.1;
const PERIOD_MS = 300;
const PERIOD_CALLS_PER_PLACE = 3;
/** For so long the window stays when a larger one was no faster; then it is tried again, as stores change. */
const REST_MS = 10_000;
/** Refusals that come together are one answer to one window. */
const ONE_ANSWER_MS = 1000;

/**
 * How many calls to a store are in flight: as many as make it faster, and fewer when the store asks for that.
 *
 * It grows by half for as long as each step completes at least a tenth more calls per second than the one before,
 * else goes back and rests; only while callers really wait for a place, as otherwise nothing was tried. A refusal for
 * too many requests halves it at once. One window is for all calls to one store in this process.
 */
export class ConcurrencyWindow {
  readonly #max: number;
  readonly #now: () => number;
  readonly #waiting: (() => void)[] = [];
  #width: number;
  #inFlight = 0;
  #closedUntilMs = 0;
  #refusedAtMs = -Infinity;
  /** The width before the last step, and how many calls per second it completed; none before the first period. */
  #former: { width: number; perSecond: number } | undefined;
  #restUntilMs = 0;
  #periodStartMs: number;
  #completed = 0;
  #waited = 0;

  constructor({ max, start = DEFAULT_START, now = () => performance.now() }: ConcurrencyWindowOptions) {
    this.#max = max;
    this.#width = Math.min(start, max);
    this.#now = now;
    this.#periodStartMs = now();
  }

  /** Calls at once at most, for now. */
  get width(): number {
    return this.#width;
  }

  /** Takes a place if there is one. Whoever has one gives it back with `leave`. */
  tryEnter(): boolean {
    if (this.#inFlight >= this.#width) {
      return false;
    }
    this.#inFlight += 1;
    return true;
  }

  /** Waits for a place, behind those who wait already. */
  enter(): Promise<void> {
    return new Promise((resolve) => {
      this.#waited += 1;
      this.#waiting.push(resolve);
    });
  }

  /** Gives a place back, and hands it on. */
  leave(): void {
    this.#inFlight -= 1;
    this.#completed += 1;
    if (this.#completed >= this.#width * PERIOD_CALLS_PER_PLACE) {
      this.#endPeriod();
    }
    while (this.#inFlight < this.#width && this.#waiting.length > 0) {
      this.#inFlight += 1;
      this.#waiting.shift()?.();
    }
  }

  /** How long the store wants to be left alone from now on. */
  get closedForMs(): number {
    return this.#closedUntilMs === 0 ? 0 : Math.max(0, this.#closedUntilMs - this.#now());
  }

  /** The store refused a call for want of patience, and perhaps said when it will have it again (Retry-After). */
  slowDown(retryAfterMs = 0): void {
    const nowMs = this.#now();
    if (retryAfterMs > 0) {
      this.#closedUntilMs = Math.max(this.#closedUntilMs, nowMs + retryAfterMs);
    }
    if (nowMs - this.#refusedAtMs < ONE_ANSWER_MS) {
      return;
    }
    this.#refusedAtMs = nowMs;
    this.#width = Math.min(this.#width, Math.max(MIN, Math.floor(this.#width / 2)));
    this.#former = undefined;
    this.#restUntilMs = nowMs + REST_MS;
    this.#beginPeriod(nowMs);
  }

  #endPeriod(): void {
    const nowMs = this.#now();
    const durationMs = nowMs - this.#periodStartMs;
    if (durationMs < PERIOD_MS) {
      return;
    }
    const isFull = this.#waited > this.#completed / 2;
    if (nowMs >= this.#restUntilMs && isFull) {
      this.#step((this.#completed / durationMs) * 1000, nowMs);
    }
    this.#beginPeriod(nowMs);
  }

  #step(perSecond: number, nowMs: number): void {
    if (this.#former !== undefined && perSecond < this.#former.perSecond * GAIN_MIN) {
      this.#width = this.#former.width;
      this.#former = undefined;
      this.#restUntilMs = nowMs + REST_MS;
    } else if (this.#width < this.#max) {
      this.#former = { width: this.#width, perSecond };
      this.#width = Math.min(this.#max, Math.ceil(this.#width * GROWTH));
    }
  }

  #beginPeriod(nowMs: number): void {
    this.#periodStartMs = nowMs;
    this.#completed = 0;
    this.#waited = 0;
  }
}
