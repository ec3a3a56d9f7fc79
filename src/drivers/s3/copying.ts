import pLimit from 'p-limit';
import type { CompletedPart, CopyObjectCommand } from '@aws-sdk/client-s3';
import type { CallOptions, CopySource } from '../driver.ts';
import { DriverError, type DriverErrorDetails } from '../errors.ts';
import { unconfirmedError } from './granted.ts';
import { encodeKey, encodeQueryValue, toStoredKey } from './keys.ts';
import { unquote } from './listing-page.ts';
import { inMultipartUpload, type Destination } from './multipart.ts';
import { objectParameters } from './object-settings.ts';
import { abortable, callSdk, describeCall, fittingPartBytes, type S3Store } from './store.ts';

const PARTS_AT_ONCE = 8;

/** Copies within the service. See `Driver.copyFrom`. */
export async function copyObject(
  store: S3Store,
  source: CopySource,
  key: string,
  { signal }: CallOptions = {},
): Promise<void> {
  const details = describeCall('copyFrom', key);
  const storedKey = toStoredKey(store.options.root, key, details);
  const condition = {
    CopySource: `${encodeQueryValue(source.identity.container)}/${encodeKey(source.identity.root + source.key)}`,
    CopySourceIfMatch: `"${source.etag}"`,
  };
  if (source.sizeBytes > store.limits.copyMaxBytes) {
    const { sizeBytes } = source;
    await copyInParts(store, source, condition, { storedKey, key, sizeBytes, details, signal });
    return;
  }
  const { sdk, client } = await store.connection.loadSdk();
  // The content type is not repeated: a plain copy keeps the source's metadata.
  const { ContentType: _, ...parameters } = objectParameters(store.options);
  const command = new sdk.CopyObjectCommand({
    Bucket: store.options.bucket,
    Key: storedKey,
    ...condition,
    ...parameters,
  });
  if (!store.connection.service.startsWith('s3:aws')) {
    repeatConditionForRgw(command, condition.CopySourceIfMatch);
  }
  const { CopyObjectResult } = await callSdk(store, details, signal, () =>
    client.send(command, abortable(signal)),
  );
  copiedETag(store, CopyObjectResult?.ETag, details);
}

interface Condition {
  CopySource: string;
  CopySourceIfMatch: string;
}

/** UploadPartCopy, for objects that CopyObject does not take (S3 API reference: more than 5 GB). */
async function copyInParts(
  store: S3Store,
  source: CopySource,
  condition: Condition,
  destination: Destination,
): Promise<void> {
  const { sdk, client } = await store.connection.loadSdk();
  const { storedKey, details, signal } = destination;
  await inMultipartUpload(store, destination, async (UploadId) => {
    const stop = new AbortController();
    const anySignal = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
    const ranges = copyRanges(
      source.sizeBytes,
      fittingPartBytes(source.sizeBytes, store.limits.copyPartBytes),
    );
    const limit = pLimit(PARTS_AT_ONCE);
    const parts = await Promise.allSettled(
      ranges.map((range, index) =>
        limit(async (): Promise<CompletedPart> => {
          const command = new sdk.UploadPartCopyCommand({
            Bucket: store.options.bucket,
            Key: storedKey,
            ...condition,
            UploadId,
            PartNumber: index + 1,
            CopySourceRange: range,
          });
          try {
            const part = await callSdk(store, details, anySignal, () =>
              client.send(command, abortable(anySignal)),
            );
            return { ETag: copiedETag(store, part.CopyPartResult?.ETag, details), PartNumber: index + 1 };
          } catch (error) {
            // The first failure is the one to report; it ends the other parts.
            stop.abort(error);
            throw error;
          }
        }),
      ),
    );
    stop.signal.throwIfAborted();
    await checkUnchanged(store, source, details, signal);
    return parts.flatMap((part) => (part.status === 'fulfilled' ? [part.value] : []));
  });
}

/** Not every store looks at the condition of a part's copy (Ceph RGW 16.2 does not). */
async function checkUnchanged(
  store: S3Store,
  source: CopySource,
  details: DriverErrorDetails,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { sdk, client } = await store.connection.loadSdk();
  const { container, root } = source.identity;
  const head = new sdk.HeadObjectCommand({ Bucket: container, Key: root + source.key });
  const { ETag } = await callSdk(store, details, signal, () => client.send(head, abortable(signal)));
  if (unquote(ETag ?? '') !== source.etag) {
    throw new DriverError(
      'PRECONDITION_FAILED',
      `${source.key} in s3://${container} changed while it was copied; run again.`,
      details,
    );
  }
}

/** Ceph RGW 16.2 takes the condition only from `x-amz-copy-if-match`, without `source` in the name. */
function repeatConditionForRgw(command: CopyObjectCommand, condition: string): void {
  command.middlewareStack.add(
    (next) => (args) => {
      const request = args.request as { headers: Record<string, string> };
      request.headers['x-amz-copy-if-match'] = condition;
      return next(args);
    },
    { step: 'build', name: 'regtoolCopyCondition' },
  );
}

/** Byte ranges that cover an object, both ends inclusive. */
export function copyRanges(sizeBytes: number, partBytes: number): string[] {
  const ranges: string[] = [];
  for (let start = 0; start < sizeBytes; start += partBytes) {
    ranges.push(`bytes=${start}-${Math.min(start + partBytes, sizeBytes) - 1}`);
  }
  return ranges;
}

function copiedETag(store: S3Store, etag: string | undefined, details: DriverErrorDetails): string {
  if (etag === undefined || etag === '') {
    throw unconfirmedError(store.connection.place, 'the ETag of what it copied', details);
  }
  return etag;
}
