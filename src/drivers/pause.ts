import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { DriverError, type DriverErrorDetails } from './errors.ts';

/** Waits, or rejects at once when the signal is aborted. Leaves no timer behind. */
export type Sleep = (durationMs: number, signal: AbortSignal) => Promise<void>;

/** The real thing; tests give their own. */
export const sleepOnClock: Sleep = async (durationMs, signal) => {
  await delay(durationMs, undefined, { signal });
};

/**
 * Sleeps for a driver call; an abort of any of the signals ends it and becomes the call's ABORTED.
 * The signals are joined by hand: `AbortSignal.any` keeps a record in a long-lived signal for each call of it
 * (nodejs/node#54614).
 */
export async function pause(
  sleep: Sleep,
  durationMs: number,
  signals: readonly (AbortSignal | undefined)[],
  details: DriverErrorDetails,
): Promise<void> {
  const given = signals.filter((signal) => signal !== undefined);
  const joined = new AbortController();
  const abort = (): void => joined.abort();
  // Dozens of calls that wait on one signal are no leak.
  setMaxListeners(0, ...given);
  for (const signal of given) {
    signal.addEventListener('abort', abort);
  }
  try {
    if (given.some((signal) => signal.aborted)) {
      abort();
    }
    await sleep(durationMs, joined.signal);
  } catch (error) {
    if (joined.signal.aborted) {
      throw new DriverError('ABORTED', 'Interrupted.', { ...details, cause: error });
    }
    throw error;
  } finally {
    for (const signal of given) {
      signal.removeEventListener('abort', abort);
    }
  }
}
