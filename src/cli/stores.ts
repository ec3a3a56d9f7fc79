import type { Driver } from '../drivers/driver.ts';
import type { StoreLocation } from '../drivers/location.ts';
import { openResolvedStore, resolveLocation } from '../drivers/open.ts';
import { withConcurrency } from '../drivers/with-concurrency.ts';
import { withLimits } from '../drivers/with-limits.ts';
import { withRetry } from '../drivers/with-retry.ts';
import { openRetryNotices } from './retry-notices.ts';

export interface StoreOptions {
  /** Most requests in flight. */
  concurrency: number;
  maxRequestsPerSecond?: number | undefined;
  /** For the bytes that are written to the store. */
  bandwidthBytesPerSecond?: number | undefined;
  /**
   * Told what an operator should know, one sentence each: of a configuration file that was named as the store, and
   * of a store that is away in the middle of the work.
   */
  onNotice?: ((sentence: string) => void) | undefined;
  /** Told of every request that was made again. */
  onRetry?: (() => void) | undefined;
}

/** A store that refuses connections is given up after a second or two; one that never answers, after 40 seconds. */
const ATTEMPTS_BEFORE_FIRST_ANSWER = 4;

/** Opens a store as commands use it: each request within the limits, repeated when it may help. */
export async function openLimitedStore(named: StoreLocation, options: StoreOptions): Promise<Driver> {
  const store = await resolveLocation(named);
  const { location, configuration } = store;
  configuration?.notices.forEach((sentence) => options.onNotice?.(sentence));
  const driver = await openResolvedStore(store, {
    connections: options.concurrency,
    onRetry: options.onRetry,
  });
  const own = location.driver === 'filesystem' ? undefined : location.maxrequestspersecond;
  // 0 is the registry's word for no limit.
  const ownLimit = own === 0 ? undefined : own;
  const bounded =
    location.driver === 'filesystem' ? driver : withConcurrency(driver, { max: options.concurrency });
  const limited = withLimits(bounded, {
    maxRequestsPerSecond:
      location.driver === 'filesystem' ? undefined : (options.maxRequestsPerSecond ?? ownLimit),
    bandwidthBytesPerSecond: options.bandwidthBytesPerSecond,
  });
  const tellOfRetry = openRetryNotices(driver.location, (sentence) => options.onNotice?.(sentence));
  return withRetry(limited, {
    onRetry: (retry) => {
      options.onRetry?.();
      tellOfRetry(retry);
    },
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
