import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { assertNoEmptiedFolders } from '../../src/operations/migrate/emptied-folders.ts';
import { withHooks } from '../support/hooked-driver.ts';
import { deleteAnything, memoryOf, runMigrate } from '../support/migrating.ts';

const REPOSITORIES = 'docker/registry/v2/repositories';

describe('a source on which a disk was not mounted from the start', () => {
  let base: string;
  let registry: RegistryBuilder;
  beforeEach(() => {
    base = mkdtempSync(path.join(tmpdir(), 'regtool-emptied-'));
    registry = new RegistryBuilder();
    registry.push('team1/app', 'v1', registry.image());
    registry.push('team29/app', 'v1', registry.image());
    registry.push('team29/app', 'v2', registry.image());
    registry.push('team29/deep/app', 'v1', registry.image());
    for (const [key, bytes] of registry.objects) {
      mkdirSync(path.dirname(path.join(base, key)), { recursive: true });
      writeFileSync(path.join(base, key), bytes);
    }
  });
  afterEach(() => rmSync(base, { recursive: true, force: true }));

  const folder = (name: string) => path.join(base, REPOSITORIES, name);

  function empty(name: string): void {
    remove(name);
    mkdirSync(folder(name));
  }

  function remove(name: string): void {
    rmSync(folder(name), { recursive: true });
  }

  /** Why a run that deletes from a target which has everything is refused; undefined where it is not. */
  async function judge(): Promise<unknown> {
    const source = await openFilesystem({ root: base });
    try {
      const target = memoryOf(registry.objects);
      await runMigrate(source, target, { dryRun: true, delete: deleteAnything });
      return undefined;
    } catch (error) {
      return error;
    } finally {
      await source.close();
    }
  }

  const isEmpty = (name: string, found: string) => ({
    name: 'SafetyRefusal',
    code: 'SOURCE_EMPTY',
    message: expect.stringMatching(
      new RegExp(
        `${REPOSITORIES}/${name} is an empty folder at the source .*, and the target has ${found} below`,
      ),
    ),
  });

  it.each([
    ['team29', '3 tags'],
    ['team29/app', '2 tags'],
    ['team29/deep', '1 tag'],
    ['team29/deep/app', '1 tag'],
  ])('refuses where %s is empty', async (name, found) => {
    empty(name);
    expect(await judge()).toMatchObject(isEmpty(name, found));
  });

  it('refuses where a link leads to an empty folder', async () => {
    renameSync(folder('team29'), path.join(base, 'disk'));
    rmSync(path.join(base, 'disk'), { recursive: true });
    mkdirSync(path.join(base, 'disk'));
    symlinkSync(path.join(base, 'disk'), folder('team29'));
    expect(await judge()).toMatchObject(isEmpty('team29', '3 tags'));
  });

  it('refuses where no tag is lost, but revisions are', async () => {
    for (const key of registry.objects.keys()) {
      if (key.includes('/team29/app/_manifests/tags/')) {
        registry.objects.delete(key);
      }
    }
    empty('team29/app');
    expect(await judge()).toMatchObject(isEmpty('team29/app', '2 manifest revisions'));
  });

  it.each(['team29', 'team29/app', 'team29/deep'])('lets %s be deleted where it is gone', async (name) => {
    remove(name);
    expect(await judge()).toBeUndefined();
  });

  it('lets tags be deleted of a repository that still has its folders', async () => {
    remove('team29/app/_manifests');
    expect(await judge()).toBeUndefined();
  });

  it('does not mind an empty folder of which the target has nothing', async () => {
    mkdirSync(folder('team30'));
    remove('team1');
    expect(await judge()).toBeUndefined();
  });

  it('lists each folder once', async () => {
    remove('team29/app/_manifests');
    remove('team29/deep/app/_manifests');
    const source = await openFilesystem({ root: base });
    const target = memoryOf(registry.objects);
    const { plan } = await runMigrate(source, target, { dryRun: true, delete: deleteAnything });
    const asked: string[] = [];
    const watched = withHooks(source, { before: ({ key }) => void asked.push(key) });
    await assertNoEmptiedFolders(watched, plan, { concurrency: 4 });
    await source.close();
    expect(asked.sort()).toEqual(
      ['', 'team29/', 'team29/app/', 'team29/deep/', 'team29/deep/app/'].map(
        (name) => `${REPOSITORIES}/${name}`,
      ),
    );
  });
});
