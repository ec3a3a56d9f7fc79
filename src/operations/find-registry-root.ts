import type { CallOptions, Driver } from '../drivers/driver.ts';
import { BLOBS_PREFIX, LOCKFILES_PREFIX, REGISTRY_ROOT, REPOSITORIES_PREFIX } from '../layout/paths.ts';

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
