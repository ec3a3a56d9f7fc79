import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { AzureOptions } from './azure.ts';
import { accountOfConnectionString } from './azure-connection-string.ts';
import type { Environment } from './configuration/environment.ts';
import type {
  AzureCredentials,
  RegistrySettings,
  S3Credentials,
  StoreCredentials,
} from './configuration/store.ts';
import type { Driver } from './driver.ts';
import {
  type AzureLocation,
  formatLocation,
  LocationError,
  type S3Location,
  type StoreLocation,
} from './location.ts';
import { azureRoot, otherAzureRoots, s3Root } from './root.ts';
import type { S3Options } from './s3.ts';

export type { Environment } from './configuration/environment.ts';

export interface ResolveOptions {
  /** Where credentials and `REGISTRY_STORAGE_...` are looked for; the process's environment unless given. */
  env?: Environment | undefined;
  /** What a relative folder is relative to; the working directory unless given. */
  cwd?: string | undefined;
}

export interface OpenOptions extends ResolveOptions {
  /** Most requests in flight to the store. */
  connections?: number | undefined;
  /** Told of each request that a driver, or the SDK in it, makes again by itself. */
  onRetry?: (() => void) | undefined;
}

/** A location whose configuration file, if it is one, has been read. */
export interface ResolvedStore {
  /** Where the store is. Holds no credentials. Of a folder, the full path. */
  location: StoreLocation;
  /** Only from a configuration file. However it is printed, it shows `***`. */
  credentials?: StoreCredentials | undefined;
  /** The configuration file that the location was. */
  configuration?:
    | {
        path: string;
        settings: RegistrySettings;
        /** What an operator should know and what is no error, one sentence each. */
        notices: readonly string[];
      }
    | undefined;
}

/**
 * Finds out whether a location is a configuration file, and reads it if so. The one place where that shows.
 * @throws LocationError when the file is not a registry's configuration, or one of a store that cannot be opened.
 */
export async function resolveLocation(
  location: StoreLocation,
  { env = process.env, cwd = process.cwd() }: ResolveOptions = {},
): Promise<ResolvedStore> {
  if (location.driver !== 'filesystem') {
    return { location };
  }
  const path = resolve(cwd, location.path);
  if (kindOf(path) !== 'file') {
    return { location: { driver: 'filesystem', path } };
  }
  const { readConfiguration } = await import('./configuration/read-configuration.ts');
  const { location: found, credentials, settings, notices } = readConfiguration(path, env);
  if (found.driver === 'filesystem' && kindOf(found.path) === 'absent') {
    throw new LocationError(
      'CONFIGURATION_INVALID',
      `${path} says that the registry is in the folder ${found.path}, which this machine does not have: if the registry runs in a container, give the folder that is mounted there.`,
    );
  }
  return { location: found, credentials, configuration: { path, settings, notices } };
}

/** What may not be looked at is taken for a folder: opening it as one then says why it cannot be. */
function kindOf(path: string): 'file' | 'folder' | 'absent' {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    return stats === undefined ? 'absent' : stats.isFile() ? 'file' : 'folder';
  } catch {
    return 'folder';
  }
}

/**
 * Opens the store at a location, which may be a registry's configuration file, and loads the driver, with its SDK,
 * only now.
 * @throws LocationError as `resolveLocation`, and when no storage account is named anywhere.
 * @throws DriverError STORE_NOT_FOUND when a folder does not exist; what a bucket or container lacks shows on first use.
 */
export async function openStore(location: StoreLocation, options: OpenOptions = {}): Promise<Driver> {
  return openResolvedStore(await resolveLocation(location, options), options);
}

/** Opens what `resolveLocation` found. */
export async function openResolvedStore(
  { location, credentials }: ResolvedStore,
  options: OpenOptions = {},
): Promise<Driver> {
  switch (location.driver) {
    case 'filesystem': {
      const { openFilesystem } = await import('./filesystem.ts');
      return openFilesystem({ root: location.path, location: location.path });
    }
    case 's3': {
      const { openS3 } = await import('./s3.ts');
      return openS3(s3Options(location, options, credentials?.driver === 's3' ? credentials : undefined));
    }
    case 'azure': {
      const { openAzure } = await import('./azure.ts');
      return openAzure(
        azureOptions(location, options, credentials?.driver === 'azure' ? credentials : undefined),
      );
    }
  }
}

/**
 * What the S3 driver needs to know. Credentials, region or endpoint that are not given are left to the SDK's own
 * chain: environment, profile, role.
 */
