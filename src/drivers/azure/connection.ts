import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type * as Sdk from '@azure/storage-blob';
import type {
  ContainerClient,
  HttpAuthorization,
  RequestPolicyFactory,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import { DriverError } from '../errors.ts';
import {
  chooseAccess,
  type AzureAccess,
  type AzureCredentialOptions,
  type AzureIdentity,
} from './credentials.ts';
import { azureError, type AzurePlace } from './errors.ts';

export interface AzureConnection {
  client: ContainerClient;
  place: AzurePlace;
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

export interface AzureConnectionOptions extends AzureCredentialOptions {
  connections: number;
}

const tokenScope = 'https://storage.azure.com/.default';
/** Until the answer's headers are there. A server-side copy of 5000 MiB answers only when it is done. */
const answerTimeoutMs = 120_000;
const copyAnswerTimeoutMs = 1_800_000;
const copySasLifetimeMs = 2 * 3_600_000;

/** Loads the SDK and prepares a client for one container. Sends nothing. */
export async function connect(options: AzureConnectionOptions): Promise<AzureConnection> {
  const { container, location } = options;
  requireContainerName(container, location);
  const access = chooseAccess(options);
  const url = new URL(access.serviceUrl);
  const place = { host: `${url.host}${url.pathname}`.replace(/\/$/u, '').toLowerCase(), container, location };

  const sdk = await import('@azure/storage-blob');
  const { credential, sharedKey, identity } = await prepareCredential(access, sdk, place);
  // Retries are made by the wrapper above all drivers, which counts and reports them.
  const pipeline = sdk.newPipeline(credential, { retryOptions: { maxTries: 1 } });
  const { factory, close } = ownAgents(options.connections);
  pipeline.factories.push(factory);
  const query = access.credential.kind === 'sas' ? `?${access.credential.sasToken}` : '';
  const clientOf = (name: string): ContainerClient =>
    new sdk.ContainerClient(`${access.serviceUrl}/${name}${query}`, pipeline);

  let copySas: { container: string; token: string; renewAtMs: number } | undefined;
  return {
    client: clientOf(container),
    place,
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
      const token = await identity?.getToken(tokenScope);
      return { url: source.url, authorization: { scheme: 'Bearer', value: token?.token ?? '' } };
    },
  };
}

async function prepareCredential(access: AzureAccess, sdk: typeof Sdk, place: AzurePlace) {
  switch (access.credential.kind) {
    case 'key': {
      const { accountName, accountKey } = access.credential;
      const sharedKey = new sdk.StorageSharedKeyCredential(accountName, accountKey);
      return { credential: sharedKey, sharedKey, identity: undefined };
    }
    case 'sas':
      return { credential: new sdk.AnonymousCredential(), sharedKey: undefined, identity: undefined };
    case 'identity': {
      if (access.serviceUrl.startsWith('http:')) {
        throw new DriverError(
          'UNAUTHENTICATED',
          `A token is sent over https only, and ${place.location} is reached over http: give an account key or a SAS, or use https.`,
          { driver: 'azure', operation: 'open' },
        );
      }
      const identity = await openIdentity(access.credential.identity, place);
      return { credential: identity, sharedKey: undefined, identity };
    }
  }
}

async function openIdentity(identity: AzureIdentity, place: AzurePlace) {
  const { ClientSecretCredential, DefaultAzureCredential } = await import('@azure/identity');
  try {
    return identity.type === 'client_secret'
      ? new ClientSecretCredential(identity.tenantId, identity.clientId, identity.secret)
      : new DefaultAzureCredential();
  } catch (error) {
    throw Object.assign(azureError(error, place, { operation: 'open' }), { code: 'UNAUTHENTICATED' });
  }
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

/** Connections of this driver alone, so that they can be bounded and ended. A proxy's agent is left in place. */
function ownAgents(connections: number): { factory: RequestPolicyFactory; close: () => void } {
  const http = new HttpAgent({ keepAlive: true, maxSockets: connections });
  const https = new HttpsAgent({ keepAlive: true, maxSockets: connections });
  const factory: RequestPolicyFactory = {
    create: (next) => ({
      sendRequest(request) {
        request.agent ??= request.url.startsWith('https:') ? https : http;
        request.timeout = request.headers.contains('x-ms-copy-source')
          ? copyAnswerTimeoutMs
          : answerTimeoutMs;
        return next.sendRequest(request);
      },
    }),
  };
  return {
    factory,
    close() {
      http.destroy();
      https.destroy();
    },
  };
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
