import type { Retry } from '../drivers/retrier.ts';

/** A request that failed so often is no passing trouble: its pauses begin to be felt. */
const FAILED_ATTEMPTS_MIN = 3;
/** What is over in less needs no word. */
const LASTING_MS = 2000;
const INTERVAL_MS = 15_000;

/**
 * Says that a store is away while its requests are made again, which nothing else would show for half a minute: in
 * one sentence, and not again before 15 seconds have passed, however many requests fail.
 * @param location the store as the user wrote it.
 * @returns what is told of each retry.
 */
export function openRetryNotices(
  location: string,
  say: (sentence: string) => void,
  now: () => number = () => performance.now(),
): (retry: Retry) => void {
  let saidAtMs = -Infinity;
  return ({ attempt, message, mayLastMs }) => {
    const nowMs = now();
    if (attempt < FAILED_ATTEMPTS_MIN || mayLastMs < LASTING_MS || nowMs - saidAtMs < INTERVAL_MS) {
      return;
    }
    saidAtMs = nowMs;
    say(`${location}: ${message} Trying again for up to ${Math.ceil(mayLastMs / 1000)} s; nothing is lost.`);
  };
}
