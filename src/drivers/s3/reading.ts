import type { CallOptions, ObjectStat } from '../driver.ts';
import { DriverError, isDriverError, type DriverErrorDetails } from '../errors.ts';
import { toDriverError } from './failures.ts';
import { AnswerTooLarge, type WholeAnswer } from '../exchange.ts';
import { unconfirmedError } from './granted.ts';
import { toStoredKey } from './keys.ts';
import { isMd5, MAX_PAGE_BYTES, readPage } from './listing.ts';
import { unquote } from './listing-page.ts';
import { refusalBehind } from './refusals.ts';
import { describeCall, type S3Store } from './store.ts';

/** What HEAD tells of an object. See `Driver.stat`. */
export async function statObject(
  store: S3Store,
  key: string,
  { signal }: CallOptions = {},
): Promise<ObjectStat | undefined> {
  const details = describeCall('stat', key);
  const storedKey = toStoredKey(store.options.root, key, details);
  let answer: WholeAnswer;
  try {
    const headers = ['x-amz-checksum-mode', 'ENABLED'];
    answer = await store.http.send({ method: 'HEAD', storedKey, headers, signal }, details);
  } catch (error) {
    if (refusalBehind(error)?.status === 404 && !isDriverError(error, 'NOT_FOUND')) {
      return absentUnlessListed(store, error, storedKey, { details, signal });
    }
    await explainHead(store, error, storedKey, details, signal);
    if (isDriverError(error, 'NOT_FOUND')) {
      return undefined;
    }
    throw error;
  }
  const sizeBytes = contentLength(answer);
  if (sizeBytes === undefined) {
    throw unconfirmedError(store.connection.place, "the object's length", details);
  }
  return { key, sizeBytes, ...describeHeaders(answer) };
}

/** The bytes of an object. See `Driver.read`. */
export async function* readObject(
  store: S3Store,
  key: string,
  { signal }: CallOptions = {},
): AsyncGenerator<Uint8Array> {
  const details = describeCall('read', key);
  const storedKey = toStoredKey(store.options.root, key, details);
  const answer = await store.http.open({ method: 'GET', storedKey, signal }, details);
  if (!showsItsEnd(answer)) {
    // What is thrown away may break as it likes.
    answer.body.on('error', () => {}).destroy();
    throw unconfirmedError(store.connection.place, "the body's length", details);
  }
  const announcedBytes = contentLength(answer);
  let seenBytes = 0;
  try {
    for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
      seenBytes += chunk.byteLength;
      yield chunk;
    }
  } catch (error) {
    throw toDriverError(store.connection.place, error, details, signal);
  }
  if (announcedBytes !== undefined && seenBytes !== announcedBytes) {
    throw new DriverError(
      'CHANGED',
      `${key} in s3://${store.options.bucket} gave ${seenBytes} bytes where ${announcedBytes} were announced; run again.`,
      details,
    );
  }
}

/** The whole of a small object. See `Driver.readSmall`. */
export async function readSmallObject(
  store: S3Store,
  key: string,
  maxBytes: number,
  { signal }: CallOptions = {},
): Promise<Uint8Array> {
  const details = describeCall('readSmall', key);
  const storedKey = toStoredKey(store.options.root, key, details);
  let answer: WholeAnswer;
  try {
    answer = await store.http.send({ method: 'GET', storedKey, signal }, details, maxBytes);
  } catch (error) {
    throw error instanceof AnswerTooLarge ? tooLarge(store, key, error.sizeBytes, maxBytes, details) : error;
  }
  if (!showsItsEnd(answer)) {
    throw unconfirmedError(store.connection.place, "the body's length", details);
  }
  return answer.body;
}

/**
 * HEAD is refused without a word of explanation: a 404 may mean the bucket, a 400 expired credentials, a 301
 * another region. A listing of at most one key is refused for the same reason, and says which.
 * Returns when that listing is granted.
 */
