import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import path from 'node:path';

interface Stored {
  sizeBytes: number;
  etag: string;
}

const NOTHING: Stored = { sizeBytes: 0, etag: 'd41d8cd98f00b204e9800998ecf8427e' };
const PAGE_KEYS = 1000;
const MODIFIED = '2024-05-06T07:08:09.000Z';
const MANIFEST_OR_LINK_BYTES = 4096;

/**
 * A store that answers at once and keeps names, sizes and MD5s, but no content: what is measured against it is
 * the client. Knows as much of S3 as `aws`, `rclone`, `s5cmd` and regtool ask while they upload, checks no
 * signature, and answers Azure's Put Blob, and List Blobs with an empty page, below a path that begins with `/azure/`.
 * Every bucket exists.
 */
export class S3Sink {
  readonly #buckets = new Map<string, Bucket>();
  #uploads = 0;

  /** Takes over the names of all files below a folder, as if they had been uploaded. */
  preload(bucket: string, folder: string): void {
    const into = this.#bucket(bucket);
    walk(folder, '', (key, filePath, sizeBytes) => {
      const isCompared = key.endsWith('/current/link') && sizeBytes <= MANIFEST_OR_LINK_BYTES;
      into.put(key, { sizeBytes, etag: isCompared ? md5(readFileSync(filePath)) : NOTHING.etag });
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
    const [, name = '', ...rest] = decodeURIComponent(pathname).split('/');
    const key = rest.join('/');
    const bucket = this.#bucket(name);
    const content = await drain(request, searchParams.has('comp') || key === '');
    response.setHeader('x-amz-request-id', '1');
    switch (request.method) {
      case 'PUT':
        put(bucket, key, content, response);
        response.statusCode = name === AZURE ? 201 : 200;
        response.end();
        return;
      case 'HEAD':
        head(key === '' ? NOTHING : bucket.get(key), response);
        return;
      case 'GET':
        if (searchParams.get('comp') === 'list') {
          xml(response, EMPTY_AZURE_LISTING);
        } else if (searchParams.has('uploads')) {
          xml(response, NO_UPLOADS);
        } else if (key === '') {
          xml(response, list(name, bucket, searchParams));
        } else {
          head(bucket.get(key), response);
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
    const body = `${where}<ETag>"${NOTHING.etag}-8"</ETag>`;
    xml(response, `<CompleteMultipartUploadResult>${body}</CompleteMultipartUploadResult>`);
  }

  #bucket(name: string): Bucket {
    const bucket = this.#buckets.get(name) ?? new Bucket();
    this.#buckets.set(name, bucket);
    return bucket;
  }
}

/** Names in order. Sorted when first listed after a change: uploads come in bulk, and listings too. */
class Bucket {
  readonly #objects = new Map<string, Stored>();
  #sorted: string[] | undefined;

  get(key: string): Stored | undefined {
    return this.#objects.get(key);
  }

  put(key: string, stored: Stored): void {
    if (!this.#objects.has(key)) {
      this.#sorted = undefined;
    }
    this.#objects.set(key, stored);
  }

  /** All names, ascending, and where the first one stands that is not before `key`. */
  from(key: string): { names: readonly string[]; start: number } {
    // Registry names are ASCII, for which this is byte order.
    const names = (this.#sorted ??= [...this.#objects.keys()].sort());
    let low = 0;
    let high = names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((names[middle] ?? '') < key) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return { names, start: low };
  }
}

function put(bucket: Bucket, key: string, content: Content, response: ServerResponse): void {
  const etag = content.md5 ?? NOTHING.etag;
  if (key !== '') {
    bucket.put(key, { sizeBytes: content.sizeBytes, etag });
  }
  response.setHeader('etag', `"${etag}"`);
}

function head(stored: Stored | undefined, response: ServerResponse): void {
  if (stored === undefined) {
    response.statusCode = 404;
    response.end();
    return;
  }
  response.setHeader('etag', `"${stored.etag}"`);
  response.setHeader('content-length', stored.sizeBytes);
  response.setHeader('last-modified', 'Mon, 06 May 2024 07:08:09 GMT');
  response.end();
}

/** One page of ListObjectsV2 (or, for a client that asks for it, ListObjects). */
function list(name: string, bucket: Bucket, query: URLSearchParams): string {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const after = query.get('continuation-token') ?? query.get('start-after') ?? query.get('marker') ?? '';
  const { names, start } = bucket.from(after > prefix ? after : prefix);
  const parts: string[] = [];
  let last = '';
  let index = start;
  let key = names[index];
  while (key !== undefined && key.startsWith(prefix) && parts.length < PAGE_KEYS) {
    const end = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    if (key <= after) {
      index += 1;
    } else if (end === -1) {
      parts.push(contents(key, bucket.get(key) ?? NOTHING));
      last = key;
      index += 1;
    } else {
      const folder = key.slice(0, end + 1);
      parts.push(`<CommonPrefixes><Prefix>${folder}</Prefix></CommonPrefixes>`);
      last = `${folder}\uFFFF`;
      index = bucket.from(last).start;
    }
    key = names[index];
  }
  const goesOn = key !== undefined && key.startsWith(prefix);
  const next = goesOn ? `<NextContinuationToken>${escapeXml(last)}</NextContinuationToken>` : '';
  return (
    `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>${name}</Name>` +
    `<Prefix>${escapeXml(prefix)}</Prefix><KeyCount>${parts.length}</KeyCount><MaxKeys>${PAGE_KEYS}</MaxKeys>` +
    `<IsTruncated>${goesOn}</IsTruncated>${next}${parts.join('')}</ListBucketResult>`
  );
}

function contents(key: string, { sizeBytes, etag }: Stored): string {
  return (
    `<Contents><Key>${key}</Key><LastModified>${MODIFIED}</LastModified><ETag>&quot;${etag}&quot;</ETag>` +
    `<Size>${sizeBytes}</Size><StorageClass>STANDARD</StorageClass></Contents>`
  );
}

/** Paths that begin with this are answered as Azure would. */
const AZURE = 'azure';

const NO_UPLOADS =
  '<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>';

const EMPTY_AZURE_LISTING =
  '<EnumerationResults ServiceEndpoint="http://sink/" ContainerName="bench"><Blobs /><NextMarker /></EnumerationResults>';

function xml(response: ServerResponse, body: string): void {
  response.setHeader('content-type', 'application/xml');
  response.end(`<?xml version="1.0" encoding="UTF-8"?>${body}`);
}

interface Content {
  sizeBytes: number;
  /** Of small content only: whoever sends parts has no use for it. */
  md5: string | undefined;
}

const HASHED_MAX_BYTES = 64 * 1024;

/** Reads a request's body to its end. `aws-chunked` bodies are counted by what they say they hold. */
async function drain(request: IncomingMessage, isIgnored: boolean): Promise<Content> {
  const decoded = request.headers['x-amz-decoded-content-length'];
  const lengthBytes = Number(decoded ?? request.headers['content-length'] ?? 0);
  const isHashed = !isIgnored && decoded === undefined && lengthBytes <= HASHED_MAX_BYTES;
  const hash = isHashed ? createHash('md5') : undefined;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    hash?.update(chunk);
  }
  return { sizeBytes: lengthBytes, md5: hash?.digest('hex') };
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

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
