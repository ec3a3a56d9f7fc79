import { expect, it } from 'vitest';
import { openMemory } from '../../../src/drivers/memory.ts';
import { withHooks } from '../../support/hooked-driver.ts';
import { blobKey, healthyRegistry, revisionKey, set } from '../check/fixtures.ts';
import { nestedIndexes } from '../check/nested-indexes.ts';
import { runRepair } from './repairing.ts';

it('mends the link of an index of which one image is not in the store', async () => {
  const { registry, index, child } = healthyRegistry();
  set(registry, revisionKey('multi', index.digest), '');
  registry.objects.delete(revisionKey('multi', child.digest));
  registry.objects.delete(blobKey(child.digest));
  const store = openMemory({ objects: registry.objects });
  const { steps, plan } = await runRepair(store);
  expect(steps).toEqual([`link ${revisionKey('multi', index.digest)}`]);
  expect(plan).toMatchObject({ unreadCount: 0, left: [{ code: 'child-manifest-missing' }] });
  expect((await runRepair(store)).steps).toEqual([]);
});

it('writes the link of an index after that of an index that it names and that is copied first', async () => {
  const { registry, top } = nestedIndexes(2);
  const intact = openMemory({ objects: registry.objects });
  const manifest = JSON.parse(Buffer.from(registry.objects.get(blobKey(top)) ?? '').toString()) as {
    manifests: { digest: string }[];
  };
  const named = manifest.manifests.map(({ digest }) => digest);
  set(registry, revisionKey('a', top), '');
  for (const digest of named) {
    registry.objects.delete(blobKey(digest));
    registry.objects.delete(revisionKey('a', digest));
  }
  const written: string[] = [];
  const watched = withHooks(openMemory({ objects: registry.objects }), {
    before({ operation, key }) {
      if (operation === 'write') {
        written.push(key);
      }
    },
  });
  await runRepair(watched, { other: intact, concurrency: 1 });
  expect(written).toHaveLength(5);
  expect(written.at(-1)).toBe(revisionKey('a', top));
});
