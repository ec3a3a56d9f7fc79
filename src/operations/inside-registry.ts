import type { CallOptions, Driver } from '../drivers/driver.ts';
import { REGISTRY_ROOT } from '../layout/paths.ts';

/** Folders of a registry, and where those of its content are, seen from there. */
const INSIDES = [
  { folder: 'docker', version2: 'registry/v2/' },
  { folder: 'docker/registry', version2: 'v2/' },
  { folder: REGISTRY_ROOT.slice(0, -1), version2: '' },
];

/** Which folder inside a registry a store's root is, if it is one: whoever gave it went too deep. */
export async function folderInsideRegistry(store: Driver, options: CallOptions): Promise<string | undefined> {
  const found = await Promise.all(
    INSIDES.map(async ({ folder, version2 }) => {
      const { folders } = await store.listFolder(version2, options);
      const isOne = ['blobs/', 'repositories/'].every((name) => folders.includes(version2 + name));
      return isOne ? folder : undefined;
    }),
  );
  return found.find((folder) => folder !== undefined);
}
