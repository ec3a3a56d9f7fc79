import { expect, test } from 'vitest';
import { blobKey, layerKey, revisionKey } from '../../fixtures/keys.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { exitCodeOf } from '../../src/cli/migrate-exit-code.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { contentOf, deleteAnything, runMigrate } from '../support/migrating.ts';
import { withHooks } from '../support/hooked-driver.ts';

const STATE = 'scheduler-state.json';

/** A cache from which one platform of an image was pulled. */
function cacheOfOnePlatform() {
  const registry = new RegistryBuilder();
  const name = 'library/x';
  const [, other] = registry.push(name, 'latest', registry.index()).children;
  if (other === undefined) {
    throw new TypeError('An index was to have two manifests.');
  }
  const blobs = [...other.layers, ...(other.config === undefined ? [] : [other.config])];
  const whole = openMemory({ objects: registry.objects });
  whole.objects.set(STATE, Buffer.from('{}'));
  const cache = openMemory({ objects: whole.objects });
  cache.objects.delete(revisionKey(name, other.digest));
  cache.objects.delete(blobKey(other.digest));
  for (const { digest } of blobs) {
    cache.objects.delete(blobKey(digest));
    cache.objects.delete(layerKey(name, digest));
  }
  return { cache, whole };
}

test('a pull-through cache is copied with the gaps that it has', async () => {
  const { cache } = cacheOfOnePlatform();
  const target = openMemory();
  const result = await runMigrate(cache, target);
  expect(exitCodeOf(result)).toBe(0);
  expect(contentOf(target.objects)).toEqual(contentOf(cache.objects));
});

test('what a cache has let go is deleted at the target when that is asked for', async () => {
  const { cache, whole } = cacheOfOnePlatform();
  const target = openMemory();
  await runMigrate(whole, target);
  const result = await runMigrate(cache, target, { delete: deleteAnything });
  expect(exitCodeOf(result)).toBe(0);
  expect(contentOf(target.objects)).toEqual(contentOf(cache.objects));
});

test('the list of a live cache is copied as it is by then', async () => {
  const { cache } = cacheOfOnePlatform();
  const target = openMemory();
  let writes = 0;
  const watched = withHooks(target, {
    before: ({ operation, key }) => {
      if (operation === 'write' && key.includes('/blobs/')) {
        writes += 1;
        cache.objects.set(STATE, Buffer.from('{"x":1}'.repeat(writes)));
      }
    },
  });
  const result = await runMigrate(cache, watched);
  expect(exitCodeOf(result)).toBe(0);
  expect(writes).toBeGreaterThan(0);
  expect(Buffer.from(target.objects.get(STATE) ?? [])).toEqual(cache.objects.get(STATE));
});
