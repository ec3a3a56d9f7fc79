import { createHash } from 'node:crypto';
import { DriverError, isDriverError } from '../errors.ts';
import type { Answer, WriteProbe } from '../probe.ts';
import { answer } from './answer.ts';
import { toStoredKey } from './keys.ts';
import { deleteDialectOf } from './probe-dialect.ts';
import { abortable, callSdk, describeCall, type S3Store } from './store.ts';

const content = Buffer.from('regtool tries what this store checks\n');
const contentSha256 = createHash('sha256').update(content).digest();
const wrongSha256 = createHash('sha256').update('something else').digest();

/**
 * Sends what the driver itself never would: bodies with wrong hashes, a write that must not overwrite, uploads that
 * are given up. All below `prefix`, which the caller clears.
 */
export async function probeWrites(
  store: S3Store,
  prefix: string,
  signal: AbortSignal | undefined,
): Promise<WriteProbe> {
  const put = (key: string, payload: Buffer, headers: Record<string, string> = {}): Promise<void> =>
    putRaw(store, prefix + key, payload, headers, signal);
  const checksum = (sha256: Buffer): Record<string, string> => ({
    'x-amz-checksum-sha256': sha256.toString('base64'),
  });
  const first = await answer('s3:PutObject', () => put('right', contentSha256, checksum(contentSha256)));
  if ('unknown' in first) {
    const { unknown, missing } = first;
    const all = { unknown, missing };
    return {
      refusesWrongPayloadHash: all,
      refusesWrongChecksum: all,
      keepsSha256: all,
      honoursIfNoneMatch: all,
      multipart: all,
      abort: all,
      deletes: all,
      listUploads: await answer('s3:ListBucketMultipartUploads', () => listUploads(store, prefix, signal)),
    };
  }
  return {
    refusesWrongPayloadHash: await refuses(() => put('wrong-payload-hash', wrongSha256)),
    refusesWrongChecksum: await refuses(() => put('wrong-checksum', contentSha256, checksum(wrongSha256))),
    keepsSha256: await answer('s3:GetObject', () => keepsSha256(store, `${prefix}right`, signal)),
    honoursIfNoneMatch: await honours(() => put('right', contentSha256, { 'if-none-match': '*' })),
    multipart: await answer('s3:PutObject', () => uploadInParts(store, `${prefix}parts`, signal)),
    listUploads: await answer('s3:ListBucketMultipartUploads', () => listUploads(store, prefix, signal)),
    abort: await answer('s3:AbortMultipartUpload', () => beginAndAbort(store, `${prefix}given-up`, signal)),
    deletes: await answer('s3:DeleteObject', () => deleteDialectOf(store, prefix, signal)),
  };
}

async function putRaw(
  store: S3Store,
  key: string,
  payloadSha256: Buffer,
  headers: Record<string, string>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const details = describeCall('probe', key);
  await store.http.send(
    {
      method: 'PUT',
      storedKey: toStoredKey(store.options.root, key, details),
      headers: [...store.objectHeaders, ...Object.entries(headers).flat()],
      body: content,
      bodyBytes: content.byteLength,
      payloadSha256: payloadSha256.toString('hex'),
      signal,
    },
    details,
  );
}

/** Whether a request was refused because of what it says. */
async function refuses(request: () => Promise<void>): Promise<Answer<boolean>> {
  try {
    await request();
    return { value: false };
  } catch (error) {
    // Some stores take a wrong payload hash for a wrong signature, and some only call the request bad.
    if (isDriverError(error, 'CORRUPT', 'UNAUTHENTICATED', 'UNEXPECTED')) {
      return { value: true };
    }
    return failed(error);
  }
}

async function honours(request: () => Promise<void>): Promise<Answer<boolean>> {
  try {
    await request();
    return { value: false };
  } catch (error) {
    if (isDriverError(error, 'PRECONDITION_FAILED')) {
      return { value: true };
    }
    return isDriverError(error, 'UNSUPPORTED') ? { value: false } : failed(error);
  }
}

function failed(error: unknown): Answer<never> {
  if (!isDriverError(error) || error.code === 'ABORTED') {
    throw error;
  }
  return { unknown: error.message };
}

/** HEAD with the checksum mode on tells the hash that came with the object, where the store kept it. */
async function keepsSha256(store: S3Store, key: string, signal: AbortSignal | undefined): Promise<boolean> {
  const details = describeCall('probe', key);
  const { headers } = await store.http.send(
    {
      method: 'HEAD',
      storedKey: toStoredKey(store.options.root, key, details),
      headers: ['x-amz-checksum-mode', 'ENABLED'],
      signal,
    },
    details,
  );
  return headers['x-amz-checksum-sha256'] === contentSha256.toString('base64');
}

async function uploadInParts(store: S3Store, key: string, signal: AbortSignal | undefined): Promise<true> {
  const { sdk, client } = await store.connection.loadSdk();
  const upload = await begin(store, key, signal);
  const send = abortable(signal);
  await callSdk(store, describeCall('probe', key), signal, async () => {
    const part = { ...upload, PartNumber: 1, Body: content };
    const { ETag } = await client.send(new sdk.UploadPartCommand(part), send);
    const MultipartUpload = { Parts: [{ PartNumber: 1, ...(ETag === undefined ? {} : { ETag }) }] };
    await client.send(new sdk.CompleteMultipartUploadCommand({ ...upload, MultipartUpload }), send);
  });
  return true;
}

async function beginAndAbort(store: S3Store, key: string, signal: AbortSignal | undefined): Promise<true> {
  const { sdk, client } = await store.connection.loadSdk();
  const upload = await begin(store, key, signal);
  await callSdk(store, describeCall('probe', key), signal, () =>
    client.send(new sdk.AbortMultipartUploadCommand(upload), abortable(signal)),
  );
  return true;
}

async function begin(store: S3Store, key: string, signal: AbortSignal | undefined) {
  const { sdk, client } = await store.connection.loadSdk();
  const details = describeCall('probe', key);
  const place = { Bucket: store.options.bucket, Key: toStoredKey(store.options.root, key, details) };
  const { UploadId } = await callSdk(store, details, signal, () =>
    client.send(new sdk.CreateMultipartUploadCommand(place), abortable(signal)),
  );
  if (UploadId === undefined || UploadId === '') {
    throw new DriverError('UNSUPPORTED', 'The store begins multipart uploads without naming them.', details);
  }
  return { ...place, UploadId };
}

async function listUploads(store: S3Store, prefix: string, signal: AbortSignal | undefined): Promise<true> {
  const { sdk, client } = await store.connection.loadSdk();
  const { bucket, root } = store.options;
  const command = new sdk.ListMultipartUploadsCommand({ Bucket: bucket, Prefix: root + prefix });
  await callSdk(store, describeCall('probe'), signal, () => client.send(command, abortable(signal)));
  return true;
}
