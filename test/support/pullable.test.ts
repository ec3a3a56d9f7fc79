import { expect, test } from 'vitest';
import { blobKey, currentKey, layerKey, revisionKey } from '../../fixtures/keys.ts';
import { RegistryBuilder, type FixtureImage } from '../../fixtures/registry-builder.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { brokenTags, pullableTags } from './pullable.ts';

const damages: { what: string; damage: (objects: Map<string, Uint8Array>, index: FixtureImage) => void }[] = [
  {
    what: 'an empty current link',
    damage: (objects) => objects.set(currentKey('app', 'v1'), new Uint8Array()),
  },
  {
    what: 'a current link with a newline',
    damage: (objects, { digest }) => objects.set(currentKey('app', 'v1'), Buffer.from(`${digest}\n`)),
  },
  {
    what: 'a missing revision link',
    damage: (objects, { digest }) => objects.delete(revisionKey('app', digest)),
  },
  {
    what: 'a revision link to another manifest',
    damage: (objects, index) =>
      objects.set(revisionKey('app', index.digest), Buffer.from(childOf(index).digest)),
  },
  {
    what: 'a missing manifest',
    damage: (objects, { digest }) => objects.delete(blobKey(digest)),
  },
  {
    what: 'a manifest with another byte',
    damage: (objects, { digest }) => spoil(objects, digest),
  },
  {
    what: 'a missing revision link of a child',
    damage: (objects, index) => objects.delete(revisionKey('app', childOf(index).digest)),
  },
  {
    what: 'a missing config of a child',
    damage: (objects, index) => objects.delete(blobKey(childOf(index).config?.digest ?? '')),
  },
  {
    what: 'a layer with another byte',
    damage: (objects, index) => spoil(objects, childOf(index).layers[1]?.digest ?? ''),
  },
  {
    what: 'a missing layer link',
    damage: (objects, index) => objects.delete(layerKey('app', childOf(index).layers[0]?.digest ?? '')),
  },
  {
    what: 'a layer cut short',
    damage: (objects, index) => {
      const key = blobKey(childOf(index).layers[0]?.digest ?? '');
      objects.set(key, (objects.get(key) ?? new Uint8Array()).subarray(1));
    },
  },
];

test.each(damages)('$what breaks the tag and no other', async ({ damage }) => {
  const registry = new RegistryBuilder();
  const index = registry.push('app', 'v1', registry.index());
  const other = registry.push('other', 'v1', registry.image());
  const before = new Map(registry.objects);
  damage(registry.objects, index);
  expect(registry.objects).not.toEqual(before);
  const driver = openMemory({ objects: registry.objects });
  expect(await pullableTags(driver)).toEqual([{ repository: 'other', tag: 'v1', digest: other.digest }]);
  expect(await brokenTags(driver)).toMatchObject([{ repository: 'app', tag: 'v1' }]);
});

test('a blob that is linked by its SHA-512 is pullable by it', async () => {
  const registry = new RegistryBuilder();
  const content = Buffer.from('layer');
  const { sha512 } = registry.sha512Alias('app', content);
  const config = registry.blob('app', Buffer.from('{}'));
  const manifest = Buffer.from(
    JSON.stringify({ schemaVersion: 2, config: { digest: config }, layers: [{ digest: sha512 }] }),
  );
  const image = registry.image();
  const digest = registry.blob('app', manifest);
  registry.push('app', 'v1', { ...image, digest, manifestBytes: manifest });
  expect(await brokenTags(openMemory({ objects: registry.objects }))).toEqual([]);
});

test('a tag without a current link is no tag yet', async () => {
  const registry = new RegistryBuilder();
  registry.push('app', 'v1', registry.image());
  registry.objects.delete(currentKey('app', 'v1'));
  const driver = openMemory({ objects: registry.objects });
  expect([await pullableTags(driver), await brokenTags(driver)]).toEqual([[], []]);
});

function childOf({ children: [child] }: FixtureImage): FixtureImage {
  if (child === undefined) {
    throw new TypeError('An index has images.');
  }
  return child;
}

function spoil(objects: Map<string, Uint8Array>, digest: string): void {
  const bytes = Buffer.from(objects.get(blobKey(digest)) ?? []);
  bytes[10] = (bytes[10] ?? 0) ^ 1;
  objects.set(blobKey(digest), bytes);
}
