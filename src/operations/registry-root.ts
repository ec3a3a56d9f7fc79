import type { CallOptions, Driver } from '../drivers/driver.ts';
import { DriverError } from '../drivers/errors.ts';
import { BLOBS_PREFIX, LOCKFILES_PREFIX, REGISTRY_ROOT, REPOSITORIES_PREFIX } from '../layout/paths.ts';
import { SafetyRefusal } from './errors.ts';
import { assertRootIsDecided, describeOtherRoot, findAtOtherRoot, type RootOptions } from './other-root.ts';

export interface RegistryRoot {
  /** The root has `docker/registry/v2/`. */
  exists: boolean;
  hasBlobs: boolean;
  hasRepositories: boolean;
  /** GitLab keeps this registry's metadata in a database: links are not written, so repositories may be absent. */
  isDatabaseManaged: boolean;
}

/** Looks at a store's upper folders only. */
export async function findRegistryRoot(store: Driver, options: CallOptions): Promise<RegistryRoot> {
  const { folders } = await store.listFolder(REGISTRY_ROOT, options);
  if (folders.length === 0) {
    return { exists: false, hasBlobs: false, hasRepositories: false, isDatabaseManaged: false };
  }
  const [blobs, repositories, lock] = await Promise.all([
    store.listFolder(BLOBS_PREFIX, options),
    store.listFolder(REPOSITORIES_PREFIX, options),
    store.stat(`${LOCKFILES_PREFIX}database-in-use`, options),
  ]);
  return {
    exists: true,
    // A filesystem names empty folders, and an unmounted disk leaves one.
    hasBlobs: blobs.folders.length > 0,
    hasRepositories: repositories.folders.length > 0,
    isDatabaseManaged: lock !== undefined,
  };
}

/**
 * Refuses a source that is no registry, or not a whole one, or not the only one that may be meant.
 * @throws SafetyRefusal NOT_A_REGISTRY, saying where the registry is if it can be seen from here; OTHER_ROOT.
 */
export async function assertRegistryRoot(
  store: Driver,
  role: string,
  { besides, ...options }: RootOptions,
): Promise<RegistryRoot> {
  await assertRootIsDecided(store, role, { besides, ...options });
  const root = await findRegistryRoot(store, options);
  if (!root.exists) {
    throw new SafetyRefusal(
      'NOT_A_REGISTRY',
      `${store.location} is not a registry's storage: the ${role} has no ${REGISTRY_ROOT} below it. ${await whereElse(store, options)}`,
    );
  }
  if (!root.hasBlobs || !(root.hasRepositories || root.isDatabaseManaged)) {
    const missing = root.hasBlobs ? REPOSITORIES_PREFIX : BLOBS_PREFIX;
    throw new SafetyRefusal(
      'NOT_A_REGISTRY',
      `${store.location} is not a whole registry: the ${role} has ${REGISTRY_ROOT} but no ${missing}. Is a part of it on a disk that is not mounted?`,
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

/** Looks one level up and down, where a root is most often mistaken. */
async function whereElse(store: Driver, options: CallOptions): Promise<string> {
  const other = await findAtOtherRoot(store, options);
  if (other !== undefined) {
    return describeOtherRoot(other);
  }
  const { folders } = await store.listFolder('', options);
  if (
    folders.includes('registry/') ||
    folders.includes('v2/') ||
    (folders.includes('blobs/') && folders.includes('repositories/'))
  ) {
    return 'It looks like a folder inside one: name the folder that holds docker/ itself.';
  }
  for (const folder of folders) {
    const below = await store.listFolder(`${folder}${REGISTRY_ROOT}`, options);
    if (below.folders.length > 0) {
      return `One is below ${JSON.stringify(folder)}: name that folder, or set it as rootdirectory.`;
    }
  }
  return folders.length === 0
    ? 'It is empty.'
    : 'Name the folder, or bucket and rootdirectory, that holds docker/; check that its disk is mounted.';
}
