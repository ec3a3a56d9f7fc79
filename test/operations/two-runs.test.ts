import { afterAll, describe, expect, test } from 'vitest';
import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { blobKey } from '../../fixtures/keys.ts';
import { randomRegistry } from '../../fixtures/random-registry.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { contentOfDriver } from '../crash/crashing.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { isMutation, withHooks } from '../support/hooked-driver.ts';
import { contentOf, deleteAnything, memoryOf, runMigrate } from '../support/migrating.ts';
import { brokenTags } from '../support/pullable.ts';

const folder = createTemporaryFolder('regtool-two-runs');
afterAll(folder.remove);

describe('two migrations to one target at once', () => {
  test.each([1, 4, 9, 20, 45])(
    'without deletes break no tag, name what one takes from the other, and the next run is right (from change %i)',
    async (nth) => {
      const { registry } = randomRegistry('two runs', 25);
      const root = path.join(folder.path, `target-${nth}`);
      mkdirSync(root);
      const target = await openFilesystem({ root });
      const source = memoryOf(registry.objects);
      let second: ReturnType<typeof runMigrate> | undefined;
      let changes = 0;
      const watched = withHooks(target, {
        before: async (call) => {
          changes += isMutation(call) ? 1 : 0;
          if (changes >= nth) {
            second ??= runMigrate(source, target);
          }
        },
        after: async (call) => {
          if (isMutation(call)) {
            expect(await brokenTags(target)).toEqual([]);
          }
        },
      });
      const first = await runMigrate(source, watched);
      const results = [first, await second];
      expect(second).toBeDefined();
      for (const result of results) {
        expect(result).toMatchObject({ end: { kind: 'done' } });
        expect(result?.tally.failures).toHaveLength(result?.tally.failed ?? -1);
      }
      expect(await brokenTags(target)).toEqual([]);
      expect(await runMigrate(source, target)).toMatchObject({ tally: { failed: 0 } });
      expect(await contentOfDriver(target)).toEqual(new Map(contentOf(registry.objects)));
      const files = readdirSync(root, { recursive: true }).map(String);
      expect(files.filter((name) => name.endsWith('.tmp'))).toEqual([]);
    },
  );

  test('of which one deletes can show a tag without a blob, which is why the command lets no second one begin', async () => {
    const registry = new RegistryBuilder();
    const image = registry.push('a', 'old', registry.image({ layers: 1 }));
    registry.push('b', 'kept', registry.image());
    const target = openMemory();
    const source = memoryOf(registry.objects);
    await runMigrate(source, target);
    registry.push('a', 'new', registry.image());
    const setSource = (): void => {
      source.objects.clear();
      registry.objects.forEach((bytes, key) => source.objects.set(key, bytes));
    };
    setSource();
    let isMet = false;
    const meanwhile = withHooks(target, {
      before: async (call) => {
        if (isMutation(call) && !isMet) {
          isMet = true;
          // Deleted at the source, and collected; the second run takes it from the target; then it is pushed again.
          registry.deleteManifest('a', image.digest);
          registry.garbageCollect();
          setSource();
          await runMigrate(source, target, { delete: deleteAnything });
          registry.push('a', 'new', registry.image({ base: image }));
          setSource();
        }
      },
    });
    const first = await runMigrate(source, meanwhile);
    expect(first).toMatchObject({ end: { kind: 'done' }, tally: { failed: 0 } });
    expect(await brokenTags(target)).toMatchObject([{ repository: 'a', tag: 'new' }]);
    expect(target.objects.has(blobKey(image.layers[0]?.digest ?? ''))).toBe(false);
    await runMigrate(source, target, { delete: deleteAnything });
    expect(await brokenTags(target)).toEqual([]);
    expect(contentOf(target.objects)).toEqual(contentOf(source.objects));
  });
});
