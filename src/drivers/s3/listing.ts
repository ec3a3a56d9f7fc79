import { isUtf8 } from 'node:buffer';
import type { FolderListing, FolderOptions, ListOptions, ObjectStat } from '../driver.ts';
import { DriverError, type DriverErrorDetails } from '../errors.ts';
import { AnswerTooLarge } from '../exchange.ts';
import { compareKeys } from '../keys.ts';
import { ListingPageError, scanListingPage, type ListedObject, type ListingPage } from './listing-page.ts';
import { isErrorDocument, parseRefusal, refusalError } from './refusals.ts';
import { describeCall, type S3Store } from './store.ts';

/** Ten times what a thousand keys of the greatest length take, each byte of them encoded: what is larger is no page. */
export const MAX_PAGE_BYTES = 64 * 1024 * 1024;

/** Pages without a single key that a store may send in a row before it is taken to go in circles. */
export const MAX_EMPTY_PAGES = 1000;

/** Every object below a prefix, a page at a time. See `Driver.list`. */
export async function* listObjects(
  store: S3Store,
  prefix: string,
  options: ListOptions = {},
): AsyncGenerator<ObjectStat[]> {
  const order = ascending(store, describeCall('list', prefix));
  for await (const page of pages(store, prefix, undefined, 'list', options)) {
    const objects = objectsOf(store, page, order);
    // While the next page is waited for, this one would still be held.
    page.objects.length = 0;
    if (objects.length > 0) {
      yield objects;
    }
  }
}

function objectsOf(store: S3Store, page: ListingPage, order: (key: string) => void): ObjectStat[] {
  return page.objects.map((listed) => {
    const object = toObjectStat(store, listed);
    order(object.key);
    return object;
  });
}

/** One level below a folder. See `Driver.listFolder`. An object named like the folder itself is an object in it. */
export async function listOneFolder(
  store: S3Store,
  folder: string,
  options: FolderOptions = {},
): Promise<FolderListing> {
  const details = describeCall('listFolder', folder);
  const { position = {} } = options;
  position.found ??= { folders: [], objects: [] };
  const { found: result } = position;
  const orderOfObjects = ascending(store, details, result.objects.at(-1)?.key);
  const orderOfFolders = ascending(store, details, result.folders.at(-1));
  for await (const page of pages(store, folder, '/', 'listFolder', { ...options, position })) {
    for (const object of page.objects) {
      const found = toObjectStat(store, object);
      orderOfObjects(found.key);
      result.objects.push(found);
    }
    for (const stored of page.folders) {
      const found = stored.slice(store.options.root.length);
      orderOfFolders(found);
      result.folders.push(found);
    }
  }
  return result;
}

async function* pages(
  store: S3Store,
  prefix: string,
  delimiter: string | undefined,
  operation: string,
  { signal, position = {} }: FolderOptions,
): AsyncGenerator<ListingPage> {
  const details = describeCall(operation, prefix);
  const storedPrefix = store.options.root + prefix;
  if (/\p{Surrogate}/u.test(storedPrefix)) {
    throw new DriverError(
      'INVALID_KEY',
      'The prefix holds half a surrogate pair, which has no UTF-8 form.',
      details,
    );
  }
  let token = position.mark;
  do {
    const query: Record<string, string> = {
      'list-type': '2',
      'encoding-type': 'url',
      'max-keys': '1000',
      prefix: storedPrefix,
      ...(delimiter === undefined ? {} : { delimiter }),
      ...(token === undefined ? {} : { 'continuation-token': token }),
    };
    const page = readPage(store, await fetchPage(store, query, details, signal), details);
    const isStray = (key: string) => !key.startsWith(storedPrefix);
    const stray = page.objects.find(({ key }) => isStray(key))?.key ?? page.folders.find(isStray);
    if (stray !== undefined) {
      throw badListing(store, `listed ${JSON.stringify(stray)} under another prefix`, details);
    }
    const isEmpty = page.objects.length + page.folders.length === 0;
    const emptyPages = isEmpty ? (position.emptyPages ?? 0) + 1 : 0;
    if (page.nextToken !== undefined && (page.nextToken === token || emptyPages > MAX_EMPTY_PAGES)) {
      throw badListing(store, 'continues a listing where it was before', details);
    }
    token = page.nextToken;
    Object.assign(position, { mark: token, emptyPages });
    yield page;
  } while (token !== undefined);
}

