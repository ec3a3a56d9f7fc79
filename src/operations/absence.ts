import type { CallOptions, Driver } from '../drivers/driver.ts';
import { DriverError } from '../drivers/errors.ts';

/**
 * Makes sure that an object is not there which a store has just said is not there. A gateway with a stale index, or a
 * node that lacks a replica, lists an object and answers 404 for it; what such a store says of the object is neither
 * that it is there nor that it is not.
 * @throws DriverError UNAVAILABLE when the store lists it all the same; what the listing throws.
 */
export async function confirmAbsent(store: Driver, key: string, options: CallOptions): Promise<void> {
  for await (const page of store.list(key, options)) {
    // Nothing that begins with the key comes before the key itself.
    if (page[0]?.key === key) {
      throw new DriverError(
        'UNAVAILABLE',
        `${store.location} lists ${key}, and says that there is no such object: nothing can be concluded from that.`,
        { driver: store.name, operation: 'stat', key, retryable: false },
      );
    }
    return;
  }
}
