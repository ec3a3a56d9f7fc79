import { ConcurrencyWindow, type ConcurrencyWindowOptions } from './concurrency-window.ts';
import type { CallOptions, CopySource, Driver, WriteOptions, Body } from './driver.ts';
import { isDriverError } from './errors.ts';
import { pause, sleepOnClock, type Sleep } from './pause.ts';

export interface WithConcurrencyOptions extends ConcurrencyWindowOptions {
  sleep?: Sleep | undefined;
}

/**
 * Bounds how many calls to a store are in flight over the whole process, by a window that finds its own width (see
 * `ConcurrencyWindow`). After a refusal with Retry-After no call at all is made before that time.
 * Put it inside `withLimits`, which waits, and inside `withRetry`, which waits longer: neither holds a place.
 *
 * Listings and streamed reads have no place: their consumers may wait for one themselves.
 */
export function withConcurrency(driver: Driver, options: WithConcurrencyOptions): Driver {
  return within(driver, new ConcurrencyWindow(options), options.sleep ?? sleepOnClock);
}

function within(driver: Driver, window: ConcurrencyWindow, sleep: Sleep): Driver {
  const copyFrom = driver.copyFrom?.bind(driver);
  const { otherRoots } = driver;

  async function call<T>(
    operation: string,
    key: string,
    { signal }: CallOptions,
    action: () => Promise<T>,
  ): Promise<T> {
    if (!window.tryEnter()) {
      await window.enter();
    }
    try {
      const closedForMs = window.closedForMs;
      if (closedForMs > 0) {
        await pause(sleep, closedForMs, [signal], { driver: driver.name, operation, key });
      }
      return await action();
    } catch (error) {
      if (isDriverError(error, 'RATE_LIMITED')) {
        window.slowDown(error.retryAfterMs);
      }
      throw error;
    } finally {
      window.leave();
    }
  }

  return {
    ...driver,
    ...(otherRoots === undefined
      ? {}
      : {
          otherRoots: otherRoots.map((other) => ({
            ...other,
            open: () => within(other.open(), window, sleep),
          })),
        }),

    stat: (key: string, callOptions: CallOptions = {}) =>
      call('stat', key, callOptions, () => driver.stat(key, callOptions)),

    readSmall: (key: string, maxBytes: number, callOptions: CallOptions = {}) =>
      call('read', key, callOptions, () => driver.readSmall(key, maxBytes, callOptions)),

    write: (key: string, body: Body, writeOptions: WriteOptions = {}) =>
      call('write', key, writeOptions, () => driver.write(key, body, writeOptions)),

    delete: (keys: readonly string[], callOptions: CallOptions = {}) =>
      call('delete', keys[0] ?? '', callOptions, () => driver.delete(keys, callOptions)),

    ...(copyFrom === undefined
      ? {}
      : {
          copyFrom: (source: CopySource, key: string, callOptions: CallOptions = {}) =>
            call('copyFrom', key, callOptions, () => copyFrom(source, key, callOptions)),
        }),
  };
}
