import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import path from 'node:path';
import { answerAzure } from './azure-sink.ts';
import { Bucket, escapeXml, NOTHING, type Stored } from './names.ts';

const PAGE_KEYS = 1000;
const MODIFIED = '2024-05-06T07:08:09.000Z';
const SMALL_BYTES = 4096;

/**
 * A store that answers at once and keeps names, sizes and MD5s, but no content: what is measured against it is
 * the client. Knows as much of S3 as `aws`, `rclone`, `s5cmd` and regtool ask while they upload, checks no
 * signature, and is an Azure account below `/azure`, whose containers are the same buckets. Every bucket exists.
 */
export class S3Sink {
  readonly #buckets = new Map<string, Bucket>();
  #uploads = 0;

  /** Takes over the names of all files below a folder, as if they had been uploaded. */
  preload(bucket: string, folder: string): void {
    const into = this.#bucket(bucket);
    walk(folder, '', (key, filePath, sizeBytes) => {
      // A program that compares by MD5 would copy anew what is larger than anything that the benchmark has there.
      const isRead = sizeBytes <= SMALL_BYTES;
      into.put(key, { sizeBytes, md5: isRead ? md5(readFileSync(filePath)) : NOTHING.md5 });
    });
  }

  listen(): Promise<Server> {
    const server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        response.statusCode = 500;
        response.end(String(error));
      });
    });
    server.keepAliveTimeout = 60_000;
    return new Promise((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve(server));
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://sink');
    const parts = decodeURIComponent(pathname).split('/').slice(1);
    const isAzure = parts[0] === AZURE;
    const [name = '', ...rest] = isAzure ? parts.slice(1) : parts;
    const key = rest.join('/');
    const bucket = this.#bucket(name);
    const content = await drain(request, key === '');
    if (isAzure) {
      const claimed = request.headers['x-ms-blob-content-md5'];
      const claimedMd5 =
        typeof claimed === 'string' ? Buffer.from(claimed, 'base64').toString('hex') : undefined;
      const method = request.method ?? '';
      answerAzure(bucket, { method, name: key, query: searchParams, content, claimedMd5 }, response);
      return;
    }
    response.setHeader('x-amz-request-id', '1');
    switch (request.method) {
      case 'PUT':
        put(bucket, key, content, response);
        response.end();
        return;
      case 'HEAD':
        head(key === '' ? NOTHING : bucket.get(key), response);
        return;
      case 'GET':
        if (searchParams.has('uploads')) {
          xml(response, NO_UPLOADS);
        } else if (key === '') {
          xml(response, list(name, bucket, searchParams));
        } else {
          // It keeps names only. An answer that promises a body and never sends one would be waited for.
          response.statusCode = 501;
          response.end();
        }
        return;
      case 'POST':
        this.#multipart(name, key, searchParams, response);
        return;
      default:
        response.statusCode = 204;
        response.end();
    }
  }

  #multipart(bucket: string, key: string, query: URLSearchParams, response: ServerResponse): void {
    const where = `<Bucket>${bucket}</Bucket><Key>${escapeXml(key)}</Key>`;
    if (query.has('uploads')) {
      this.#uploads += 1;
      const body = `${where}<UploadId>upload${this.#uploads}</UploadId>`;
      xml(response, `<InitiateMultipartUploadResult>${body}</InitiateMultipartUploadResult>`);
      return;
    }
    const body = `${where}<ETag>"${NOTHING.md5}-8"</ETag>`;
    xml(response, `<CompleteMultipartUploadResult>${body}</CompleteMultipartUploadResult>`);
  }

  #bucket(name: string): Bucket {
    const bucket = this.#buckets.get(name) ?? new Bucket();
    this.#buckets.set(name, bucket);
    return bucket;
  }
}

function put(bucket: Bucket, key: string, content: Stored, response: ServerResponse): void {
  if (key !== '') {
    bucket.put(key, content);
  }
  response.setHeader('etag', `"${content.md5}"`);
}

function head(stored: Stored | undefined, response: ServerResponse): void {
  if (stored === undefined) {
    response.statusCode = 404;
    response.end();
    return;
  }
  response.setHeader('etag', `"${stored.md5}"`);
  response.setHeader('content-length', stored.sizeBytes);
  response.setHeader('last-modified', 'Mon, 06 May 2024 07:08:09 GMT');
  response.end();
}

/** One page of ListObjectsV2 (or, for a client that asks for it, ListObjects). */
function list(name: string, bucket: Bucket, query: URLSearchParams): string {
  const prefix = query.get('prefix') ?? '';
  const after = query.get('continuation-token') ?? query.get('start-after') ?? query.get('marker') ?? '';
  const page = bucket.page(prefix, query.get('delimiter') ?? '', after, PAGE_KEYS);
  const parts = page.entries.map((entry) =>
    'folder' in entry
      ? `<CommonPrefixes><Prefix>${entry.folder}</Prefix></CommonPrefixes>`
      : contents(entry.key, entry.stored),
  );
  const next =
    page.next === undefined ? '' : `<NextContinuationToken>${escapeXml(page.next)}</NextContinuationToken>`;
  return (
    `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>${name}</Name>` +
    `<Prefix>${escapeXml(prefix)}</Prefix><KeyCount>${parts.length}</KeyCount><MaxKeys>${PAGE_KEYS}</MaxKeys>` +
    `<IsTruncated>${page.next !== undefined}</IsTruncated>${next}${parts.join('')}</ListBucketResult>`
  );
}

function contents(key: string, { sizeBytes, md5: etag }: Stored): string {
  return (
    `<Contents><Key>${key}</Key><LastModified>${MODIFIED}</LastModified><ETag>&quot;${etag}&quot;</ETag>` +
    `<Size>${sizeBytes}</Size><StorageClass>STANDARD</StorageClass></Contents>`
  );
}

/** Paths that begin with this are answered as Azure would. */
const AZURE = 'azure';

const NO_UPLOADS =
  '<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>';

function xml(response: ServerResponse, body: string): void {
  response.setHeader('content-type', 'application/xml');
  response.end(`<?xml version="1.0" encoding="UTF-8"?>${body}`);
}

const HASHED_MAX_BYTES = 64 * 1024;

/** Reads a request's body to its end, and hashes it if it is small: whoever sends parts has no use for it. `aws-chunked` bodies are counted by what they say they hold. */
async function drain(request: IncomingMessage, isIgnored: boolean): Promise<Stored> {
  const decoded = request.headers['x-amz-decoded-content-length'];
  const lengthBytes = Number(decoded ?? request.headers['content-length'] ?? 0);
  const isHashed = !isIgnored && decoded === undefined && lengthBytes <= HASHED_MAX_BYTES;
  const hash = isHashed ? createHash('md5') : undefined;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    hash?.update(chunk);
  }
  return { sizeBytes: lengthBytes, md5: hash?.digest('hex') ?? NOTHING.md5 };
}

function walk(
  root: string,
  folder: string,
  visit: (key: string, filePath: string, sizeBytes: number) => void,
): void {
  for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const key = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      walk(root, key, visit);
    } else {
      const filePath = path.join(root, key);
      visit(key, filePath, lstatSync(filePath).size);
    }
  }
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}
