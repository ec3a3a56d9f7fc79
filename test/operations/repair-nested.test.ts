import { expect, test } from 'vitest';
import { blobKey, currentKey, indexKey, revisionKey } from '../../fixtures/keys.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { digestOf } from '../support/images.ts';
import { runRepair } from './repair/repairing.ts';

const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const LEVELS = 40;

test('indexes that share children on many levels are each looked at once, not once for each way to them', async () => {
  const registry = new RegistryBuilder();
  const images = [registry.image(), registry.image()].map((image) => registry.push('a', image.digest, image));
  let level: { digest: string; size: number; mediaType: string }[] = images.map(
    ({ digest, manifestBytes }) => ({
      digest,
      size: manifestBytes.length,
      mediaType: OCI_MANIFEST,
    }),
  );
  for (let depth = 1; depth <= LEVELS; depth += 1) {
    level = ['left', 'right'].map((side) => {
      const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: level, annotations: { side } };
      const bytes = Buffer.from(JSON.stringify(index));
      const digest = digestOf(bytes);
      registry.objects.set(blobKey(digest), bytes);
      registry.objects.set(revisionKey('a', digest), Buffer.from(digest));
      return { digest, size: bytes.length, mediaType: OCI_INDEX };
    });
  }
  const top = level[0]?.digest ?? '';
  registry.objects.set(currentKey('a', 'v1'), Buffer.from(top));
  registry.objects.set(indexKey('a', 'v1', top), Buffer.from(top));
  const expected = new Map(registry.objects);
  registry.objects.set(revisionKey('a', top), Buffer.from('damaged'));
  const store = openMemory({ objects: registry.objects });
  const { steps } = await runRepair(store);
  expect(steps).toHaveLength(1);
  expect(store.objects.get(revisionKey('a', top))).toEqual(
    new Uint8Array(expected.get(revisionKey('a', top)) ?? []),
  );
}, 20_000);
