import { createHash } from 'node:crypto';
import pLimit from 'p-limit';
import type { Driver } from '../../src/drivers/driver.ts';
import { isDriverError } from '../../src/drivers/errors.ts';

export interface PullableTag {
  repository: string;
  tag: string;
  digest: string;
}

export interface BrokenTag {
  repository: string;
  tag: string;
  /** The first thing found that a client would fail on. */
  why: string;
}

/**
 * The tags of a store that a client could pull whole, every platform and every byte, by repository and tag.
 * The judge of the code under test: it shares nothing with it but the drivers.
 */
export async function pullableTags(driver: Driver): Promise<PullableTag[]> {
  const tags = await resolveTags(driver);
  return tags.flatMap(({ repository, tag, digest, why }) =>
    why === undefined ? [{ repository, tag, digest }] : [],
  );
}

/** The tags of a store that have a `current` link, and that a client could not pull whole. */
export async function brokenTags(driver: Driver): Promise<BrokenTag[]> {
  const tags = await resolveTags(driver);
  return tags.flatMap(({ repository, tag, why }) => (why === undefined ? [] : [{ repository, tag, why }]));
}

/**
 * As `brokenTags`, for a store that is being written. Looking takes a while, in which a tag may be deleted or moved
 * and then what it stood for be deleted, as a client that pulls meanwhile finds too: a tag is broken only if it still
 * stands for what was found to be broken.
 */
export async function brokenTagsMeanwhile(driver: Driver): Promise<BrokenTag[]> {
  const tags = await resolveTags(driver);
  const broken = tags.filter(({ why }) => why !== undefined);
  const now = openStore(driver);
  const still = await Promise.all(
    broken.map(async ({ repository, tag, digest, why = '' }): Promise<BrokenTag[]> => {
      try {
        const link = await now.link(`${ROOT}repositories/${repository}/_manifests/tags/${tag}/current/link`);
        return link === digest ? [{ repository, tag, why }] : [];
      } catch (error) {
        if (error instanceof Broken) {
          return [];
        }
        throw error;
      }
    }),
  );
  return still.flat();
}

interface ResolvedTag extends PullableTag {
  why: string | undefined;
}

class Broken extends Error {}

const ROOT = 'docker/registry/v2/';

async function resolveTags(driver: Driver): Promise<ResolvedTag[]> {
  const store = openStore(driver);
  const found = await findTags(driver);
  const resolved = await Promise.all(
    found.map(async ({ repository, tag, key }): Promise<ResolvedTag> => {
      let digest = '';
      try {
        digest = await store.link(key);
        await checkManifest(store, repository, digest);
        return { repository, tag, digest, why: undefined };
      } catch (error) {
        if (error instanceof Broken) {
          return { repository, tag, digest, why: error.message };
        }
        throw error;
      }
    }),
  );
  return resolved;
}

async function findTags(driver: Driver): Promise<{ repository: string; tag: string; key: string }[]> {
  const found: { repository: string; tag: string; key: string }[] = [];
  const start = `${ROOT}repositories/`;
  for await (const page of driver.list('')) {
    for (const { key } of page) {
      const [repository, rest, ...more] = key.split('/_manifests/tags/');
      const isTag = repository?.startsWith(start) === true && rest?.endsWith('/current/link') === true;
      if (isTag && more.length === 0) {
        const tag = rest.slice(0, -'/current/link'.length);
        found.push({ repository: repository.slice(start.length), tag, key });
      }
    }
  }
  return found.sort(
    (left, right) => compare(left.repository, right.repository) || compare(left.tag, right.tag),
  );
}

function compare(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}

