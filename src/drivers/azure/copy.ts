import type { BlockBlobClient, HttpAuthorization } from '@azure/storage-blob';
import { throwIfAborted } from '../body.ts';
import type { CopySource } from '../driver.ts';
import { DriverError } from '../errors.ts';
import type { AzureCopySource } from './sdk.ts';
import { azureError, statusOf, type AzureCall, type AzurePlace } from './errors.ts';
import { refusalInSpiteOfStatus } from './http.ts';
import { blockIds, commitBlocks } from './blocks.ts';
import type { AzureConnection } from './connection.ts';
import { openRequests, withSignal } from './requests.ts';
import { replacingOtherTypes } from './write.ts';

const mebibyte = 1024 * 1024;
/** Limits of one request: REST reference, "Put Blob From URL" and "Copy Blob From URL". */
const maxPutFromUrlBytes = 5000 * mebibyte;
const maxCopyFromUrlBytes = 256 * mebibyte;
/** Small enough that a request which fails costs little; the limit is 4000 MiB. */
const copyBlockBytes = 256 * mebibyte;

/**
 * A function that copies a blob inside the account without its bytes coming here. It appears whole or not at all:
 * - by Put Blob From URL, which takes sources of any blob type;
 * - above 5000 MiB by blocks (Put Block From URL), committed together after the source proved unchanged;
 * - where Put Blob From URL is unknown (Azurite), by Copy Blob From URL, up to 256 MiB.
 * The asynchronous Copy Blob is not used: while it is pending or after it failed, readers see the target incomplete. A
 * service that makes one of a request for the synchronous one is told to end it, and the bytes have to go through here.
 */
export function blobCopier(
  { sdk, place, http }: Pick<AzureConnection, 'sdk' | 'place' | 'http'>,
  maxPutBytes = maxPutFromUrlBytes,
) {
  const requests = openRequests(http, place.container);
  let hasPutFromUrl = true;

  return async (source: CopySource, name: string, call: AzureCall): Promise<void> => {
    throwIfAborted(call.signal, { driver: 'azure', operation: 'copyFrom', key: call.key ?? '' });
    const copy = async (): Promise<void> => {
      const { client, copySource } = await sdk();
      const target = client.getBlockBlobClient(name);
      const from = await copySource(source.identity.container, source.identity.root + source.key);
      if (source.sizeBytes > maxPutBytes) {
        await copyByBlocks(source, from, name, call);
        return;
      }
      if (hasPutFromUrl) {
        try {
          await putFromUrl(source, from, target, call.signal);
          return;
        } catch (error) {
          const failure = azureError(error, place, call);
          if (statusOf(failure) !== 501) {
            throw failure;
          }
          hasPutFromUrl = false;
        }
      }
      await copyFromUrl(source, from, target, place, call);
    };
    await replacingOtherTypes({ sdk, place }, name, call, copy, async () => {});
  };

  async function copyByBlocks(
    source: CopySource,
    from: AzureCopySource,
    name: string,
    call: AzureCall,
  ): Promise<void> {
    const { client } = await sdk();
    const target = client.getBlockBlobClient(name);
    const idOf = blockIds();
    const ids: string[] = [];
    for (let offset = 0; offset < source.sizeBytes; offset += copyBlockBytes) {
      const id = idOf(ids.length);
      ids.push(id);
      const count = Math.min(copyBlockBytes, source.sizeBytes - offset);
      // One after another: the service moves the bytes, and many such copies run side by side.
      requireNoError(
        await target.stageBlockFromURL(id, from.url, offset, count, {
          ...authorization(from.authorization),
          ...withSignal(call.signal),
        }),
      );
    }
    // The SDK offers no source condition for Put Block From URL, so the source is asked for once all was copied:
    // its ETag is still the one of the listing, so it never changed meanwhile.
    await requireUnchanged(source, call);
    await commitBlocks(requests, name, ids, call);
  }

  async function requireUnchanged({ identity, key, etag }: CopySource, call: AzureCall): Promise<void> {
    const { clientOf } = await sdk();
    const blob = clientOf(identity.container).getBlobClient(identity.root + key);
    await blob.getProperties({ conditions: { ifMatch: `"${etag}"` }, ...withSignal(call.signal) });
  }
}

async function putFromUrl(
  source: CopySource,
  from: AzureCopySource,
  target: BlockBlobClient,
  signal: AbortSignal | undefined,
): Promise<void> {
  requireNoError(
    await target.syncUploadFromURL(from.url, {
      sourceConditions: { ifMatch: `"${source.etag}"` },
      ...authorization(from.authorization),
      ...withSignal(signal),
    }),
  );
}

async function copyFromUrl(
  source: CopySource,
  from: AzureCopySource,
  target: BlockBlobClient,
  place: AzurePlace,
  call: AzureCall,
): Promise<void> {
  if (source.sizeBytes > maxCopyFromUrlBytes) {
    throw new DriverError(
      'UNSUPPORTED',
      `This service copies at most ${maxCopyFromUrlBytes / mebibyte} MiB by itself, and ${source.key} is larger.`,
      { driver: 'azure', operation: 'copyFrom', key: source.key },
    );
  }
  const copied = await target.syncCopyFromURL(from.url, {
    sourceConditions: { ifMatch: `"${source.etag}"` },
    ...authorization(from.authorization),
    ...withSignal(call.signal),
  });
  requireNoError(copied);
  const { copyId } = copied;
  // `copyStatus` is no use: the SDK knows success only, and says so whatever the header holds.
  const state = copied._response.headers.get('x-ms-copy-status');
  if (state === 'success') {
    return;
  }
  const details = { driver: 'azure', operation: 'copyFrom', key: source.key };
  if (state !== 'pending' || copyId === undefined) {
    throw new DriverError(
      'UNAVAILABLE',
      `${place.host} accepted the copy of ${source.key}, and then said of it: ${state ?? 'nothing'}.`,
      details,
    );
  }
  await endCopy(target, copyId, place, call);
  throw new DriverError(
    'UNSUPPORTED',
    `${place.host} copies ${source.key} in the background only, where readers would see it incomplete.`,
    details,
  );
}

/** Ends a copy in the background. One that has ended by now, in whatever way, is as good: the blob is written anew. */
async function endCopy(
  target: BlockBlobClient,
  copyId: string,
  place: AzurePlace,
  call: AzureCall,
): Promise<void> {
  try {
    await target.abortCopyFromURL(copyId, withSignal(call.signal));
  } catch (error) {
    const failure = azureError(error, place, call);
    if (statusOf(failure) !== 409) {
      throw failure;
    }
  }
}

/**
 * What is done has no body (REST reference, "Put Blob From URL", "Put Block From URL", "Copy Blob From URL"). An error
 * document behind a status of success is that error.
 * @throws AzureRefusal
 */
function requireNoError({ _response }: { _response: object }): void {
  // It is there for every answer that is not streamed, and only missing in the SDK's types.
  const text: unknown = 'bodyAsText' in _response ? _response.bodyAsText : undefined;
  if (typeof text === 'string' && text.includes('<Error')) {
    throw refusalInSpiteOfStatus(text);
  }
}

function authorization(value: HttpAuthorization | undefined): { sourceAuthorization?: HttpAuthorization } {
  return value === undefined ? {} : { sourceAuthorization: value };
}
