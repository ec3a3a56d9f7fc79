import { dirname, resolve } from 'node:path';
import type { Driver } from '../drivers/driver.ts';
import type { StoreLocation } from '../drivers/location.ts';
import { openLimitedStore, type StoreOptions } from './stores.ts';

/**
 * Opens where a registry may be that is not in the store: what its root is in. Undefined at the top. With the limits of
 * the store itself, but silently: what is found there is advice.
 */
export async function openAbove(
  location: StoreLocation,
  { concurrency, maxRequestsPerSecond }: StoreOptions,
): Promise<Driver | undefined> {
  const above = locationAbove(location);
  return above === undefined ? undefined : openLimitedStore(above, { concurrency, maxRequestsPerSecond });
}

/** The parent folder, or the bucket or container itself. */
function locationAbove(location: StoreLocation): StoreLocation | undefined {
  if (location.driver !== 'filesystem') {
    return location.rootdirectory === '' ? undefined : { ...location, rootdirectory: '' };
  }
  const folder = resolve(location.path);
  const parent = dirname(folder);
  return parent === folder ? undefined : { ...location, path: parent };
}
