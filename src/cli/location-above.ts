import { dirname, resolve } from 'node:path';
import type { StoreLocation } from '../drivers/location.ts';

/** What the root of a location is in: the parent folder, or the bucket or container itself. Undefined at the top. */
export function locationAbove(location: StoreLocation): StoreLocation | undefined {
  if (location.driver !== 'filesystem') {
    return location.rootdirectory === '' ? undefined : { ...location, rootdirectory: '' };
  }
  const folder = resolve(location.path);
  const parent = dirname(folder);
  return parent === folder ? undefined : { ...location, path: parent };
}
