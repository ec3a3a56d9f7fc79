import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Manifest, MAX_MANIFEST_BYTES, parseManifest, references } from '../../src/layout/manifest.ts';
import { digestOf } from './arbitraries.ts';

const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json';
const LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const OCI = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';

function digest(letter: string) {
  return digestOf(`sha256:${letter.repeat(64)}`);
}

function descriptor(letter: string, mediaType: string, more: object = {}) {
  return { mediaType, size: 7, digest: digest(letter), ...more };
}

function bytesOf(document: unknown): Uint8Array {
  return Buffer.from(typeof document === 'string' ? document : JSON.stringify(document));
}

function read(document: unknown): Manifest {
  const parsed = parseManifest(bytesOf(document));
  if (!parsed.ok) {
    throw new Error(`${parsed.problem}: ${parsed.detail}`);
  }
  return parsed;
}

function image(more: object = {}): object {
  return {
    schemaVersion: 2,
    mediaType: OCI,
    config: descriptor('c', CONFIG),
    layers: [descriptor('1', LAYER), descriptor('2', LAYER)],
    ...more,
  };
}

describe('an image manifest', () => {
  it.each([DOCKER, OCI])('of %s names a config and layers', (mediaType) => {
    const manifest = read(image({ mediaType }));
    expect(manifest).toMatchObject({ kind: 'manifest', mediaType, children: [] });
    expect(manifest.config).toEqual({ digest: digest('c'), sizeBytes: 7, mediaType: CONFIG, required: true });
    expect(manifest.layers.map((layer) => layer.digest)).toEqual([digest('1'), digest('2')]);
    expect(manifest.blobs.map((blob) => blob.digest)).toEqual([digest('c'), digest('1'), digest('2')]);
  });

  it('need not say its media type', () => {
    expect(read(image({ mediaType: undefined }))).toMatchObject({ kind: 'manifest', mediaType: OCI });
    expect(read(image({ mediaType: '' }))).toMatchObject({ kind: 'manifest', mediaType: OCI });
    expect(read(image({ mediaType: null, manifests: null }))).toMatchObject({ kind: 'manifest' });
  });

  // A real registry 2.8.2 refused each of these with MANIFEST_BLOB_UNKNOWN while the layer was not there.
  it.each([
    ['LAYERS', 'digest', 'config'],
    ['layer\u017F', 'digest', 'config'],
    ['Layers', 'DIGEST', 'Config'],
  ])('may name its members in any case, as Go does: %s, %s, %s', (layers, name, config) => {
    const named = (letter: string) => ({ mediaType: LAYER, size: 7, [name]: digest(letter) });
    const manifest = read({ schemaVersion: 2, mediaType: OCI, [config]: named('c'), [layers]: [named('1')] });
    expect(references(manifest).map((reference) => reference.digest)).toEqual([digest('c'), digest('1')]);
  });

  it('takes the last of members that differ in case alone', () => {
    const [one, two] = [[descriptor('1', LAYER)], [descriptor('2', LAYER)]];
    const layersOf = (members: object) => read({ ...image({ layers: undefined }), ...members }).layers;
    expect(layersOf({ layers: one, Layers: two }).map((layer) => layer.digest)).toEqual([digest('2')]);
    expect(
      read(
        `{"schemaVersion":2,"config":${JSON.stringify(descriptor('c', CONFIG))},"LAYERS":${JSON.stringify(two)},"layers":${JSON.stringify(one)}}`,
      ).layers.map((layer) => layer.digest),
    ).toEqual([digest('1')]);
    expect(layersOf({ layer: one, players: two, 'layer s': one })).toEqual([]);
  });

  it('may have no layers and no sizes', () => {
    const manifest = read({
      schemaVersion: 2,
      mediaType: OCI,
      config: { digest: digest('c') },
      layers: null,
    });
    expect(manifest.layers).toEqual([]);
    expect(manifest.config).toEqual({
      digest: digest('c'),
      sizeBytes: undefined,
      mediaType: '',
      required: true,
    });
  });

  it('does not make its subject a reference', () => {
    const manifest = read(image({ subject: descriptor('5', OCI) }));
    expect(references(manifest).map((reference) => reference.digest)).not.toContain(digest('5'));
  });

  it.each([
    ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', ['https://example.com/l'], false],
    ['application/vnd.oci.image.layer.nondistributable.v1.tar', ['https://example.com/l'], false],
    ['application/vnd.oci.image.layer.nondistributable.v1.tar+zstd', ['https://example.com/l'], false],
    ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', [], true],
    ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', undefined, true],
    [LAYER, ['https://example.com/l'], true],
  ])('with a layer of %s at %j: required is %s', (mediaType, urls, required) => {
    expect(read(image({ layers: [descriptor('1', mediaType, { urls })] })).layers[0]?.required).toBe(
      required,
    );
  });

  it('may name ten thousand layers', () => {
    const layers = Array.from({ length: 10_000 }, (_, index) =>
      descriptor('0', LAYER, { digest: `sha256:${index.toString(16).padStart(64, '0')}` }),
    );
    expect(references(read(image({ layers })))).toHaveLength(10_001);
  });
});

