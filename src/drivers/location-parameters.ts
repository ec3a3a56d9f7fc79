import { accountRule, isAccountName } from './azure-account.ts';
import { LocationError } from './location-error.ts';
import { nearestName } from './nearest-name.ts';
import { azureRoot } from './root.ts';

const mebibyte = 1024 * 1024;

/** A part is at least 5 MiB in S3; the registry takes at most 2.5 GiB (GitLab `s3-aws/common`, chunksize). */
export const s3ChunkSize = { min: 5 * mebibyte, max: 2560 * mebibyte };

/** A block is at most 4000 MiB (Azure "Put Block", service version 2019-12-12 and later). */
const azureChunkSize = { min: 1, max: 4000 * mebibyte };

/** S3 API reference, "Canned ACL"; the registries take these and no others. */
const objectAcls = [
  'private',
  'public-read',
  'public-read-write',
  'authenticated-read',
  'aws-exec-read',
  'bucket-owner-read',
  'bucket-owner-full-control',
] as const;

/**
 * Reads the text of a parameter, or says what is wrong with it. Plain functions, as every command parses locations:
 * zod, which checks configuration files, takes 150 ms of CPU time and 13 MB to load.
 * @throws BadValue
 */
type Parse<Value> = (text: string) => Value;

class BadValue extends Error {}

/** What may follow `?` in an `s3://` location. The names are those of the registry's `storage.s3` section. */
const s3Parameters = {
  rootdirectory: String,
  region: matching(/^[A-Za-z0-9._-]+$/, 'must be a region such as eu-central-1'),
  endpoint: parseEndpoint,
  pathstyle: parseBoolean,
  encrypt: parseBoolean,
  keyid: parseText,
  storageclass: parseStorageClass,
  secure: parseBoolean,
  skipverify: parseBoolean,
  chunksize: bytesWithin(s3ChunkSize),
  maxrequestspersecond: parseRequestRate,
  objectacl: oneOf(objectAcls),
  usedualstack: parseBoolean,
  accelerate: parseBoolean,
  usefipsendpoint: parseBoolean,
  profile: parseText,
} satisfies Schema;

/** What may follow `?` in an `azure://` location. The names are those of the registry's `storage.azure` section. */
const azureParameters = {
  rootdirectory: String,
  account: parseAccount,
  serviceurl: parseServiceUrl,
  realm: matching(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, 'must be a domain such as core.windows.net'),
  trimlegacyrootprefix: parseBoolean,
  legacyrootprefix: parseBoolean,
  chunksize: bytesWithin(azureChunkSize),
  maxrequestspersecond: parseRequestRate,
} satisfies Schema;

type Schema = Readonly<Record<string, Parse<unknown>>>;
type Parsed<Of extends Schema> = { [Name in keyof Of]?: ReturnType<Of[Name]> | undefined };

export type S3Parameters = Parsed<typeof s3Parameters>;
export type AzureParameters = Parsed<typeof azureParameters>;

const parameterNames = {
  s3: Object.keys(s3Parameters),
  azure: Object.keys(azureParameters),
};

/** Other names under which the registries know the same parameter. */
const aliases = {
  s3: new Map([
    ['regionendpoint', 'endpoint'],
    ['forcepathstyle', 'pathstyle'],
  ]),
  azure: new Map([['accountname', 'account']]),
};

/**
 * Reads the text after `?` of an `s3://` location.
 * @throws LocationError LOCATION_CREDENTIAL, LOCATION_PARAMETER
 */
export function parseS3Parameters(query: string): S3Parameters {
  return checkS3Parameters(collect('s3', query), complainOfLocation);
}

/** Checks parameters that came from elsewhere, such as a configuration file, by the same rules. */
export function checkS3Parameters(values: Record<string, string>, complain: Complain): S3Parameters {
  const parameters = check(s3Parameters, values, complain);
  if (parameters.keyid !== undefined && parameters.encrypt !== true) {
    throw complain('keyid', 'needs encrypt=true: without it the key is not used');
  }
  return parameters;
}

/**
 * Reads the text after `?` of an `azure://` location.
 * @throws LocationError LOCATION_CREDENTIAL, LOCATION_PARAMETER
 */
export function parseAzureParameters(query: string): AzureParameters {
  return checkAzureParameters(collect('azure', query), complainOfLocation);
}

/** Checks parameters that came from elsewhere, such as a configuration file, by the same rules. */
export function checkAzureParameters(values: Record<string, string>, complain: Complain): AzureParameters {
  const parameters = check(azureParameters, values, complain);
  // Only for its complaint about two parameters that contradict each other.
  azureRoot({ ...parameters, rootdirectory: '' });
  return parameters;
}

/** Makes the error for a parameter, given what is wrong with it: `must be true or false`. Neither holds its value. */
export type Complain = (name: string, complaint: string) => LocationError;

function complainOfLocation(name: string, complaint: string): LocationError {
  return new LocationError('LOCATION_PARAMETER', `The parameter ${name} of the location ${complaint}.`);
}

/** The environment variables that take a store's credentials instead of its location. */
export const credentialAdvice = {
  s3: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or name a profile with ?profile=',
  azure:
    'set AZURE_STORAGE_ACCOUNT with AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or AZURE_STORAGE_CONNECTION_STRING, or sign in with an identity',
};

/** Names, reduced to letters, under which people put secrets into URLs. */
const secretName =
  /^(aws)?(accesskey(id)?|secret(access)?key|sessiontoken|securitytoken)$|^(account|shared|storage)key$|^(client)?secret$|^connectionstring$|^pass(word|wd)?$|^token$|^sas(token)?$|^sig(nature)?$|^xamz(credential|signature|securitytoken)$|^user(name)?$/;

