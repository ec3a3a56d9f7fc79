import type { CallOptions, Driver } from '../drivers/driver.ts';
import { DriverError } from '../drivers/errors.ts';
import { BLOBS_PREFIX, REGISTRY_ROOT, REPOSITORIES_PREFIX } from '../layout/paths.ts';
import { SafetyRefusal } from './errors.ts';
import { findRegistryRoot, type RegistryRoot } from './find-registry-root.ts';
import { assertRootIsDecided, type RootOptions } from './other-root.ts';
import { type OpenAbove, whereElse } from './where-else.ts';

interface RegistryRootOptions extends RootOptions {
  /** To look for the registry above the store, too. */
  openAbove?: OpenAbove | undefined;
}

/**
 * Refuses a store that is no registry, or not a whole one, or not the only one that may be meant.
 * @throws SafetyRefusal NOT_A_REGISTRY, saying where the registry is if it can be seen from here; OTHER_ROOT.
 */
export async function assertRegistryRoot(
  store: Driver,
  role: string,
  { besides, openAbove, ...options }: RegistryRootOptions,
): Promise<RegistryRoot> {
  await assertRootIsDecided(store, role, { besides, ...options });
  const root = await findRegistryRoot(store, options);
  if (!root.exists) {
    throw new SafetyRefusal(
      'NOT_A_REGISTRY',
      `${store.location} is not a registry's storage: the ${role} has no ${REGISTRY_ROOT} below it. ${await whereElse(store, { ...options, openAbove })}`,
    );
  }
  if (!root.hasBlobs || !(root.hasRepositories || root.isDatabaseManaged)) {
    const missing = root.hasBlobs ? REPOSITORIES_PREFIX : BLOBS_PREFIX;
    throw new SafetyRefusal(
      'NOT_A_REGISTRY',
      `${store.location} is not a whole registry: the ${role} has ${REGISTRY_ROOT}, but nothing below ${missing}. Is a part of it on a disk that is not mounted?`,
    );
  }
  return root;
}

/**
 * Looks again whether a source is still what it was. A disk below the root that is unmounted while regtool runs
 * makes everything on it look deleted; without this, that would be believed.
 * @throws DriverError STORE_NOT_FOUND.
 */
export async function assertStillThere(store: Driver, options: CallOptions): Promise<void> {
  const root = await findRegistryRoot(store, options);
  if (!root.hasBlobs || !(root.hasRepositories || root.isDatabaseManaged)) {
    throw new DriverError(
      'STORE_NOT_FOUND',
      `${store.location} no longer has the registry that it had at the start: was a disk unmounted? Nothing more was done.`,
      { driver: store.name, operation: 'list', key: REGISTRY_ROOT },
    );
  }
}