describe('an index', () => {
  it.each([LIST, INDEX])('of %s names manifests', (mediaType) => {
    const manifest = read({
      schemaVersion: 2,
      mediaType,
      manifests: [descriptor('a', DOCKER), descriptor('b', INDEX)],
    });
    expect(manifest).toMatchObject({ kind: 'index', mediaType, layers: [], blobs: [] });
    expect(manifest.children.map((child) => child.digest)).toEqual([digest('a'), digest('b')]);
  });

  it('need not say its media type, and wins over config and layers as in the registry', () => {
    expect(read({ schemaVersion: 2, manifests: [] })).toMatchObject({ kind: 'index', mediaType: INDEX });
    expect(read(image({ mediaType: undefined, manifests: [descriptor('a', OCI)] })).kind).toBe('index');
  });

  it('takes an entry without a media type for a manifest', () => {
    const manifest = read({ schemaVersion: 2, mediaType: INDEX, manifests: [{ digest: digest('a') }] });
    expect(manifest.children).toHaveLength(1);
  });

  it('of a build cache names blobs', () => {
    const manifest = read({
      schemaVersion: 2,
      mediaType: INDEX,
      manifests: [
        descriptor('1', LAYER),
        descriptor('c', 'application/vnd.buildkit.cacheconfig.v0'),
        descriptor('a', OCI),
      ],
    });
    expect(manifest.config?.digest).toBe(digest('c'));
    expect(manifest.layers.map((layer) => layer.digest)).toEqual([digest('1')]);
    expect(manifest.children.map((child) => child.digest)).toEqual([digest('a')]);
    expect(manifest.blobs.map((blob) => blob.digest)).toEqual([digest('1'), digest('c')]);
  });
});

describe('a schema 1 manifest', () => {
  const fsLayers = [{ blobSum: digest('1') }, { blobSum: digest('2') }, { blobSum: digest('1') }];

  it('names its layers, signed or not', () => {
    const unsigned = read({ schemaVersion: 1, name: 'a', tag: 'b', fsLayers });
    const signed = read({ schemaVersion: 1, name: 'a', fsLayers, signatures: [{ protected: 'x' }] });
    expect(unsigned).toMatchObject({
      kind: 'schema1',
      mediaType: 'application/vnd.docker.distribution.manifest.v1+json',
    });
    expect(signed.mediaType).toBe('application/vnd.docker.distribution.manifest.v1+prettyjws');
    expect(references(signed)).toEqual([
      { digest: digest('1'), role: 'layer', sizeBytes: undefined, required: true },
      { digest: digest('2'), role: 'layer', sizeBytes: undefined, required: true },
    ]);
  });
});

describe('references', () => {
  it('name each digest once, with the stronger claim', () => {
    const foreign = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
    const layers = [
      descriptor('1', foreign, { urls: ['https://example.com'] }),
      descriptor('1', LAYER),
      descriptor('c', LAYER),
    ];
    expect(references(read(image({ layers })))).toEqual([
      { digest: digest('c'), role: 'config', sizeBytes: 7, required: true },
      { digest: digest('1'), role: 'layer', sizeBytes: 7, required: true },
    ]);
    const both = read({
      schemaVersion: 2,
      mediaType: INDEX,
      manifests: [descriptor('a', LAYER), descriptor('a', OCI)],
    });
    expect(references(both)).toEqual([{ digest: digest('a'), role: 'child', sizeBytes: 7, required: true }]);
  });
});

