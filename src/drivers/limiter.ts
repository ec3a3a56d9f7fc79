import type { DriverErrorDetails } from './errors.ts';
import { pause, sleepOnClock, type Sleep } from './pause.ts';

export interface LimiterOptions {
  maxRequestsPerSecond?: number | undefined;
  bandwidthBytesPerSecond?: number | undefined;
  /** Milliseconds on any scale that only goes forward. */
  now?: (() => number) | undefined;
  sleep?: Sleep | undefined;
}

/** A budget of requests and bytes per second, shared by all drivers that are given it. */
export interface Limiter {
  /** Waits until so many requests fit the budget. */
  takeRequests: Take;
  /** Waits until so many bytes fit the budget. */
  takeBytes: Take;
  readonly limitsBytes: boolean;
  /** Largest piece to take at once, so that bytes flow evenly: the budget of a second. */
  readonly pieceBytes: number;
}

/** @throws DriverError ABORTED as soon as one of the signals is aborted; what was not used goes back. */
type Take = (
  count: number,
  signals: readonly (AbortSignal | undefined)[],
  details: DriverErrorDetails,
) => Promise<void>;

/**
 * Two token buckets that hold one second's worth each.
 * @throws RangeError for a budget that is not above 0.
 */
export function createLimiter(options: LimiterOptions): Limiter {
  const { maxRequestsPerSecond, bandwidthBytesPerSecond } = options;
  const { now = () => performance.now(), sleep = sleepOnClock } = options;
  return {
    takeRequests: bucket(maxRequestsPerSecond, now, sleep),
    takeBytes: bucket(bandwidthBytesPerSecond, now, sleep),
    limitsBytes: bandwidthBytesPerSecond !== undefined,
    pieceBytes: Math.max(1, Math.floor(bandwidthBytesPerSecond ?? Number.MAX_SAFE_INTEGER)),
  };
}

/**
 * Who takes more than there is goes into debt and waits until time has paid it; whoever comes after waits behind.
 * So callers are served in turn, each with one timer, and a demand above the bucket's size is served too.
 */
function bucket(perSecond: number | undefined, now: () => number, sleep: Sleep): Take {
  if (perSecond === undefined) {
    return async () => {};
  }
  if (!(perSecond > 0)) {
    throw new RangeError(`A limit per second must be above 0, not ${perSecond}.`);
  }
  // A budget below one a second must be able to save up for one.
  const capacity = Math.max(1, perSecond);
  let tokens = capacity;
  let filledAtMs = now();
  return async (count, signals, details) => {
    const nowMs = now();
    tokens = Math.min(capacity, tokens + ((nowMs - filledAtMs) / 1000) * perSecond);
    filledAtMs = nowMs;
    tokens -= count;
    if (tokens >= 0 || count === 0) {
      return;
    }
    try {
      await pause(sleep, (-tokens / perSecond) * 1000, signals, details);
    } catch (error) {
      tokens += count;
      throw error;
    }
  };
}
