import { describe, expect, test } from 'vitest';
import { blobKey } from '../../fixtures/keys.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { exitCodeOf } from '../../src/cli/migrate-exit-code.ts';
import { presentPlan } from '../../src/cli/present-migrate.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { silentObserver } from '../../src/operations/observer.ts';
import { verify } from '../../src/operations/verify.ts';
import { contentOf, deleteAnything, runMigrate } from '../support/migrating.ts';

const lockfile = (name: string) => `docker/registry/lockfiles/${name}`;

/** A registry that was imported into GitLab's database, and of one image of before what its garbage collection leaves. */
async function afterCollection() {
  const registry = new RegistryBuilder();
  const { digest, layers } = registry.push('a', 'v1', registry.image());
  registry.push('b', 'v1', registry.image());
  registry.lockfile('database-in-use');
  const source = openMemory({ objects: registry.objects });
  const target = openMemory();
  await runMigrate(source, target);
  await source.delete([digest, ...layers.map((layer) => layer.digest)].map((each) => blobKey(each)));
  return { source, target };
}

describe('a registry with its tags in a database, whose old links name collected blobs', () => {
  test('is copied as it is to a new store, and verified', async () => {
    const { source } = await afterCollection();
    const target = openMemory();
    const notices: string[] = [];
    const observer = {
      ...silentObserver,
      notice: (sentence: string) => {
        notices.push(sentence);
      },
    };
    const result = await runMigrate(source, target, { observer });
    expect(exitCodeOf(result)).toBe(0);
    expect(contentOf(target.objects)).toEqual(contentOf(source.objects));
    expect(notices.join(' ')).toContain('keeps its tags in a database');
    const { verdict } = await verify(source, target, {
      readData: undefined,
      concurrency: 4,
      observer: silentObserver,
    });
    expect(verdict).toBe('verified');
  });

  test('loses at the target what it lost at the source, when that is asked for', async () => {
    const { source, target } = await afterCollection();
    const result = await runMigrate(source, target, { delete: deleteAnything });
    expect(exitCodeOf(result)).toBe(0);
    expect(contentOf(target.objects)).toEqual(contentOf(source.objects));
  });
});

test('a lockfile at the target that is at odds with the copied one is named, and is no success', async () => {
  const registry = new RegistryBuilder();
  registry.push('a', 'v1', registry.image());
  registry.lockfile('filesystem-in-use');
  const source = openMemory({ objects: registry.objects });
  const target = openMemory();
  expect(exitCodeOf(await runMigrate(source, target))).toBe(0);
  await source.delete([lockfile('filesystem-in-use')]);
  await source.write(lockfile('database-in-use'), Buffer.from('{"version":1}'));
  const result = await runMigrate(source, target);
  expect(exitCodeOf(result)).toBe(3);
  expect(presentPlan(result.plan, source, target).join(' ').replaceAll(/\s+/g, ' ')).toContain(
    `${lockfile('filesystem-in-use')} at the target, which the source no longer has`,
  );
  expect(exitCodeOf(await runMigrate(source, target, { delete: deleteAnything }))).toBe(0);
});