/** The repository must have the manifest as a revision, whole, and everything it names. */
async function checkManifest(store: Store, repository: string, digest: string): Promise<void> {
  const folder = `${ROOT}repositories/${repository}`;
  const revision = await store.link(`${folder}/_manifests/revisions/${digest.replace(':', '/')}/link`);
  if (revision !== digest) {
    throw new Broken(`the revision link of ${digest} says ${revision}`);
  }
  await store.checkBlob(digest, digest);
  const manifest = parse(await store.bytes(blobPath(digest)), digest);
  for (const blob of blobsOf(manifest)) {
    const target = await store.link(`${folder}/_layers/${blob.replace(':', '/')}/link`);
    await store.checkBlob(target, blob);
  }
  for (const child of (manifest.manifests ?? []).filter(isManifest)) {
    await checkManifest(store, repository, child.digest);
  }
}

export interface Descriptor {
  digest: string;
  mediaType?: string;
  urls?: string[];
}

/** The parts of all kinds of manifests that name something. */
export interface AnyManifest {
  schemaVersion: number;
  config?: Descriptor;
  layers?: Descriptor[];
  manifests?: Descriptor[];
  fsLayers?: { blobSum: string }[];
}

/** Everything that clients fetch as a blob. Layers that have URLs they fetch from there. */
export function blobsOf({ config, layers = [], manifests = [], fsLayers = [] }: AnyManifest): string[] {
  const described = [
    ...(config ? [config] : []),
    ...layers,
    ...manifests.filter((entry) => !isManifest(entry)),
  ];
  return [
    ...described.filter(({ urls = [] }) => urls.length === 0).map(({ digest }) => digest),
    ...fsLayers.map(({ blobSum }) => blobSum),
  ];
}

/** A build cache is an index whose entries are layers and a config. */
export function isManifest({ mediaType = '' }: Descriptor): boolean {
  return mediaType === '' || mediaType.includes('.manifest.') || mediaType.includes('.image.index.');
}

function parse(bytes: Uint8Array, digest: string): AnyManifest {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as AnyManifest;
  } catch (error) {
    throw new Broken(`the manifest ${digest} is not JSON`, { cause: error });
  }
}

function blobPath(digest: string): string {
  const [algorithm = '', hex = ''] = digest.split(':');
  return `${ROOT}blobs/${algorithm}/${hex.slice(0, 2)}/${hex}/data`;
}

type Store = ReturnType<typeof openStore>;

/** Reads of one store, each blob hashed once, a few at a time. */
function openStore(driver: Driver) {
  const limit = pLimit(16);
  const hashes = new Map<string, Promise<string>>();

  async function bytes(key: string): Promise<Uint8Array> {
    return limit(async () =>
      orBroken(key, async () => {
        const chunks: Uint8Array[] = [];
        for await (const chunk of driver.read(key)) {
          chunks.push(chunk);
        }
        return Buffer.concat(chunks);
      }),
    );
  }

  async function hash(key: string, algorithm: string): Promise<string> {
    return limit(async () =>
      orBroken(key, async () => {
        const hasher = createHash(algorithm);
        for await (const chunk of driver.read(key)) {
          hasher.update(chunk);
        }
        return hasher.digest('hex');
      }),
    );
  }

  /** The blob stored as `target` must have the bytes that `digest`, under which clients ask for it, names. */
  async function checkBlob(target: string, digest: string): Promise<void> {
    const key = blobPath(target);
    const [algorithm = ''] = digest.split(':');
    const pending = hashes.get(`${algorithm} ${key}`) ?? hash(key, algorithm);
    hashes.set(`${algorithm} ${key}`, pending);
    const actual = await pending;
    if (`${algorithm}:${actual}` !== digest) {
      throw new Broken(`the bytes at ${key} have the digest ${algorithm}:${actual}, not ${digest}`);
    }
  }

  async function link(key: string): Promise<string> {
    const text = new TextDecoder().decode(await bytes(key));
    if (!LINK.test(text)) {
      throw new Broken(`the link ${key} holds ${JSON.stringify(text)}`);
    }
    return text;
  }

  return { bytes, link, checkBlob };
}

/** What a registry takes for a link. */
export const LINK = /^(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$/;

async function orBroken<T>(key: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (isDriverError(error, 'NOT_FOUND')) {
      throw new Broken(`${key} is missing`, { cause: error });
    }
    throw error;
  }
}
