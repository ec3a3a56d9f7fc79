import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type * as Sdk from '@azure/storage-blob';
import type {
  BlobServiceClient,
  ContainerClient,
  HttpAuthorization,
  RequestPolicyFactory,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import type { TokenCredential } from '@azure/identity';
import { DriverError } from '../errors.ts';
import { namesProxy } from '../proxy.ts';
import type { AzureAccess } from './credentials.ts';
import type { AzurePlace } from './errors.ts';
import type { AzureTimeouts } from './http.ts';
import type { TokenSource } from './token.ts';

/** The SDK's clients, for what is rare: batch deletes, copies inside the service, questions. */
export interface AzureSdk {
  client: ContainerClient;
  /** Asks about the account as a whole. */
  service: BlobServiceClient;
  /** A client for any container of the account, with the same credentials and connections. */
  clientOf: (container: string) => ContainerClient;
  /** How the service may read a blob of this account as the source of a copy. */
  copySource: (container: string, name: string) => Promise<AzureCopySource>;
  close: () => void;
}

export interface AzureCopySource {
  url: string;
  authorization?: HttpAuthorization;
}

export interface AzureSdkOptions {
  access: AzureAccess;
  place: AzurePlace;
  /** With which tokens are taken where `access` names an identity. */
  identity: { credential: TokenCredential; tokens: TokenSource } | undefined;
  connections: number;
  timeouts: AzureTimeouts;
}

const copySasLifetimeMs = 2 * 3_600_000;

/** Loads the SDK, which takes 220 ms, and prepares a client for one container. Sends nothing. */
export async function openSdk({
  access,
  place,
  identity,
  connections,
  timeouts,
}: AzureSdkOptions): Promise<AzureSdk> {
  const sdk = await import('@azure/storage-blob');
  const sharedKey =
    access.credential.kind === 'key'
      ? new sdk.StorageSharedKeyCredential(access.credential.accountName, access.credential.accountKey)
      : undefined;
  const credential = sharedKey ?? identity?.credential ?? new sdk.AnonymousCredential();
  // Retries are made by the wrapper above all drivers, which counts and reports them.
  const pipeline = sdk.newPipeline(credential, {
    retryOptions: { maxTries: 1 },
    proxyOptions: noProxyOfItsOwn,
  });
  const { factory, close } = await ownAgents(access.serviceUrl, connections, timeouts);
  pipeline.factories.push(factory);
  const query = access.credential.kind === 'sas' ? `?${access.credential.sasToken}` : '';
  const clientOf = (name: string): ContainerClient =>
    new sdk.ContainerClient(`${access.serviceUrl}/${name}${query}`, pipeline);

  let copySas: { container: string; token: string; renewAtMs: number } | undefined;
  return {
    client: clientOf(place.container),
    service: new sdk.BlobServiceClient(`${access.serviceUrl}/${query}`, pipeline),
    clientOf,
    close,
    async copySource(sourceContainer, name) {
      const source = clientOf(sourceContainer).getBlobClient(name);
      if (access.credential.kind === 'sas') {
        requireSasCovers(access.credential.sasToken, sourceContainer, place);
        return { url: source.url };
      }
      if (sharedKey !== undefined) {
        if (copySas?.container !== sourceContainer || copySas.renewAtMs < Date.now()) {
          const token = containerSas(sdk, sharedKey, sourceContainer);
          copySas = { container: sourceContainer, token, renewAtMs: Date.now() + copySasLifetimeMs / 2 };
        }
        return { url: `${source.url}?${copySas.token}` };
      }
      const value = (await identity?.tokens.current()) ?? '';
      return { url: source.url, authorization: { scheme: 'Bearer', value } };
    },
  };
}

/** May read any blob of one container, for as long as its copies take to start. Never leaves the service. */
function containerSas(sdk: typeof Sdk, sharedKey: StorageSharedKeyCredential, containerName: string): string {
  const permissions = sdk.ContainerSASPermissions.parse('r');
  const expiresOn = new Date(Date.now() + copySasLifetimeMs);
  return sdk.generateBlobSASQueryParameters({ containerName, permissions, expiresOn }, sharedKey).toString();
}

/** A service SAS (`sr`) is for one container or blob; an account SAS (`srt`) for all containers. */
function requireSasCovers(sasToken: string, sourceContainer: string, place: AzurePlace): void {
  const isServiceSas = new URLSearchParams(sasToken).has('sr');
  if (isServiceSas && sourceContainer !== place.container) {
    throw new DriverError(
      'UNSUPPORTED',
      `The SAS for ${place.location} is for its container only, so the service cannot copy from ${sourceContainer} itself.`,
      { driver: 'azure', operation: 'copyFrom' },
    );
  }
}

/** Connections of this driver alone, so that they can be bounded and ended, and so that they go by its own proxy. */
async function ownAgents(
  serviceUrl: string,
  maxSockets: number,
  { connectMs, idleMs, serverSideMs }: AzureTimeouts,
): Promise<{ factory: RequestPolicyFactory; close: () => void }> {
  const agents = namesProxy()
    ? (await import('../proxy/agents.ts')).openSdkAgents(new URL(serviceUrl), { maxSockets, connectMs })
    : {
        http: new HttpAgent({ keepAlive: true, maxSockets }),
        https: new HttpsAgent({ keepAlive: true, maxSockets }),
      };
  const factory: RequestPolicyFactory = {
    create: (next) => ({
      sendRequest(request) {
        request.agent = request.url.startsWith('https:') ? agents.https : agents.http;
        // For the whole of it. A copy inside the service is answered only when it is done.
        request.timeout = request.headers.contains('x-ms-copy-source') ? serverSideMs : idleMs;
        return next.sendRequest(request);
      },
    }),
  };
  return {
    factory,
    close() {
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

/**
 * Keeps Azure's clients from reading a proxy out of the environment, which they cannot where its scheme is left out.
 * Nothing is ever sent there: the agent of each request is replaced.
 */
export const noProxyOfItsOwn = { host: 'http://localhost', port: 9 };
