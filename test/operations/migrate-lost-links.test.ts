import { describe, expect, test } from 'vitest';
import { currentKey, indexKey, layerKey, revisionKey } from '../../fixtures/keys.ts';
import { type FixtureImage, RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { exitCodeOf } from '../../src/cli/migrate-exit-code.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { withHooks } from '../support/hooked-driver.ts';
import { contentOf, deleteAnything, memoryOf, runMigrate } from '../support/migrating.ts';
import { brokenTags } from '../support/pullable.ts';

/** Two tags of one repository, at both stores. */
function twoTags() {
  const registry = new RegistryBuilder();
  const image = registry.push('a', 'v1', registry.image());
  registry.push('a', 'v2', registry.image());
  return { registry, image, source: memoryOf(registry.objects), target: memoryOf(registry.objects) };
}

describe('migrate --delete, when the source lost the current link of a tag', () => {
  test('and still has its index link, refuses, with nothing touched, and names the tag', async () => {
    const { source, target } = twoTags();
    source.objects.delete(currentKey('a', 'v1'));
    const before = new Map(target.objects);
    await expect(runMigrate(source, target, { delete: deleteAnything })).rejects.toMatchObject({
      name: 'SafetyRefusal',
      code: 'LISTING_INCOMPLETE',
      reasons: [expect.stringMatching(/tags\/v1\/current\/link is needed by tag a:v1\b/)],
    });
    expect(target.objects).toEqual(before);
  });

  test('which is there again when the plan is judged, keeps it', async () => {
    const { image, source, target } = twoTags();
    const key = currentKey('a', 'v1');
    const link = Buffer.from(image.digest);
    source.objects.delete(key);
    let listings = 0;
    const pushing = withHooks(source, {
      before: ({ operation, key: prefix }) => {
        listings += operation === 'list' && prefix.endsWith('/tags/v1/') ? 1 : 0;
        if (listings === 1) {
          source.objects.set(key, link);
        }
      },
    });
    const result = await runMigrate(pushing, target, { delete: deleteAnything });
    expect({ deleted: result.tally.deleted, listings }).toEqual({ deleted: {}, listings: 1 });
    expect(contentOf(target.objects)).toEqual(contentOf(source.objects));
  });

  test('because a registry was about to remove the tag, deletes it', async () => {
    const { image, source, target } = twoTags();
    source.objects.delete(currentKey('a', 'v1'));
    const removing = withHooks(source, {
      before: ({ operation, key }) => {
        if (operation === 'stat' && key === currentKey('a', 'v1')) {
          source.objects.delete(indexKey('a', 'v1', image.digest));
        }
      },
    });
    const result = await runMigrate(removing, target, { delete: deleteAnything });
    expect(result.tally.deleted).toMatchObject({ 'tag-current': { objects: 1 } });
    expect(target.objects.has(currentKey('a', 'v1'))).toBe(false);
    expect(await brokenTags(target)).toEqual([]);
  });

  test('and everything else of it too, takes it for deleted', async () => {
    const { registry, target } = twoTags();
    registry.untag('a', 'v1');
    const source = openMemory({ objects: registry.objects });
    await runMigrate(source, target, { delete: deleteAnything });
    expect(contentOf(target.objects)).toEqual(contentOf(source.objects));
  });
});

describe('migrate, with a link at the source that is larger than any link', () => {
  const large = Buffer.alloc(5000, 'x');

  test.each<[string, (image: FixtureImage) => string]>([
    ['of a tag', () => currentKey('a', 'v1')],
    ['of a tag index', ({ digest }) => indexKey('a', 'v1', digest)],
    ['of a revision', ({ digest }) => revisionKey('a', digest)],
    ['of a layer', ({ layers }) => layerKey('a', layers[0]?.digest ?? '')],
  ])('leaves it out as broken there, and copies the rest: %s', async (_, keyOf) => {
    const { image, source } = twoTags();
    const key = keyOf(image);
    source.objects.set(key, large);
    const target = openMemory();
    const result = await runMigrate(source, target);
    expect(exitCodeOf(result)).toBe(3);
    expect(result.tally.incompletes).toContainEqual({
      key,
      message: 'its link is broken at the source (it has 5000 bytes)',
    });
    expect(target.objects.has(key)).toBe(false);
    expect(await brokenTags(target)).toEqual([]);
    expect(target.objects.has(currentKey('a', 'v2'))).toBe(true);
  });

  test('copies it as it is when asked, be it a tarsum link of registry 2.0 or not', async () => {
    const { source } = twoTags();
    const layers = 'docker/registry/v2/repositories/a/_layers/';
    source.objects.set(`${layers}tarsum/v1/sha256/${'a'.repeat(64)}/link`, large);
    source.objects.set(currentKey('a', 'v1'), large);
    const target = openMemory();
    const result = await runMigrate(source, target, { includeIncomplete: true });
    expect(exitCodeOf(result)).toBe(0);
    expect(contentOf(target.objects)).toEqual(contentOf(source.objects));
  });

  test('is still a failure when it is of a link’s size by the time it is asked for', async () => {
    const { image, source } = twoTags();
    const key = currentKey('a', 'v1');
    source.objects.set(key, large);
    const mended = withHooks(source, {
      before: ({ operation, key: asked }) => {
        if (operation === 'stat' && asked === key) {
          source.objects.set(key, Buffer.from(image.digest));
        }
      },
    });
    const result = await runMigrate(mended, openMemory());
    expect(exitCodeOf(result)).toBe(4);
    expect(result.tally.failures.map((problem) => problem.key)).toEqual([key]);
  });
});
