import { accountOfConnectionString } from '../../drivers/azure-connection-string.ts';
import {
  type AzureLocation,
  LocationError,
  type S3Location,
  type StoreLocation,
} from '../../drivers/location.ts';
import type { Environment } from '../../drivers/open.ts';

/**
 * Fills in from the environment what a registry's configuration has to say in so many words: region and endpoint of
 * a bucket, the account of a container. What is printed must not depend on the shell in which it is used later.
 */
export function completeLocation(location: StoreLocation, env: Environment): StoreLocation {
  switch (location.driver) {
    case 'filesystem':
      return location;
    case 's3':
      return completeS3(location, env);
    case 'azure':
      return completeAzure(location, env);
  }
}

/**
 * Refuses a target that no registry could be configured for.
 * @throws LocationError LOCATION_INVALID
 */
export function assertConfigurable(target: StoreLocation): void {
  if (target.driver === 's3' && target.region === undefined) {
    throw new LocationError(
      'LOCATION_INVALID',
      `s3://${target.bucket} does not say its region, which a registry's configuration needs: add ?region=, or set AWS_REGION.`,
    );
  }
  if (target.driver === 'azure' && target.account === undefined) {
    throw new LocationError(
      'LOCATION_INVALID',
      `azure://${target.container} does not say its storage account, which a registry's configuration needs: add ?account=, or set AZURE_STORAGE_ACCOUNT.`,
    );
  }
}

function completeS3(location: S3Location, env: Environment): S3Location {
  const endpoint = location.endpoint ?? endpointIn(env);
  const region =
    location.region ??
    variable(env, 'AWS_REGION') ??
    variable(env, 'AWS_DEFAULT_REGION') ??
    // What the S3 driver takes, too: stores outside AWS seldom have regions, and a registry wants one all the same.
    (endpoint === undefined ? undefined : 'us-east-1');
  return {
    ...location,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
  };
}

/** The document is shown to many, so an address that holds a password is not taken over. */
function endpointIn(env: Environment): string | undefined {
  const name = ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'].find((each) => variable(env, each) !== undefined);
  const value = name === undefined ? undefined : variable(env, name);
  if (value?.includes('@') === true) {
    throw new LocationError(
      'LOCATION_INVALID',
      `${name} holds a user name or a password, which would stand in the document: name the store with ?endpoint=.`,
    );
  }
  return value;
}

function completeAzure(location: AzureLocation, env: Environment): AzureLocation {
  const connectionString = variable(env, 'AZURE_STORAGE_CONNECTION_STRING');
  const account =
    location.account ??
    (location.serviceurl === undefined ? undefined : accountIn(location.serviceurl)) ??
    variable(env, 'AZURE_STORAGE_ACCOUNT') ??
    (connectionString === undefined ? undefined : accountOfConnectionString(connectionString));
  return account === undefined ? location : { ...location, account };
}

/** `https://ACCOUNT.blob.…`, or `http://127.0.0.1:10000/ACCOUNT`. */
function accountIn(serviceurl: string): string | undefined {
  const { hostname, pathname } = new URL(serviceurl);
  const inPath = pathname.split('/').find((part) => part !== '');
  return inPath ?? /^([a-z0-9]+)\.blob\./.exec(hostname)?.[1];
}

function variable(env: Environment, name: string): string | undefined {
  return env[name] === '' ? undefined : env[name];
}
