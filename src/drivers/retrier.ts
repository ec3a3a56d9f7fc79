import { throwIfAborted } from './body.ts';
import { isDriverError, type DriverError, type DriverErrorCode } from './errors.ts';
import { pause, sleepOnClock, type Sleep } from './pause.ts';

export interface RetryOptions {
  /** How often a call is made before its error goes up. Default 8. */
  attempts?: number | undefined;
  /**
   * How often a call is made while the store has never answered at all: a wrong address shows at the first call,
   * and nothing is lost by giving up early. As `attempts` when left out.
   */
  attemptsBeforeFirstAnswer?: number | undefined;
  /** The first pause is between 0 and this, each later one between 0 and twice as much. Default 200. */
  baseDelayMs?: number | undefined;
  /** No pause is longer, unless the store asks for it. Default 20,000. */
  maxDelayMs?: number | undefined;
  /** Called before each pause. */
  onRetry?: ((retry: Retry) => void) | undefined;
  /** From 0 to below 1. */
  random?: (() => number) | undefined;
  sleep?: Sleep | undefined;
}

/** A failed attempt that will be repeated. */
export interface Retry {
  operation: string;
  key: string | undefined;
  code: DriverErrorCode;
  /** Of the error, for a log. */
  message: string;
  /** Which attempt failed, from 1. */
  attempt: number;
  delayMs: number;
  /** How long the pauses may last together, this one included, before the error goes up. */
  mayLastMs: number;
}

/** Those of one call. */
export interface Attempts {
  /** Pauses and says true, or says false when the error has to go up. Throws ABORTED. */
  mayGoOn: (error: unknown) => Promise<boolean>;
  /** Something came through: the count begins anew. */
  reset: () => void;
  /** The call can no longer be repeated. */
  exhaust: () => void;
}

/** Repeats calls of one store, over all of which it remembers whether the store has answered at all. */
export function retrier(driverName: string, options: RetryOptions) {
  const { attempts: maxAttempts = 8, baseDelayMs = 200, maxDelayMs = 20_000 } = options;
  const { onRetry, random = Math.random, sleep = sleepOnClock } = options;
  const { attemptsBeforeFirstAnswer = maxAttempts } = options;
  let hasAnswered = false;

  /** Of the pause after so many failures. */
  function ceilingMs(failed: number): number {
    return Math.min(maxDelayMs, baseDelayMs * 2 ** (failed - 1));
  }

  function begin(operation: string, key: string | undefined, signal: AbortSignal | undefined): Attempts {
    const details = { driver: driverName, operation, ...(key === undefined ? {} : { key }) };
    let failed = 0;
    return {
      async mayGoOn(error) {
        failed += 1;
        hasAnswered ||= !isDriverError(error, 'UNAVAILABLE');
        const most = hasAnswered ? maxAttempts : attemptsBeforeFirstAnswer;
        if (!isRetryable(error) || failed >= most) {
          return false;
        }
        throwIfAborted(signal, details);
        const delayMs = Math.max(random() * ceilingMs(failed), error.retryAfterMs ?? 0);
        const { code, message } = error;
        let mayLastMs = delayMs;
        for (let next = failed + 1; next < most; next += 1) {
          mayLastMs += ceilingMs(next);
        }
        onRetry?.({ operation, key: error.key ?? key, code, message, attempt: failed, delayMs, mayLastMs });
        await pause(sleep, delayMs, [signal], details);
        return true;
      },
      reset: () => {
        hasAnswered = true;
        failed = 0;
      },
      exhaust: () => {
        hasAnswered = true;
        failed = maxAttempts;
      },
    };
  }

  async function until<T>(attempts: Attempts, action: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        const result = await action();
        hasAnswered = true;
        return result;
      } catch (error) {
        if (!(await attempts.mayGoOn(error))) {
          throw error;
        }
      }
    }
  }

  /** Opens the sequence anew after each failure that may be repeated. The consumer's own errors never come here. */
  async function* restartable<T>(attempts: Attempts, open: () => AsyncIterable<T>): AsyncGenerator<T> {
    for (;;) {
      try {
        yield* open();
        hasAnswered = true;
        return;
      } catch (error) {
        if (!(await attempts.mayGoOn(error))) {
          throw error;
        }
      }
    }
  }

  /** Most calls go well at once, and cost no more than that. */
  async function call<T>(
    operation: string,
    key: string,
    signal: AbortSignal | undefined,
    action: () => Promise<T>,
  ): Promise<T> {
    try {
      const result = await action();
      hasAnswered = true;
      return result;
    } catch (error) {
      const attempts = begin(operation, key, signal);
      if (!(await attempts.mayGoOn(error))) {
        throw error;
      }
      return until(attempts, action);
    }
  }

  return { begin, until, restartable, call };
}

export function isRetryable(error: unknown): error is DriverError {
  return isDriverError(error) && error.retryable;
}
