import { createRequire } from 'node:module';
import type cliProgress from 'cli-progress';
import { progressLine } from './progress-line.ts';
import { escapeForTerminal, escapeLines } from './units.ts';

export interface ProgressTotals {
  totalObjects?: number | undefined;
  totalBytes?: number | undefined;
}

export interface ProgressStep {
  objects?: number | undefined;
  bytes?: number | undefined;
}

export interface ProgressOptions {
  /** Shows no progress; `log` still writes. */
  silent?: boolean | undefined;
  stream?: ProgressStream | undefined;
  /** A clock in milliseconds. */
  now?: (() => number) | undefined;
}

export type ProgressStream = NodeJS.WritableStream & { isTTY?: boolean; columns?: number };

const plainIntervalMs = 10_000;
const barWidth = 20;

const require = createRequire(import.meta.url);

/**
 * Shows on stderr how far a command has come: a line that is redrawn on a terminal, elsewhere a new line every ten
 * seconds. It uses no colour, and neither hides the cursor nor changes how the terminal wraps lines, so that nothing
 * needs to be put back when the process is killed.
 */
export class Progress {
  readonly #silent: boolean;
  readonly #stream: ProgressStream;
  readonly #now: () => number;
  #running: Running | undefined;

  constructor({ silent = false, stream = process.stderr, now = Date.now }: ProgressOptions = {}) {
    this.#silent = silent;
    this.#stream = stream;
    this.#now = now;
  }

  /** Begins a phase, and ends the one before it. */
  start(phase: string, totals: ProgressTotals = {}): void {
    this.stop();
    if (this.#silent) {
      return;
    }
    const state = {
      phase: escapeForTerminal(phase),
      objects: 0,
      bytes: 0,
      startedAtMs: this.#now(),
      ...totals,
    };
    this.#running = this.#stream.isTTY === true ? this.#redrawn(state) : this.#plain(state);
  }

  /** Counts what was done since the last call. */
  add({ objects = 0, bytes = 0 }: ProgressStep): void {
    if (this.#running !== undefined) {
      this.#running.state.objects += objects;
      this.#running.state.bytes += bytes;
    }
  }

  /** Replaces the totals, for work whose size shows only as it is done. */
  expect(totals: ProgressTotals): void {
    if (this.#running !== undefined) {
      Object.assign(this.#running.state, totals);
    }
  }

  /** Ends the phase and leaves a line that says what it did. Safe to call at any time, any number of times. */
  stop(): void {
    const running = this.#running;
    this.#running = undefined;
    if (running !== undefined) {
      running.end();
      running.state.hasEnded = true;
      this.#stream.write(`${this.#line(running.state)}\n`);
    }
  }

  /** Writes lines above the bar. They are escaped: a name from a store may stand in them. */
  log(text: string): void {
    this.above(() => {
      this.#stream.write(`${escapeLines(text)}\n`);
    });
  }

  /** Takes the bar off the screen while something else, such as a line on stdout, is written. */
  above(write: () => void): void {
    if (this.#running === undefined) {
      write();
    } else {
      this.#running.above(write);
    }
  }

  #redrawn(state: State): Running {
    const draw = (fraction: number) => {
      const done = Math.round(fraction * barWidth);
      return `[${'='.repeat(done)}${'-'.repeat(barWidth - done)}]`;
    };
    const format = () => this.#line(state, widthOf(this.#stream), draw);
    // Only on a terminal: it takes 25 ms of CPU time to load.
    const { SingleBar } = require('cli-progress') as typeof cliProgress;
    const begin = () => {
      const bar = new SingleBar({
        stream: this.#stream,
        format,
        clearOnComplete: true,
        forceRedraw: true,
        fps: 5,
        gracefulExit: false,
        hideCursor: false,
        linewrap: true,
      });
      bar.start(1, 0);
      return bar;
    };
    let bar = begin();
    return {
      state,
      end() {
        bar.stop();
      },
      above(write) {
        bar.stop();
        write();
        // A new one, as the bar remembers where on the screen it began.
        bar = begin();
      },
    };
  }

  #plain(state: State): Running {
    const timer = setInterval(() => {
      this.#stream.write(`${this.#line(state)}\n`);
    }, plainIntervalMs);
    // Progress alone is no reason for a process to live.
    timer.unref();
    return {
      state,
      end() {
        clearInterval(timer);
      },
      above(write) {
        write();
      },
    };
  }

  #line(state: State, width?: number, bar?: (fraction: number) => string): string {
    return progressLine({ ...state, elapsedMs: this.#now() - state.startedAtMs }, width, bar);
  }
}

/** One column is left free, as many terminals begin a new line when the last one is filled. */
function widthOf({ columns = 0 }: ProgressStream): number {
  // Some pseudo-terminals say that they have no columns at all.
  return (columns > 0 ? columns : 80) - 1;
}

interface State extends ProgressTotals {
  phase: string;
  objects: number;
  bytes: number;
  startedAtMs: number;
  hasEnded?: boolean;
}

interface Running {
  state: State;
  /** Takes the line off the screen, and stops its timer. */
  end(): void;
  above(write: () => void): void;
}
