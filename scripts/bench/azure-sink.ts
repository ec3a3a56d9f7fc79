import type { ServerResponse } from 'node:http';
import { escapeXml, type Bucket, type Page, type Stored } from './names.ts';

/** A request to a container, its body already drained. */
export interface AzureAsked {
  method: string;
  /** '' for the container itself. */
  name: string;
  query: URLSearchParams;
  /** What the body was. */
  content: Stored;
  /** `x-ms-blob-content-md5`, hex: what a blob of blocks is to be said to have. */
  claimedMd5: string | undefined;
}

/**
 * Answers as much of Azure Blob Storage as `rclone` and regtool ask while they upload: List Blobs, Put Blob, Put Block,
 * Put Block List, Get Blob Properties. Checks no signature. Every container exists.
 */
export function answerAzure(container: Bucket, asked: AzureAsked, response: ServerResponse): void {
  const { method, name, query, content } = asked;
  response.setHeader('x-ms-request-id', '1');
  if (method === 'PUT') {
    put(container, asked);
    describe(content, response);
    response.writeHead(201).end();
  } else if (query.get('comp') === 'list') {
    response.setHeader('content-type', 'application/xml');
    response.end(list(container, query));
  } else if (name === '') {
    response.end();
  } else {
    const stored = container.get(name);
    if (stored === undefined) {
      response.writeHead(404, { 'x-ms-error-code': 'BlobNotFound' }).end();
      return;
    }
    describe(stored, response);
    response.setHeader('content-length', stored.sizeBytes);
    response.setHeader('x-ms-blob-type', 'BlockBlob');
    response.end();
  }
}

/** Bytes of blocks that are not a blob yet, by name. */
const staged = new WeakMap<Bucket, Map<string, number>>();

function put(container: Bucket, { name, query, content, claimedMd5 }: AzureAsked): void {
  const sizes = staged.get(container) ?? new Map<string, number>();
  staged.set(container, sizes);
  const comp = query.get('comp');
  if (comp === 'block') {
    sizes.set(name, (sizes.get(name) ?? 0) + content.sizeBytes);
  } else if (comp === 'blocklist') {
    container.put(name, { sizeBytes: sizes.get(name) ?? 0, md5: claimedMd5 ?? '' });
    sizes.delete(name);
  } else if (name !== '') {
    container.put(name, content);
  }
}

const MODIFIED = 'Mon, 06 May 2024 07:08:09 GMT';
const PAGE_BLOBS = 5000;

function describe({ md5 }: Stored, response: ServerResponse): void {
  response.setHeader('etag', '"0x8DC6DA1B2C3D4E5"');
  response.setHeader('last-modified', MODIFIED);
  if (md5 !== '') {
    response.setHeader('content-md5', base64(md5));
  }
}

function list(container: Bucket, query: URLSearchParams): string {
  const prefix = query.get('prefix') ?? '';
  const maxResults = Math.min(Number(query.get('maxresults') ?? PAGE_BLOBS), PAGE_BLOBS);
  const page = container.page(prefix, query.get('delimiter') ?? '', query.get('marker') ?? '', maxResults);
  const next =
    page.next === undefined ? '<NextMarker />' : `<NextMarker>${escapeXml(page.next)}</NextMarker>`;
  return (
    '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="http://sink/" ContainerName="bench">' +
    `<Prefix>${escapeXml(prefix)}</Prefix><Blobs>${page.entries.map(element).join('')}</Blobs>${next}</EnumerationResults>`
  );
}

/** With all that the service tells of a blob, which is what takes the time to read. */
function element(entry: Page['entries'][number]): string {
  if ('folder' in entry) {
    return `<BlobPrefix><Name>${entry.folder}</Name></BlobPrefix>`;
  }
  const { sizeBytes, md5 } = entry.stored;
  return (
    `<Blob><Name>${entry.key}</Name><Properties><Creation-Time>${MODIFIED}</Creation-Time>` +
    `<Last-Modified>${MODIFIED}</Last-Modified><Etag>0x8DC6DA1B2C3D4E5</Etag><Content-Length>${sizeBytes}</Content-Length>` +
    '<Content-Type>application/octet-stream</Content-Type><Content-Encoding /><Content-Language /><Content-CRC64 />' +
    `<Content-MD5>${base64(md5)}</Content-MD5><Cache-Control /><Content-Disposition /><BlobType>BlockBlob</BlobType>` +
    '<AccessTier>Hot</AccessTier><AccessTierInferred>true</AccessTierInferred><LeaseStatus>unlocked</LeaseStatus>' +
    '<LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted></Properties><Metadata /><OrMetadata /></Blob>'
  );
}

/** '' for ''. */
function base64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}
