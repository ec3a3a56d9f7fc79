import { createCipheriv, createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

/** The name of content: `sha256:` and 64 hex digits. */
export type Digest = `sha256:${string}`;

/** What an image is made of. The same values give the same bytes, so the same digests. */
export interface ImageOptions {
  /** Images with the same seed share all their layers. */
  seed: string;
  /** How many layers. Default 2. */
  layers?: number | undefined;
  /** How large each layer is before tar and gzip, which add less than 1%. Default 4096. */
  layerBytes?: number | undefined;
  /** Seeds of layers that come first, shared with every image that names the same. Default none. */
  baseSeeds?: readonly string[] | undefined;
  /** `oci` (default) or Docker's image manifest version 2, schema 2. */
  format?: 'oci' | 'docker' | undefined;
  /** Default `amd64`. */
  architecture?: string | undefined;
}

/** An image, or an index of images, in a folder in the form of skopeo's `dir:` transport. */
export interface BuiltImage {
  folder: string;
  /** Of the manifest that a tag would point at. */
  digest: Digest;
  /** Config and layers; for an index those of every image. */
  blobs: Digest[];
  /** For an index, the manifests of its images. */
  children: Digest[];
}

/** Bytes that do not compress and that depend on the seed alone. */
export function deterministicBytes(seed: string, sizeBytes: number): Buffer {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
}

export function digestOf(content: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** Writes an image of one platform into a new folder. Its layers are gzipped tar files of one file each. */
export function buildImage(folder: string, options: ImageOptions): BuiltImage {
  startFolder(folder);
  const { digest, blobs, manifest } = writeImage(folder, options);
  writeFileSync(path.join(folder, 'manifest.json'), manifest);
  return { folder, digest, blobs, children: [] };
}

/** Writes an OCI index with one image for each of the options, which should differ in architecture. */
export function buildIndex(folder: string, images: readonly ImageOptions[]): BuiltImage {
  startFolder(folder);
  const written = images.map((options) => {
    const image = writeImage(folder, options);
    writeFileSync(path.join(folder, `${hexOf(image.digest)}.manifest.json`), image.manifest);
    return { ...image, architecture: options.architecture ?? 'amd64' };
  });
  const index = encode({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: written.map(({ digest, manifest, architecture }) => ({
      mediaType: MEDIA_TYPES.oci.manifest,
      digest,
      size: manifest.length,
      platform: { architecture, os: 'linux' },
    })),
  });
  writeFileSync(path.join(folder, 'manifest.json'), index);
  return {
    folder,
    digest: digestOf(index),
    blobs: [...new Set(written.flatMap(({ blobs }) => blobs))],
    children: written.map(({ digest }) => digest),
  };
}

/** OCI image-spec 1.0, media-types.md; Docker: distribution docs, spec/manifest-v2-2.md. */
const MEDIA_TYPES = {
  oci: {
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  },
  docker: {
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  },
};

interface WrittenImage {
  digest: Digest;
  blobs: Digest[];
  manifest: Buffer;
}

function writeImage(folder: string, options: ImageOptions): WrittenImage {
  const mediaTypes = MEDIA_TYPES[options.format ?? 'oci'];
  const own = Array.from({ length: options.layers ?? 2 }, (_, index) => `${options.seed} layer ${index}`);
  const layers = [...(options.baseSeeds ?? []), ...own].map((seed) =>
    buildLayer(seed, options.layerBytes ?? 4096),
  );
  const config = encode({
    architecture: options.architecture ?? 'amd64',
    os: 'linux',
    created: '2024-01-01T00:00:00Z',
    config: { Cmd: ['/bin/true'], Labels: { seed: options.seed } },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(() => ({ created: '2024-01-01T00:00:00Z', created_by: 'regtool test seed' })),
  });
  const manifest = encode({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: { mediaType: mediaTypes.config, digest: digestOf(config), size: config.length },
    layers: layers.map(({ content }) => ({
      mediaType: mediaTypes.layer,
      digest: digestOf(content),
      size: content.length,
    })),
  });
  const contents = [config, ...layers.map(({ content }) => content)];
  for (const content of contents) {
    writeFileSync(path.join(folder, hexOf(digestOf(content))), content);
  }
  return { digest: digestOf(manifest), blobs: contents.map((content) => digestOf(content)), manifest };
}

/** A layer and the digest of its tar before gzip, which the config names. */
function buildLayer(seed: string, sizeBytes: number): { content: Buffer; diffId: Digest } {
  const name = `data-${createHash('sha256').update(seed).digest('hex').slice(0, 12)}`;
  const tar = tarOfOneFile(name, deterministicBytes(seed, sizeBytes));
  // The content does not compress: level 0 saves the time of finding that out.
  return { content: gzipSync(tar, { level: 0 }), diffId: digestOf(tar) };
}

/** POSIX ustar (pax(1), "ustar Interchange Format"): a header block, the content, padding and two empty blocks. */
function tarOfOneFile(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write('0000644\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write(' '.repeat(8), 148);
  header.write('0', 156);
  header.write('ustar\u000000', 257);
  const checksum = header.reduce((sum, byte) => sum + byte, 0);
  header.write(`${checksum.toString(8).padStart(6, '0')}\0 `, 148);
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
  return Buffer.concat([header, content, padding, Buffer.alloc(1024)]);
}

function startFolder(folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'version'), 'Directory Transport Version: 1.1\n');
}

function encode(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}
