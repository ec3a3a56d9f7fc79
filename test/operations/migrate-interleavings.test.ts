import { describe, expect, it } from 'vitest';
import { blobKey, layerKey, revisionKey } from '../../fixtures/keys.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import type { MemoryDriver } from '../../src/drivers/memory.ts';
import { type Call, withHooks } from '../support/hooked-driver.ts';
import { contentOf, deleteAnything, memoryOf, runMigrate } from '../support/migrating.ts';
import { brokenTags, pullableTags } from '../support/pullable.ts';

/** Makes a store hold what the registry holds by now. */
function catchUp(store: MemoryDriver, { objects }: RegistryBuilder): void {
  store.objects.clear();
  for (const [key, bytes] of objects) {
    store.objects.set(key, bytes);
  }
}

/** Of a target whose every deletion is judged: a tag that it shows can be pulled after each. */
function judged(target: MemoryDriver): { driver: MemoryDriver; broken: () => string[] } {
  const seen = new Set<string>();
  const driver = withHooks(target, {
    after: async ({ operation }) => {
      if (operation === 'delete' || operation === 'write') {
        for (const broken of await brokenTags(target)) {
          seen.add(JSON.stringify(broken));
        }
      }
    },
  });
  return { driver: { ...target, ...driver }, broken: () => [...seen] };
}

/** Runs an action once, at the first call that is the one. */
function once(is: (call: Call) => boolean, action: () => void): (call: Call) => void {
  let isDone = false;
  return (call) => {
    if (!isDone && is(call)) {
      isDone = true;
      action();
    }
  };
}

/** A registry that stays, and an image in it that shall go. */
function withImage() {
  const registry = new RegistryBuilder({ seed: 'interleavings' });
  registry.push('keep', 'v1', registry.image());
  const image = registry.push('a', 'v1', registry.image());
  return { registry, image };
}

describe('migrate --delete, when the source deletes and collects garbage', () => {
  it('between the listing of its tags and that of its blobs, keeps what the tags of the target need', async () => {
    const { registry, image } = withImage();
    const target = memoryOf(registry.objects);
    const store = memoryOf(registry.objects);
    const source = withHooks(store, {
      before: once(
        ({ operation, key }) => operation === 'list' && key.includes('/blobs/'),
        () => {
          registry.deleteManifest('a', image.digest);
          registry.garbageCollect();
          catchUp(store, registry);
        },
      ),
    });
    const { driver, broken } = judged(target);
    await runMigrate(source, driver, { delete: deleteAnything });
    expect(broken()).toEqual([]);
    expect(await pullableTags(target)).toHaveLength(2);
    // Nothing is lost for it: the next run removes all of it.
    await runMigrate(store, driver, { delete: deleteAnything });
    expect(broken()).toEqual([]);
    expect(contentOf(target.objects)).toEqual(contentOf(registry.objects));
  });

  it('an index of which it had lost an image before, keeps that image with all that it needs', async () => {
    const { registry } = withImage();
    const index = registry.push('a', 'multi', registry.index());
    const target = memoryOf(registry.objects);
    const [child] = index.children;
    const store = memoryOf(registry.objects);
    const lose = (): void => {
      store.objects.delete(revisionKey('a', child?.digest ?? ''));
      for (const digest of [child?.digest ?? '', ...(child?.layers ?? []).map((layer) => layer.digest)]) {
        store.objects.delete(layerKey('a', digest));
        store.objects.delete(blobKey(digest));
      }
    };
    lose();
    const source = withHooks(store, {
      before: once(
        ({ operation, key }) => operation === 'list' && key.includes('/blobs/'),
        () => {
          registry.deleteManifest('a', index.digest);
          catchUp(store, registry);
          lose();
        },
      ),
    });
    const { driver, broken } = judged(target);
    await runMigrate(source, driver, { delete: deleteAnything });
    expect(broken()).toEqual([]);
    expect(await pullableTags(target)).toHaveLength(3);
  });

  it('nothing meanwhile, does not list the target again to find what is needed there', async () => {
    const { registry, image } = withImage();
    const target = memoryOf(registry.objects);
    registry.deleteManifest('a', image.digest);
    registry.garbageCollect();
    const lists: string[] = [];
    const watched = withHooks(target, {
      before: ({ operation, key }) => {
        lists.push(...(operation === 'list' && !key.endsWith('/tags/') ? [key] : []));
      },
    });
    await runMigrate(memoryOf(registry.objects), watched, { delete: deleteAnything });
    expect(contentOf(target.objects)).toEqual(contentOf(registry.objects));
    expect(lists).toEqual([...new Set(lists)]);
    expect(lists).not.toContain('docker/registry/v2/repositories/');
  });

  it('what is then pushed again before the plan is judged, is not taken for lost', async () => {
    const { registry, image } = withImage();
    const target = memoryOf(registry.objects);
    const whole = new Map(registry.objects);
    registry.deleteManifest('a', image.digest);
    registry.garbageCollect();
    const store = memoryOf(registry.objects);
    const source = withHooks(store, {
      // The plan is judged by all repositories at once, after the last of the blobs were listed.
      before: once(
        ({ operation, key }) => operation === 'list' && key === 'docker/registry/v2/repositories/',
        () => {
          whole.forEach((bytes, key) => store.objects.set(key, bytes));
        },
      ),
    });
    const { driver, broken } = judged(target);
    const { end, plan, tally } = await runMigrate(source, driver, { delete: deleteAnything });
    expect(end).toEqual({ kind: 'done' });
    expect(plan.deletions.get('blob-data')).toEqual([]);
    expect(tally.deleted).toEqual({});
    expect(broken()).toEqual([]);
    expect(contentOf(target.objects)).toEqual(contentOf(whole));
  });

  it('what was pushed again and published since the plan, keeps what it was published with', async () => {
    const { registry, image } = withImage();
    const target = memoryOf(registry.objects);
    registry.deleteManifest('a', image.digest);
    registry.garbageCollect();
    registry.push('a', 'moving', registry.image());
    const store = memoryOf(registry.objects);
    // Shares its layers with the image that the plan deletes.
    const again = registry.image({ base: image });
    const approve = async () => {
      registry.push('a', 'moving', again);
      catchUp(store, registry);
      return true;
    };
    const { driver, broken } = judged(target);
    const deleting = withHooks(driver, {
      before: once(
        ({ operation }) => operation === 'delete',
        () => {
          expect(target.objects.has(blobKey(again.digest))).toBe(true);
          registry.deleteManifest('a', again.digest);
          registry.garbageCollect();
          catchUp(store, registry);
        },
      ),
    });
    await runMigrate(store, deleting, { delete: deleteAnything, approve });
    expect(broken()).toEqual([]);
    await runMigrate(store, driver, { delete: deleteAnything });
    expect(broken()).toEqual([]);
    expect(contentOf(target.objects)).toEqual(contentOf(registry.objects));
  });
});