async function fetchPage(
  store: S3Store,
  query: Readonly<Record<string, string>>,
  details: DriverErrorDetails,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  try {
    const { body } = await store.http.send({ method: 'GET', query, signal }, details, MAX_PAGE_BYTES);
    return body;
  } catch (error) {
    throw error instanceof AnswerTooLarge
      ? badListing(store, `sent a page of a listing of ${error.sizeBytes} bytes or more`, details)
      : error;
  }
}

/** @throws DriverError for a page that cannot be trusted, or is an error. */
export function readPage(store: S3Store, body: Uint8Array, details: DriverErrorDetails): ListingPage {
  if (!isUtf8(body)) {
    throw badListing(store, 'sent a page of a listing that is not UTF-8', details);
  }
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  try {
    return scanListingPage(bytes);
  } catch (error) {
    if (!(error instanceof ListingPageError)) {
      throw error;
    }
    const xml = bytes.toString('utf8', 0, 4096);
    if (isErrorDocument(xml)) {
      throw refusalError(store.connection.place, parseRefusal(200, {}, xml), details);
    }
    throw badListing(store, error.message, details, error);
  }
}

/**
 * The ETag is the MD5 of an object that was put whole and is encrypted by no key of a KMS. A listing does not
 * tell the latter, so the driver's own settings must do. Should a bucket encrypt on its own, the worst is that
 * a claimed MD5 does not match content that is equal; it can never match content that differs.
 */
function toObjectStat(store: S3Store, object: ListedObject): ObjectStat {
  const { root, encrypt, keyId } = store.options;
  const { key, sizeBytes, etag, modifiedAtMs } = object;
  const isMd5Known = etag !== undefined && encrypt !== true && keyId === undefined && isMd5(etag);
  return {
    key: root === '' ? key : key.slice(root.length),
    sizeBytes,
    modifiedAtMs,
    etag,
    md5: isMd5Known ? etag : undefined,
  };
}

const MD5_DIGITS = 32;
const ZERO = 0x30;
const NINE = 0x39;
const LETTER_A = 0x61;
const LETTER_F = 0x66;

/** Whether an ETag has the form of an MD5; that of a multipart upload ends in `-` and the number of parts. */
export function isMd5(etag: string): boolean {
  // Of every object that is listed: the same by a regular expression took several times as long.
  for (let index = 0; index < etag.length; index += 1) {
    const code = etag.charCodeAt(index);
    if (!((code >= ZERO && code <= NINE) || (code >= LETTER_A && code <= LETTER_F))) {
      return false;
    }
  }
  return etag.length === MD5_DIGITS;
}

/** Checks that each key comes after the one before. */
function ascending(store: S3Store, details: DriverErrorDetails, first?: string): (key: string) => void {
  let last = first;
  return (key) => {
    if (last !== undefined && compareKeys(last, key) >= 0) {
      throw badListing(store, `listed ${JSON.stringify(key)} after ${JSON.stringify(last)}`, details);
    }
    last = key;
  };
}

function badListing(
  store: S3Store,
  problem: string,
  details: DriverErrorDetails,
  cause?: ListingPageError,
): DriverError {
  const { bucket, endpoint } = store.connection.place;
  return new DriverError(
    cause?.code ?? 'BAD_LISTING',
    `${endpoint} ${problem}; the listing of s3://${bucket} cannot be trusted, so nothing is concluded from it.`,
    { ...details, ...(cause === undefined ? {} : { cause }) },
  );
}
