import { fileURLToPath } from 'node:url';
import { LocationError } from './location-error.ts';
import {
  type AzureParameters,
  credentialAdvice,
  decode,
  parseAzureParameters,
  parseS3Parameters,
  type S3Parameters,
} from './location-parameters.ts';
import { trimSlashes } from './root.ts';

export { LocationError } from './location-error.ts';

/** Where a store is, as a user says it. Holds no credentials. Field names are the registry's own. */
export type StoreLocation = FilesystemLocation | S3Location | AzureLocation;

export interface FilesystemLocation {
  driver: 'filesystem';
  /**
   * The folder that holds `docker/`, as it was written: possibly relative. Or a registry's configuration file,
   * which shows only when it is opened: `resolveLocation` tells.
   */
  path: string;
}

export interface S3Location extends Omit<S3Parameters, 'rootdirectory'> {
  driver: 's3';
  bucket: string;
  /** Without slashes at its ends; '' when there is none. */
  rootdirectory: string;
}

export interface AzureLocation extends Omit<AzureParameters, 'rootdirectory'> {
  driver: 'azure';
  container: string;
  /** Without slashes at its ends; '' when there is none. */
  rootdirectory: string;
}

/**
 * Reads a store's location: a folder or a registry's configuration file, `file:///folder`,
 * `s3://bucket/root?region=...` or `azure://container/root?account=...`. Looks at nothing but the text.
 * @throws LocationError which says what to write instead, and never shows a credential.
 */
export function parseLocation(text: string): StoreLocation {
  if (text.trim() === '') {
    throw new LocationError(
      'LOCATION_INVALID',
      'The location is empty: give a folder, s3://bucket or azure://container.',
    );
  }
  if (/[\0\p{Cs}]/u.test(text)) {
    throw new LocationError(
      'LOCATION_INVALID',
      'The location holds a NUL or half a character, which no store can have in a name.',
    );
  }
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1]?.toLowerCase();
  switch (scheme) {
    case undefined:
      return parsePath(text);
    case 'file':
      return parseFileUrl(text);
    case 's3':
      return parseS3(text);
    case 'azure':
      return parseAzure(text);
    default:
      throw new LocationError('LOCATION_UNSUPPORTED', unsupportedSentence(scheme));
  }
}

/** Writes a location as a user would: `parseLocation(formatLocation(location))` equals `location`. */
export function formatLocation(location: StoreLocation): string {
  if (location.driver === 'filesystem') {
    return location.path;
  }
  const { driver, rootdirectory, ...rest } = location;
  const root = rootdirectory === '' ? '' : `/${encodePath(rootdirectory)}`;
  const parameters = Object.entries(rest)
    .filter(([name, value]) => name !== 'bucket' && name !== 'container' && value !== undefined)
    .map(([name, value]) => `${name}=${encodeValue(String(value))}`);
  const query = parameters.length === 0 ? '' : `?${parameters.join('&')}`;
  return `${driver}://${location.driver === 's3' ? location.bucket : location.container}${root}${query}`;
}

function parsePath(text: string): FilesystemLocation {
  const typo = /^(s3|azure|file|gs|swift|https?):/i.exec(text)?.[1]?.toLowerCase();
  if (typo !== undefined) {
    throw new LocationError(
      'LOCATION_INVALID',
      `The location begins with "${typo}:" but not with "${typo}://": write ${typo}://, or ./${typo}: for a folder of that name.`,
    );
  }
  if (text.startsWith('~')) {
    throw new LocationError(
      'LOCATION_INVALID',
      'The location begins with "~", which only a shell expands, and only outside quotes: write the folder in full, or ./~ for a folder of that name.',
    );
  }
  return folder(text);
}

function parseFileUrl(text: string): FilesystemLocation {
  const example = 'file:///var/lib/registry';
  if (!/^file:\/\/(localhost)?\//i.test(text)) {
    throw new LocationError(
      'LOCATION_INVALID',
      `A file:// location needs three slashes and a full path, such as ${example}: another machine's files cannot be reached.`,
    );
  }
  if (/[?#]/.test(text)) {
    throw new LocationError(
      'LOCATION_PARAMETER',
      'A file:// location takes no parameters: write %3F for a "?" and %23 for a "#" in a folder\'s name, or give the plain path.',
    );
  }
  let path: string;
  try {
    path = fileURLToPath(text);
  } catch {
    throw new LocationError(
      'LOCATION_INVALID',
      `The file:// location cannot be decoded: give the plain path, or one such as ${example}.`,
    );
  }
  return folder(path);
}

function folder(path: string): FilesystemLocation {
  if (path.includes('\0')) {
    throw new LocationError(
      'LOCATION_INVALID',
      'The location holds a NUL character, which no folder name can hold.',
    );
  }
  if (/(^|;)\s*(AccountKey|SharedAccessSignature)=/i.test(path)) {
    throw new LocationError(
      'LOCATION_CREDENTIAL',
      'The location is a connection string with a key: put it into AZURE_STORAGE_CONNECTION_STRING and write azure://container.',
    );
  }
  return { driver: 'filesystem', path };
}

export const bucketRule = 'a bucket is 3 to 63 letters, digits, dots and hyphens';

/** Wider than what AWS allows for new buckets: Ceph, MinIO and old buckets also have capitals and "_". */
export function isBucketName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$/.test(name);
}

