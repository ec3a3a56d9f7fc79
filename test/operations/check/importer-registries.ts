import { digestOf } from '../../support/images.ts';
import {
  blobKey,
  type Broken,
  currentKey,
  descriptor,
  indexKey,
  layerKey,
  pushRaw,
  revisionKey,
  set,
  SHOP,
} from './fixtures.ts';

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar';
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const CACHE_CONFIG = 'application/vnd.buildkit.cacheconfig.v0';
const CUT_OFF = Buffer.from('{"schemaVersion": 2, "mediaTy');
const UNKNOWN_KIND = { schemaVersion: 2, mediaType: 'application/vnd.example.unknown+json' };
const V1 = ['shop:v1'];

/**
 * The registries on which the GitLab registry tests its import into the database, by the names that it gives them
 * (`registry/datastore/testdata/fixtures/importer`), each built anew from what its name says.
 */
export const importerRegistries: readonly Broken[] = [
  {
    name: 'bad-manifest-format',
    damage: ({ registry }) => pushRaw(registry, 'shop', 'v2', CUT_OFF),
    findings: () => [['manifest-unparsable', 'error', blobKey(digestOf(CUT_OFF)), ['v2']]],
    notPullable: ['shop:v2'],
  },
  {
    name: 'bad-manifest-link',
    damage: ({ registry, image }) => set(registry, revisionKey('shop', image.digest), 'no digest'),
    findings: ({ image }) => [['revision-link-invalid', 'error', revisionKey('shop', image.digest), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'bad-manifest-list-ref',
    damage: ({ registry, child }) => set(registry, revisionKey('multi', child.digest), ''),
    findings: ({ child }) => [
      ['revision-link-empty', 'error', revisionKey('multi', child.digest), ['latest']],
    ],
    notPullable: ['multi:latest'],
  },
  {
    name: 'bad-tag-link',
    damage: ({ registry }) => set(registry, currentKey('shop', 'v1'), 'no digest'),
    findings: () => [['tag-link-invalid', 'error', currentKey('shop', 'v1'), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'buildkit-index-as-manifest-list',
    damage: ({ registry }) => {
      const layer = descriptor(registry, 'shop', 'cached layer', OCI_LAYER);
      const config = descriptor(registry, 'shop', '{"layers":[]}', CACHE_CONFIG);
      pushRaw(registry, 'shop', 'cache', {
        schemaVersion: 2,
        mediaType: OCI_INDEX,
        manifests: [layer, config],
      });
    },
    findings: () => [],
  },
  {
    name: 'buildkit-index-as-manifest-list-without-layers',
    damage: ({ registry }) => {
      const config = descriptor(registry, 'shop', '{"layers":[]}', CACHE_CONFIG);
      const layer = { mediaType: OCI_LAYER, digest: digestOf(Buffer.from('lost')), size: 4 };
      pushRaw(registry, 'shop', 'cache', {
        schemaVersion: 2,
        mediaType: OCI_INDEX,
        manifests: [layer, config],
      });
    },
    findings: () => [
      ['layer-blob-missing', 'error', blobKey(digestOf(Buffer.from('lost'))), ['cache']],
      ['layer-link-missing', 'error', layerKey('shop', digestOf(Buffer.from('lost'))), ['cache']],
    ],
    notPullable: ['shop:cache'],
  },
  {
    name: 'empty-layer-links',
    damage: ({ registry, layer, otherLayer }) => {
      set(registry, layerKey('shop', layer.digest), '');
      set(registry, layerKey('shop', otherLayer.digest), '');
    },
    findings: ({ layer, otherLayer }) => [
      ['layer-link-empty', 'error', layerKey('shop', layer.digest), ['v1']],
      ['layer-link-empty', 'error', layerKey('shop', otherLayer.digest), ['v1']],
    ],
    notPullable: V1,
  },
  {
    name: 'empty-manifest',
    damage: ({ registry, image }) => set(registry, blobKey(image.digest), ''),
    findings: ({ image }) => [['manifest-empty', 'error', blobKey(image.digest), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'invalid-blob',
    damage: ({ registry }) => registry.foreign('docker/registry/v2/blobs/sha256/12/invalid/data'),
    findings: () => [['key-digest-invalid', 'warning', 'docker/registry/v2/blobs/sha256/12/invalid/data']],
  },
  {
    name: 'invalid-lockfiles',
    damage: ({ registry }) => registry.lockfile('database-in-use'),
    findings: () => [['lockfile-conflict', 'warning', 'docker/registry/lockfiles/database-in-use']],
  },
  {
    name: 'last-tag-error',
    damage: ({ registry, image }) => {
      for (const tag of ['v2', 'v3', 'v4']) {
        registry.push('shop', tag, image);
      }
      set(registry, currentKey('shop', 'v4'), '');
    },
    findings: () => [['tag-link-empty', 'error', currentKey('shop', 'v4'), ['v4']]],
    notPullable: ['shop:v4'],
  },
  {
    name: 'lockfile-db-in-use',
    damage: ({ registry }) => {
      registry.objects.delete('docker/registry/lockfiles/filesystem-in-use');
      registry.lockfile('database-in-use');
    },
    findings: () => [['lockfile-database-in-use', 'hint', 'docker/registry/lockfiles/database-in-use']],
  },
  {
    name: 'manifest-list-bad-manifest-ref',
    damage: ({ registry }) => {
      const manifests = [{ mediaType: OCI_MANIFEST, digest: `sha256:${'b'.repeat(64)}`, size: 5 }];
      pushRaw(registry, 'shop', 'list', { schemaVersion: 2, mediaType: OCI_INDEX, manifests });
    },
    findings: () => [
      ['child-manifest-missing', 'error', revisionKey('shop', `sha256:${'b'.repeat(64)}`), ['list']],
    ],
    notPullable: ['shop:list'],
  },
  {
    name: 'missing-revisions',
    damage: ({ registry, image }) => registry.objects.delete(revisionKey('shop', image.digest)),
    findings: ({ image }) => [
      ['tag-index-dangling', 'hint', indexKey('shop', 'v1', image.digest), ['v1']],
      ['tag-revision-missing', 'error', revisionKey('shop', image.digest), ['v1']],
    ],
    notPullable: V1,
  },
  {
    name: 'missing-tag-link',
    damage: ({ registry }) => registry.objects.delete(currentKey('shop', 'v1')),
    findings: () => [['tag-current-missing', 'error', currentKey('shop', 'v1'), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'missing-tags',
    damage: ({ registry }) => registry.untag('shop', 'v1'),
    findings: () => [],
  },
  {
    name: 'unknown-layer-mediatype',
    damage: ({ registry }) => {
      const config = descriptor(registry, 'shop', '{}', OCI_CONFIG);
      const layers = [descriptor(registry, 'shop', 'a chart', 'application/vnd.example.chart')];
      pushRaw(registry, 'shop', 'chart', { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers });
    },
    findings: () => [],
  },
  {
    name: 'unknown-manifest-mediatype',
    damage: ({ registry }) => pushRaw(registry, 'shop', 'v2', UNKNOWN_KIND),
    findings: () => [
      ['manifest-unparsable', 'error', blobKey(digestOf(Buffer.from(JSON.stringify(UNKNOWN_KIND)))), ['v2']],
    ],
    notPullable: ['shop:v2'],
  },
  {
    name: 'unknown-manifestconfig-mediatype',
    damage: ({ registry }) => {
      const config = descriptor(registry, 'shop', '{}', 'application/vnd.example.config');
      pushRaw(registry, 'shop', 'v2', { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [] });
    },
    findings: () => [],
  },
  {
    name: 'unlinked-config',
    damage: ({ registry, config }) => registry.objects.delete(layerKey('shop', config.digest)),
    findings: ({ config }) => [['layer-link-missing', 'error', layerKey('shop', config.digest), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'unlinked-layers',
    damage: ({ registry, layer, otherLayer }) => {
      registry.objects.delete(layerKey('shop', layer.digest));
      registry.objects.delete(layerKey('shop', otherLayer.digest));
    },
    findings: ({ layer, otherLayer }) => [
      ['layer-link-missing', 'error', layerKey('shop', layer.digest), ['v1']],
      ['layer-link-missing', 'error', layerKey('shop', otherLayer.digest), ['v1']],
    ],
    notPullable: V1,
  },
  {
    name: 'unsupported-digest',
    damage: ({ registry, image }) =>
      set(registry, revisionKey('shop', image.digest), 'md5:d41d8cd98f00b204e9800998ecf8427e'),
    findings: ({ image }) => [['revision-link-invalid', 'error', revisionKey('shop', image.digest), ['v1']]],
    notPullable: V1,
  },
  {
    name: 'unsupported-digest, in the name of a folder',
    damage: ({ registry }) => registry.foreign(`${SHOP}/_layers/md5/d41d8cd98f00b204e9800998ecf8427e/link`),
    findings: () => [
      ['key-digest-invalid', 'warning', `${SHOP}/_layers/md5/d41d8cd98f00b204e9800998ecf8427e/link`],
    ],
  },
];
