import { createHash } from 'node:crypto';
import { blobOf, type FixtureBlob } from '../../../fixtures/images.ts';
import { blobKey, currentKey, indexKey, layerKey, revisionKey } from '../../../fixtures/keys.ts';
import { type FixtureImage, RegistryBuilder } from '../../../fixtures/registry-builder.ts';
import type { FindingCode, Severity } from '../../../src/layout/findings.ts';
import type { MemoryDriver } from '../../../src/drivers/memory.ts';

/** What a check must say: the code, its severity, the first path, and tags. */
export type Expected = readonly [
  code: FindingCode,
  severity: Severity,
  path: string,
  tags?: readonly string[],
];

export interface Broken {
  name: string;
  /** Damages a healthy registry with one image `shop:v1` and one index `multi:latest`. */
  damage(healthy: Healthy): void;
  findings(healthy: Healthy): readonly Expected[];
  /** `repository:tag`. */
  notPullable?: readonly string[];
  /** The check reads the blobs as well. */
  readData?: true;
  /** The name of the store's driver. */
  store?: MemoryDriver['name'];
}

/** A healthy registry, and the keys of its parts. */
export interface Healthy {
  registry: RegistryBuilder;
  image: FixtureImage;
  config: FixtureBlob;
  layer: FixtureBlob;
  otherLayer: FixtureBlob;
  index: FixtureImage;
  child: FixtureImage;
}

export const SHOP = 'docker/registry/v2/repositories/shop';

export function healthyRegistry(): Healthy {
  const registry = new RegistryBuilder({ seed: 'check' });
  const image = registry.push('shop', 'v1', registry.image());
  const index = registry.push('multi', 'latest', registry.index());
  const [layer, otherLayer] = image.layers;
  const [child] = index.children;
  const { config } = image;
  if (layer === undefined || otherLayer === undefined || child === undefined || config === undefined) {
    throw new TypeError('An image has two layers and a config, an index two images.');
  }
  registry.lockfile('filesystem-in-use');
  return { registry, image, config, layer, otherLayer, index, child };
}

export function set(registry: RegistryBuilder, key: string, content: Uint8Array | string): void {
  registry.objects.set(key, typeof content === 'string' ? Buffer.from(content) : content);
}

/** The same bytes with the last one changed. */
export function flipped(bytes: Uint8Array): Uint8Array {
  const changed = Buffer.from(bytes);
  const last = changed.length - 1;
  changed[last] = (changed[last] ?? 0) ^ 1;
  return changed;
}

export function sha512Of(text: string): string {
  return `sha512:${createHash('sha512').update(text).digest('hex')}`;
}

/** Stores any bytes as the manifest of a tag, under their right digest. Returns that. */
export function pushRaw(
  registry: RegistryBuilder,
  repository: string,
  tag: string,
  manifest: Uint8Array | object,
): string {
  const { digest, bytes } = blobOf(
    manifest instanceof Uint8Array ? manifest : Buffer.from(JSON.stringify(manifest)),
  );
  set(registry, blobKey(digest), bytes);
  set(registry, revisionKey(repository, digest), digest);
  set(registry, indexKey(repository, tag, digest), digest);
  set(registry, currentKey(repository, tag), digest);
  return digest;
}

/** Uploads a blob and describes it as a manifest does. */
export function descriptor(registry: RegistryBuilder, repository: string, text: string, mediaType: string) {
  const digest = registry.blob(repository, Buffer.from(text));
  return { mediaType, digest, size: text.length };
}

export { blobKey, currentKey, indexKey, layerKey, revisionKey };
