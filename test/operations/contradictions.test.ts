import { describe, expect, test } from 'vitest';
import { repairExitCode, undoExitCode } from '../../src/cli/verdict-exit-codes.ts';
import type { Driver, ObjectStat } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { type MemoryDriver, openMemory } from '../../src/drivers/memory.ts';
import { fixEmptyTags } from '../../src/operations/fix-empty-tags.ts';
import { silentObserver } from '../../src/operations/observer.ts';
import {
  blobKey,
  currentKey,
  flipped,
  healthyRegistry,
  layerKey,
  revisionKey,
  set,
} from './check/fixtures.ts';
import { observe, wholeData } from './check/observe.ts';
import { runRepair, runUndo, UndoList } from './repair/repairing.ts';

/** Lists a key, and says of it that there is no such object. */
function stale(driver: Driver, key: string): Driver {
  const missing = new DriverError('NOT_FOUND', `${key} is not there.`, {
    driver: 'test',
    operation: 'read',
    key,
  });
  return {
    ...driver,
    stat: async (asked, options) => (asked === key ? undefined : driver.stat(asked, options)),
    async *read(asked, options) {
      if (asked === key) {
        throw missing;
      }
      yield* driver.read(asked, options);
    },
    async readSmall(asked, maxBytes, options) {
      if (asked === key) {
        throw missing;
      }
      return driver.readSmall(asked, maxBytes, options);
    },
  };
}

/** Gives other bytes of a key than it has. */
function garbling(driver: Driver, key: string, change: (bytes: Uint8Array) => Uint8Array): Driver {
  return {
    ...driver,
    async *read(asked, options) {
      for await (const chunk of driver.read(asked, options)) {
        yield asked === key ? change(chunk) : chunk;
      }
    },
    async readSmall(asked, maxBytes, options) {
      const bytes = await driver.readSmall(asked, maxBytes, options);
      return asked === key ? change(bytes) : bytes;
    },
  };
}

/** Gives nothing of a key while `isAway` says so. */
function failing(driver: Driver, key: string, isAway: () => boolean = () => true): Driver {
  const assertThere = (asked: string): void => {
    if (asked === key && isAway()) {
      throw new DriverError('UNAVAILABLE', `${key} is away.`, { driver: 'test', operation: 'read', key });
    }
  };
  return {
    ...driver,
    async stat(asked, options): Promise<ObjectStat | undefined> {
      assertThere(asked);
      return driver.stat(asked, options);
    },
    async *read(asked, options) {
      assertThere(asked);
      yield* driver.read(asked, options);
    },
    async readSmall(asked, maxBytes, options) {
      assertThere(asked);
      return driver.readSmall(asked, maxBytes, options);
    },
  };
}

function textsOf({ objects }: MemoryDriver): Map<string, string> {
  return new Map([...objects].map(([key, bytes]) => [key, Buffer.from(bytes).toString('latin1')]));
}

describe('check of a store that lists what it says is not there', () => {
  test.each<[string, (healthy: ReturnType<typeof healthyRegistry>) => string]>([
    ['a tag', () => currentKey('shop', 'v1')],
    ['a manifest', ({ image }) => blobKey(image.digest)],
    ['a layer', ({ layer }) => blobKey(layer.digest)],
    ['a revision link', ({ image }) => revisionKey('shop', image.digest)],
    ['a layer link', ({ layer }) => layerKey('shop', layer.digest)],
  ])('does not call it healthy, nor broken: %s', async (_, keyOf) => {
    const healthy = healthyRegistry();
    const key = keyOf(healthy);
    // No listing tells the content of links here, so that each is read.
    const store = withoutMd5(openMemory({ objects: healthy.registry.objects }));
    expect(await observe(store, { readData: wholeData })).toMatchObject({ verdict: 'healthy' });
    const { verdict, unread, all } = await observe(stale(store, key), { readData: wholeData });
    expect({ verdict, keys: unread.map((part) => part.key), all }).toEqual({
      verdict: 'incomplete',
      keys: expect.arrayContaining([key]),
      all: [],
    });
  });
});

describe('repair --tags', () => {
  test.each(['manifest', 'revision link'])(
    'does not take the only manifest that it could read for the only one there is (%s)',
    async (part) => {
      const { registry } = healthyRegistry();
      const newer = registry.push('shop', 'v1', registry.image());
      set(registry, currentKey('shop', 'v1'), '');
      const memory = openMemory({ objects: registry.objects });
      const before = textsOf(memory);
      const key = part === 'manifest' ? blobKey(newer.digest) : revisionKey('shop', newer.digest);
      const stores = [
        failing(memory, key),
        stale(memory, key),
        garbling(memory, key, (bytes) => bytes.subarray(9)),
      ];
      for (const store of part === 'manifest' ? stores.slice(0, 2) : stores) {
        const result = await runRepair(store, { choices: { tags: true }, readData: undefined });
        expect(repairExitCode(result, false)).toBe(4);
        expect(textsOf(memory)).toEqual(before);
      }
      // With both read it is left all the same, for it can stand for two.
      const left = await runRepair(memory, { choices: { tags: true }, readData: undefined });
      expect(left.plan.left).toMatchObject([{ key: currentKey('shop', 'v1') }]);
    },
  );
});

