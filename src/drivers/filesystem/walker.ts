import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import type { ObjectStat } from '../driver.ts';
import type { AttachedFolder } from './attached-folders.ts';
import type { SmallReader } from './read-small.ts';
import { walkFiles, type Walk, type WalkWanted } from './walk.ts';
import { WalkThreads } from './walk-threads.ts';
import { countSleeps } from './sleeps.ts';

/** Lists one folder tree: at first in this thread, and in others once that has taken some time. */
export interface Walker {
  /**
   * What `walkFiles` gives, a page at a time; no page is empty.
   * @throws what `walkFiles` throws; the signal's reason as soon as it is aborted.
   */
  pages(prefix: string, wanted: WalkWanted, signal: AbortSignal | undefined): AsyncGenerator<ObjectStat[]>;
  /** Ends the threads. */
  close(): Promise<void>;
}

export interface WalkerOptions {
  /** Ends in `/`. */
  root: string;
  /** For `content`. */
  readNow: SmallReader['readNow'];
  /** Told of each symbolic link to a folder that a walk follows, before the page behind it is given. */
  onLink: (link: AttachedFolder) => void;
  /** How long this thread walks altogether before others take over. */
  patienceMs?: number | undefined;
  /** Of this machine. */
  cores?: number | undefined;
  /** Milliseconds on any scale that only goes forward. */
  now?: (() => number) | undefined;
}

/**
 * A thread takes 50 ms of CPU time to start, as much again until V8 has compiled the walk there as well, and 20 MB. A
 * store of some 5,000 files is walked by then.
 */
const PATIENCE_MS = 100;
/** Few enough that a disk that is slow holds up this thread for some tenths of a second at most. */
const PAGE_SIZE = 100;
/** A walk hardly sleeps where the system has the folders in memory, and at each call where they are behind a network. */
const SLEEPS_PER_FILE = 0.2;
/**
 * Threads that wait need no core each, but 10 MB. Over 60,016 files of which nothing was in memory 4 of them listed in
 * 11.4 to 16.0 s with 165 MB, 6 in 9.5 to 15.6 s with 184 to 192 MB, and 8 in 8.9 to 16.5 s with 208 to 211 MB.
 */
const THREADS_WHERE_WAITING = 6;
/** What was walked longer ago than so many files counts half as much, and half of that. */
const MEMORY_FILES = 5000;

/** See `ownTurn`. */
let turns = Promise.resolve();

/**
 * A turn of the event loop in which no other listing reads a page. In between, requests to the other store go out and
 * its answers are taken in: of 16 listings that began together, the requests had waited for 16 pages of the source.
 */
function ownTurn(): Promise<void> {
  turns = turns.then(() => setImmediate());
  return turns;
}

export function openWalker({
  root,
  readNow,
  onLink,
  patienceMs = PATIENCE_MS,
  cores = availableParallelism(),
  now = () => performance.now(),
}: WalkerOptions): Walker {
  let spentMs = 0;
  let recent = { sleeps: 0, files: 0 };
  const threads = new WalkThreads({ root, threadsMax, onSleeps: note, onLink });

  async function* pages(
    prefix: string,
    wanted: WalkWanted,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<ObjectStat[]> {
    let last: string | undefined;
    let walk: Walk | undefined;
    while (!isForThreads()) {
      await ownTurn();
      signal?.throwIfAborted();
      const page = measured(() => {
        walk ??= walkFiles(root, prefix, { ...wanted, readNow, onLink });
        return walk.nextPage(PAGE_SIZE);
      });
      const isLast = page.length < PAGE_SIZE;
      last = page.at(-1)?.key;
      if (page.length > 0) {
        yield page;
      }
      if (isLast) {
        return;
      }
    }
    // It holds the names of all folders that it is in.
    walk = undefined;
    yield* threads.pages(prefix, { ...wanted, after: last }, signal);
  }

  function measured(nextPage: () => ObjectStat[]): ObjectStat[] {
    const sleepsBefore = countSleeps();
    const startedAtMs = now();
    const page = nextPage();
    spentMs += now() - startedAtMs;
    note(countSleeps() - sleepsBefore, page.length);
    return page;
  }

  function note(sleeps: number, files: number): void {
    recent = { sleeps: recent.sleeps + sleeps, files: recent.files + files };
    if (recent.files > MEMORY_FILES) {
      recent = { sleeps: recent.sleeps / 2, files: recent.files / 2 };
    }
  }

  function isWaiting(): boolean {
    return recent.sleeps > recent.files * SLEEPS_PER_FILE;
  }

  /** On a single core another thread helps only by waiting. Where none can be started, this one does it all. */
  function isForThreads(): boolean {
    return spentMs >= patienceMs && (cores > 1 || isWaiting()) && threads.start();
  }

  function threadsMax(): number {
    return isWaiting() ? THREADS_WHERE_WAITING : 1;
  }

  return { pages, close: () => threads.close() };
}
