import type { CallOptions, PendingUpload } from '../driver.ts';
import { DriverError, isDriverError } from '../errors.ts';
import { toStoredKey } from './keys.ts';
import { abortable, callSdk, describeCall, type S3Store } from './store.ts';

/**
 * Multipart uploads that are neither completed nor aborted. See `Driver.listUploads`.
 * Keys are not asked for in URL encoding: Ceph RGW 16.2 applies it here without saying so in its answer.
 */
export async function* listPendingUploads(
  store: S3Store,
  prefix: string,
  { signal }: CallOptions = {},
): AsyncGenerator<PendingUpload[]> {
  const details = describeCall('listUploads', prefix);
  const { sdk, client } = store.connection;
  const { bucket, root } = store.options;
  let after: { KeyMarker: string; UploadIdMarker?: string } | undefined;
  let previous: string | undefined;
  do {
    const command = new sdk.ListMultipartUploadsCommand({
      Bucket: bucket,
      Prefix: root + prefix,
      ...after,
    });
    const page = await callSdk(store, details, signal, () => client.send(command, abortable(signal)));
    const uploads = (page.Uploads ?? []).map(({ Key = '', UploadId = '', Initiated }) => {
      if (!Key.startsWith(root + prefix)) {
        throw new DriverError(
          'BAD_LISTING',
          `${store.connection.place.endpoint} listed an upload of ${JSON.stringify(Key)} under another prefix.`,
          details,
        );
      }
      return { key: Key.slice(root.length), uploadId: UploadId, startedAtMs: Initiated?.getTime() ?? 0 };
    });
    if (uploads.length > 0) {
      yield uploads;
    }
    if (page.IsTruncated !== true) {
      return;
    }
    after = { KeyMarker: page.NextKeyMarker ?? '' };
    if (page.NextUploadIdMarker !== undefined) {
      after.UploadIdMarker = page.NextUploadIdMarker;
    }
    const position = JSON.stringify(after);
    if (position === previous || after.KeyMarker === '') {
      throw new DriverError(
        'BAD_LISTING',
        `${store.connection.place.endpoint} continues the list of multipart uploads of s3://${bucket} where it was before.`,
        details,
      );
    }
    previous = position;
  } while (true);
}

/** Ends one of them and frees its parts. See `Driver.abortUpload`. */
export async function abortPendingUpload(
  store: S3Store,
  upload: PendingUpload,
  { signal }: CallOptions = {},
): Promise<void> {
  const details = describeCall('abortUpload', upload.key);
  const { sdk, client } = store.connection;
  const command = new sdk.AbortMultipartUploadCommand({
    Bucket: store.options.bucket,
    Key: toStoredKey(store.options.root, upload.key, details),
    UploadId: upload.uploadId,
  });
  try {
    await callSdk(store, details, signal, () => client.send(command, abortable(signal)));
  } catch (error) {
    if (!isDriverError(error, 'NOT_FOUND')) {
      throw error;
    }
  }
}
