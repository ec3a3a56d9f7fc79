import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { blobKey, currentKey, indexKey, layerKey, revisionKey } from '../../fixtures/keys.ts';
import { digestOf, type Digest } from './images.ts';

/** Buckets whose names begin with it hold the registry. Any other takes what is put, and forgets it. */
export const FULL = 'full';

export interface SyntheticS3 {
  /** `http://127.0.0.1:PORT`. Checks no signature. */
  endpoint: string;
  objects: number;
  /** How many objects were put into buckets that forget them. */
  puts(): number;
  /** Writes the same registry to a folder, which exists. */
  writeTo(folder: string): void;
  stop(): Promise<void>;
}

const LAYERS = 8;
const IMAGES_PER_REPOSITORY = 10;
const NAMESPACES = 40;
const PAGE_KEYS = 1000;
const NO_SUCH_KEY = '<Error><Code>NoSuchKey</Code></Error>';

/**
 * An S3 store with a sound registry of at least so many objects, whose bytes are made when they are asked for: images
 * of 22 objects, ten to a repository. As large as it is named, it takes the memory of its keys, in this process.
 */
export async function startSyntheticS3(objects: number): Promise<SyntheticS3> {
  const registry = new SyntheticRegistry(objects);
  let puts = 0;
  const server = http.createServer((request, response) => {
    request.resume();
    request.once('end', () => {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://store');
      const [, bucket = '', ...rest] = decodeURIComponent(pathname).split('/');
      const key = rest.join('/');
      const isFull = bucket.startsWith(FULL);
      response.setHeader('x-amz-request-id', '1');
      if (request.method === 'PUT') {
        puts += 1;
        response.setHeader('etag', '"0"');
        response.end();
      } else if (key === '' && searchParams.has('uploads')) {
        response.end(
          '<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>',
        );
      } else if (key === '') {
        response.setHeader('content-type', 'application/xml');
        response.end(listing(isFull ? registry.keys : [], searchParams, (index) => registry.tellOf(index)));
      } else {
        const bytes = isFull ? registry.contentOf(key) : undefined;
        response.statusCode = bytes === undefined ? 404 : 200;
        if (bytes !== undefined) {
          response.setHeader('content-length', bytes.length);
          response.setHeader('etag', `"${md5Of(bytes)}"`);
        }
        response.end(request.method === 'HEAD' ? undefined : (bytes ?? NO_SUCH_KEY));
      }
    });
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    objects: registry.keys.length,
    puts: () => puts,
    writeTo(folder) {
      const made = new Set<string>();
      for (const key of registry.keys) {
        const file = path.join(folder, key);
        const parent = path.dirname(file);
        if (!made.has(parent)) {
          made.add(parent);
          mkdirSync(parent, { recursive: true });
        }
        writeFileSync(file, registry.contentOf(key) ?? '');
      }
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

class SyntheticRegistry {
  /** Ascending. */
  readonly keys: string[] = [];
  /** Which blob of which image has this key: the image's number times `LAYERS + 2`, and the blob's place in it. */
  readonly #blobs = new Map<string, number>();
  readonly #told: string[] = [];

  constructor(objects: number) {
    for (let image = 0; this.keys.length < objects; image += 1) {
      const project = Math.floor(image / IMAGES_PER_REPOSITORY);
      const repository = `group${project % NAMESPACES}/project${project}`;
      const tag = `v${image % IMAGES_PER_REPOSITORY}`;
      const blobs = Array.from({ length: LAYERS + 1 }, (_, place) => digestOf(blobOf(image, place)));
      const manifest = digestOf(manifestOf(image));
      for (const [place, digest] of [...blobs, manifest].entries()) {
        this.#blobs.set(blobKey(digest), image * (LAYERS + 2) + place);
        this.keys.push(blobKey(digest));
      }
      this.keys.push(
        ...blobs.map((digest) => layerKey(repository, digest)),
        revisionKey(repository, manifest),
        currentKey(repository, tag),
        indexKey(repository, tag, manifest),
      );
    }
    // All of it is ASCII, for which this is the order of bytes.
    this.keys.sort();
  }

  /** What a listing says of the key in this place besides its name. Worked out once: each page is asked for often. */
  tellOf(index: number): string {
    const told = this.#told[index];
    if (told !== undefined) {
      return told;
    }
    const content = this.contentOf(this.keys[index] ?? '') ?? Buffer.alloc(0);
    const tells = `<ETag>&quot;${md5Of(content)}&quot;</ETag><Size>${content.length}</Size>`;
    this.#told[index] = tells;
    return tells;
  }

  contentOf(key: string): Buffer | undefined {
    const number = this.#blobs.get(key);
    if (number !== undefined) {
      const image = Math.floor(number / (LAYERS + 2));
      const place = number % (LAYERS + 2);
      return place === LAYERS + 1 ? manifestOf(image) : blobOf(image, place);
    }
    const hex = /\/sha256\/([0-9a-f]{64})\/link$/.exec(key)?.[1];
    if (hex !== undefined) {
      return Buffer.from(`sha256:${hex}`);
    }
    const [, project, tag] = /\/project(\d+)\/_manifests\/tags\/v(\d+)\/current\/link$/.exec(key) ?? [];
    return project === undefined
      ? undefined
      : Buffer.from(digestOf(manifestOf(Number(project) * IMAGES_PER_REPOSITORY + Number(tag))));
  }
}

function md5Of(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('hex');
}

function blobOf(image: number, place: number): Buffer {
  return Buffer.from(`{"image":${image},"place":${place}}`);
}

function manifestOf(image: number): Buffer {
  const [config, ...layers] = Array.from({ length: LAYERS + 1 }, (_, place) => {
    const bytes = blobOf(image, place);
    return { digest: digestOf(bytes), size: bytes.length };
  });
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
      layers: layers.map((layer: { digest: Digest; size: number }) => ({
        mediaType: 'application/vnd.oci.image.layer.v1.tar',
        ...layer,
      })),
    }),
  );
}

/** One page of ListObjectsV2. */
function listing(keys: readonly string[], query: URLSearchParams, tellOf: (index: number) => string): string {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const after = query.get('continuation-token') ?? query.get('start-after') ?? '';
  const parts: string[] = [];
  let last = after;
  let index = firstFrom(keys, after > prefix ? `${after}\u0001` : prefix);
  for (; parts.length < PAGE_KEYS;) {
    const key = keys[index];
    if (key === undefined || !key.startsWith(prefix)) {
      break;
    }
    const end = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    if (end === -1) {
      parts.push(
        `<Contents><Key>${key}</Key><LastModified>2024-05-06T07:08:09.000Z</LastModified>${tellOf(index)}</Contents>`,
      );
      last = key;
      index += 1;
    } else {
      parts.push(`<CommonPrefixes><Prefix>${key.slice(0, end + 1)}</Prefix></CommonPrefixes>`);
      last = `${key.slice(0, end + 1)}\uFFFF`;
      index = firstFrom(keys, last);
    }
  }
  const goesOn = keys[index]?.startsWith(prefix) === true;
  return (
    `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Prefix>${prefix}</Prefix>` +
    `<KeyCount>${parts.length}</KeyCount><IsTruncated>${goesOn}</IsTruncated>` +
    `${goesOn ? `<NextContinuationToken>${last}</NextContinuationToken>` : ''}${parts.join('')}</ListBucketResult>`
  );
}

/** Where the first key stands that is not before this one. */
function firstFrom(keys: readonly string[], wanted: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? '') < wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}
