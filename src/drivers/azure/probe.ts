import { createHash } from 'node:crypto';
import type { ContainerClient } from '@azure/storage-blob';
import { throwIfAborted } from '../body.ts';
import { isDriverError } from '../errors.ts';
import type { Answer, ProbeOptions, StoreProbe, WriteProbe } from '../probe.ts';
import { chooseAccess, type AzureCredentialOptions } from './credentials.ts';
import { azureError, statusOf, type AzurePlace } from './errors.ts';
import { withSignal } from './requests.ts';
import type { AzureTarget } from './write.ts';

export interface AzureProbing extends AzureTarget {
  options: AzureCredentialOptions;
  /** The prefix of every key, as it is stored. */
  root: string;
}

const reader = 'Storage Blob Data Reader, or a SAS with read and list';
const writer = 'Storage Blob Data Contributor, or a SAS with create and write';
const content = Buffer.from('regtool tries what this store checks\n');

/** Asks a container for what matters to whoever moves objects into it, each question by itself. */
export async function probeContainer(probing: AzureProbing, options: ProbeOptions): Promise<StoreProbe> {
  const { sdk, place, root } = probing;
  const { signal, scratchPrefix } = options;
  throwIfAborted(signal, { driver: 'azure', operation: 'probe' });
  const { client } = await sdk();
  const sentAtMs = Date.now();
  const properties = await answer(place, reader, signal, () => client.getProperties(withSignal(signal)));
  const middleMs = (sentAtMs + Date.now()) / 2;
  return {
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
  const upload = async (name: string, options: object = {}): Promise<true> => {
    const blob = client.getBlockBlobClient(prefix + name);
    await blob.upload(content, content.byteLength, { ...options, ...withSignal(signal) });
    return true;
  };
  const wrongMd5 = createHash('md5').update('something else').digest();
  const first = await answer(place, writer, signal, () => upload('right'));
  if ('unknown' in first) {
    return { refusesWrongChecksum: first, honoursIfNoneMatch: first, multipart: first };
  }
  return {
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

/** Turns a refusal into an answer that says so. An interruption goes up. */
async function answer<T>(
  place: AzurePlace,
  right: string,
  signal: AbortSignal | undefined,
  ask: () => Promise<T>,
): Promise<Answer<T>> {
  try {
    return { value: await ask() };
  } catch (error) {
    const failure = azureError(error, place, { operation: 'probe', signal });
    if (failure.code === 'ABORTED') {
      throw failure;
    }
    return {
      unknown: failure.message,
      missing: isDriverError(failure, 'PERMISSION_DENIED') ? right : undefined,
    };
  }
}

function mapped<T, U>(given: Answer<T>, map: (value: T) => Answer<U>): Answer<U> {
  return 'value' in given ? map(given.value) : given;
}
