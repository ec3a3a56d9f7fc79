import { describe, expect, test } from 'vitest';
import { blobKey, currentKey, indexKey, layerKey, lockfileKey, revisionKey } from '../../fixtures/keys.ts';
import { type FixtureImage, RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { exitCodeOf } from '../../src/cli/migrate-exit-code.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';
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

/** Lists a key, and says of it that there is no such object: a stale index, or a node that lacks a replica. */
function contradicting(driver: Driver, key: string): Driver {
  return {
    ...withHooks(driver, {
      before: ({ operation, key: asked }) => {
        if (asked === key && (operation === 'read' || operation === 'readSmall')) {
          throw new DriverError('NOT_FOUND', `${key} is not there.`, { driver: 'memory', operation, key });
        }
      },
    }),
    stat: async (asked, options) => (asked === key ? undefined : driver.stat(asked, options)),
  };
}

describe('migrate, from a source that', () => {
  const whatIsAway: [string, (image: FixtureImage) => string][] = [
    ['a tag', () => currentKey('a', 'v1')],
    ['a tag’s index link', ({ digest }) => indexKey('a', 'v1', digest)],
    ['a revision link', ({ digest }) => revisionKey('a', digest)],
    ['a layer link', ({ layers }) => layerKey('a', layers[0]?.digest ?? '')],
    ['a manifest', ({ digest }) => blobKey(digest)],
    ['a layer', ({ layers }) => blobKey(layers[0]?.digest ?? '')],
    ['a large layer', ({ layers }) => blobKey(layers[0]?.digest ?? '')],
    ['a lockfile', () => lockfileKey('filesystem-in-use')],
  ];

  test.each(whatIsAway)('lists %s and says that it is not there, fails on it', async (what, keyOf) => {
    const registry = new RegistryBuilder();
    const bytes = what === 'a large layer' ? 300_000 : undefined;
    const image = registry.push('a', 'v1', registry.image(bytes === undefined ? {} : { layerBytes: bytes }));
    registry.push('a', 'v2', registry.image());
    registry.lockfile('filesystem-in-use');
    const key = keyOf(image);
    const result = await runMigrate(contradicting(memoryOf(registry.objects), key), openMemory());
    expect(exitCodeOf(result)).toBe(4);
    expect(result.tally).toMatchObject({ vanished: 0, failures: [{ key }] });
    expect(result.tally.failures[0]?.message).toContain('says that there is no such object');
  });

  test('does so of many tags, is not taken for one that does not answer, and gives the rest', async () => {
    const registry = new RegistryBuilder();
    const image = registry.image();
    for (let index = 0; index < 60; index += 1) {
      registry.push('a', `stale${index}`, image);
    }
    const source = memoryOf(registry.objects);
    const target = memoryOf(registry.objects);
    const stale = [...source.objects.keys()].filter((key) => key.endsWith('/current/link'));
    stale.forEach((key) => target.objects.delete(key));
    registry.push('b', 'v1', image);
    registry.objects.forEach((bytes, key) => source.objects.set(key, bytes));
    const result = await runMigrate(stale.reduce<Driver>(contradicting, source), target, {
      concurrency: stale.length,
    });
    expect(result.end).toEqual({ kind: 'done' });
    expect(result.tally.failed).toBe(stale.length);
    expect(target.objects.has(currentKey('b', 'v1'))).toBe(true);
  });

  test.each(whatIsAway)('lost %s since it was listed, counts it so', async (_, keyOf) => {
    const registry = new RegistryBuilder();
    const image = registry.push('a', 'v1', registry.image());
    registry.push('a', 'v2', registry.image());
    registry.lockfile('filesystem-in-use');
    const source = memoryOf(registry.objects);
    const approve = async () => source.objects.delete(keyOf(image));
    const result = await runMigrate(source, openMemory(), { approve });
    expect(result.tally).toMatchObject({ failed: 0, vanished: 1 });
  });
});