function collect(driver: 's3' | 'azure', query: string): Record<string, string> {
  const found: Record<string, string> = {};
  const pairs = query.split('&').filter((pair) => pair !== '');
  // First, so that no later message can show what stands beside a secret.
  for (const pair of pairs) {
    refuseSecret(driver, pair);
  }
  for (const pair of pairs) {
    const [written, value] = splitPair(pair);
    const name = aliases[driver].get(written) ?? written;
    if (!parameterNames[driver].includes(name)) {
      throw unknownParameter(driver, written);
    }
    if (found[name] !== undefined && found[name] !== value) {
      throw new LocationError(
        'LOCATION_PARAMETER',
        `The parameter ${name} of the ${driver}:// location is given twice, with different values: keep one.`,
      );
    }
    found[name] = value;
  }
  return found;
}

function refuseSecret(driver: 's3' | 'azure', pair: string): void {
  const [name] = splitPair(pair);
  if (secretName.test(name.toLowerCase().replace(/[^a-z]/g, ''))) {
    throw new LocationError(
      'LOCATION_CREDENTIAL',
      `A location holds no credentials, as command lines are seen by others and kept in histories: take ${name} out and ${credentialAdvice[driver]}.`,
    );
  }
}

function splitPair(pair: string): [name: string, value: string] {
  const equals = pair.indexOf('=');
  const name = decode(equals === -1 ? pair : pair.slice(0, equals), 'the name of a parameter');
  const value = equals === -1 ? '' : decode(pair.slice(equals + 1), 'the value of a parameter');
  return [name, value];
}

/**
 * Undoes percent-encoding. A `+` stays a `+`, as in a path.
 * @throws LocationError when a `%` is not followed by the two digits of a UTF-8 byte.
 */
export function decode(text: string, where: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new LocationError(
      'LOCATION_INVALID',
      `The location has a "%" in ${where} that encodes nothing: write %25 for a percent sign.`,
    );
  }
}

/** The first wrong value in the order of the schema is complained of. */
function check<Of extends Schema>(
  schema: Of,
  values: Readonly<Record<string, string>>,
  complain: Complain,
): Parsed<Of> {
  const parsed: Record<string, unknown> = {};
  for (const [name, parse] of Object.entries(schema)) {
    const text = values[name];
    if (text !== undefined) {
      try {
        parsed[name] = parse(text);
      } catch (error) {
        throw error instanceof BadValue ? complain(name, error.message) : error;
      }
    }
  }
  return parsed as Parsed<Of>;
}

function unknownParameter(driver: 's3' | 'azure', name: string): LocationError {
  const known = parameterNames[driver];
  const nearest = nearestName(name, [...known, ...aliases[driver].keys()]);
  const suggestion = nearest === undefined ? '' : ` Did you mean ${nearest}?`;
  // What does not look like a name may be a secret that lost its name, and is not shown.
  const shown = /^[\w.-]{1,32}$/.test(name) ? ` "${name}"` : '';
  return new LocationError(
    'LOCATION_PARAMETER',
    `The ${driver}:// location has an unknown parameter${shown}.${suggestion} Known are ${known.join(', ')}.`,
  );
}

function matching(pattern: RegExp, complaint: string): Parse<string> {
  return (text) => {
    if (!pattern.test(text)) {
      throw new BadValue(complaint);
    }
    return text;
  };
}

function parseText(text: string): string {
  if (text === '') {
    throw new BadValue('is empty: give a value or leave it out');
  }
  return text;
}

/** A location is shown, so that nothing may stand in it that could be a key. */
function parseAccount(text: string): string {
  if (!isAccountName(text)) {
    throw new BadValue(`is no account name: ${accountRule}; see whether name and key are swapped`);
  }
  return text;
}

function parseBoolean(text: string): boolean {
  if (text !== 'true' && text !== 'false') {
    throw new BadValue('must be true or false');
  }
  return text === 'true';
}

function oneOf<const Value extends string>(values: readonly Value[]): Parse<Value> {
  return (text) => {
    const value = values.find((value) => value === text);
    if (value === undefined) {
      throw new BadValue(`must be one of ${values.join(', ')}`);
    }
    return value;
  };
}

function parseRequestRate(text: string): number {
  if (!/^\d{1,9}$/.test(text)) {
    throw new BadValue('must be a whole number of requests per second, and 0 for no limit');
  }
  return Number(text);
}

function bytesWithin({ min, max }: { min: number; max: number }): Parse<number> {
  return (text) => {
    const bytes = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(bytes >= min && bytes <= max)) {
      throw new BadValue(`must be a whole number of bytes from ${min} to ${max}`);
    }
    return bytes;
  };
}

function parseStorageClass(text: string): string {
  if (!/^[A-Z0-9_]+$/.test(text)) {
    throw new BadValue('must be a storage class such as STANDARD');
  }
  if (text === 'GLACIER' || text === 'DEEP_ARCHIVE') {
    throw new BadValue(
      `must be a class that can be read at once: a registry cannot serve what lies in ${text}`,
    );
  }
  return text;
}

/** The registry takes a URL or a bare host, with a port or without. */
function parseEndpoint(text: string): string {
  checkUrl(text.includes('://') ? text : `https://${text}`, 'http://localhost:9000 or storage.example.com');
  return text;
}

function parseServiceUrl(text: string): string {
  checkUrl(text, 'https://blob.example.com or http://127.0.0.1:10000/devstoreaccount1');
  return text;
}

function checkUrl(text: string, example: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '') {
    throw new BadValue(`must be a web address such as ${example}`);
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new BadValue(
      'must be an address alone, without user, password, "?" or "#": credentials come from the environment',
    );
  }
}
