import type { CompletedPart } from '@aws-sdk/client-s3';
import type { DriverErrorDetails } from '../errors.ts';
import { unconfirmedError } from './granted.ts';
import { objectParameters } from './object-settings.ts';
import { abortPendingUpload } from './pending-uploads.ts';
import { statObject } from './reading.ts';
import { NO_SUCH_UPLOAD, refusalBehind } from './refusals.ts';
import { callSdk, leftoverError, type S3Store } from './store.ts';

/** The object that a multipart upload makes. */
export interface Destination {
  storedKey: string;
  /** The same key relative to the root. */
  key: string;
  sizeBytes: number;
  details: DriverErrorDetails;
  signal: AbortSignal | undefined;
}

/**
 * Begins a multipart upload, has its parts made, and completes it; when anything fails, aborts it. Beginning,
 * completing and aborting are never cut off, for then nobody would know whether they took place.
 * @param makeParts resolves when all parts are at the store, or rejects when none is on its way any more.
 * @throws what failed; where aborting failed, too, it says that the upload stays.
 */
export async function inMultipartUpload(
  store: S3Store,
  destination: Destination,
  makeParts: (uploadId: string) => Promise<CompletedPart[]>,
): Promise<void> {
  const { storedKey, key, details, signal } = destination;
  const { sdk, client } = await store.connection.loadSdk();
  const place = { Bucket: store.options.bucket, Key: storedKey };
  const create = new sdk.CreateMultipartUploadCommand({ ...place, ...objectParameters(store.options) });
  const { UploadId: uploadId = '' } = await callSdk(store, details, signal, () => client.send(create));
  if (uploadId === '') {
    throw unconfirmedError(store.connection.place, 'naming the multipart upload that it began', details);
  }
  try {
    const Parts = await makeParts(uploadId);
    const complete = new sdk.CompleteMultipartUploadCommand({
      ...place,
      UploadId: uploadId,
      MultipartUpload: { Parts },
    });
    try {
      const { Key, ETag } = await callSdk(store, details, signal, () => client.send(complete));
      // Ceph RGW 16.2 names the key only.
      if (!Key && !ETag) {
        throw unconfirmedError(store.connection.place, 'naming the object that it completed', details);
      }
    } catch (error) {
      if (!(await isCompleted(store, destination, Parts.length, error))) {
        throw error;
      }
    }
  } catch (error) {
    await abortPendingUpload(store, { key, uploadId, startedAtMs: 0 }).catch((abortError: unknown) => {
      throw leftoverError(error, abortError, uploadId, details);
    });
    throw error;
  }
}

/**
 * Whether an upload that is no longer there, when it is to be completed, is so because it was: an attempt whose answer
 * was lost is made again by the SDK. The ETag of what has parts ends in their number (S3 API reference, "Object").
 */
async function isCompleted(
  store: S3Store,
  { key, sizeBytes, signal }: Destination,
  parts: number,
  error: unknown,
): Promise<boolean> {
  if (refusalBehind(error)?.code !== NO_SUCH_UPLOAD) {
    return false;
  }
  const found = await statObject(store, key, { signal });
  return found?.sizeBytes === sizeBytes && found.etag?.endsWith(`-${parts}`) === true;
}
