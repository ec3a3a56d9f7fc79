import type { CallOptions, Driver } from '../drivers/driver.ts';
import { DriverError, isDriverError } from '../drivers/errors.ts';

/** A store lists an object, and says that there is no such one. */
export class Contradiction extends DriverError {}

/**
 * Makes sure that an object is not there which a store has just said is not there. A gateway with a stale index, or a
 * node that lacks a replica, lists an object and answers 404 for it; what such a store says of the object is neither
 * that it is there nor that it is not.
 * @throws Contradiction (UNAVAILABLE) when the store lists it all the same; what the listing throws.
 */
export async function confirmAbsent(store: Driver, key: string, options: CallOptions): Promise<void> {
  for await (const page of store.list(key, options)) {
    // Nothing that begins with the key comes before the key itself.
    if (page[0]?.key === key) {
      throw new Contradiction(
        'UNAVAILABLE',
        `${store.location} lists ${key}, and says that there is no such object: nothing can be concluded from that.`,
        { driver: store.name, operation: 'stat', key, retryable: false },
      );
    }
    return;
  }
}

const READS_MAX = 3;

/**
 * Reads an object of a live store, or gives undefined where it is not there. One that is listed all the same is read
 * again, for it may have been written anew in between.
 * @throws Contradiction where that goes on; what the read and the listing throw.
 */
export async function readUnlessAbsent<T>(
  store: Driver,
  key: string,
  options: CallOptions,
  read: () => Promise<T>,
): Promise<{ value: T } | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return { value: await read() };
    } catch (error) {
      // Of a copy, only the reading side says this.
      if (!isDriverError(error, 'NOT_FOUND') || error.operation === 'write') {
        throw error;
      }
    }
    try {
      await confirmAbsent(store, key, options);
      return undefined;
    } catch (error) {
      if (!(error instanceof Contradiction) || attempt === READS_MAX) {
        throw error;
      }
    }
  }
}
