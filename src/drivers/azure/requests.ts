import { isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import { DriverError } from '../errors.ts';
import { describeBlob, unquoted, type AzureBlob } from './blob.ts';
import { headerOf, type AzureAnswer, type AzureHttp } from './http.ts';
import { ListingPageError, scanListingPage, type AzureListPage } from './listing-page.ts';

/**
 * The requests that are made once for each small object or block, as plain values: the hot path.
 * What they throw `azureError` can read. Names are blob names, exact and allowed.
 */
export interface AzureRequests {
  /** Put Blob. The service refuses bytes that do not have `md5`, which is in base64, and keeps it. */
  put(name: string, bytes: Uint8Array, md5: string, signal?: AbortSignal): Promise<void>;
  /**
   * Put Block. The service refuses bytes that do not have `md5`, which is in base64.
   * @param id base64, as long as all others of this blob.
   */
  putBlock(name: string, id: string, bytes: Uint8Array, md5: string, signal?: AbortSignal): Promise<void>;
  /** Put Block List: these blocks, in this order, become the blob. */
  putBlockList(name: string, ids: readonly string[], signal?: AbortSignal): Promise<void>;
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
  /** The bytes, once. */
  chunks: AsyncIterable<Uint8Array>;
  /** All of the bytes at once, in place of `chunks`. */
  bytes(): Promise<Uint8Array>;
  /** Ends it without the bytes. */
  discard(): void;
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

export function openRequests(http: AzureHttp, container: string): AzureRequests {
  return {
    async put(name, bytes, md5, signal) {
      const headers = {
        'x-ms-blob-type': 'BlockBlob',
        'content-type': 'application/octet-stream',
        // By the first the service checks what arrived, the second it keeps (REST reference, "Put Blob").
        'content-md5': md5,
        'x-ms-blob-content-md5': md5,
      };
      const answer = await http.send({ method: 'PUT', name, headers, body: bytes, expects: [201], signal });
      await answer.body.dump();
    },

    async putBlock(name, id, bytes, md5, signal) {
      const query = [
        ['comp', 'block'],
        ['blockid', id],
      ] as const;
      const headers = { 'content-type': 'application/octet-stream', 'content-md5': md5 };
      const answer = await http.send({
        method: 'PUT',
        name,
        query,
        headers,
        body: bytes,
        expects: [201],
        signal,
      });
      await answer.body.dump();
    },

    async putBlockList(name, ids, signal) {
      const query = [['comp', 'blocklist']] as const;
      const blocks = ids.map((id) => `<Latest>${id}</Latest>`).join('');
      const body = Buffer.from(`<?xml version="1.0" encoding="utf-8"?><BlockList>${blocks}</BlockList>`);
      // Here Content-MD5 is that of the list. One of the blob, in a header of its own, Azure would keep unverified.
      const headers = {
        'content-type': 'application/xml; charset=utf-8',
        'content-md5': hash('md5', body, 'base64'),
      };
      const answer = await http.send({ method: 'PUT', name, query, headers, body, expects: [201], signal });
      await answer.body.dump();
    },

    async get(name, offset, etag, signal) {
      const headers = {
        ...(offset === 0 ? {} : { 'x-ms-range': `bytes=${offset}-` }),
        ...(etag === undefined ? {} : { 'if-match': `"${etag}"` }),
      };
      const answer = await http.send({ method: 'GET', name, headers, expects: [200, 206], signal });
      const { body } = answer;
      const discard = (): void => {
        // What is thrown away may break as it likes.
        body.on('error', () => {}).destroy();
      };
      const sizeBytes = contentLengthOf(answer);
      if (sizeBytes === undefined) {
        discard();
        throw new Error('The answer to Get Blob does not say how long it is.');
      }
      return {
        sizeBytes,
        etag: unquoted(headerOf(answer, 'etag')),
        chunks: body as AsyncIterable<Uint8Array>,
        bytes: () => body.bytes(),
        discard,
      };
    },

    async head(name, signal) {
      const answer = await http.send({ method: 'HEAD', name, expects: [200], signal });
      await answer.body.dump();
      const sizeBytes = contentLengthOf(answer);
      if (sizeBytes === undefined) {
        throw new Error('The answer to Get Blob Properties does not say how long the blob is.');
      }
      return describeBlob({
        name,
        sizeBytes,
        lastModified: headerOf(answer, 'last-modified'),
        etag: headerOf(answer, 'etag'),
        contentMd5: headerOf(answer, 'content-md5'),
        blobType: headerOf(answer, 'x-ms-blob-type'),
        isMarkedFolder: headerOf(answer, 'x-ms-meta-hdi_isfolder') === 'true',
      });
    },

    async listPage({ prefix, delimiter, marker, pageSize }, signal) {
      const query = [
        ['restype', 'container'],
        ['comp', 'list'],
        ['include', 'metadata'],
        ['maxresults', String(pageSize)],
        ...(prefix === '' ? [] : [['prefix', prefix] as const]),
        ...(delimiter === undefined ? [] : [['delimiter', delimiter] as const]),
        ...(marker === undefined ? [] : [['marker', marker] as const]),
      ] as const;
      const answer = await http.send({ method: 'GET', query, expects: [200], signal });
      return readPage(await answer.body.bytes(), container);
    },
  };
}

function readPage(bytes: Uint8Array, container: string): AzureListPage {
  try {
    if (!isUtf8(bytes)) {
      throw new ListingPageError('sent a page of a listing that is not UTF-8');
    }
    return scanListingPage(asBuffer(bytes));
  } catch (error) {
    if (!(error instanceof ListingPageError)) {
      throw error;
    }
    const details = { driver: 'azure', operation: 'list', cause: error };
    throw error.isCut
      ? new DriverError(
          'UNAVAILABLE',
          `A page of the listing of the container ${container} broke off.`,
          details,
        )
      : new DriverError(
          'BAD_LISTING',
          `What answered for the container ${container} ${error.message}: check the service URL, and whether a proxy stands between.`,
          details,
        );
  }
}

function contentLengthOf(answer: AzureAnswer): number | undefined {
  const value = headerOf(answer, 'content-length');
  return value !== undefined && /^\d+$/u.test(value) ? Number(value) : undefined;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function withSignal(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}
