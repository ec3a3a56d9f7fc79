import { describe, expect, it } from 'vitest';
import { randomRegistry } from '../../fixtures/random-registry.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { openMemory, type MemoryDriver } from '../../src/drivers/memory.ts';
import { totalOf } from '../../src/operations/counts.ts';
import { withHooks } from '../support/hooked-driver.ts';
import { contentOf, deleteAnything, memoryOf, runMigrate } from '../support/migrating.ts';
import { brokenTags, pullableTags } from '../support/pullable.ts';

const root = 'docker/registry/v2/';
const blobKey = (digest: string) => `${root}blobs/sha256/${digest.slice(7, 9)}/${digest.slice(7)}/data`;

async function migrated(seed = 'registry'): Promise<{ registry: RegistryBuilder; target: MemoryDriver }> {
  const { registry } = randomRegistry(seed, 25);
  const target = openMemory();
  await runMigrate(memoryOf(registry.objects), target);
  return { registry, target };
}

/** Runs with `--delete`, and expects a refusal that left the target exactly as it was. */
async function expectRefused(
  source: Driver,
  target: MemoryDriver,
  code: string,
  max = deleteAnything,
): Promise<string> {
  const before = new Map(target.objects);
  const failure: unknown = await runMigrate(source, target, { delete: max }).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).toMatchObject({ name: 'SafetyRefusal', code });
  expect(target.objects).toEqual(before);
  return failure instanceof Error ? failure.message : '';
}

