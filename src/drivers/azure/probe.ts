import { createHash } from 'node:crypto';
import type { BlobServiceClient, ContainerClient } from '@azure/storage-blob';
import { throwIfAborted } from '../body.ts';
import { isDriverError } from '../errors.ts';
import { type Proxy, withoutCredentials } from '../proxy.ts';
import type { Answer, DeleteDialect, ProbeOptions, StoreProbe, WriteProbe } from '../probe.ts';
import { chooseAccess, type AzureCredentialOptions } from './credentials.ts';
import { batchSize } from './delete.ts';
import { azureError, statusOf, type AzurePlace } from './errors.ts';
import { withSignal } from './requests.ts';
import type { AzureTarget } from './write.ts';

export interface AzureProbing extends AzureTarget {
  options: AzureCredentialOptions;
  /** The prefix of every key, as it is stored. */
  root: string;
  proxy: Proxy | undefined;
}

const reader = 'Storage Blob Data Reader, or a SAS with read and list';
const writer = 'Storage Blob Data Contributor, or a SAS with create and write';
/** Get Blob Service Properties; a SAS for a container never covers it. */
const accountReader = 'Storage Account Contributor, or an account SAS for the service';
const remover = 'Storage Blob Data Contributor, or a SAS with delete';
const content = Buffer.from('regtool tries what this store checks\n');

/** Asks a container for what matters to whoever moves objects into it, each question by itself. */
export async function probeContainer(probing: AzureProbing, options: ProbeOptions): Promise<StoreProbe> {
  const { sdk, place, root } = probing;
  const { signal, scratchPrefix } = options;
  throwIfAborted(signal, { driver: 'azure', operation: 'probe' });
  const { client, service } = await sdk();
  const sentAtMs = Date.now();
  const properties = await answer(place, reader, signal, () => client.getProperties(withSignal(signal)));
  const middleMs = (sentAtMs + Date.now()) / 2;
  return {
    proxy: withoutCredentials(probing.proxy),
    credentials: { value: credentialSource(probing.options) },
    clockAheadMs: mapped(properties, ({ date }) =>
      // The header counts whole seconds, so on average it is half a second behind.
      date === undefined
        ? { unknown: 'The service sends no date with its answers.' }
        : { value: date.getTime() + 500 - middleMs },
    ),
    // Azure encrypts everything at rest ("Azure Storage encryption for data at rest"); a scope says with which key.
    encryption: mapped(properties, ({ defaultEncryptionScope }) => ({
      value: defaultEncryptionScope ?? '$account-encryption-key',
    })),
    objectLock: mapped(properties, ({ hasImmutabilityPolicy, hasLegalHold }) => ({
      value: hasImmutabilityPolicy === true || hasLegalHold === true,
    })),
    lists: mapped(properties, ({ version }) => ({
      value: {
        speaks: `List Blobs${version === undefined ? '' : ` of version ${version}`}`,
        continues: undefined,
        encodesKeys: undefined,
        groups: undefined,
        ascends: undefined,
      },
    })),
    keepsDeletedDays: await softDeleteDays(service, place, signal),
    archived: await answer(place, reader, signal, () =>
      archivedBelow(client, root + options.samplePrefix, signal),
    ),
    ...(scratchPrefix === undefined
      ? {}
      : { writes: await probeWrites({ client, place }, root + scratchPrefix, signal) }),
  };
}

function credentialSource(options: AzureCredentialOptions): string {
  const { credential } = chooseAccess(options);
  switch (credential.kind) {
    case 'key':
      return options.connectionString === undefined ? 'an account key' : 'a connection string';
    case 'sas':
      return 'a SAS';
    case 'identity':
      return credential.identity.type === 'client_secret'
        ? 'a client secret'
        : 'an identity (environment, workload, managed, or Azure CLI)';
  }
}

/** Of blobs. Whether deleted containers are kept, only the account's management says. */
async function softDeleteDays(
  service: BlobServiceClient,
  place: AzurePlace,
  signal: AbortSignal | undefined,
): Promise<Answer<number>> {
  const found = await answer(place, accountReader, signal, () => service.getProperties(withSignal(signal)), {
    401: 'these credentials do not reach the settings of the account.',
    403: 'these credentials do not reach the settings of the account.',
  });
  return mapped(found, ({ deleteRetentionPolicy }) => ({
    value: deleteRetentionPolicy?.enabled === true ? (deleteRetentionPolicy.days ?? 1) : 0,
  }));
}

async function archivedBelow(client: ContainerClient, prefix: string, signal: AbortSignal | undefined) {
  const pages = client.listBlobsFlat({ prefix, ...withSignal(signal) }).byPage({ maxPageSize: 1000 });
  for await (const { segment } of pages) {
    const tiers = segment.blobItems.map(({ properties }) => properties.accessTier);
    return { looked: tiers.length, archived: tiers.filter((tier) => tier === 'Archive').length };
  }
  return { looked: 0, archived: 0 };
}

