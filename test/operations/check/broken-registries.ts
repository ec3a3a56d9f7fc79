import { digestOf } from '../../support/images.ts';
import {
  blobKey,
  type Broken,
  currentKey,
  flipped,
  indexKey,
  layerKey,
  pushRaw,
  revisionKey,
  set,
  sha512Of,
  SHOP,
} from './fixtures.ts';

const UPLOAD = '0f9a2f8e-0d6f-4d6f-8b51-3f2f6f0a1b2c';
const ANOTHER = `sha256:${'5'.repeat(64)}`;
const V1 = ['shop:v1'];
const MULTI = ['multi:latest'];

/** One registry or more for each code that a check knows, each broken in one way. */
export const brokenRegistries: readonly Broken[] = [
  {
    name: "a tag's link that a crash emptied",
    damage: ({ registry }) => set(registry, currentKey('shop', 'v1'), ''),
    findings: () => [['tag-link-empty', 'error', currentKey('shop', 'v1'), ['v1']]],
    notPullable: V1,
  },
  {
    name: "a tag's link with a newline at its end",
    damage: ({ registry, image }) => set(registry, currentKey('shop', 'v1'), `${image.digest}\n`),
    findings: () => [['tag-link-invalid', 'error', currentKey('shop', 'v1'), ['v1']]],
    notPullable: V1,
  },
  {
    name: "a tag's link that was cut off",
    damage: ({ registry, image }) => set(registry, currentKey('shop', 'v1'), image.digest.slice(0, 40)),
    findings: () => [['tag-link-invalid', 'error', currentKey('shop', 'v1'), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'a tag that has an index and no current link',
    damage: ({ registry }) => registry.objects.delete(currentKey('shop', 'v1')),
    findings: () => [['tag-current-missing', 'error', currentKey('shop', 'v1'), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'a tag whose manifest has no revision link',
    damage: ({ registry, image }) => registry.objects.delete(revisionKey('shop', image.digest)),
    findings: ({ image }) => [
      ['tag-index-dangling', 'hint', indexKey('shop', 'v1', image.digest), ['v1']],
      ['tag-revision-missing', 'error', revisionKey('shop', image.digest), ['v1']],
    ],
    notPullable: V1,
  },
  {
    name: 'a file that a registry lists as a tag',
    damage: ({ registry }) => registry.foreign(`${SHOP}/_manifests/tags/.nfs000123`),
    findings: () => [
      ['file-unexpected', 'hint', `${SHOP}/_manifests/tags/.nfs000123`],
      ['tag-ghost', 'warning', `${SHOP}/_manifests/tags/.nfs000123`, ['.nfs000123']],
    ],
  },
  {
    name: 'a tag whose name no registry serves',
    damage: ({ registry, image }) => set(registry, currentKey('shop', '-v2'), image.digest),
    findings: () => [['tag-name-invalid', 'warning', currentKey('shop', '-v2'), ['-v2']]],
  },
  {
    name: 'a tag whose index lacks the manifest it stands for',
    damage: ({ registry, image }) => registry.objects.delete(indexKey('shop', 'v1', image.digest)),
    findings: ({ image }) => [['tag-index-missing', 'hint', indexKey('shop', 'v1', image.digest), ['v1']]],
  },
  {
    name: "an empty link in a tag's index",
    damage: ({ registry, image }) => set(registry, indexKey('shop', 'v1', image.digest), ''),
    findings: ({ image }) => [['tag-index-broken', 'hint', indexKey('shop', 'v1', image.digest), ['v1']]],
  },
  {
    name: "a link in a tag's index that holds another digest",
    damage: ({ registry, image }) => set(registry, indexKey('shop', 'v1', image.digest), ANOTHER),
    findings: ({ image }) => [['tag-index-broken', 'hint', indexKey('shop', 'v1', image.digest), ['v1']]],
  },
  {
    name: 'an image that was deleted after its tag had moved on',
    damage: ({ registry, image }) => {
      registry.push('shop', 'v1', registry.image({ layers: 0 }));
      registry.deleteManifest('shop', image.digest);
    },
    findings: ({ image, config, layer, otherLayer }) => [
      ...[image, config, layer, otherLayer].map(
        ({ digest }) => ['blob-orphan', 'hint', blobKey(digest)] as const,
      ),
      ['tag-index-dangling', 'hint', indexKey('shop', 'v1', image.digest), ['v1']],
    ],
  },
  {
    name: 'the same after garbage collection',
    damage: ({ registry, image }) => {
      registry.push('shop', 'v1', registry.image({ layers: 0 }));
      registry.deleteManifest('shop', image.digest);
      registry.garbageCollect();
    },
    findings: ({ image, config, layer, otherLayer }) => [
      ...[config, layer, otherLayer].map(
        ({ digest }) => ['layer-link-dangling', 'hint', layerKey('shop', digest)] as const,
      ),
      ['tag-index-dangling', 'hint', indexKey('shop', 'v1', image.digest), ['v1']],
    ],
  },
  {
    name: "a manifest's link that a crash emptied (distribution issue 1960)",
    damage: ({ registry, image }) => set(registry, revisionKey('shop', image.digest), ''),
    findings: ({ image }) => [['revision-link-empty', 'error', revisionKey('shop', image.digest), ['v1']]],
    notPullable: V1,
  },
  {
    name: "a manifest's link with a newline at its end",
    damage: ({ registry, image }) => set(registry, revisionKey('shop', image.digest), `${image.digest}\n`),
    findings: ({ image }) => [['revision-link-invalid', 'error', revisionKey('shop', image.digest), ['v1']]],
    notPullable: V1,
  },
  {
    name: "a manifest's link that holds another digest than its folder",
    damage: ({ registry, image }) => set(registry, revisionKey('shop', image.digest), ANOTHER),
    findings: ({ image }) => [['revision-link-mismatch', 'error', revisionKey('shop', image.digest), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'a manifest whose bytes are missing',
    damage: ({ registry, image }) => registry.objects.delete(blobKey(image.digest)),
    findings: ({ image }) => [['manifest-blob-missing', 'error', blobKey(image.digest), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'an untagged manifest whose bytes are missing',
    damage: ({ registry, image }) => {
      registry.untag('shop', 'v1');
      registry.objects.delete(blobKey(image.digest));
    },
    findings: ({ image }) => [['manifest-blob-missing', 'error', blobKey(image.digest), []]],
  },
  {
    name: 'a manifest of zero bytes',
    damage: ({ registry, image }) => set(registry, blobKey(image.digest), ''),
    findings: ({ image }) => [['manifest-empty', 'error', blobKey(image.digest), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'a manifest with a space in it that was not there',
    damage: ({ registry, image }) =>
      set(registry, blobKey(image.digest), Buffer.concat([image.manifestBytes, Buffer.from(' ')])),
    findings: ({ image }) => [['manifest-corrupt', 'error', blobKey(image.digest), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'a tag that stands for something that is no manifest',
    damage: ({ registry }) => pushRaw(registry, 'shop', 'v2', Buffer.from('not a manifest')),
    findings: () => [
      ['manifest-unparsable', 'error', blobKey(digestOf(Buffer.from('not a manifest'))), ['v2']],
    ],
    notPullable: ['shop:v2'],
  },
  {
    name: 'an index one of whose images was garbage-collected (distribution issue 3178)',
    damage: ({ registry, child }) => {
      registry.objects.delete(revisionKey('multi', child.digest));
      registry.objects.delete(blobKey(child.digest));
    },
    findings: ({ child }) => [
      ['child-manifest-missing', 'error', revisionKey('multi', child.digest), ['latest']],
    ],
    notPullable: MULTI,
  },
  {
    name: 'an index one of whose images is there in another repository only',
    damage: ({ registry, child }) => {
      registry.objects.delete(revisionKey('multi', child.digest));
      registry.push('elsewhere', 'v1', child);
    },
    findings: ({ child }) => [
      ['child-manifest-missing', 'error', revisionKey('multi', child.digest), ['latest']],
    ],
    notPullable: MULTI,
  },
  {
    name: 'a manifest of schema 1',
    damage: ({ registry }) => registry.push('old', 'v1', registry.image({ format: 'schema1' })),
    findings: ({ registry }) => [
      ['manifest-schema1', 'warning', blobKey(registry.revisions('old')[0] ?? ''), ['v1']],
    ],
  },
  {
    name: 'a manifest that was linked as a layer (registry 2.1.0)',
    damage: ({ registry, image }) => {
      registry.objects.delete(revisionKey('shop', image.digest));
      set(registry, layerKey('shop', image.digest), image.digest);
    },
    findings: ({ image }) => [
      ['manifest-linked-as-layer', 'warning', revisionKey('shop', image.digest), ['v1']],
      ['tag-index-dangling', 'hint', indexKey('shop', 'v1', image.digest), ['v1']],
    ],
  },
  {
    name: 'a layer link that a crash emptied',
    damage: ({ registry, layer }) => set(registry, layerKey('shop', layer.digest), ''),
    findings: ({ layer }) => [['layer-link-empty', 'error', layerKey('shop', layer.digest), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'an empty layer link that no manifest needs',
    damage: ({ registry }) => set(registry, layerKey('shop', ANOTHER), ''),
    findings: () => [['layer-link-empty', 'warning', layerKey('shop', ANOTHER), []]],
  },
  {
    name: 'a layer link that was cut off',
    damage: ({ registry, layer }) => set(registry, layerKey('shop', layer.digest), layer.digest.slice(0, 70)),
    findings: ({ layer }) => [['layer-link-invalid', 'error', layerKey('shop', layer.digest), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'a layer link that holds the digest of another layer',
    damage: ({ registry, layer, otherLayer }) =>
      set(registry, layerKey('shop', layer.digest), otherLayer.digest),
    findings: ({ layer }) => [['layer-link-mismatch', 'error', layerKey('shop', layer.digest), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'a config that is not linked in the repository',
    damage: ({ registry, config }) => registry.objects.delete(layerKey('shop', config.digest)),
    findings: ({ config }) => [['layer-link-missing', 'error', layerKey('shop', config.digest), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'a layer link that garbage collection left',
    damage: ({ registry }) => set(registry, layerKey('shop', ANOTHER), ANOTHER),
    findings: () => [['layer-link-dangling', 'hint', layerKey('shop', ANOTHER)]],
  },
  {
    name: 'a layer that was pushed by its SHA-512, which is as it should be',
    damage: ({ registry }) => {
      registry.sha512Alias('shop', Buffer.from('pushed by its sha512'));
      pushRaw(registry, 'shop', 'v2', {
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        config: { mediaType: 'x', digest: sha512Of('pushed by its sha512'), size: 20 },
        layers: [],
      });
    },
    findings: () => [],
  },
  {
    name: 'a config whose bytes are missing',
    damage: ({ registry, config }) => registry.objects.delete(blobKey(config.digest)),
    findings: ({ config }) => [['config-blob-missing', 'error', blobKey(config.digest), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'a layer whose bytes are missing (harbor issue 22092)',
    damage: ({ registry, layer }) => registry.objects.delete(blobKey(layer.digest)),
    findings: ({ layer }) => [['layer-blob-missing', 'error', blobKey(layer.digest), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'a layer of zero bytes (harbor issue 19317)',
    damage: ({ registry, layer }) => set(registry, blobKey(layer.digest), ''),
    findings: ({ layer }) => [['blob-empty', 'error', blobKey(layer.digest), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'a blob of zero bytes that nothing needs',
    damage: ({ registry }) => set(registry, blobKey(ANOTHER), ''),
    findings: () => [
      ['blob-empty', 'warning', blobKey(ANOTHER)],
      ['blob-orphan', 'hint', blobKey(ANOTHER)],
    ],
  },
  {
    name: 'a layer that was cut off',
    damage: ({ registry, layer }) => set(registry, blobKey(layer.digest), layer.bytes.subarray(0, 10)),
    findings: ({ layer }) => [['blob-size-wrong', 'error', blobKey(layer.digest), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'a layer with one byte changed (distribution issue 4674)',
    damage: ({ registry, layer }) => set(registry, blobKey(layer.digest), flipped(layer.bytes)),
    findings: ({ layer }) => [['blob-corrupt', 'error', blobKey(layer.digest), ['v1']]],
    notPullable: V1,
    readData: true,
  },
  {
    name: 'a corrupt blob that nothing needs',
    damage: ({ registry }) => set(registry, blobKey(ANOTHER), 'something else'),
    findings: () => [
      ['blob-corrupt', 'warning', blobKey(ANOTHER)],
      ['blob-orphan', 'hint', blobKey(ANOTHER)],
    ],
    readData: true,
  },
  {
    name: 'a link to a signature of schema 1 that is empty',
    damage: ({ registry, image }) =>
      set(
        registry,
        `${revisionKey('shop', image.digest).slice(0, -'/link'.length)}/signatures/${ANOTHER.replace(':', '/')}/link`,
        '',
      ),
    findings: ({ image }) => [
      [
        'signature-link-broken',
        'hint',
        `${revisionKey('shop', image.digest).slice(0, -'/link'.length)}/signatures/${ANOTHER.replace(':', '/')}/link`,
      ],
    ],
  },
  {
    name: 'a second tree whose keys begin with a slash',
    damage: ({ registry, layer }) => set(registry, `/${blobKey(layer.digest)}`, layer.bytes),
    findings: ({ layer }) => [['key-leading-slash', 'warning', `/${blobKey(layer.digest)}`]],
  },
  {
    name: 'a second tree below two slashes',
    damage: ({ registry, layer }) => set(registry, `docker//${blobKey(layer.digest).slice(7)}`, layer.bytes),
    findings: ({ layer }) => [['key-double-slash', 'warning', `docker//${blobKey(layer.digest).slice(7)}`]],
  },
  {
    name: 'a folder that a NAS made',
    damage: ({ registry }) => {
      registry.foreign(`${SHOP}/@eaDir/a`);
      registry.foreign(`${SHOP}/@eaDir/b`);
    },
    findings: () => [['key-outside-grammar', 'warning', `${SHOP}/@eaDir/a`]],
  },
  {
    name: 'a blob whose folder is no digest',
    damage: ({ registry }) => registry.foreign('docker/registry/v2/blobs/sha256/zz/zzz/data'),
    findings: () => [['key-digest-invalid', 'warning', 'docker/registry/v2/blobs/sha256/zz/zzz/data']],
  },
  {
    name: 'a repository with an upper-case name',
    damage: ({ registry, image }) => set(registry, currentKey('Shop', 'v1'), image.digest),
    findings: () => [['repository-name-invalid', 'warning', currentKey('Shop', 'v1')]],
  },
  {
    name: 'a file where no registry looks',
    damage: ({ registry }) => registry.foreign(`${SHOP}/_layers/.DS_Store`),
    findings: () => [['file-unexpected', 'hint', `${SHOP}/_layers/.DS_Store`]],
  },
  {
    name: 'a file and a folder beside the registry',
    damage: ({ registry }) => {
      registry.foreign('backup/monday.tar');
      registry.foreign('readme.txt');
    },
    findings: () => [
      ['foreign-files', 'hint', 'backup/'],
      ['foreign-files', 'hint', 'readme.txt'],
    ],
  },
  {
    name: 'what a registry of version 1 left',
    damage: ({ registry }) => registry.foreign(`images/${'a'.repeat(64)}/json`),
    findings: () => [['registry-v1-data', 'hint', 'images/']],
  },
  {
    name: 'what a registry 2.0 left',
    damage: ({ registry }) => {
      registry.foreign(`docker/registry/v2/blobs/tarsum/v1/sha256/ab/ab${'c'.repeat(62)}/data`);
      registry.foreign(`${SHOP}/_layers/tarsum/v1/sha256/ab${'c'.repeat(62)}/link`);
    },
    findings: () => [
      ['tarsum-data', 'hint', `docker/registry/v2/blobs/tarsum/v1/sha256/ab/ab${'c'.repeat(62)}/data`],
    ],
  },
  {
    name: 'a marker of the folder of the tags',
    damage: ({ registry }) => registry.marker(`${SHOP}/_manifests/tags/`),
    findings: () => [['marker-empty-tag', 'warning', `${SHOP}/_manifests/tags/`]],
  },
  {
    name: 'a marker of the folder of a deleted tag',
    damage: ({ registry }) => registry.marker(`${SHOP}/_manifests/tags/gone/`),
    findings: () => [['marker-ghost-tag', 'warning', `${SHOP}/_manifests/tags/gone/`, ['gone']]],
  },
  {
    name: 'markers of what the purger walks',
    damage: ({ registry }) => {
      registry.marker('docker/registry/v2/repositories/');
      registry.marker(`${SHOP}/`);
      registry.marker(`${SHOP}/_uploads/`);
      registry.marker(`${SHOP}/_uploads/${UPLOAD}/`);
    },
    findings: () => [
      ['marker-purger-panic', 'warning', 'docker/registry/v2/repositories/'],
      ['marker-purger-panic', 'warning', `${SHOP}/`],
      ['marker-purger-panic', 'warning', `${SHOP}/_uploads/`],
      ['marker-purger-panic', 'warning', `${SHOP}/_uploads/${UPLOAD}/`],
    ],
  },
  {
    name: 'harmless markers',
    damage: ({ registry }) => {
      registry.marker('docker/registry/v2/blobs/');
      registry.marker(`${SHOP}/_layers/`);
      registry.marker(`${SHOP}/_manifests/`);
      registry.marker(`${SHOP}/_manifests/tags/v1/`);
    },
    findings: () => [
      ['marker-harmless', 'hint', 'docker/registry/v2/blobs/'],
      ['marker-harmless', 'hint', `${SHOP}/_layers/`],
      ['marker-harmless', 'hint', `${SHOP}/_manifests/`],
      ['marker-harmless', 'hint', `${SHOP}/_manifests/tags/v1/`, ['v1']],
    ],
  },
  {
    name: 'a marker that GitLab on Azure trips over',
    store: 'azure',
    damage: ({ registry }) => registry.marker(`${SHOP}/_layers/`),
    findings: () => [['marker-lists-itself', 'warning', `${SHOP}/_layers/`]],
  },
  {
    name: 'an object whose key ends in a slash and that has content',
    damage: ({ registry }) => registry.foreign(`${SHOP}/_layers/`, 'content'),
    findings: () => [['marker-with-content', 'warning', `${SHOP}/_layers/`]],
  },
  {
    name: 'a temporary file of a registry that was killed',
    damage: ({ registry }) => registry.foreign(`${currentKey('shop', 'v1')}.${UPLOAD}.tmp`),
    findings: () => [['temporary-file', 'hint', `${currentKey('shop', 'v1')}.${UPLOAD}.tmp`]],
  },
  {
    name: 'an upload that was begun weeks ago',
    damage: ({ registry }) => {
      set(registry, `${SHOP}/_uploads/${UPLOAD}/startedat`, '2024-01-02T15:04:05Z');
      set(registry, `${SHOP}/_uploads/${UPLOAD}/data`, 'half of it');
    },
    findings: () => [['upload-abandoned', 'hint', `${SHOP}/_uploads/${UPLOAD}/`]],
  },
  {
    name: 'an upload without the time of its beginning',
    damage: ({ registry }) => set(registry, `${SHOP}/_uploads/${UPLOAD}/data`, 'half of it'),
    findings: () => [['upload-unpurgeable', 'hint', `${SHOP}/_uploads/${UPLOAD}/`]],
  },
  {
    name: 'both lockfiles',
    damage: ({ registry }) => registry.lockfile('database-in-use'),
    findings: () => [['lockfile-conflict', 'warning', 'docker/registry/lockfiles/database-in-use']],
  },
  {
    name: 'the lockfile of the metadata database, and links that are stale',
    damage: ({ registry, layer }) => {
      registry.objects.delete('docker/registry/lockfiles/filesystem-in-use');
      registry.lockfile('database-in-use');
      registry.objects.delete(blobKey(layer.digest));
      registry.objects.delete(revisionKey('shop', registry.revisions('shop')[0] ?? ''));
    },
    findings: () => [['lockfile-database-in-use', 'hint', 'docker/registry/lockfiles/database-in-use']],
  },
  {
    name: 'no lockfile',
    damage: ({ registry }) => registry.objects.delete('docker/registry/lockfiles/filesystem-in-use'),
    findings: () => [['lockfile-absent', 'hint', 'docker/registry/lockfiles/filesystem-in-use']],
  },
  {
    name: 'a pull-through cache that lacks a layer and an image of an index',
    damage: ({ registry, layer, child }) => {
      set(registry, 'scheduler-state.json', '{}');
      registry.objects.delete(blobKey(layer.digest));
      registry.objects.delete(revisionKey('multi', child.digest));
    },
    findings: ({ layer, child }) => [
      ['child-manifest-missing', 'hint', revisionKey('multi', child.digest), ['latest']],
      ['layer-blob-missing', 'hint', blobKey(layer.digest), ['v1']],
      ['pull-through-cache', 'hint', 'scheduler-state.json'],
    ],
  },
];
