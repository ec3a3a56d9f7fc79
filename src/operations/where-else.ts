import type { CallOptions, Driver, FolderListing, StoreIdentity } from '../drivers/driver.ts';
import { isDriverError } from '../drivers/errors.ts';
import { REGISTRY_ROOT } from '../layout/paths.ts';
import { describeOtherRoot, findAtOtherRoot, isSameStore } from './other-root.ts';
import { findRegistryRoot } from './find-registry-root.ts';
import { folderInsideRegistry } from './inside-registry.ts';

/** How deep and wide a store is searched for a registry: a root of four folders, and docker/registry/v2 below it. */
const DEPTH_MAX = 7;
const LISTINGS_MAX = 200;

/** Opens what a store's root is in: the parent folder, or the bucket without rootdirectory. Undefined at the top. */
export type OpenAbove = () => Promise<Driver | undefined>;

export interface WhereElseOptions extends CallOptions {
  /** To look for the registry above the store, too. */
  openAbove?: OpenAbove | undefined;
  /** The other store of the same command, which is not the registry that is looked for. */
  besides?: StoreIdentity | undefined;
}

/**
 * Says where a registry really is, when it is not at the root of a store: the root is a folder inside it, or it is
 * somewhere below, or above; and what to look at where none is found. One sentence for an operator.
 */
export async function whereElse(store: Driver, options: WhereElseOptions): Promise<string> {
  const top = await listTop(store, options);
  const found = await findNearby(store, top, options);
  if (found !== undefined) {
    return found;
  }
  return top !== undefined && top.folders.length + top.objects.length === 0
    ? 'It is empty: check the name, and that its disk is mounted.'
    : 'Name the folder, or bucket and rootdirectory, that holds docker/; check that its disk is mounted.';
}

/** The same where none need be: undefined when none is found. */
export async function registryNearby(store: Driver, options: WhereElseOptions): Promise<string | undefined> {
  return findNearby(store, await listTop(store, options), options);
}

async function findNearby(
  store: Driver,
  top: FolderListing | undefined,
  { openAbove, besides, ...options }: WhereElseOptions,
): Promise<string | undefined> {
  const isWanted = (identity: StoreIdentity): boolean => !isSameStore(besides, identity);
  const isWantedAt = (root: string): boolean => isWanted({ ...store.identity, root });
  const other = await findAtOtherRoot(store, options, ({ root }) => isWantedAt(root));
  if (other !== undefined) {
    return describeOtherRoot(other);
  }
  const inside = top === undefined ? undefined : await folderInsideRegistry(store, options);
  if (inside !== undefined) {
    return `It looks like the folder ${JSON.stringify(inside)} inside one: name the folder that holds docker/ itself.`;
  }
  const below = await searchBelow(store, top?.folders ?? [], options, (version2) =>
    isWantedAt(store.identity.root + version2.slice(0, -REGISTRY_ROOT.length)),
  );
  if (below !== undefined) {
    return describeRoot(store, below);
  }
  const above = await registryAbove(openAbove, options, isWanted);
  return above === undefined ? undefined : `One is at ${above}.`;
}

/** Undefined where it cannot be listed: what else is in a folder that is no registry is no reason for another error. */
async function listTop(store: Driver, options: CallOptions): Promise<FolderListing | undefined> {
  try {
    return await store.listFolder('', options);
  } catch (error) {
    if (isDriverError(error, 'BAD_LISTING', 'PERMISSION_DENIED')) {
      return undefined;
    }
    throw error;
  }
}

/** A store above that cannot be opened or listed gives no advice, and is no reason for another error. */
async function registryAbove(
  openAbove: WhereElseOptions['openAbove'],
  options: CallOptions,
  isWanted: (identity: StoreIdentity) => boolean,
): Promise<string | undefined> {
  const above = await openAbove?.();
  if (above === undefined) {
    return undefined;
  }
  try {
    const { exists } = await findRegistryRoot(above, options);
    return exists && isWanted(above.identity) ? above.location : undefined;
  } catch (error) {
    if (isDriverError(error) && error.code !== 'ABORTED') {
      return undefined;
    }
    throw error;
  } finally {
    await above.close();
  }
}

/** The prefix, '' or ending in `/`, below which there is a `docker/registry/v2/` with something in it. */
async function searchBelow(
  store: Driver,
  top: readonly string[],
  options: CallOptions,
  isWanted: (version2: string) => boolean,
): Promise<string | undefined> {
  if (store.findFolders !== undefined) {
    for await (const folder of store.findFolders('registry/v2/', { ...options, depthMax: DEPTH_MAX })) {
      if (isWanted(folder)) {
        return folder;
      }
    }
    return undefined;
  }
  let level = [...top];
  let listings = 0;
  for (let depth = 0; depth < DEPTH_MAX && level.length > 0; depth += 1) {
    const next: string[] = [];
    for (const folder of level) {
      listings += 1;
      if (listings > LISTINGS_MAX) {
        return undefined;
      }
      const { folders } = await store.listFolder(folder, options);
      const root = rootWithin(folder, folders);
      if (root === undefined) {
        next.push(...folders);
      } else if (isWanted(root)) {
        return root;
      }
    }
    level = next;
  }
  return undefined;
}

/** A folder that holds blobs and repositories is the `v2` of a registry, wherever it lies. */
function rootWithin(folder: string, folders: readonly string[]): string | undefined {
  const isVersion2 = folders.includes(`${folder}blobs/`) || folders.includes(`${folder}repositories/`);
  return isVersion2 && folder.endsWith('v2/') ? folder : undefined;
}

function describeRoot(store: Driver, version2: string): string {
  if (version2.startsWith('/')) {
    return store.name === 'azure'
      ? 'Its keys begin with a slash, which is the legacy layout: add ?legacyrootprefix=true to the location, and set it in the registry.'
      : 'Its keys begin with a slash, which no registry on this kind of store reads: copy it again without the slash.';
  }
  if (version2.endsWith(REGISTRY_ROOT)) {
    const root = version2.slice(0, -REGISTRY_ROOT.length);
    return root.includes('//')
      ? `One is below ${JSON.stringify(root)}, where no registry reads it because of the two slashes: copy it again without them.`
      : `One is below ${JSON.stringify(root)}: name that folder, or set it as rootdirectory.`;
  }
  return version2.includes('//')
    ? `What looks like one is below ${JSON.stringify(version2)}, where no registry reads it because of the two slashes: copy it again without them.`
    : `What looks like one is below ${JSON.stringify(version2)}, but a registry reads ${REGISTRY_ROOT} below its root only: move it there.`;
}
