import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { AzureOptions } from './azure.ts';
import type { Driver } from './driver.ts';
import {
  type AzureLocation,
  fileInsteadOfFolder,
  type FilesystemLocation,
  formatLocation,
  LocationError,
  type S3Location,
  type StoreLocation,
} from './location.ts';
import { azureRoot, s3Root } from './root.ts';
import type { S3Options } from './s3.ts';

export interface OpenOptions {
  /** Where Azure credentials are looked for; the process's environment unless given. */
  env?: Environment | undefined;
  /** Most requests in flight to the store. */
  connections?: number | undefined;
  /** Told of each request that a driver, or the SDK in it, makes again by itself. */
  onRetry?: (() => void) | undefined;
  /** What a relative folder is relative to; the working directory unless given. */
  cwd?: string | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Opens the store at a location, and loads the driver, with its SDK, only now.
 * @throws LocationError when the location is a file, or names no storage account anywhere.
 * @throws DriverError STORE_NOT_FOUND when a folder does not exist; what a bucket or container lacks shows on first use.
 */
export async function openStore(location: StoreLocation, options: OpenOptions = {}): Promise<Driver> {
  switch (location.driver) {
    case 'filesystem': {
      const root = folderOf(location, options.cwd);
      const { openFilesystem } = await import('./filesystem.ts');
      return openFilesystem({ root, location: root });
    }
    case 's3': {
      const { openS3 } = await import('./s3.ts');
      return openS3(s3Options(location, options));
    }
    case 'azure': {
      const { openAzure } = await import('./azure.ts');
      return openAzure(azureOptions(location, options));
    }
  }
}

/**
 * What the S3 driver needs to know. Credentials, and a region or endpoint that is not given, are left to the SDK's
 * own chain: environment, profile, role.
 */
export function s3Options(location: S3Location, { connections, onRetry }: OpenOptions): S3Options {
  return {
    bucket: location.bucket,
    root: s3Root(location.rootdirectory),
    location: formatLocation(location),
    region: location.region,
    endpoint: location.endpoint,
    pathStyle: location.pathstyle,
    profile: location.profile,
    encrypt: location.encrypt,
    keyId: location.keyid,
    storageClass: location.storageclass,
    secure: location.secure,
    skipVerify: location.skipverify,
    partSizeBytes: location.chunksize,
    connections,
    onRetry,
  };
}

/**
 * What the Azure driver needs to know. Of the environment's credentials those are taken that belong to the account:
 * a connection string, else a key, else a SAS token; the driver signs in with an identity when there is none.
 * @throws LocationError when neither the location nor the environment names an account.
 */
export function azureOptions(
  location: AzureLocation,
  { env = process.env, connections, onRetry }: OpenOptions,
): AzureOptions {
  const { container, realm, serviceurl } = location;
  const credentials = azureCredentials(location, env);
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
    partSizeBytes: location.chunksize,
    connections,
    onRetry,
  };
}

interface AzureCredentials {
  accountName?: string | undefined;
  accountKey?: string | undefined;
  sasToken?: string | undefined;
  connectionString?: string | undefined;
}

/**
 * The environment holds the credentials of one account. Those of another account are not sent to this one:
 * source and target may be two accounts, one of them reached by an identity. Nor is a connection string used
 * where the location itself says where the service is, as a connection string says so, too.
 */
function azureCredentials({ account, realm, serviceurl }: AzureLocation, env: Environment): AzureCredentials {
  const connectionString = variable(env, 'AZURE_STORAGE_CONNECTION_STRING');
  const connectionAccount = /(?:^|;)\s*AccountName=([^;]+)/i.exec(connectionString ?? '')?.[1];
  const saysWhere = serviceurl !== undefined || realm !== undefined;
  if (connectionString !== undefined && !saysWhere && isSame(account, connectionAccount)) {
    return { connectionString, accountName: account ?? connectionAccount };
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

function folderOf(location: FilesystemLocation, cwd = process.cwd()): string {
  const root = resolve(cwd, location.path);
  const stats = statSync(root, { throwIfNoEntry: false });
  if (stats?.isFile() === true) {
    throw fileInsteadOfFolder(root);
  }
  return root;
}

/** A variable that is set to nothing counts as not set, as in the SDKs. */
function variable(env: Environment, name: string): string | undefined {
  return env[name] === '' ? undefined : env[name];
}
