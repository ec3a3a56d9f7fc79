import path from 'node:path';
import { complainAt } from './storage-file.ts';
import type { ConfiguredStore } from './store.ts';
import { checkSection, type DriverSection, text, unused } from './values.ts';

/** Where distribution's filesystem driver keeps everything unless told otherwise. */
const defaultRoot = '/var/lib/registry';

/**
 * Reads `storage.filesystem`.
 * @throws LocationError CONFIGURATION_INVALID
 */
export function filesystemStore(section: DriverSection): ConfiguredStore {
  const { rootdirectory } = checkSection(section, { rootdirectory: text.optional(), maxthreads: unused });
  const folder = rootdirectory ?? defaultRoot;
  if (!path.isAbsolute(folder) || folder.includes('\0')) {
    throw complainAt(
      section.where,
      [section.name, 'rootdirectory'],
      'is no full path, and depends on where the registry was started: give the folder itself instead of this file',
    );
  }
  return { location: { driver: 'filesystem', path: folder } };
}
