import { LocationError } from '../location-error.ts';
import { isMap, type StorageFile, type Where } from './storage-file.ts';
import { parseYamlValue } from './yaml-file.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Names with an underscore that the GitLab registry keeps whole where it cuts a variable's name into a path
 * (its configuration parser; distribution cuts at every underscore, but has no such names below `storage`).
 */
const wholeNames =
  /AZURE_V2|S3_V2|CREDENTIALS_TYPE|TENANT_ID|CLIENT_ID|MAX_RETRIES|RETRY_TRY_TIMEOUT|MAX_RETRY_DELAY|RETRY_DELAY|DEBUG_LOG_EVENTS|DEBUG_LOG|API_POOL_INITIAL_INTERVAL|API_POOL_MAX_INTERVAL|API_POOL_MAX_ELAPSED_TIME|CHECKSUM_ALGORITHM|CHECKSUM_DISABLED/g;

/**
 * Applies `REGISTRY_STORAGE` and `REGISTRY_STORAGE_...` as the registry does (distribution
 * `configuration/parser.go`, seen with docker-registry 2.8):
 * - in the order of their names, so that the whole section is replaced before parts of it;
 * - each value is YAML, an empty one is null;
 * - the last part of a name, in lower case, is set; parts before it are found whatever their case;
 * - what lies deeper than a driver's own parameters and stands in the file is not changed (the registry warns of
 *   a "map with non-string keys"); where the file has nothing there, it is made.
 * @throws LocationError CONFIGURATION_INVALID for a value that is not YAML. Names the variable, not its value.
 */
export function applyEnvironment(file: StorageFile, env: Environment): StorageFile {
  const variables = Object.keys(env)
    .filter((name) => /^REGISTRY_STORAGE(_|$)/.test(name))
    .sort();
  if (variables.length === 0) {
    return file;
  }
  const origins = new Map<string, string>();
  let storage: unknown = file.storage;
  for (const variable of variables) {
    const value = parsed(variable, env[variable] ?? '');
    const names = pathOf(variable);
    if (names.length === 0) {
      storage = value;
    } else {
      const sections = sectionsOf(storage);
      const [section = ''] = names;
      if (!Object.keys(sections).some((key) => key.toUpperCase() === section)) {
        // What the file does not have at all is there because of this variable.
        origins.set(section.toLowerCase(), variable);
      }
      setInStorage(sections, names, value);
      storage = sections;
    }
    origins.set(names.join('.').toLowerCase(), variable);
  }
  const variableOf = originOf(origins);
  const where: Where = (names) => {
    const variable = variableOf(names);
    return variable === undefined ? file.where(names) : `the environment variable ${variable}`;
  };
  return { storage, where, variableOf };
}

/** A copy that can be changed. A driver alone may be written as a word: `storage: filesystem`. */
function sectionsOf(storage: unknown): Record<string, unknown> {
  if (typeof storage === 'string') {
    return { [storage]: {} };
  }
  return isMap(storage) ? { ...storage } : {};
}

function pathOf(variable: string): string[] {
  const isAzureUpstream = /^REGISTRY_STORAGE_AZURE_(?!V2_)/.test(variable);
  const protectedName = variable.replace(wholeNames, (name) =>
    // Distribution 3 has a map `credentials` with a `type` in it.
    isAzureUpstream && name === 'CREDENTIALS_TYPE' ? name : name.replaceAll('_', '\0'),
  );
  return protectedName
    .split('_')
    .slice(2)
    .map((name) => name.replaceAll('\0', '_'));
}

function setInStorage(storage: Record<string, unknown>, names: readonly string[], value: unknown): void {
  const [section = '', ...below] = names;
  if (below.length === 0) {
    storage[section.toLowerCase()] = value;
    return;
  }
  const existing = Object.keys(storage).find((key) => key.toUpperCase() === section);
  const parameters = existing === undefined ? undefined : storage[existing];
  if (existing !== undefined && parameters !== null && !isMap(parameters)) {
    return;
  }
  const changed = isMap(parameters) ? { ...parameters } : {};
  storage[existing !== undefined && isMap(parameters) ? existing : section.toLowerCase()] = changed;
  setParameter(changed, below, value);
}

function setParameter(parameters: Record<string, unknown>, names: readonly string[], value: unknown): void {
  const [name = '', ...below] = names;
  if (below.length === 0) {
    parameters[name.toLowerCase()] = value;
    return;
  }
  const existing = Object.keys(parameters).find((key) => key.toUpperCase() === name);
  const found = existing === undefined ? undefined : parameters[existing];
  if (found !== undefined && found !== null && !(isMap(found) && madeHere.has(found))) {
    return;
  }
  const changed = isMap(found) ? found : {};
  madeHere.add(changed);
  parameters[isMap(found) && existing !== undefined ? existing : name.toLowerCase()] = changed;
  setParameter(changed, below, value);
}

/** Maps that came about through variables: only those can be changed by further variables. */
const madeHere = new WeakSet<object>();

function parsed(variable: string, text: string): unknown {
  try {
    return parseYamlValue(text);
  } catch (error) {
    const code = error instanceof Error ? error.message : 'unknown';
    throw new LocationError(
      'CONFIGURATION_INVALID',
      `The value of the environment variable ${variable} is not YAML (${code}), as the registry reads it: put it into quotes that the shell keeps, or unset it.`,
    );
  }
}

function originOf(origins: ReadonlyMap<string, string>): (names: readonly string[]) => string | undefined {
  return (names) => {
    for (let length = names.length; length >= 0; length -= 1) {
      const variable = origins.get(names.slice(0, length).join('.').toLowerCase());
      if (variable !== undefined) {
        return variable;
      }
    }
    return undefined;
  };
}
