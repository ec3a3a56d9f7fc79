import type { CompletedPart } from '@aws-sdk/client-s3';
import type { DriverErrorDetails } from '../errors.ts';
import { unconfirmedError } from './granted.ts';
import { objectParameters } from './object-settings.ts';
import { abortPendingUpload } from './pending-uploads.ts';
import { callSdk, leftoverError, type S3Store } from './store.ts';

/** The object that a multipart upload makes. */
export interface Destination {
  storedKey: string;
  /** The same key relative to the root. */
  key: string;
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
  { storedKey, key, details, signal }: Destination,
  makeParts: (uploadId: string) => Promise<CompletedPart[]>,
): Promise<void> {
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
    const { ETag = '' } = await callSdk(store, details, signal, () => client.send(complete));
    if (ETag === '') {
      throw unconfirmedError(store.connection.place, 'the ETag of what it completed', details);
    }
  } catch (error) {
    await abortPendingUpload(store, { key, uploadId, startedAtMs: 0 }).catch((abortError: unknown) => {
      throw leftoverError(error, abortError, uploadId, details);
    });
    throw error;
  }
}
