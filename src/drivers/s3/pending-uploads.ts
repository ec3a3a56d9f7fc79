import type { CallOptions, PendingUpload } from '../driver.ts';
import { DriverError, type DriverErrorDetails, isDriverError } from '../errors.ts';
import { AnswerTooLarge } from '../exchange.ts';
import { decodeXmlText, elementText } from '../xml.ts';
import { toStoredKey } from './keys.ts';
import { MAX_EMPTY_PAGES, MAX_PAGE_BYTES } from './listing.ts';
import { NO_SUCH_UPLOAD, refusalBehind } from './refusals.ts';
import { abortable, callSdk, describeCall, type S3Store } from './store.ts';

/**
 * Multipart uploads that are neither completed nor aborted. See `Driver.listUploads`. Asked for without the SDK, as
 * every run that copies blobs asks, and few have another use for it.
 * Keys are not asked for in URL encoding: Ceph RGW 16.2 applies it here without saying so in its answer.
 */
export async function* listPendingUploads(
  store: S3Store,
  prefix: string,
  { signal }: CallOptions = {},
): AsyncGenerator<PendingUpload[]> {
  const details = describeCall('listUploads', prefix);
  const { root } = store.options;
  let after: Readonly<Record<string, string>> = {};
  let emptyPages = 0;
  do {
    const query = { uploads: '', prefix: root + prefix, ...after };
    const page = readPage(store, await fetchPage(store, query, details, signal), details);
    const uploads = page.uploads.map(({ key, ...upload }) => {
      if (!key.startsWith(root + prefix)) {
        throw badListing(store, `listed an upload of ${JSON.stringify(key)} under another prefix`, details);
      }
      return { key: key.slice(root.length), ...upload };
    });
    if (uploads.length > 0) {
      yield uploads;
    }
    if (page.next === undefined) {
      return;
    }
    emptyPages = uploads.length === 0 ? emptyPages + 1 : 0;
    if (JSON.stringify(page.next) === JSON.stringify(after) || emptyPages > MAX_EMPTY_PAGES) {
      throw badListing(store, 'continues the list of multipart uploads where it was before', details);
    }
    after = page.next;
  } while (true);
}

/** Ends one of them and frees its parts, with the SDK, which tries again by itself. See `Driver.abortUpload`. */
export async function abortPendingUpload(
  store: S3Store,
  upload: PendingUpload,
  { signal }: CallOptions = {},
): Promise<void> {
  const details = describeCall('abortUpload', upload.key);
  const { sdk, client } = await store.connection.loadSdk();
  const command = new sdk.AbortMultipartUploadCommand({
    Bucket: store.options.bucket,
    Key: toStoredKey(store.options.root, upload.key, details),
    UploadId: upload.uploadId,
  });
  try {
    await callSdk(store, details, signal, () => client.send(command, abortable(signal)));
  } catch (error) {
    if (!isDriverError(error, 'NOT_FOUND') && refusalBehind(error)?.code !== NO_SUCH_UPLOAD) {
      throw error;
    }
  }
}

async function fetchPage(
  store: S3Store,
  query: Readonly<Record<string, string>>,
  details: DriverErrorDetails,
  signal: AbortSignal | undefined,
): Promise<string> {
  try {
    const { body } = await store.http.send({ method: 'GET', query, signal }, details, MAX_PAGE_BYTES);
    return body.toString('utf8');
  } catch (error) {
    throw error instanceof AnswerTooLarge
      ? badListing(store, `sent a list of multipart uploads of ${error.sizeBytes} bytes or more`, details)
      : error;
  }
}

interface Page {
  /** With keys as the bucket has them. */
  uploads: PendingUpload[];
  /** What continues the list; undefined on the last page. */
  next: Record<string, string> | undefined;
}

/** Reads ListMultipartUploads' answer. What is missing, cut short or not understood ends the list. */
function readPage(store: S3Store, xml: string, details: DriverErrorDetails): Page {
  const text = (name: string, within = xml): string => {
    const decoded = decodeXmlText(elementText(within, name) ?? '');
    if (decoded === undefined) {
      throw badListing(store, `sent a list of multipart uploads whose ${name} is no valid text`, details);
    }
    return decoded;
  };
  if (!/<ListMultipartUploadsResult[\s>]/.test(xml) || !/<\/ListMultipartUploadsResult>\s*$/.test(xml)) {
    throw badListing(store, 'sent a list of multipart uploads that is none, or ends midway', details);
  }
  const uploads = xml
    .split('<Upload>')
    .slice(1)
    .map((element) => {
      const [upload = ''] = element.split('</Upload>', 1);
      const [key, uploadId] = [text('Key', upload), text('UploadId', upload)];
      if (key === '' || uploadId === '') {
        throw badListing(store, 'listed a multipart upload without its key or its name', details);
      }
      const startedAtMs = Date.parse(text('Initiated', upload));
      return { key, uploadId, startedAtMs: Number.isNaN(startedAtMs) ? 0 : startedAtMs };
    });
  const isTruncated = text('IsTruncated').trim().toLowerCase();
  if (isTruncated === 'false') {
    return { uploads, next: undefined };
  }
  const [key, uploadId] = [text('NextKeyMarker'), text('NextUploadIdMarker')];
  if (isTruncated !== 'true' || key === '') {
    throw badListing(store, 'does not say whether or how its list of multipart uploads goes on', details);
  }
  return {
    uploads,
    next: { 'key-marker': key, ...(uploadId === '' ? {} : { 'upload-id-marker': uploadId }) },
  };
}

function badListing(store: S3Store, problem: string, details: DriverErrorDetails): DriverError {
  const { endpoint, bucket } = store.connection.place;
  return new DriverError('BAD_LISTING', `${endpoint}, asked for s3://${bucket}, ${problem}.`, details);
}
