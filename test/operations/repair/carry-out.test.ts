import { describe, expect, it } from 'vitest';
import { RegistryBuilder } from '../../../fixtures/registry-builder.ts';
import { DriverError } from '../../../src/drivers/errors.ts';
import { openMemory } from '../../../src/drivers/memory.ts';
import { withHooks } from '../../support/hooked-driver.ts';
import { blobKey, currentKey, indexKey, revisionKey, set } from '../check/fixtures.ts';
import { runRepair } from './repairing.ts';

describe('a blob that two repositories need and that could not be copied', () => {
  const emptyLinks = (registry: RegistryBuilder, repository: string, digest: string) => {
    registry.objects.delete(indexKey(repository, 'v1', digest));
    set(registry, currentKey(repository, 'v1'), '');
    set(registry, revisionKey(repository, digest), '');
  };
  const noRevision = (registry: RegistryBuilder, repository: string, digest: string) => {
    registry.objects.delete(revisionKey(repository, digest));
  };

  it.each([
    ['the first', 'a', emptyLinks, 3],
    ['the second', 'b', emptyLinks, 3],
    ['the first, whose manifest has no link,', 'a', noRevision, 1],
    ['the second, whose manifest has no link,', 'b', noRevision, 1],
  ] as const)('holds back the links of %s', async (_, repository, damage, links) => {
    const registry = new RegistryBuilder();
    const image = registry.image();
    registry.push('a', 'v1', image);
    registry.push('b', 'v1', image);
    registry.push('c', 'v1', registry.image());
    const intact = openMemory({ objects: registry.objects });
    const lost = blobKey(image.layers[0]?.digest ?? '');
    registry.objects.delete(lost);
    damage(registry, repository, image.digest);
    const elsewhere = registry.revisions('c')[0] ?? '';
    set(registry, revisionKey('c', elsewhere), '');
    const before = new Map(registry.objects);
    const store = openMemory({ objects: registry.objects });
    const failing = withHooks(store, {
      before({ operation, key }) {
        if (operation === 'write' && key === lost) {
          throw new DriverError('UNAVAILABLE', 'made up', { driver: 'memory', operation, key });
        }
      },
    });
    const { outcomes, steps } = await runRepair(failing, { other: intact, choices: { tags: true } });
    expect(outcomes).toEqual({ failed: 1, 'held-back': links, done: 1 });
    expect(steps).toEqual([`link ${revisionKey('c', elsewhere)}`]);
    store.objects.delete(revisionKey('c', elsewhere));
    before.delete(revisionKey('c', elsewhere));
    expect([...store.objects.keys()].sort()).toEqual([...before.keys()].sort());
  });
});
