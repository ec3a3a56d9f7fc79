import type { FolderListing, FolderOptions, ListOptions, ObjectStat } from '../driver.ts';
import { throwIfAborted } from '../body.ts';
import { DriverError } from '../errors.ts';
import { AnswerTooLarge } from '../exchange.ts';
import { compareKeys } from '../keys.ts';
import { azureError, type AzurePlace } from './errors.ts';
import type { AzureBlob } from './blob.ts';
import type { AzureListPage } from './listing-page.ts';
import type { AzureListQuery, AzureRequests } from './requests.ts';

export interface AzureListing {
  requests: AzureRequests;
  place: AzurePlace;
  root: string;
  pageSize: number;
}

/** Pages without a single name that a store may send in a row before it is taken to go in circles. */
const maxEmptyPages = 1000;

/** Largest content of one Put Blob; anything above was put together of blocks. */
const largestSinglePutBytes = 5000 * 1024 * 1024;

/**
 * Every blob under a prefix, page by page, ascending.
 * Azurite sorts by UTF-16 code units, Azure by bytes: a page is sorted here, and pages that overlap are an error.
 * So is the order of an account with a hierarchical namespace where it differs (it lists folder by folder).
 */
export async function* listBlobs(
  listing: AzureListing,
  prefix: string,
  options: ListOptions,
): AsyncGenerator<ObjectStat[]> {
  let last: string | undefined;
  for await (const page of pages(listing, { prefix: listing.root + prefix }, 'list', prefix, options)) {
    const objects = page.blobs.map((blob) => objectOf(blob, listing.root, prefix, listing.place));
    objects.sort((left, right) => compareKeys(left.key, right.key));
    for (const { key } of objects) {
      if (last !== undefined && compareKeys(last, key) >= 0) {
        throw badListing(
          `The listing of ${listing.place.location} is out of order: ${JSON.stringify(key)} came after ${JSON.stringify(last)}. An account with a hierarchical namespace cannot be used.`,
          prefix,
        );
      }
      last = key;
    }
    if (objects.length > 0) {
      yield objects;
    }
  }
}

/** One level: the blobs directly in a folder, and the folders in it. */
export async function listLevel(
  listing: AzureListing,
  folder: string,
  options: FolderOptions,
): Promise<FolderListing> {
  const { position = {} } = options;
  position.found ??= { folders: [], objects: [] };
  const { folders, objects } = position.found;
  const query = { prefix: listing.root + folder, delimiter: '/' } as const;
  for await (const page of pages(listing, query, 'listFolder', folder, { ...options, position })) {
    objects.push(...page.blobs.map((blob) => objectOf(blob, listing.root, folder, listing.place)));
    folders.push(...page.folders.map((name) => keyOf(name, listing.root, folder, listing.place)));
  }
  return {
    folders: [...new Set(folders)].sort(compareKeys),
    objects: objects.sort((left, right) => compareKeys(left.key, right.key)),
  };
}

/** What a driver tells of a blob. */
export function statOf(blob: AzureBlob, key: string): ObjectStat {
  const { sizeBytes, modifiedAtMs, etag } = blob;
  const stat: ObjectStat = { key, sizeBytes, modifiedAtMs, etag, md5: trustedMd5(blob) };
  if (blob.isFolderStub) {
    stat.isFolderStub = true;
  }
  return stat;
}

/**
 * Azure computes the Content-MD5 of a Put Blob itself. That of a blob put together of blocks, of an append blob,
 * or set afterwards is only what somebody said, and nothing tells the two apart in a listing.
 * What is known: this driver says nothing for blobs of blocks; the registry says nothing at all; no uploader
 * sends a few bytes as blocks. So the MD5 of a link of 71 bytes is the service's own unless somebody set a
 * wrong one on purpose, who could as well have written a wrong link.
 * Append blobs and sizes that no Put Blob reaches are left out.
 */
function trustedMd5({ blobType, sizeBytes, contentMd5 }: AzureBlob): string | undefined {
  return blobType === 'BlockBlob' && sizeBytes <= largestSinglePutBytes ? contentMd5 : undefined;
}

async function* pages(
  { requests, place, pageSize }: AzureListing,
  query: Pick<AzureListQuery, 'prefix' | 'delimiter'>,
  operation: string,
  key: string,
  { signal, position = {} }: FolderOptions,
): AsyncGenerator<AzureListPage> {
  throwIfAborted(signal, { driver: 'azure', operation, key });
  if (/\p{Cs}/u.test(query.prefix)) {
    throw new DriverError('INVALID_KEY', 'The prefix holds half a surrogate pair, which has no UTF-8 form.', {
      driver: 'azure',
      operation,
      key,
    });
  }
  let marker = position.mark;
  do {
    let page: AzureListPage;
    try {
      page = await requests.listPage({ ...query, marker, pageSize }, signal);
    } catch (error) {
      throw error instanceof AnswerTooLarge
        ? badListing(`${place.location} sent a page of a listing of ${error.sizeBytes} bytes or more.`, key)
        : azureError(error, place, { operation, key, signal });
    }
    if (page.nextMarker !== undefined && page.nextMarker === marker) {
      throw badListing(`The listing of ${place.location} gave the same page twice.`, key);
    }
    const isEmpty = page.blobs.length + page.folders.length === 0;
    const emptyPages = isEmpty ? (position.emptyPages ?? 0) + 1 : 0;
    if (page.nextMarker !== undefined && emptyPages > maxEmptyPages) {
      throw badListing(`The listing of ${place.location} goes on and on without a single name.`, key);
    }
    marker = page.nextMarker;
    Object.assign(position, { mark: marker, emptyPages });
    yield page;
  } while (marker !== undefined);
}

function objectOf(blob: AzureBlob, root: string, prefix: string, place: AzurePlace): ObjectStat {
  return statOf(blob, keyOf(blob.name, root, prefix, place));
}

function keyOf(name: string, root: string, prefix: string, { location }: AzurePlace): string {
  if (!name.startsWith(root + prefix)) {
    throw badListing(
      `The listing of ${location} gave ${JSON.stringify(name)}, which is not under ${JSON.stringify(root + prefix)}.`,
      prefix,
    );
  }
  return name.slice(root.length);
}

function badListing(message: string, key: string): DriverError {
  return new DriverError('BAD_LISTING', message, { driver: 'azure', operation: 'list', key });
}