/** Bodies with a wrong hash, a write that must not overwrite, a blob in blocks. All below `prefix`, as it is stored. */
async function probeWrites(
  { client, place }: { client: ContainerClient; place: AzurePlace },
  prefix: string,
  signal: AbortSignal | undefined,
): Promise<WriteProbe> {
  const upload = (name: string, options: object = {}) =>
    client
      .getBlockBlobClient(prefix + name)
      .upload(content, content.byteLength, { ...options, ...withSignal(signal) });
  const wrongMd5 = createHash('md5').update('something else').digest();
  const first = await answer(place, writer, signal, () => upload('right'));
  if ('unknown' in first) {
    return {
      refusesWrongChecksum: first,
      honoursIfNoneMatch: first,
      multipart: first,
      deletes: first,
      keepsVersions: first,
    };
  }
  return {
    // Put Blob, REST reference: x-ms-version-id is answered where versioning is enabled.
    keepsVersions: { value: first.value.versionId !== undefined },
    deletes: await answer(place, remover, signal, async () => {
      await Promise.all([upload('deleted-1'), upload('deleted-2')]);
      return deleteDialectOf(client, place, [`${prefix}deleted-1`, `${prefix}deleted-2`], signal);
    }),
    refusesWrongChecksum: await refuses(place, signal, [400], () =>
      upload('wrong-checksum', { blobHTTPHeaders: { blobContentMD5: wrongMd5 } }),
    ),
    honoursIfNoneMatch: await refuses(place, signal, [409, 412], () =>
      upload('right', { conditions: { ifNoneMatch: '*' } }),
    ),
    multipart: await answer(place, writer, signal, async (): Promise<true> => {
      const blob = client.getBlockBlobClient(`${prefix}parts`);
      const id = Buffer.from('block-1').toString('base64');
      await blob.stageBlock(id, content, content.byteLength, withSignal(signal));
      await blob.commitBlockList([id], withSignal(signal));
      return true;
    }),
  };
}

/** Whether a batch is taken as `blobDeleter` sends it, and what became of it. */
async function deleteDialectOf(
  client: ContainerClient,
  place: AzurePlace,
  names: readonly string[],
  signal: AbortSignal | undefined,
): Promise<DeleteDialect> {
  const blobs = names.map((name) => client.getBlobClient(name));
  const nothing = { proofs: [], keepsQuiet: undefined };
  try {
    const { subResponses } = await client
      .getBlobBatchClient()
      .deleteBlobs(blobs, { deleteSnapshots: 'include', ...withSignal(signal) });
    const left = await Promise.all(blobs.map((blob) => blob.exists(withSignal(signal))));
    const tellsEach = subResponses.length === blobs.length && subResponses.every(({ status }) => status > 0);
    return { ...nothing, batchKeys: batchSize, tellsEach, removes: left.every((there) => !there) };
  } catch (error) {
    const status = statusOf(azureError(error, place, { operation: 'probe', signal })) ?? 0;
    if (status < 400 || [408, 429, 503].includes(status)) {
      throw error;
    }
    return { ...nothing, batchKeys: 1, tellsEach: undefined, removes: undefined };
  }
}

async function refuses(
  place: AzurePlace,
  signal: AbortSignal | undefined,
  statuses: readonly number[],
  request: () => Promise<unknown>,
): Promise<Answer<boolean>> {
  try {
    await request();
    return { value: false };
  } catch (error) {
    const failure = azureError(error, place, { operation: 'probe', signal });
    if (failure.code === 'ABORTED') {
      throw failure;
    }
    return statuses.includes(statusOf(failure) ?? 0) ? { value: true } : { unknown: failure.message };
  }
}

/** Turns a refusal into an answer that says so, in words of its own for some statuses. An interruption goes up. */
async function answer<T>(
  place: AzurePlace,
  right: string,
  signal: AbortSignal | undefined,
  ask: () => Promise<T>,
  refusals: Readonly<Record<number, string>> = {},
): Promise<Answer<T>> {
  try {
    return { value: await ask() };
  } catch (error) {
    const failure = azureError(error, place, { operation: 'probe', signal });
    if (failure.code === 'ABORTED') {
      throw failure;
    }
    const refusal = refusals[statusOf(failure) ?? 0];
    return {
      unknown: refusal ?? failure.message,
      missing: refusal !== undefined || isDriverError(failure, 'PERMISSION_DENIED') ? right : undefined,
    };
  }
}

function mapped<T, U>(given: Answer<T>, map: (value: T) => Answer<U>): Answer<U> {
  return 'value' in given ? map(given.value) : given;
}