describe('migrate --delete', () => {
  it('makes the target exactly what the source is, and twice is once', async () => {
    for (const seed of ['a', 'b', 'c', 'd', 'e']) {
      const { registry, change } = randomRegistry(seed, 25);
      const target = openMemory();
      await runMigrate(memoryOf(registry.objects), target);
      for (let index = 0; index < 15; index += 1) {
        change();
      }
      registry.garbageCollect();
      const source = memoryOf(registry.objects);
      await runMigrate(source, target, { delete: deleteAnything });
      expect(contentOf(target.objects)).toEqual(contentOf(source.objects));
      const again = await runMigrate(source, target, { delete: deleteAnything });
      expect(totalOf(again.tally.deleted).objects + totalOf(again.tally.copied).objects).toBe(0);
    }
  });

  it('deletes roots first: no tag is broken after any single deletion', async () => {
    const { registry, target } = await migrated();
    const emptied = new RegistryBuilder({ seed: 'other' });
    emptied.push('zz', 'v1', emptied.image());
    for (const [key, content] of emptied.objects) {
      registry.objects.set(key, content);
    }
    const kept = new Map(emptied.objects);
    const order: string[] = [];
    const oneByOne = withHooks(
      { ...target, supports: { ...target.supports, deleteBatchSize: 1 } },
      {
        after: async ({ operation, key }) => {
          if (operation === 'delete') {
            order.push(key);
            expect(await brokenTags(target)).toEqual([]);
          }
        },
      },
    );
    await runMigrate(memoryOf(kept), oneByOne, { delete: deleteAnything });
    expect(contentOf(target.objects)).toEqual(contentOf(kept));
    const rank = (key: string) =>
      ['/current/link', '/index/', '/revisions/', '/_layers/', '/blobs/'].findIndex((part) =>
        key.includes(part),
      );
    const ranks = order.filter((key) => rank(key) >= 0).map(rank);
    expect(ranks).toEqual([...ranks].sort((a, b) => a - b));
    expect(new Set(ranks)).toEqual(new Set([0, 1, 2, 3, 4]));
  });

  it('never deletes uploads, markers or foreign files', async () => {
    const { registry, target } = await migrated();
    const others = [
      `${root}repositories/a/_uploads/0b6f7e9a-97a8-4d64-8d0c-5f1a5a1b2c3d/startedat`,
      `${root}repositories/a/_manifests/tags/`,
      `${root}notes.txt`,
      'backup/of/something/else',
    ];
    for (const key of others) {
      target.objects.set(key, new Uint8Array(key.endsWith('/') ? 0 : 3));
    }
    await runMigrate(memoryOf(registry.objects), target, { delete: deleteAnything, includeForeign: true });
    expect(others.filter((key) => !target.objects.has(key))).toEqual([]);
  });

  it('deletes only in the selected repositories', async () => {
    const registry = new RegistryBuilder();
    const target = openMemory();
    for (const name of ['in/one', 'out/two']) {
      registry.push(name, 'v1', registry.image());
      registry.push(name, 'v2', registry.image());
    }
    registry.lockfile('filesystem-in-use');
    await runMigrate(memoryOf(registry.objects), target);
    const before = new Map(target.objects);
    for (const name of ['in/one', 'out/two']) {
      registry.untag(name, 'v2');
    }
    registry.objects.delete('docker/registry/lockfiles/filesystem-in-use');
    const selects = (name: string) => name.startsWith('in/');
    await runMigrate(memoryOf(registry.objects), target, { delete: deleteAnything, selects });
    const gone = [...before.keys()].filter((key) => !target.objects.has(key));
    expect(gone.length).toBe(2);
    expect(gone.every((key) => key.includes('in/one/_manifests/tags/v2/'))).toBe(true);
  });

  it('removes temporary files of an interrupted run, and nobody else’s', async () => {
    const { registry, target } = await migrated();
    const uuid = '01234567-89ab-4def-8123-456789abcdef';
    const blob = [...registry.objects.keys()].find((key) => key.includes('/blobs/')) ?? '';
    target.objects.set(`${blob}.${uuid}.regtool.tmp`, new Uint8Array(5));
    target.objects.set(`${blob}.${uuid}.tmp`, new Uint8Array(5));
    await runMigrate(memoryOf(registry.objects), target);
    expect([...target.objects.keys()].filter((key) => key.endsWith('.tmp'))).toEqual([`${blob}.${uuid}.tmp`]);
  });

  it('keeps what came back at the source between the plan and the deletion', async () => {
    const registry = new RegistryBuilder();
    registry.push('a', 'v1', registry.image());
    const target = openMemory();
    const both = new Map(registry.objects);
    const extra = new RegistryBuilder({ seed: 'extra' });
    extra.push('b', 'v1', extra.image());
    for (const [key, content] of extra.objects) {
      both.set(key, content);
    }
    await runMigrate(memoryOf(both), target);
    const source = memoryOf(registry.objects);
    const live = withHooks(source, {
      before: ({ operation, key }) => {
        if (operation === 'stat' && extra.objects.has(key)) {
          for (const [key, content] of extra.objects) {
            source.objects.set(key, content);
          }
        }
      },
    });
    const result = await runMigrate(live, target, { delete: deleteAnything });
    expect(result.tally.reappeared).toBe(extra.objects.size);
    expect(contentOf(target.objects)).toEqual(contentOf(both));
  });

  describe('refuses, with nothing touched, when', () => {
    it('the source is empty', async () => {
      const { target } = await migrated();
      expect(await expectRefused(openMemory(), target, 'NOT_A_REGISTRY')).toContain('not a registry');
    });

    it('the source has the folders of a registry and no content', async () => {
      const { target } = await migrated();
      const objects: [string, string][] = [
        [`${root}blobs/sha256/`, ''],
        [`${root}repositories/a/`, ''],
      ];
      await expectRefused(openMemory({ objects }), target, 'SOURCE_EMPTY');
    });

    it.each(['blobs/', 'repositories/'])('the source lacks %s', async (folder) => {
      const { registry, target } = await migrated();
      for (const key of [...registry.objects.keys()].filter((key) => key.startsWith(root + folder))) {
        registry.objects.delete(key);
      }
      await expectRefused(memoryOf(registry.objects), target, 'NOT_A_REGISTRY');
    });

    it('source and target are swapped after a first pass with more in the source', async () => {
      const { registry, target } = await migrated();
      for (let index = 0; index < 10; index += 1) {
        registry.push('new/repository', `v${index}`, registry.image());
      }
      const source = memoryOf(registry.objects);
      await expectRefused(target, source, 'TOO_MANY_DELETES', { max: { percent: 10 } });
    });

    it('the target is another registry', async () => {
      const { registry } = await migrated();
      const { target: other } = await migrated('another registry altogether');
      await expectRefused(memoryOf(registry.objects), other, 'TOO_MANY_DELETES', { max: { percent: 10 } });
    });

    it('the source lost half its objects since the last pass', async () => {
      const { registry, target } = await migrated();
      const source = memoryOf(registry.objects);
      [...registry.objects.keys()]
        .filter((_, index) => index % 2 === 0)
        .forEach((key) => source.objects.delete(key));
      await expectRefused(source, target, 'TOO_MANY_DELETES', { max: { percent: 10 } });
    });

    it.each([
      ['any listing', () => true],
      ['the listing of one blob folder', (prefix: string) => prefix.includes('/blobs/sha256/')],
      ['the listing of one namespace', (prefix: string) => prefix.includes('/repositories/group')],
    ])('%s of the source fails', async (_, matches) => {
      const { registry, target } = await migrated();
      const source = withHooks(memoryOf(registry.objects), {
        after: ({ operation, key }) => {
          if (operation === 'list' && matches(key)) {
            throw new DriverError('PERMISSION_DENIED', 'The folder may not be read.', {
              driver: 'memory',
              operation,
              key,
            });
          }
        },
      });
      await expectRefused(source, target, 'LISTING_INCOMPLETE');
    });

    it('a listing of the target fails', async () => {
      const { registry, target } = await migrated();
      const before = new Map(target.objects);
      const failing = withHooks(target, {
        before: ({ operation, key }) => {
          if (operation === 'list') {
            throw new DriverError('UNAVAILABLE', 'No answer.', { driver: 'memory', operation, key });
          }
        },
      });
      await expect(
        runMigrate(memoryOf(registry.objects), failing, { delete: deleteAnything }),
      ).rejects.toMatchObject({
        code: 'LISTING_INCOMPLETE',
      });
      expect(target.objects).toEqual(before);
    });

    it.each(['blob', 'manifest', 'layer link', 'child revision', 'revision of a tag'])(
      'the source lost a %s that it still needs, and the target has the last copy',
      async (what) => {
        const registry = new RegistryBuilder();
        const image = registry.push('a', 'v1', registry.image());
        const index = registry.push('a', 'multi', registry.index());
        const target = openMemory();
        await runMigrate(memoryOf(registry.objects), target);
        const layer = image.layers[0]?.digest ?? '';
        const child = index.children[0]?.digest ?? '';
        const lost = {
          blob: blobKey(layer),
          manifest: blobKey(image.digest),
          'layer link': `${root}repositories/a/_layers/sha256/${layer.slice(7)}/link`,
          'child revision': `${root}repositories/a/_manifests/revisions/sha256/${child.slice(7)}/link`,
          'revision of a tag': `${root}repositories/a/_manifests/revisions/sha256/${image.digest.slice(7)}/link`,
        }[what];
        const source = memoryOf(registry.objects);
        expect(source.objects.delete(lost ?? '')).toBe(true);
        expect(await expectRefused(source, target, 'LISTING_INCOMPLETE')).toContain('the last copy');
        expect((await pullableTags(target)).length).toBe(2);
      },
    );

    it('a manifest at the source is damaged, and the layer that the whole one at the target names is lost', async () => {
      const registry = new RegistryBuilder();
      const { digest, layers } = registry.push('a', 'v1', registry.image());
      const target = openMemory();
      await runMigrate(memoryOf(registry.objects), target);
      const source = memoryOf(registry.objects);
      const sizeBytes = source.objects.get(blobKey(digest))?.byteLength ?? 0;
      source.objects.set(blobKey(digest), new Uint8Array(sizeBytes).fill(0x20));
      expect(source.objects.delete(blobKey(layers[0]?.digest ?? ''))).toBe(true);
      await expectRefused(source, target, 'LISTING_INCOMPLETE');
    });

    it('the plan has one object more than the limit, and not when it has exactly as many', async () => {
      const { registry, target } = await migrated();
      const extra = [1, 2, 3].map(
        (index) => `${root}repositories/gone/_layers/sha256/${String(index).repeat(64)}/link`,
      );
      extra.forEach((key) => target.objects.set(key, new TextEncoder().encode('x'.repeat(71))));
      const source = memoryOf(registry.objects);
      await expectRefused(source, target, 'TOO_MANY_DELETES', { max: { objects: 2 } });
      const result = await runMigrate(source, target, { delete: { max: { objects: 3 } } });
      expect(totalOf(result.tally.deleted).objects).toBe(3);
    });

    it('only the target belongs to a registry with a metadata database', async () => {
      const { registry, target } = await migrated();
      target.objects.set(
        'docker/registry/lockfiles/database-in-use',
        new TextEncoder().encode('{"version":1}'),
      );
      const message = await expectRefused(memoryOf(registry.objects), target, 'STORES_SWAPPED');
      expect(message).toContain('database-in-use');
    });

    it('source and target are the same store', async () => {
      const { target } = await migrated();
      await expectRefused(target, target, 'STORES_OVERLAP');
    });
  });

  it('names what could not be deleted, and does not count it as deleted', async () => {
    const { registry, target } = await migrated();
    const gone = `${root}repositories/gone/_layers/sha256/${'1'.repeat(64)}/link`;
    target.objects.set(gone, new Uint8Array(71));
    const error = new DriverError('PERMISSION_DENIED', 'No.', { driver: 'memory', operation: 'delete' });
    const locked: Driver = { ...target, delete: async (keys) => keys.map((key) => ({ key, error })) };
    const result = await runMigrate(memoryOf(registry.objects), locked, { delete: deleteAnything });
    expect(result.tally.failures.map(({ key }) => key)).toEqual([gone]);
    expect(totalOf(result.tally.deleted).objects).toBe(0);
    expect(result.deletesWithheld).toBe(true);
  });

  it('does not start when something failed before, and says so', async () => {
    const { registry, target } = await migrated();
    registry.push('new', 'v1', registry.image());
    const gone = `${root}repositories/gone/_layers/sha256/${'1'.repeat(64)}/link`;
    target.objects.set(gone, new Uint8Array(71));
    const failing = withHooks(target, {
      before: ({ operation, key }) => {
        if (operation === 'write' && key.includes('repositories/new/_layers')) {
          throw new DriverError('PERMISSION_DENIED', 'No.', { driver: 'memory', operation, key });
        }
      },
    });
    const result = await runMigrate(memoryOf(registry.objects), failing, { delete: deleteAnything });
    expect(result.deletesWithheld).toBe(true);
    expect(result.tally.failed).toBeGreaterThan(0);
    expect(target.objects.has(gone)).toBe(true);
    expect((await pullableTags(target)).map(({ repository }) => repository)).not.toContain('new');
  });
});
