import { hash } from 'node:crypto';
import { bodySizeBytes, corruptError, provenBody } from '../body.ts';
import type { Body, StreamBody, WriteOptions } from '../driver.ts';
import { isDriverError, type DriverErrorDetails } from '../errors.ts';
import { toDriverError } from './failures.ts';
import { confirmedETag } from './granted.ts';
import { type S3Request, UNSIGNED_PAYLOAD } from './http.ts';
import { interruptible } from '../interruptible.ts';
import { toStoredKey } from './keys.ts';
import { damagedOnItsWay, describeCall, MIB, type S3Store } from './store.ts';
import { uploadInParts } from './upload.ts';

/** Streams up to this size are read into memory first: one request then has all that it needs to be signed. */
const SMALL_STREAM_BYTES = MIB;

/**
 * Writes an object: in one PUT up to `singlePutMaxBytes`, in parts above. See `Driver.write`.
 *
 * Who proves the digest: a PUT bears it as its signed payload hash and as `x-amz-checksum-sha256`, and AWS S3
 * and Ceph RGW refuse a body that does not match. Some compatible stores accept these headers and check neither,
 * so the body is hashed here as well, and its last chunk is sent only when the digest is right
 * (`trustStoreChecksum` turns that off for streams). Parts are always hashed here: no store proves a SHA-256
 * over a multipart upload.
 */
export function writeObject(
  store: S3Store,
  key: string,
  body: Body,
  options: WriteOptions = {},
): Promise<void> {
  // No function in between for what nearly every write is: each one more is a promise more for each object.
  return body instanceof Uint8Array && body.byteLength <= store.limits.singlePutMaxBytes
    ? putBytes(store, key, body, options)
    : writeLarger(store, key, body, options);
}

async function putBytes(
  store: S3Store,
  key: string,
  content: Uint8Array,
  { expectedDigest, signal }: WriteOptions,
): Promise<void> {
  const details = describeCall('write', key);
  const storedKey = toStoredKey(store.options.root, key, details);
  const sha256 = hash('sha256', content, 'hex');
  if (expectedDigest !== undefined) {
    const { algorithm, hex } = expectedDigest;
    const actual = algorithm === 'sha256' ? sha256 : hash(algorithm, content, 'hex');
    if (actual !== hex) {
      throw corruptError(expectedDigest, actual, details);
    }
  }
  try {
    const sizeBytes = content.byteLength;
    const request = putRequest(store, storedKey, { content, sizeBytes, sha256, signal });
    confirmedETag(store.connection.place, await store.http.send(request, details), details);
  } catch (error) {
    throw isDriverError(error, 'CORRUPT') ? damagedOnItsWay(error, details) : error;
  }
}

async function writeLarger(store: S3Store, key: string, body: Body, options: WriteOptions): Promise<void> {
  const details = describeCall('write', key);
  const storedKey = toStoredKey(store.options.root, key, details);
  const sizeBytes = bodySizeBytes(body);
  if (body instanceof Uint8Array || sizeBytes > store.limits.singlePutMaxBytes) {
    await uploadInParts(store, storedKey, body, options, details);
  } else if (sizeBytes <= SMALL_STREAM_BYTES) {
    await putBytes(store, key, await collect(store, body, options, details), options);
  } else {
    await putStream(store, storedKey, body, options, details);
  }
}

async function putStream(
  store: S3Store,
  storedKey: string,
  body: StreamBody,
  { expectedDigest, signal }: WriteOptions,
  details: DriverErrorDetails,
): Promise<void> {
  const sha256 = expectedDigest?.algorithm === 'sha256' ? expectedDigest.hex : undefined;
  const isLeftToStore = sha256 !== undefined && store.options.trustStoreChecksum === true;
  const source = rememberFailure(
    provenBody(body, { expectedDigest: isLeftToStore ? undefined : expectedDigest, signal, details }),
  );
  const content = { content: source.chunks, sizeBytes: body.sizeBytes, sha256, signal };
  try {
    const answer = await store.http.send(putRequest(store, storedKey, content), details);
    confirmedETag(store.connection.place, answer, details);
  } catch (error) {
    // When the body itself fails, the request that it breaks is only the consequence.
    const failure = source.failure();
    if (failure !== undefined) {
      throw failure.error;
    }
    throw !isLeftToStore && isDriverError(error, 'CORRUPT') ? damagedOnItsWay(error, details) : error;
  }
}

interface PutContent {
  content: Uint8Array | AsyncIterable<Uint8Array>;
  sizeBytes: number;
  /** Known before the first byte is sent, or not at all. */
  sha256: string | undefined;
  signal: AbortSignal | undefined;
}

function putRequest(
  store: S3Store,
  storedKey: string,
  { content, sizeBytes, sha256, signal }: PutContent,
): S3Request {
  const headers =
    sha256 === undefined
      ? store.objectHeaders
      : [...store.objectHeaders, 'x-amz-checksum-sha256', Buffer.from(sha256, 'hex').toString('base64')];
  const payloadSha256 = sha256 ?? UNSIGNED_PAYLOAD;
  return { method: 'PUT', storedKey, headers, body: content, bodyBytes: sizeBytes, payloadSha256, signal };
}

async function collect(
  store: S3Store,
  body: StreamBody,
  { signal }: WriteOptions,
  details: DriverErrorDetails,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const proven = provenBody(body, { signal, details });
  try {
    for await (const chunk of signal === undefined ? proven : interruptible(proven, signal)) {
      chunks.push(chunk);
    }
  } catch (error) {
    throw signal?.aborted === true ? toDriverError(store.connection.place, error, details, signal) : error;
  }
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
}

interface WatchedBody {
  chunks: AsyncIterable<Uint8Array>;
  /** What the body threw, if it did. */
  failure(): { error: unknown } | undefined;
}

function rememberFailure(chunks: AsyncIterable<Uint8Array>): WatchedBody {
  let failure: { error: unknown } | undefined;
  async function* watched(): AsyncGenerator<Uint8Array> {
    try {
      yield* chunks;
    } catch (error) {
      failure = { error };
      throw error;
    }
  }
  return { chunks: watched(), failure: () => failure };
}