async function explainHead(
  store: S3Store,
  error: unknown,
  prefix: string,
  details: DriverErrorDetails,
  signal: AbortSignal | undefined,
): Promise<void> {
  const status = refusalBehind(error)?.status;
  const isUnclear = status === 400 || status === 401 || status === 403 || status === 301;
  if (!isUnclear && !(status === 404 && !store.http.hasSucceeded())) {
    return;
  }
  const query = { 'list-type': '2', 'max-keys': '1', prefix };
  try {
    await store.http.send({ method: 'GET', query, signal }, details);
  } catch (refused) {
    // Who may read objects but not list them has seen the bucket all the same.
    if (status !== 404 || !isDriverError(refused, 'PERMISSION_DENIED')) {
      throw refused;
    }
  }
}

/**
 * A 404 to a HEAD that does not show whose word it is. A listing that begins with the key tells: only its page, which
 * nothing else can be taken for, proves that the key is absent.
 * @throws DriverError the refused listing's, or `refused` where the key is there.
 */
async function absentUnlessListed(
  store: S3Store,
  refused: unknown,
  storedKey: string,
  { details, signal }: { details: DriverErrorDetails; signal: AbortSignal | undefined },
): Promise<undefined> {
  const asListing = { ...details, operation: 'list' };
  const query = { 'list-type': '2', 'encoding-type': 'url', 'max-keys': '1', prefix: storedKey };
  const { body } = await store.http.send({ method: 'GET', query, signal }, asListing, MAX_PAGE_BYTES);
  if (readPage(store, body, asListing).objects.some(({ key }) => key === storedKey)) {
    throw refused;
  }
  return undefined;
}

function describeHeaders({ headers }: WholeAnswer): Omit<ObjectStat, 'key' | 'sizeBytes'> {
  const header = (name: string): string | undefined => {
    const value = headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
  const etag = header('etag');
  const stat: Omit<ObjectStat, 'key' | 'sizeBytes'> = {};
  const modifiedAtMs = Date.parse(header('last-modified') ?? '');
  if (!Number.isNaN(modifiedAtMs)) {
    stat.modifiedAtMs = modifiedAtMs;
  }
  if (etag !== undefined) {
    stat.etag = unquote(etag);
    // S3 API reference, "Object": with a key of a KMS or of the customer, the ETag is no MD5.
    const isKeyed =
      (header('x-amz-server-side-encryption') ?? '').startsWith('aws:kms') ||
      header('x-amz-server-side-encryption-customer-algorithm') !== undefined;
    if (!isKeyed && isMd5(stat.etag)) {
      stat.md5 = stat.etag;
    }
  }
  const sha256 = fullObjectSha256(header('x-amz-checksum-sha256'), header('x-amz-checksum-type'));
  if (sha256 !== undefined) {
    stat.sha256 = sha256;
  }
  return stat;
}

/** The checksum in hex, unless it is one over the checksums of parts (type COMPOSITE, or with `-` and their number). */
function fullObjectSha256(base64: string | undefined, type: string | undefined): string | undefined {
  if (
    base64 === undefined ||
    !/^[A-Za-z\d+/]{43}=$/.test(base64) ||
    (type ?? 'FULL_OBJECT') !== 'FULL_OBJECT'
  ) {
    return undefined;
  }
  return Buffer.from(base64, 'base64').toString('hex');
}

/** Whether the end of a body can be told from a connection that is cut (RFC 9112, section 6.3). */
function showsItsEnd(answer: Pick<WholeAnswer, 'headers'>): boolean {
  return contentLength(answer) !== undefined || answer.headers['transfer-encoding'] !== undefined;
}

function contentLength({ headers }: Pick<WholeAnswer, 'headers'>): number | undefined {
  const value = headers['content-length'];
  return typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : undefined;
}

function tooLarge(
  store: S3Store,
  key: string,
  sizeBytes: number,
  maxBytes: number,
  details: DriverErrorDetails,
): DriverError {
  return new DriverError(
    'CHANGED',
    `${key} in s3://${store.options.bucket} has ${sizeBytes} bytes, more than the ${maxBytes} that it should have at most.`,
    details,
  );
}