describe('repair', () => {
  test('is not done where what a repaired manifest needs could not be read', async () => {
    const { registry, image, layer } = healthyRegistry();
    registry.objects.delete(revisionKey('shop', image.digest));
    registry.objects.delete(layerKey('shop', layer.digest));
    const memory = openMemory({ objects: registry.objects });
    let reads = 0;
    // Judged, proved and read to see what it is; what follows from it shows only in the check of what would be.
    const readsBefore = 3;
    const store: Driver = {
      ...memory,
      async readSmall(key, maxBytes, options) {
        if (key === blobKey(image.digest)) {
          reads += 1;
          if (reads > readsBefore) {
            throw new DriverError('UNAVAILABLE', 'away', { driver: 'test', operation: 'readSmall', key });
          }
        }
        return memory.readSmall(key, maxBytes, options);
      },
    };
    const result = await runRepair(store, { readData: undefined });
    expect(reads).toBeGreaterThan(readsBefore);
    expect(result.plan.unreads).toMatchObject([{ key: blobKey(image.digest) }]);
    expect(repairExitCode(result, false)).toBe(4);
    expect(repairExitCode(await runRepair(memory), false)).toBe(0);
  });

  test.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ['half of a link', (bytes) => bytes.subarray(0, 35)],
    ['other bytes of a link', flipped],
  ])('is not misled by %s, nor is what it notes for an undo', async (_, change) => {
    const { registry, layer } = healthyRegistry();
    const memory = openMemory({ objects: registry.objects });
    const before = textsOf(memory);
    const undo = new UndoList();
    await runRepair(garbling(withoutMd5(memory), layerKey('shop', layer.digest), change), {
      undo,
      readData: undefined,
    });
    await runUndo(memory, undo);
    expect(textsOf(memory)).toEqual(before);
  });

  test('does not move a blob aside that is damaged only on its way', async () => {
    const { registry, layer } = healthyRegistry();
    const memory = openMemory({ objects: registry.objects });
    const before = textsOf(memory);
    const key = blobKey(layer.digest);
    const result = await runRepair(garbling(memory, key, flipped), { choices: { quarantine: true } });
    expect(repairExitCode(result, false)).toBe(4);
    expect(result.failures).toMatchObject([{ key }]);
    expect(textsOf(memory).get(key)).toBe(before.get(key));
  });

  test('does not overwrite, or note as new, what the store lists and says is not there', async () => {
    const healthy = healthyRegistry();
    const memory = openMemory({ objects: healthy.registry.objects });
    const other = openMemory({ objects: new Map(healthy.registry.objects) });
    const before = textsOf(memory);
    for (const key of [blobKey(healthy.layer.digest), layerKey('shop', healthy.layer.digest)]) {
      const undo = new UndoList();
      const result = await runRepair(stale(withoutMd5(memory), key), { other, undo });
      expect(repairExitCode(result, false)).toBe(4);
      expect(undo.entries).toEqual([]);
      expect(textsOf(memory)).toEqual(before);
    }
  });
});

describe('undo', () => {
  test('says that it failed, and not that something changed, where a blob could not be read', async () => {
    const { registry, layer } = healthyRegistry();
    const other = openMemory({ objects: new Map(registry.objects) });
    const key = blobKey(layer.digest);
    registry.objects.delete(key);
    const memory = openMemory({ objects: registry.objects });
    const undo = new UndoList();
    await runRepair(memory, { other, undo });
    expect(undo.entries).toMatchObject([
      { change: 'blob', key },
      { change: 'made', key },
    ]);
    const failed = await runUndo(failing(memory, key), undo);
    expect(failed).toMatchObject({ outcomes: { failed: 1 }, failures: [{ key }] });
    expect(undoExitCode(failed)).toBe(4);
    expect(undoExitCode(await runUndo(memory, undo))).toBe(0);
    expect(memory.objects.has(key)).toBe(false);
  });
});

describe('fix-empty-tags', () => {
  test('does not say of a marker that it is gone which the store still lists', async () => {
    const { registry } = healthyRegistry();
    const folder = 'docker/registry/v2/repositories/shop/_manifests/tags/';
    registry.marker(folder);
    const store = stale(openMemory({ objects: registry.objects }), folder);
    const result = await fixEmptyTags(store, {
      dryRun: false,
      allMarkers: false,
      concurrency: 1,
      observer: silentObserver,
      approve: async () => true,
    });
    expect(result).toMatchObject({ vanished: 0, failed: 1, failures: [{ key: folder }] });
  });
});

/** A store whose listings tell no MD5, as those of encrypted buckets. */
function withoutMd5(driver: Driver): Driver {
  return {
    ...driver,
    async *list(prefix, options) {
      for await (const page of driver.list(prefix, options)) {
        yield page.map(({ key, sizeBytes }) => ({ key, sizeBytes }));
      }
    },
  };
}