describe('a manifest that cannot be used', () => {
  it.each([
    ['empty', ''],
    ['json', ' '],
    ['json', '{"schemaVersion":2,'],
    ['json', `\uFEFF${JSON.stringify(image())}`],
    ['json', '['.repeat(1_000_000)],
    ['shape', '['.repeat(100_000) + ']'.repeat(100_000)],
    ['shape', 'null'],
    ['shape', []],
    ['shape', {}],
    ['shape', image({ schemaVersion: '2' })],
    ['shape', image({ mediaType: 2 })],
    ['shape', image({ config: undefined })],
    ['shape', image({ config: null })],
    ['shape', image({ config: [] })],
    ['shape', image({ config: descriptor('c', CONFIG, { digest: '' }) })],
    ['shape', image({ config: descriptor('c', CONFIG, { digest: ['sha256:x'] }) })],
    ['shape', image({ config: descriptor('c', CONFIG, { mediaType: 1 }) })],
    ['shape', image({ layers: {} })],
    ['shape', image({ layers: [null] })],
    ['shape', image({ layers: [descriptor('1', LAYER, { size: '7' })] })],
    ['shape', image({ layers: [descriptor('1', LAYER, { size: -1 })] })],
    ['shape', image({ layers: [descriptor('1', LAYER, { size: 1.5 })] })],
    [
      'shape',
      image({ layers: [descriptor('1', LAYER, { digest: 'md5:d41d8cd98f00b204e9800998ecf8427e' })] }),
    ],
    ['shape', image({ layers: [descriptor('1', LAYER, { urls: 'https://example.com' })] })],
    ['shape', { schemaVersion: 2, mediaType: INDEX, manifests: 'x' }],
    ['shape', { schemaVersion: 1, fsLayers: [{}] }],
    ['shape', { schemaVersion: 1, fsLayers: ['x'] }],
    ['media-type', image({ schemaVersion: 3 })],
    ['media-type', image({ mediaType: 'application/json' })],
  ])('%s', (problem, document) => {
    expect(parseManifest(bytesOf(document))).toMatchObject({ ok: false, problem });
  });

  it('is larger than a registry takes', () => {
    const padded = JSON.stringify(image()).padEnd(MAX_MANIFEST_BYTES);
    expect(parseManifest(bytesOf(padded)).ok).toBe(true);
    expect(parseManifest(bytesOf(`${padded} `))).toMatchObject({ ok: false, problem: 'too-large' });
    expect(MAX_MANIFEST_BYTES).toBe(4_194_304);
  });

  it('tells where in one line that a terminal can show', () => {
    const hostile = parseManifest(bytesOf(image({ mediaType: `\u001B[2J\n${'x'.repeat(1000)}\u009B` })));
    expect(hostile).toHaveProperty('detail', expect.stringMatching(/^[ -~]{1,120}$/));
    const misplaced = parseManifest(bytesOf(image({ layers: [descriptor('1', LAYER), { digest: 'x' }] })));
    expect(misplaced).toHaveProperty('detail', expect.stringContaining('layers[1].digest'));
  });

  it('takes the last of duplicate names, as the registry does', () => {
    const twice = JSON.stringify(image()).replace('"mediaType"', '"mediaType":"text/plain","mediaType"');
    expect(read(twice).mediaType).toBe(OCI);
  });
});

describe('whatever the bytes are', () => {
  it('reading them ends with a verdict', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(typeof parseManifest(bytes).ok).toBe('boolean');
      }),
    );
  });

  it('reading JSON of the right names and wrong values ends with a verdict', () => {
    const anything = fc.oneof(
      fc.jsonValue(),
      fc.constant(descriptor('1', LAYER)),
      fc.constant([descriptor('1', OCI)]),
    );
    const documents = fc.record(
      {
        schemaVersion: fc.oneof(fc.constantFrom(1, 2), anything),
        mediaType: fc.oneof(fc.constantFrom(OCI, INDEX, ''), anything),
        config: anything,
        layers: anything,
        manifests: anything,
        fsLayers: anything,
        signatures: anything,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(documents, (document) => {
        const parsed = parseManifest(bytesOf(document));
        if (parsed.ok) {
          const named = new Set([...parsed.blobs, ...parsed.children].map((entry) => entry.digest));
          expect(new Set(references(parsed).map((reference) => reference.digest))).toEqual(named);
        } else {
          expect(parsed.detail).not.toBe('');
        }
      }),
      { numRuns: 1000 },
    );
  });
});
