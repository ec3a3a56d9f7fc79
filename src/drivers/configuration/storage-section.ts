import { LocationError } from '../location-error.ts';
import { nearestName } from '../nearest-name.ts';
import { azureStore } from './azure-section.ts';
import { filesystemStore } from './filesystem-section.ts';
import { s3Store } from './s3-section.ts';
import { complainAt, isMap, shownName, type StorageFile } from './storage-file.ts';
import type { ConfiguredStore, RegistrySettings } from './store.ts';
import { type DriverSection, parametersOf } from './values.ts';

/** What a whole storage section says. */
export interface StorageSection extends ConfiguredStore {
  settings: RegistrySettings;
  /** What an operator should know and what is no error, one sentence each. */
  notices: string[];
}

/** Sections that are no drivers (distribution `configuration.go`; `tag` since 3.0). */
const helpers = new Set(['cache', 'delete', 'maintenance', 'redirect', 'tag']);

const drivers: Readonly<Record<string, (section: DriverSection) => ConfiguredStore>> = {
  filesystem: filesystemStore,
  s3: s3Store,
  s3aws: s3Store,
  s3_v2: s3Store,
  azure: azureStore,
  azure_v2: azureStore,
};

/** Drivers of registries that regtool does not have, and what can be done all the same. */
const advice: Readonly<Record<string, string>> = {
  gcs: "is Google Cloud Storage: reach the bucket through its S3-compatible XML API with an HMAC key, as s3://BUCKET/ROOTDIRECTORY?endpoint=https://storage.googleapis.com&region=auto with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or copy it to a folder with Google's own tools and give that folder",
  swift:
    'is Swift, which regtool does not open: copy the container to a folder with a Swift client and give the folder "files" in it, below the prefix if there is one. An S3 interface to the same container does not do: there blobs lie below files/, and those that were pushed in segments, which are most layers, read as empty',
  oss: 'is Alibaba Cloud OSS: reach the bucket through its S3-compatible API, as s3://BUCKET/ROOTDIRECTORY?endpoint=https://s3.oss-REGION.aliyuncs.com&region=oss-REGION&pathstyle=false with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
  inmemory: 'keeps everything in the memory of the registry, so there is no store that could be opened',
};

/**
 * Makes a store of a configuration's `storage` section.
 * @throws LocationError CONFIGURATION_INVALID, CONFIGURATION_UNSUPPORTED
 */
export function readStorageSection(file: StorageFile, path: string): StorageSection {
  const { storage, where } = file;
  const sections = typeof storage === 'string' ? { [storage]: null } : storage;
  if (sections === undefined || sections === null) {
    throw new LocationError(
      'CONFIGURATION_INVALID',
      `${path} has no storage section: give the registry's own config.yml, or the folder that holds docker/.`,
    );
  }
  if (!isMap(sections)) {
    throw complainAt(where, [], 'must be a map with one driver in it');
  }
  const notices: string[] = [];
  const name = driverOf(sections, file);
  const section = { name, parameters: parametersOf(name, sections[name], where), where, notices };
  return { ...openerOf(section)(section), settings: settingsOf(sections), notices };
}

/** The one section that is no helper. */
function driverOf(sections: Record<string, unknown>, { where, variableOf }: StorageFile): string {
  const names = Object.keys(sections).filter((name) => !helpers.has(name));
  const [name] = names;
  if (name === undefined) {
    throw complainAt(where, [], `names no driver, and the registry does not start without one: ${known()}`);
  }
  if (names.length > 1) {
    const shown = names.map((other) => `${shownName(other) ?? 'another'} (${where([other])})`).join(' and ');
    const fromVariable = names.find((other) => variableOf?.([other]) !== undefined);
    const isMixed = names.some((other) => variableOf?.([other]) === undefined);
    const remedy =
      fromVariable !== undefined && isMixed
        ? `: unset ${variableOf?.([fromVariable])}, or set REGISTRY_STORAGE=${shownName(fromVariable) ?? 'DRIVER'} as well, so that variables alone say everything`
        : '';
    throw complainAt(
      where,
      [],
      `names several drivers, ${shown}, and the registry starts with exactly one${remedy}`,
    );
  }
  return name;
}

function openerOf({ name, where }: DriverSection): (section: DriverSection) => ConfiguredStore {
  const opener = Object.hasOwn(drivers, name) ? drivers[name] : undefined;
  if (opener !== undefined) {
    return opener;
  }
  if (Object.hasOwn(advice, name)) {
    throw complainAt(where, [name], advice[name] ?? '', 'CONFIGURATION_UNSUPPORTED');
  }
  const nearest = nearestName(name, [...Object.keys(drivers), ...Object.keys(advice), ...helpers]);
  const shown = shownName(name);
  throw complainAt(
    where,
    shown === undefined ? [] : [shown],
    `${shown === undefined ? 'names' : 'is'} no driver of any registry${nearest === undefined ? `: ${known()}` : `: the nearest that is known is ${nearest}`}`,
  );
}

function known(): string {
  return `${Object.keys(drivers).join(', ')} can be opened`;
}

function settingsOf(sections: Record<string, unknown>): RegistrySettings {
  return {
    readOnly: flagAt(sections, ['maintenance', 'readonly', 'enabled']),
    deleteEnabled: flagAt(sections, ['delete', 'enabled']),
    redirectDisabled: flagAt(sections, ['redirect', 'disable']),
  };
}

function flagAt(value: unknown, path: readonly string[]): boolean | undefined {
  const found = path.reduce<unknown>((node, name) => (isMap(node) ? node[name] : undefined), value);
  return typeof found === 'boolean' ? found : undefined;
}
