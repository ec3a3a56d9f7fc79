import { createHash } from 'node:crypto';
import { type AnyManifest, blobsOf, isManifest, LINK } from './pullable.ts';

/** A tag's `current` link, and the first thing that a client who pulls it would fail on. */
export interface VisibleTag {
  key: string;
  digest: string;
  why: string | undefined;
}

const ROOT = 'docker/registry/v2/';
const CURRENT = /^docker\/registry\/v2\/repositories\/(.+)\/_manifests\/tags\/[^/]+\/current\/link$/;

/**
 * What `resolveTags` of pullable.ts finds, of objects in memory: a thousand times as fast, since content that was seen
 * before is neither hashed nor parsed again, so that a target can be judged after every single write. Shares nothing
 * with the code under test.
 */
export function visibleTags(objects: ReadonlyMap<string, Uint8Array>): VisibleTag[] {
  const tags: VisibleTag[] = [];
  for (const [key, bytes] of objects) {
    if (key.endsWith('/current/link')) {
      const repository = CURRENT.exec(key)?.[1];
      if (repository !== undefined) {
        const digest = Buffer.from(bytes).toString();
        tags.push({ key, digest, why: whyBroken(objects, repository, digest) });
      }
    }
  }
  return tags;
}

/** The first thing that a client who pulls a manifest by its digest would fail on; undefined when there is none. */
export function whyBroken(
  objects: ReadonlyMap<string, Uint8Array>,
  repository: string,
  digest: string,
): string | undefined {
  if (!LINK.test(digest)) {
    return `it holds ${JSON.stringify(digest)}`;
  }
  const folder = `${ROOT}repositories/${repository}`;
  const revision = textOf(objects.get(`${folder}/_manifests/revisions/${digest.replace(':', '/')}/link`));
  if (revision !== digest) {
    return `the revision link of ${digest} says ${revision}`;
  }
  const bytes = objects.get(blobPath(digest));
  if (bytes === undefined || hashOf(bytes, digest) !== digest) {
    return `the manifest ${digest} is ${bytes === undefined ? 'missing' : 'corrupt'}`;
  }
  const { blobs, children } = namedBy(bytes);
  for (const blob of blobs) {
    const target = textOf(objects.get(`${folder}/_layers/${blob.replace(':', '/')}/link`));
    const content = target === undefined ? undefined : objects.get(blobPath(target));
    if (content === undefined || hashOf(content, blob) !== blob) {
      return `the blob ${blob} of ${digest} is ${content === undefined ? 'missing' : 'corrupt'}`;
    }
  }
  for (const child of children) {
    const why = whyBroken(objects, repository, child);
    if (why !== undefined) {
      return why;
    }
  }
  return undefined;
}

/** Blobs and child manifests that a manifest names, without anything that its children name. */
export function namedBy(manifestBytes: Uint8Array): { blobs: string[]; children: string[] } {
  const known = manifests.get(manifestBytes);
  if (known !== undefined) {
    return known;
  }
  const manifest = JSON.parse(new TextDecoder().decode(manifestBytes)) as AnyManifest;
  const named = {
    blobs: blobsOf(manifest),
    children: (manifest.manifests ?? []).filter(isManifest).map(({ digest }) => digest),
  };
  manifests.set(manifestBytes, named);
  return named;
}

/** Of the bytes, by the algorithm of a digest. */
export function hashOf(bytes: Uint8Array, { length }: string): string {
  const algorithm = length === 'sha256:'.length + 64 ? 'sha256' : 'sha512';
  const known = hashes.get(bytes) ?? new Map<string, string>();
  hashes.set(bytes, known);
  const hash = known.get(algorithm) ?? `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
  known.set(algorithm, hash);
  return hash;
}

/** Objects are replaced, never changed: what was found of some bytes stays true. */
const hashes = new WeakMap<Uint8Array, Map<string, string>>();
const manifests = new WeakMap<Uint8Array, { blobs: string[]; children: string[] }>();

function blobPath(digest: string): string {
  const [algorithm = '', hex = ''] = digest.split(':');
  return `${ROOT}blobs/${algorithm}/${hex.slice(0, 2)}/${hex}/data`;
}

function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes).toString();
}
