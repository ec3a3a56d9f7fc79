import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { sampleRegistry } from '../../fixtures/sample-registry.ts';
import { presentPlan } from '../../src/cli/present-migrate.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { REGISTRY_ROOT } from '../../src/layout/paths.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { deleteAnything, memoryOf, runMigrate } from '../support/migrating.ts';

const sample = () => sampleRegistry({ largeLayerBytes: 1000 }).registry;

describe('a migration of selected repositories', () => {
  test('is refused where none has such a name, and says which names there are', async () => {
    const { objects } = sample();
    const target = memoryOf(new Map());
    const migrating = runMigrate(memoryOf(objects), target, { selects: (name) => name === 'shop' });
    await expect(migrating).rejects.toMatchObject({ name: 'SafetyRefusal', code: 'NOTHING_SELECTED' });
    await expect(migrating).rejects.toThrow(/there are: .*shop\/api/);
    expect(target.objects.size).toBe(0);
  });

  test('deletes nothing where only the target has one, whatever lockfiles the source has', async () => {
    const { objects } = sample();
    const target = memoryOf(objects);
    const source = memoryOf(new Map([...objects].filter(([key]) => !key.includes('repositories/shop/web/'))));
    const selects = (name: string) => name === 'shop/web';
    const deleting = runMigrate(source, target, { selects, delete: deleteAnything });
    await expect(deleting).rejects.toMatchObject({ name: 'SafetyRefusal', code: 'SOURCE_EMPTY' });
    expect(target.objects.size).toBe(objects.size);
    const { end, plan } = await runMigrate(source, target, { selects });
    expect(end.kind).toBe('done');
    expect(plan.keptAtTarget).toBeGreaterThan(0);
  });

  test('leaves the empty tag folders of others', async () => {
    const folder = createTemporaryFolder('regtool-ghosts');
    try {
      const { objects } = sample();
      const target = await openFilesystem({ root: folder.path, location: folder.path });
      await runMigrate(memoryOf(objects), target);
      const ghostOf = (repository: string) =>
        path.join(folder.path, `docker/registry/v2/repositories/${repository}/_manifests/tags/ghost`);
      for (const repository of ['shop/web', 'shop/api']) {
        mkdirSync(path.join(ghostOf(repository), 'current'), { recursive: true });
      }
      const selects = (name: string) => name === 'shop/web';
      await runMigrate(memoryOf(objects), target, { selects, delete: deleteAnything });
      expect(existsSync(ghostOf('shop/web'))).toBe(false);
      expect(existsSync(ghostOf('shop/api'))).toBe(true);
      await target.close();
    } finally {
      folder.remove();
    }
  });
});

describe('a target that is a folder inside a registry', () => {
  test.each(['docker/', 'docker/registry/', REGISTRY_ROOT])('%s is refused', async (folder) => {
    const { objects } = sample();
    const inside = new Map(
      [...objects]
        .filter(([key]) => key.startsWith(folder))
        .map(([key, bytes]) => [key.slice(folder.length), bytes]),
    );
    const target = memoryOf(inside);
    const migrating = runMigrate(memoryOf(objects), target);
    await expect(migrating).rejects.toMatchObject({ name: 'SafetyRefusal', code: 'OTHER_ROOT' });
    await expect(migrating).rejects.toThrow(`is the folder "${folder.slice(0, -1)}" inside a registry`);
    expect(target.objects.size).toBe(inside.size);
  });

  test('is not what a folder with a name of those is', async () => {
    const { objects } = sample();
    const target = memoryOf(
      new Map(['registry/v2/notes.txt', 'blobs/a', 'v2/blobs/a'].map((key) => [key, Buffer.from('mine')])),
    );
    const { end, tally } = await runMigrate(memoryOf(objects), target);
    expect(end.kind).toBe('done');
    expect(tally.failed).toBe(0);
  });
});

test('a tag that stands for something else at the target is named in the plan', async () => {
  const { objects } = sample();
  const source = memoryOf(objects);
  const target = memoryOf(objects);
  const link = 'docker/registry/v2/repositories/shop/web/_manifests/tags/latest/current/link';
  expect(objects.has(link)).toBe(true);
  await target.write(link, Buffer.from(`sha256:${'0'.repeat(64)}`));
  const { plan } = await runMigrate(source, target, { dryRun: true });
  expect(plan.movedTags).toEqual({ count: 1, samples: ['shop/web:latest'] });
  expect(presentPlan(plan, source, target).join(' ').replaceAll(/\s+/g, ' ')).toContain(
    'of these tags 1 stands for another manifest at the target, and will be moved: shop/web:latest',
  );
});
