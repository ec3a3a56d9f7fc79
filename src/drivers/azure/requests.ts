import type { ContainerClient } from '@azure/storage-blob';
import { DriverError } from '../errors.ts';

/**
 * The requests that are made once for each small object, as plain values: the hot path.
 * Whatever implements this throws what `azureError` can read; names are blob names, exact and allowed.
 * `sdkRequests` sends them through the SDK; a leaner HTTP client can take its place without another change.
 */
export interface AzureRequests {
  /** Put Blob. The service refuses bytes that do not have `md5`, and keeps it. */
  put(name: string, bytes: Uint8Array, md5: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** Get Blob from `offset` on, only if it still has `etag` when that is given. */
  get(name: string, offset: number, etag?: string, signal?: AbortSignal): Promise<AzureDownload>;
  /** Get Blob Properties. */
  head(name: string, signal?: AbortSignal): Promise<AzureBlob>;
  /** List Blobs, one page. */
  listPage(query: AzureListQuery, signal?: AbortSignal): Promise<AzureListPage>;
}

export interface AzureDownload {
  /** From the offset to the end. */
  sizeBytes: number;
  etag: string | undefined;
  body: AsyncIterable<Uint8Array> & { destroy(): void };
}

export interface AzureBlob {
  name: string;
  sizeBytes: number;
  modifiedAtMs: number | undefined;
  /** Without quotes. */
  etag: string | undefined;
  /** Hex. What the service computed, or what an uploader claimed. */
  contentMd5: string | undefined;
  /** `BlockBlob`, `AppendBlob` or `PageBlob`. */
  blobType: string | undefined;
  isFolderStub: boolean;
}

export interface AzureListQuery {
  prefix: string;
  /** Lists one level only. */
  delimiter?: '/' | undefined;
  /** Where the page before ended. */
  marker?: string | undefined;
  /** At most 5000. */
  pageSize: number;
}

export interface AzureListPage {
  blobs: AzureBlob[];
  folders: string[];
  nextMarker: string | undefined;
}

export function sdkRequests(client: ContainerClient): AzureRequests {
  return {
    async put(name, bytes, md5, signal) {
      await client.getBlockBlobClient(name).upload(asBuffer(bytes), bytes.byteLength, {
        blobHTTPHeaders: { blobContentMD5: md5 },
        ...withSignal(signal),
      });
    },

    async get(name, offset, etag, signal) {
      const answer = await client.getBlobClient(name).download(offset, undefined, {
        // A body that breaks off is resumed by the reader, where it can be bounded and counted.
        maxRetryRequests: 0,
        ...(etag === undefined ? {} : { conditions: { ifMatch: `"${etag}"` } }),
        ...withSignal(signal),
      });
      const body = answer.readableStreamBody;
      if (body === undefined || answer.contentLength === undefined) {
        throw new Error('The answer to Get Blob has no body or no length.');
      }
      return {
        sizeBytes: answer.contentLength,
        etag: unquoted(answer.etag),
        body: body as unknown as AzureDownload['body'],
      };
    },

    async head(name, signal) {
      const answer = await client.getBlobClient(name).getProperties(withSignal(signal));
      return describeBlob(name, answer, answer.metadata);
    },

    async listPage({ prefix, delimiter, marker, pageSize }, signal) {
      const settings = {
        maxPageSize: pageSize,
        ...(marker === undefined ? {} : { continuationToken: marker }),
      };
      const options = { prefix, includeMetadata: true, ...withSignal(signal) };
      const pages =
        delimiter === undefined
          ? client.listBlobsFlat(options).byPage(settings)
          : client.listBlobsByHierarchy(delimiter, options).byPage(settings);
      try {
        const { value } = await pages.next();
        return pageOf(value, client.containerName);
      } catch (error) {
        // The SDK stumbles over an answer that is XML and no listing.
        throw error instanceof TypeError ? noListing(client.containerName, error) : error;
      }
    },
  };
}

interface SdkListPage {
  segment: { blobItems: SdkBlob[]; blobPrefixes?: { name: string }[] };
  continuationToken?: string;
}

interface SdkBlob {
  name: string;
  properties: Properties;
  metadata?: Record<string, string>;
}

/** Every page names where the next one begins, if only as '': one that does not is not whole. */
function pageOf(page: SdkListPage | undefined, container: string): AzureListPage {
  if (page?.continuationToken === undefined) {
    throw noListing(container);
  }
  const { blobItems, blobPrefixes = [] } = page.segment;
  return {
    blobs: blobItems.map(({ name, properties, metadata }) => describeBlob(name, properties, metadata)),
    folders: blobPrefixes.map(({ name }) => name),
    nextMarker: page.continuationToken === '' ? undefined : page.continuationToken,
  };
}

function noListing(container: string, cause?: unknown): DriverError {
  return new DriverError(
    'BAD_LISTING',
    `What answered in place of the listing of the container ${container} is no listing: check the service URL, and whether a proxy stands between.`,
    { driver: 'azure', operation: 'list', cause },
  );
}

interface Properties {
  contentLength?: number | undefined;
  lastModified?: Date | undefined;
  etag?: string | undefined;
  contentMD5?: Uint8Array | undefined;
  blobType?: string | undefined;
}

function describeBlob(name: string, properties: Properties, metadata?: Record<string, string>): AzureBlob {
  const { contentLength = 0, contentMD5 } = properties;
  return {
    name,
    sizeBytes: contentLength,
    modifiedAtMs: properties.lastModified?.getTime(),
    etag: unquoted(properties.etag),
    contentMd5:
      contentMD5 === undefined || contentMD5.byteLength !== 16
        ? undefined
        : Buffer.from(contentMD5).toString('hex'),
    blobType: properties.blobType,
    isFolderStub: contentLength === 0 && metadata?.['hdi_isfolder'] === 'true',
  };
}

function unquoted(etag: string | undefined): string | undefined {
  return etag?.replace(/^(W\/)?"(.*)"$/u, '$2');
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function withSignal(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}
