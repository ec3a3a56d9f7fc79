import { isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import { DriverError } from '../errors.ts';
import type { WholeAnswer } from '../exchange.ts';
import { describeBlob, unquoted, type AzureBlob } from './blob.ts';
import { AzureRefusal } from './errors.ts';
import { notOfTheStore, otherBytesReceived } from './explain.ts';
import { headerOf, refusalInSpiteOfStatus, type AzureHttp, type AzureRequest } from './http.ts';
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
  /** Get Blob, all of it. @throws AnswerTooLarge when it has more than `maxBytes`. */
  getSmall(name: string, maxBytes: number, signal?: AbortSignal): Promise<Uint8Array>;
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

/** What a PUT is granted with has no body at all (REST reference, "Put Blob", "Put Block", "Put Block List"). */
const maxGrantBytes = 64 * 1024;

/**
 * What is larger is no page: 5000 blobs that have the longest names, each byte of them encoded, and all the metadata
 * that a blob may have (8 KiB: REST reference, "Set Blob Metadata") take less.
 */
const maxPageBytes = 96 * 1024 * 1024;

export function openRequests(http: AzureHttp, container: string): AzureRequests {
  async function sendBytes(
    request: Pick<AzureRequest, 'name' | 'query' | 'headers' | 'signal'>,
    body: Uint8Array,
    md5: string,
  ): Promise<void> {
    const answer = await http.send({ method: 'PUT', ...request, body, expects: created }, maxGrantBytes);
    requireStored(answer, md5);
  }

  return {
    put(name, bytes, md5, signal) {
      const headers = [
        'x-ms-blob-type',
        'BlockBlob',
        'content-type',
        'application/octet-stream',
        // By the first the service checks what arrived, the second it keeps (REST reference, "Put Blob").
        'content-md5',
        md5,
        'x-ms-blob-content-md5',
        md5,
      ];
      return sendBytes({ name, headers, signal }, bytes, md5);
    },

    putBlock(name, id, bytes, md5, signal) {
      const query = [
        ['comp', 'block'],
        ['blockid', id],
      ] as const;
      const headers = ['content-type', 'application/octet-stream', 'content-md5', md5];
      return sendBytes({ name, query, headers, signal }, bytes, md5);
    },

    putBlockList(name, ids, signal) {
      const query = [['comp', 'blocklist']] as const;
      const blocks = ids.map((id) => `<Latest>${id}</Latest>`).join('');
      const body = Buffer.from(`<?xml version="1.0" encoding="utf-8"?><BlockList>${blocks}</BlockList>`);
      // Here Content-MD5 is that of the list. One of the blob, in a header of its own, Azure would keep unverified.
      const md5 = hash('md5', body, 'base64');
      const headers = ['content-type', 'application/xml; charset=utf-8', 'content-md5', md5];
      return sendBytes({ name, query, headers, signal }, body, md5);
    },

    async get(name, offset, etag, signal) {
      const headers: string[] = [];
      if (offset > 0) {
        headers.push('x-ms-range', `bytes=${offset}-`);
      }
      if (etag !== undefined) {
        headers.push('if-match', `"${etag}"`);
      }
      const answer = await http.open({ method: 'GET', name, headers, expects: [200, 206], signal });
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
        discard,
      };
    },

    async getSmall(name, maxBytes, signal) {
      const answer = await http.send({ method: 'GET', name, expects: ok, signal }, maxBytes);
      if (contentLengthOf(answer) === undefined) {
        throw new Error('The answer to Get Blob does not say how long it is.');
      }
      return answer.body;
    },

    async head(name, signal) {
      // The length that it announces is the blob's.
      const answer = await http.send({ method: 'HEAD', name, expects: ok, signal }, Infinity);
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
      const { body } = await http.send({ method: 'GET', query, expects: ok, signal }, maxPageBytes);
      return readPage(body, container);
    },
  };
}

const ok: readonly number[] = [200];
const created: readonly number[] = [201];

/**
 * Compares what a PUT was granted with to what was sent. The service answers with the MD5 of what it received, and says
 * in a body only why it refuses; a proxy or a store that is merely compatible may mix that with a status of success.
 * @throws AzureRefusal
 */
function requireStored(answer: WholeAnswer, md5: string): void {
  if (answer.body.byteLength > 0 && answer.body.includes('<Error')) {
    throw refusalInSpiteOfStatus(answer.body.toString('utf8'));
  }
  if (answer.body.byteLength > 0 && headerOf(answer, 'etag') === undefined) {
    throw new AzureRefusal({
      status: answer.statusCode,
      code: notOfTheStore,
      message: 'The answer has a body, and no ETag.',
      header: () => undefined,
    });
  }
  const received = headerOf(answer, 'content-md5');
  if (received !== undefined && received !== md5) {
    throw new AzureRefusal({
      status: answer.statusCode,
      code: otherBytesReceived,
      message: `The answer bears the MD5 ${received}, and ${md5} was sent.`,
      header: () => undefined,
    });
  }
}

function readPage(body: Buffer, container: string): AzureListPage {
  try {
    if (!isUtf8(body)) {
      throw new ListingPageError('sent a page of a listing that is not UTF-8');
    }
    return scanListingPage(body);
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

function contentLengthOf(answer: Pick<WholeAnswer, 'headers'>): number | undefined {
  const value = headerOf(answer, 'content-length');
  return value !== undefined && /^\d+$/u.test(value) ? Number(value) : undefined;
}

export function withSignal(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}
