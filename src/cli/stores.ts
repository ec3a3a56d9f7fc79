import type { Driver } from '../drivers/driver.ts';
import type { StoreLocation } from '../drivers/location.ts';
import { openStore } from '../drivers/open.ts';
import { withLimits } from '../drivers/with-limits.ts';
import { withRetry } from '../drivers/with-retry.ts';

export interface StoreOptions {
  concurrency: number;
  maxRequestsPerSecond?: number | undefined;
  /** For the bytes that are written to the store. */
  bandwidthBytesPerSecond?: number | undefined;
  /** Told of every request that was made again. */
  onRetry?: (() => void) | undefined;
}

/** A store that refuses connections is given up after a second or two; one that never answers, after 40 seconds. */
const ATTEMPTS_BEFORE_FIRST_ANSWER = 4;

/** Opens a store as commands use it: each request within the limits, repeated when it may help. */
export async function openLimitedStore(location: StoreLocation, options: StoreOptions): Promise<Driver> {
  const driver = await openStore(location, { connections: options.concurrency, onRetry: options.onRetry });
  const maxRequestsPerSecond =
    options.maxRequestsPerSecond ?? (location.driver === 's3' ? location.maxrequestspersecond : undefined);
  const limited = withLimits(driver, {
    maxRequestsPerSecond: location.driver === 'filesystem' ? undefined : maxRequestsPerSecond,
    bandwidthBytesPerSecond: options.bandwidthBytesPerSecond,
  });
  return withRetry(limited, {
    onRetry: options.onRetry,
    attemptsBeforeFirstAnswer: ATTEMPTS_BEFORE_FIRST_ANSWER,
  });
}

/** Opens several stores, runs an action, and closes them whatever happens. */
export async function withStores<Result>(
  opening: readonly Promise<Driver>[],
  action: (...stores: Driver[]) => Promise<Result>,
): Promise<Result> {
  const opened = await Promise.allSettled(opening);
  const stores = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  try {
    const failed = opened.find((result) => result.status === 'rejected');
    if (failed !== undefined) {
      throw failed.reason;
    }
    return await action(...stores);
  } finally {
    await Promise.all(stores.map((store) => store.close()));
  }
}