export function s3Options(
  location: S3Location,
  { connections, onRetry }: OpenOptions,
  credentials?: S3Credentials,
): S3Options {
  return {
    bucket: location.bucket,
    root: s3Root(location.rootdirectory),
    location: formatLocation(location),
    region: location.region,
    endpoint: location.endpoint,
    pathStyle: location.pathstyle,
    profile: location.profile,
    accessKeyId: credentials?.accessKeyId.reveal(),
    secretAccessKey: credentials?.secretAccessKey.reveal(),
    sessionToken: credentials?.sessionToken?.reveal(),
    encrypt: location.encrypt,
    keyId: location.keyid,
    storageClass: location.storageclass,
    secure: location.secure,
    skipVerify: location.skipverify,
    objectAcl: location.objectacl,
    useDualstack: location.usedualstack,
    accelerate: location.accelerate,
    useFipsEndpoint: location.usefipsendpoint,
    partSizeBytes: location.chunksize,
    connections,
    onRetry,
  };
}

/**
 * What the Azure driver needs to know. Without credentials from a configuration, of the environment's credentials those are taken that belong to the account:
 * a connection string, else a key, else a SAS token; the driver signs in with an identity when there is none.
 * @throws LocationError when neither the location nor the environment names an account.
 */
export function azureOptions(
  location: AzureLocation,
  { env = process.env, connections, onRetry }: OpenOptions,
  configured?: AzureCredentials,
): AzureOptions {
  const { container, realm, serviceurl } = location;
  const credentials =
    configured === undefined
      ? environmentCredentials(location, env)
      : { accountName: location.account, ...revealed(configured) };
  const { accountName, connectionString } = credentials;
  if (accountName === undefined && connectionString === undefined && serviceurl === undefined) {
    throw new LocationError(
      'LOCATION_INVALID',
      `${formatLocation(location)} does not say which storage account: add ?account=NAME, or set AZURE_STORAGE_ACCOUNT.`,
    );
  }
  return {
    container,
    root: azureRoot(location),
    location: formatLocation(location),
    ...credentials,
    realm,
    serviceUrl: serviceurl,
    otherRoots: otherAzureRoots(location).map(({ root, setting, ruledOut, options }) => {
      const { trimlegacyrootprefix: _, ...elsewhere } = location;
      return { root, setting, ruledOut, location: formatLocation({ ...elsewhere, ...options }) };
    }),
    partSizeBytes: location.chunksize,
    connections,
    onRetry,
  };
}

interface EnvironmentCredentials {
  accountName?: string | undefined;
  accountKey?: string | undefined;
  sasToken?: string | undefined;
  connectionString?: string | undefined;
}

/**
 * The environment holds the credentials of one account. Those of another account are not sent to this one:
 * source and target may be two accounts, one of them reached by an identity. Nor is a connection string used
 * where the location itself says where the service is, as a connection string says so, too, or where it names an account
 * and the connection string another, or none that can be told.
 */
function environmentCredentials(
  { account, realm, serviceurl }: AzureLocation,
  env: Environment,
): EnvironmentCredentials {
  const connectionString = variable(env, 'AZURE_STORAGE_CONNECTION_STRING');
  const saysWhere = serviceurl !== undefined || realm !== undefined;
  if (connectionString !== undefined && !saysWhere) {
    const connectionAccount = accountOfConnectionString(connectionString);
    if (account === undefined || account === connectionAccount) {
      return { connectionString, accountName: connectionAccount };
    }
  }
  const environmentAccount = variable(env, 'AZURE_STORAGE_ACCOUNT');
  const accountName = account ?? environmentAccount;
  if (!isSame(account, environmentAccount)) {
    return { accountName };
  }
  const accountKey = variable(env, 'AZURE_STORAGE_KEY');
  const sasToken = accountKey === undefined ? variable(env, 'AZURE_STORAGE_SAS_TOKEN') : undefined;
  return { accountName, accountKey, sasToken };
}

function isSame(wanted: string | undefined, found: string | undefined): boolean {
  return wanted === undefined || found === undefined || wanted === found;
}

/** The only place where credentials of a configuration leave their wrapping for Azure. */
function revealed({ accountKey, connectionString, identity }: AzureCredentials) {
  return {
    accountKey: accountKey?.reveal(),
    connectionString: connectionString?.reveal(),
    credentials:
      identity?.type === 'client_secret' ? { ...identity, secret: identity.secret.reveal() } : identity,
  };
}

/** A variable that is set to nothing counts as not set, as in the SDKs. */
function variable(env: Environment, name: string): string | undefined {
  return env[name] === '' ? undefined : env[name];
}
