import { DriverError } from '../errors.ts';
import { proxyFor, type Proxy } from '../proxy.ts';
import { chooseAccess, type AzureAccess, type AzureCredentialOptions } from './credentials.ts';
import type { AzurePlace } from './errors.ts';
import { openAzureHttp, type AzureAuthorization, type AzureHttp, type AzureTimeouts } from './http.ts';
import { openIdentity } from './identity.ts';
import { openSdk, type AzureSdk, type AzureSdkOptions } from './sdk.ts';
import { openSharedKeySigner } from './shared-key.ts';
import { openTokenSource } from './token.ts';

export interface AzureConnection {
  place: AzurePlace;
  /** Through which requests go; undefined where they go directly. */
  proxy: Proxy | undefined;
  /** For what is asked once for each small object. */
  http: AzureHttp;
  /** For everything else. Loads the SDK when it is first called: a run that needs nothing of it goes without. */
  sdk: () => Promise<AzureSdk>;
  close: () => void;
}

export interface AzureConnectionOptions extends AzureCredentialOptions {
  /** At most, of the hot path and of the SDK each. */
  connections: number;
  /** What is left out is as `AzureOptions` says. */
  timeouts?: { [name in keyof AzureTimeouts]?: number | undefined } | undefined;
}

/** Prepares to reach one container. Sends nothing. */
export async function connect(options: AzureConnectionOptions): Promise<AzureConnection> {
  const { container, location, connections } = options;
  const { connectMs = 10_000, idleMs = 120_000, serverSideMs = 1_800_000 } = options.timeouts ?? {};
  const timeouts = { connectMs, idleMs, serverSideMs };
  requireContainerName(container, location);
  const access = chooseAccess(options);
  const { serviceUrl } = access;
  const url = new URL(serviceUrl);
  const place = { host: `${url.host}${url.pathname}`.replace(/\/$/u, '').toLowerCase(), container, location };
  const proxy = proxyFor(url);
  const { authorization, identity } = await prepareCredential(access, place, timeouts);
  const http = openAzureHttp({
    serviceUrl,
    container,
    authorization,
    proxy,
    connections,
    timeouts,
  });
  let opening: Promise<AzureSdk> | undefined;
  return {
    place,
    proxy,
    http,
    sdk: () => (opening ??= openSdk({ access, place, identity, connections, timeouts })),
    close() {
      http.close();
      // What could not be opened was said to whoever asked for it.
      opening?.then(
        (sdk) => sdk.close(),
        () => {},
      );
    },
  };
}

interface Prepared {
  authorization: AzureAuthorization;
  identity: AzureSdkOptions['identity'];
}

async function prepareCredential(
  { serviceUrl, credential }: AzureAccess,
  place: AzurePlace,
  timeouts: AzureTimeouts,
): Promise<Prepared> {
  switch (credential.kind) {
    case 'key': {
      const sign = openSharedKeySigner(credential.accountName, credential.accountKey);
      return { authorization: { kind: 'key', sign }, identity: undefined };
    }
    case 'sas':
      return { authorization: credential, identity: undefined };
    case 'identity': {
      if (serviceUrl.startsWith('http:')) {
        throw new DriverError(
          'UNAUTHENTICATED',
          `A token is sent over https only, and ${place.location} is reached over http: give an account key or a SAS, or use https.`,
          { driver: 'azure', operation: 'open' },
        );
      }
      const identity = await openIdentity(credential.identity, place, timeouts);
      const tokens = openTokenSource(identity);
      return { authorization: { kind: 'token', tokens }, identity: { credential: identity, tokens } };
    }
  }
}

/** Container names: Azure, "Naming and referencing containers, blobs, and metadata". */
function requireContainerName(container: string, location: string): void {
  if (!/^(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$|^\$(root|web|logs)$/u.test(container)) {
    throw new DriverError(
      'STORE_NOT_FOUND',
      `${JSON.stringify(container)} is no container name (3 to 63 lowercase letters, digits and single hyphens): correct ${location}.`,
      { driver: 'azure', operation: 'open' },
    );
  }
}