export const containerRule = 'a container is 3 to 63 lower-case letters, digits and single hyphens';

/** "Naming and referencing containers, blobs, and metadata", Azure Storage documentation. */
export function isContainerName(name: string): boolean {
  return /^(\$root|\$web|(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*)$/.test(name);
}

function parseS3(text: string): S3Location {
  const { name, root, query } = split('s3', text);
  if (!isBucketName(name)) {
    throw badName('s3', name, `${bucketRule}, such as s3://my-registry`);
  }
  const { rootdirectory, ...parameters } = parseS3Parameters(query);
  return {
    driver: 's3',
    bucket: name,
    rootdirectory: oneRoot(root, rootdirectory),
    ...parameters,
  };
}

function parseAzure(text: string): AzureLocation {
  const { name, root, query } = split('azure', text);
  if (!isContainerName(name)) {
    throw badName('azure', name, `${containerRule}, such as azure://registry?account=mystorage`);
  }
  const { rootdirectory, ...parameters } = parseAzureParameters(query);
  return {
    driver: 'azure',
    container: name,
    rootdirectory: oneRoot(root, rootdirectory),
    ...parameters,
  };
}

function split(driver: 's3' | 'azure', text: string): { name: string; root: string; query: string } {
  const rest = text.slice(`${driver}://`.length);
  const question = rest.indexOf('?');
  const path = question === -1 ? rest : rest.slice(0, question);
  const slash = path.indexOf('/');
  const name = slash === -1 ? path : path.slice(0, slash);
  // A secret key may itself hold a "/", so an "@" anywhere after a ":" is taken for the end of credentials.
  if (name.includes('@') || (name.includes(':') && path.includes('@'))) {
    const advice =
      driver === 'azure'
        ? `name the account with ?account= and, for its credentials, ${credentialAdvice.azure}`
        : credentialAdvice.s3;
    throw new LocationError(
      'LOCATION_CREDENTIAL',
      `The ${driver}:// location has an "@", as if a user or key stood before it: write ${driver}://${driver === 's3' ? 'bucket' : 'container'} alone; ${advice}.`,
    );
  }
  return {
    name: decode(name, driver === 's3' ? 'the bucket' : 'the container'),
    root: slash === -1 ? '' : trimSlashes(decode(path.slice(slash), 'the root directory')),
    query: question === -1 ? '' : rest.slice(question + 1),
  };
}

function badName(driver: 's3' | 'azure', name: string, rule: string): LocationError {
  const what = driver === 's3' ? 'bucket' : 'container';
  if (name === '') {
    return new LocationError(
      'LOCATION_INVALID',
      `The ${driver}:// location names no ${what}: two slashes, then the name; ${rule}.`,
    );
  }
  if (name.includes('/')) {
    return new LocationError(
      'LOCATION_INVALID',
      `The name of a ${what} holds no "/": what follows is the root directory, so write ${driver}://${what}/root with a plain slash.`,
    );
  }
  // A ":" is more often a key or a port than a slip of the finger, so such a name is not shown.
  const shown = name.includes(':') ? `what stands where the ${what} belongs` : JSON.stringify(name);
  const port = name.includes(':') ? ' A host and port go to ?endpoint= or ?serviceurl=.' : '';
  return new LocationError(
    'LOCATION_INVALID',
    `In the ${driver}:// location, ${shown} cannot be a ${what}: ${rule}.${port}`,
  );
}

/** The root directory may stand in the path or in `rootdirectory`; if in both, then the same. */
function oneRoot(fromPath: string, fromParameter: string | undefined): string {
  const parameter = trimSlashes(fromParameter ?? fromPath);
  if (fromPath !== '' && parameter !== fromPath) {
    throw new LocationError(
      'LOCATION_PARAMETER',
      `The location gives two root directories, ${JSON.stringify(fromPath)} in its path and ${JSON.stringify(parameter)} as rootdirectory: keep one.`,
    );
  }
  return parameter;
}

function unsupportedSentence(scheme: string): string {
  const possible = 'regtool opens folders, s3:// and azure://';
  switch (scheme) {
    case 'http':
    case 'https':
      return 'A location is not a web address: write s3://bucket?endpoint= with the address of an S3-compatible store, or azure://container?account= with the name of the storage account.';
    case 's3a':
    case 's3n':
    case 'minio':
    case 'oss':
      return `There is no driver ${scheme}://: write s3://bucket, and ?endpoint= with the address of a store outside AWS.`;
    case 'az':
    case 'azblob':
    case 'abfs':
    case 'abfss':
    case 'wasb':
    case 'wasbs':
      return `There is no driver ${scheme}://: write azure://container?account= with the name of the storage account.`;
    case 'gs':
    case 'gcs':
      return `There is no driver for Google Cloud Storage; ${possible}. Copy the bucket to a folder with its own tools first, and give that folder.`;
    case 'swift':
      return `There is no driver for Swift; ${possible}. Copy the container to a folder with a Swift client first: through an S3 interface its large blobs read as empty.`;
    default:
      return `There is no driver ${scheme}://; ${possible}.`;
  }
}

function encodePath(root: string): string {
  return root.split('/').map(encodeValue).join('/');
}

/** Leaves readable what needs no encoding in a query. */
function encodeValue(text: string): string {
  return encodeURIComponent(text).replaceAll('%2F', '/').replaceAll('%3A', ':').replaceAll('%2B', '+');
}
