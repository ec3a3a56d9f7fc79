import { describe, expect, it } from 'vitest';
import { DriverError } from '../../../src/drivers/errors.ts';
import { type MemoryDriver, openMemory } from '../../../src/drivers/memory.ts';
import type { UndoEntry } from '../../../src/operations/repair/undo-log.ts';
import { withHooks } from '../../support/hooked-driver.ts';
import { pullableTags } from '../../support/pullable.ts';
import { blobKey, healthyRegistry, type Healthy, layerKey, set } from '../check/fixtures.ts';
import { runRepair, runUndo, UndoList } from './repairing.ts';

const UNKNOWN = /whether the repair wrote it or a push since is not known/;

interface Loss {
  key: (healthy: Healthy) => string;
  damage: (healthy: Healthy, key: string) => void;
}

const losses: [string, Loss][] = [
  [
    'a missing blob',
    {
      key: ({ layer }) => blobKey(layer.digest),
      damage: ({ registry }, key) => registry.objects.delete(key),
    },
  ],
  [
    'a missing link',
    {
      key: ({ layer }) => layerKey('shop', layer.digest),
      damage: ({ registry }, key) => registry.objects.delete(key),
    },
  ],
  [
    'an empty link',
    {
      key: ({ layer }) => layerKey('shop', layer.digest),
      damage: ({ registry }, key) => set(registry, key, ''),
    },
  ],
];

function lose({ key, damage }: Loss) {
  const healthy = healthyRegistry();
  const whole = healthy.registry.objects.get(key(healthy)) ?? new Uint8Array();
  const intact = openMemory({ objects: healthy.registry.objects });
  damage(healthy, key(healthy));
  return { key: key(healthy), whole, intact, store: openMemory({ objects: healthy.registry.objects }) };
}

/** The store with one key that cannot be written. */
function unwritable(store: MemoryDriver, unwritableKey: string) {
  return withHooks(store, {
    before({ operation, key }) {
      if (operation === 'write' && key === unwritableKey) {
        throw new DriverError('UNAVAILABLE', 'made up', { driver: 'memory', operation, key });
      }
    },
  });
}

const contentOf = ({ objects }: MemoryDriver) =>
  new Map([...objects].map(([key, bytes]) => [key, Buffer.from(bytes).toString('base64')]));

/** As files of former versions were. */
function withoutMarks({ entries }: UndoList): UndoList {
  const former = new UndoList();
  for (const entry of entries) {
    if (entry.change !== 'made') {
      const { isMarked: _, ...rest } = entry as Extract<UndoEntry, { change: 'link' }>;
      former.entries.push(rest);
    }
  }
  return former;
}

describe.each(losses)('undo of the mending of %s', (_, loss) => {
  it('leaves what a push has brought after the repair failed to, and says why', async () => {
    const { key, whole, intact, store } = lose(loss);
    const undo = new UndoList();
    expect((await runRepair(unwritable(store, key), { other: intact, undo })).outcomes).toEqual({
      failed: 1,
    });
    store.objects.set(key, whole);
    const tags = await pullableTags(store);
    const undone = await runUndo(store, undo);
    expect(undone).toMatchObject({
      outcomes: { changed: 1 },
      left: [{ key, message: expect.stringMatching(UNKNOWN) }],
    });
    expect(undone.records).toMatchObject([
      { outcome: 'changed', key, reason: expect.stringMatching(UNKNOWN) },
    ]);
    expect(await pullableTags(store)).toEqual(tags);
    expect(tags).toHaveLength(2);
  });

  it('has nothing to put back of what was never written', async () => {
    const { key, intact, store } = lose(loss);
    const undo = new UndoList();
    await runRepair(unwritable(store, key), { other: intact, undo });
    expect((await runUndo(store, undo)).outcomes).toEqual({ already: 1 });
  });

  it('leaves what was written by a process that died before it noted that it had', async () => {
    const { key, whole, intact, store } = lose(loss);
    const undo = new UndoList();
    const dying = withHooks(store, {
      after({ operation }) {
        if (operation === 'write') {
          throw new Error('killed');
        }
      },
    });
    await expect(runRepair(dying, { other: intact, undo })).rejects.toThrow('killed');
    expect((await runUndo(store, undo)).outcomes).toEqual({ changed: 1 });
    expect(Buffer.from(store.objects.get(key) ?? '')).toEqual(Buffer.from(whole));
  });

  it('puts back what a former version wrote, whose files have no marks', async () => {
    const { intact, store } = lose(loss);
    const before = contentOf(store);
    const undo = new UndoList();
    await runRepair(store, { other: intact, undo });
    expect((await runUndo(store, withoutMarks(undo))).outcomes).toEqual({ done: 1 });
    expect(contentOf(store)).toEqual(before);
  });

  it('leaves what may be a push, also where an earlier run had written the same', async () => {
    const { key, whole, intact, store } = lose(loss);
    const undo = new UndoList();
    await runRepair(store, { other: intact, undo });
    store.objects.delete(key);
    await runRepair(unwritable(store, key), { other: intact, undo });
    store.objects.set(key, whole);
    expect((await runUndo(store, undo, { dryRun: true })).outcomes).toEqual({ changed: 2 });
    expect((await runUndo(store, undo)).outcomes).toEqual({ changed: 2 });
    expect(store.objects.has(key)).toBe(true);
  });
});
