import type { ObjectStat } from '../driver.ts';
import { leastLoaded, programBeside, Thread } from '../thread.ts';
import type { AttachedFolder } from './attached-folders.ts';
import { systemCode } from './errors.ts';
import {
  unpackError,
  unpackPage,
  type WalkBegin,
  type WalkReply,
  type WalkRequest,
} from './walk-messages.ts';
import type { WalkWanted } from './walk.ts';

type Page = Extract<WalkReply, { kind: 'page' }>;

interface WalkThread {
  thread: Thread<WalkRequest, WalkReply>;
  /** Walks that it has on hand. */
  load: number;
}

export interface WalkThreadsOptions {
  /** Ends in `/`. */
  root: string;
  /** How many there may be now; asked when a walk begins. */
  threadsMax: () => number;
  /** Told of each page: how often the walk slept for it, and how many files it has. */
  onSleeps: (sleeps: number, files: number) => void;
  /** Told of the links that a walk followed for a page, before the page is given. */
  onLink: (link: AttachedFolder) => void;
  /** After so long without a walk they end; the next one starts others. */
  idleMs?: number | undefined;
}

/** Names of files live short. In 2 MB they were collected so often that it took a tenth of the CPU time. */
const RESOURCE_LIMITS = { maxYoungGenerationSizeMb: 8 };

/** Short, for what follows a listing takes its memory at once; long enough for a store that answers the next request. */
const IDLE_MS = 200;

/** Threads that walk the tree of one driver. */
export class WalkThreads {
  readonly #options: WalkThreadsOptions;
  readonly #threads = new Set<WalkThread>();
  #nextWalk = 0;
  #idle: NodeJS.Timeout | undefined;
  #areRefused = false;

  constructor(options: WalkThreadsOptions) {
    this.#options = options;
  }

  /** To be asked before a walk begins. False where no thread can be started. */
  start(): boolean {
    return this.#threads.size > 0 || this.#add() !== undefined;
  }

  /**
   * What `walkFiles` gives, a page at a time. While one is worked on, the next is read.
   * @throws what `walkFiles` throws, with its code; the signal's reason as soon as it is aborted.
   */
  async *pages(
    prefix: string,
    wanted: WalkWanted,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ObjectStat[]> {
    const walk = this.#nextWalk;
    this.#nextWalk += 1;
    const { root, onSleeps, onLink } = this.#options;
    const walker = this.#threadFor();
    walker.load += 1;
    const ask = (begin?: WalkBegin): Promise<Page> => {
      const page = askFor(walker.thread, { kind: 'page', walk, begin }, signal);
      // It is awaited only once the page before it was worked on, if ever.
      page.catch(() => undefined);
      return page;
    };
    try {
      let asked = ask({ root, prefix, wanted });
      for (;;) {
        const { page, isLast, sleeps, links } = await asked;
        onSleeps(sleeps, page.keys.length);
        links.forEach(onLink);
        if (!isLast) {
          asked = ask();
        }
        if (page.keys.length > 0) {
          yield unpackPage(page);
        }
        if (isLast) {
          return;
        }
      }
    } finally {
      walker.load -= 1;
      walker.thread.tell({ kind: 'end', walk });
      this.#closeWhenIdle();
    }
  }

  /** Ends the threads, whatever they are doing. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const ending = [...this.#threads];
    // At once: a walk that begins now must not be given to one that is about to end.
    this.#threads.clear();
    await Promise.all(ending.map(({ thread }) => thread.close()));
  }

  /** Listing is over for now, and what the threads take may be needed for what comes after it. */
  #closeWhenIdle(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      if ([...this.#threads].every(({ load }) => load === 0)) {
        void this.close();
      }
    }, this.#options.idleMs ?? IDLE_MS);
    this.#idle.unref();
  }

  #threadFor(): WalkThread {
    const best = leastLoaded(this.#threads);
    if (best !== undefined && (best.load === 0 || this.#threads.size >= this.#options.threadsMax())) {
      return best;
    }
    const thread = this.#add() ?? best;
    if (thread === undefined) {
      throw new TypeError('Threads are to be started before a walk begins.');
    }
    return thread;
  }

  /** Undefined where the system allows no further thread (`ulimit -u`, `pids.max`), which is not tried again. */
  #add(): WalkThread | undefined {
    if (this.#areRefused) {
      return undefined;
    }
    try {
      const thread: WalkThread = {
        thread: new Thread({
          program: programBeside(import.meta.url, 'walk-thread'),
          purpose: 'lists folders',
          resourceLimits: RESOURCE_LIMITS,
          isLast: () => true,
          onEnd: () => this.#threads.delete(thread),
        }),
        load: 0,
      };
      this.#threads.add(thread);
      return thread;
    } catch (error) {
      if (systemCode(error) !== 'ERR_WORKER_INIT_FAILED') {
        throw error;
      }
      this.#areRefused = true;
      return undefined;
    }
  }
}

async function askFor(
  thread: Thread<WalkRequest, WalkReply>,
  request: Omit<Extract<WalkRequest, { kind: 'page' }>, 'job'>,
  signal: AbortSignal | undefined,
): Promise<Page> {
  const reply = await thread.ask((job) => ({ ...request, job }), { signal });
  if (reply.kind === 'failed') {
    throw unpackError(reply.error);
  }
  return reply;
}
