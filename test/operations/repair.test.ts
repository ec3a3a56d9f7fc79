import { describe, expect, it } from 'vitest';
import { type MemoryDriver, openMemory } from '../../src/drivers/memory.ts';
import { pullableTags } from '../support/pullable.ts';
import { withHooks, isMutation } from '../support/hooked-driver.ts';
import { healthyRegistry } from './check/fixtures.ts';
import { notPullable, observe, wholeData } from './check/observe.ts';
import { mendable, type Mendable } from './repair/broken-and-mended.ts';
import { asUndone, runRepair, runUndo, UndoList } from './repair/repairing.ts';

function damaged({ damage }: Mendable) {
  const healthy = healthyRegistry();
  const intact = openMemory({ objects: healthy.registry.objects });
  damage(healthy);
  const store = openMemory({ objects: healthy.registry.objects, pageSize: 7 });
  return { healthy, intact, store };
}

const snapshot = ({ objects }: MemoryDriver) =>
  Object.fromEntries([...objects].map(([key, bytes]) => [key, Buffer.from(bytes).toString('base64')]));

const withoutQuarantine = (objects: Record<string, string>) =>
  Object.fromEntries(Object.entries(objects).filter(([key]) => !key.startsWith('regtool-quarantine/')));

describe.each(mendable)('repair of $name', (broken) => {
  const { choices, fromOther, hurts, writes } = broken;
  const settings = (intact: MemoryDriver) => ({
    ...(choices && { choices }),
    ...(fromOther && { other: intact }),
  });

  it('mends it, changes nothing else, and changes nothing the second time', async () => {
    const { healthy, intact, store } = damaged(broken);
    expect(notPullable(await observe(store, { readData: wholeData }))).toEqual(hurts);
    const before = snapshot(store);
    const { steps, plan } = await runRepair(store, settings(intact));
    expect(steps.map((step) => step.split(' ')[1])).toEqual(expect.arrayContaining([...writes(healthy)]));
    expect(steps).toHaveLength(writes(healthy).length);
    expect(plan.tagsAfter).toMatchObject({ notPullable: 0, unknown: 0 });
    expect(await observe(store, { readData: wholeData })).toMatchObject({ verdict: 'healthy', broken: [] });
    const changed = Object.entries(withoutQuarantine(snapshot(store))).filter(
      ([key, bytes]) => before[key] !== bytes,
    );
    expect(changed.map(([key]) => key).sort()).toEqual([...writes(healthy)].sort());
    const after = snapshot(store);
    expect((await runRepair(store, settings(intact))).steps).toEqual([]);
    expect(snapshot(store)).toEqual(after);
  });

  it('plans in a dry run what a run does, and writes nothing', async () => {
    const { intact, store } = damaged(broken);
    const before = snapshot(store);
    const dry = await runRepair(store, { ...settings(intact), dryRun: true });
    expect(snapshot(store)).toEqual(before);
    const wet = await runRepair(store, settings(intact));
    expect(wet.steps.toSorted()).toEqual(dry.steps.toSorted());
  });

  it('can be undone to the last byte', async () => {
    const { intact, store } = damaged(broken);
    const before = snapshot(store);
    const undo = new UndoList();
    await runRepair(store, { ...settings(intact), undo });
    expect(snapshot(store)).not.toEqual(before);
    await runUndo(store, undo);
    expect(snapshot(store)).toEqual(before);
    expect((await runUndo(store, undo)).outcomes).toEqual({ already: undo.changes.length });
  });

  it('is no worse after any single write, and a rerun after a crash ends in the same state', async () => {
    const { intact, store: whole } = damaged(broken);
    await runRepair(whole, settings(intact));
    const goal = snapshot(whole);
    for (let crashAt = 1; ; crashAt += 1) {
      const { intact: other, store } = damaged(broken);
      const pullableBefore = await pullableTags(store);
      const undo = new UndoList();
      const before = snapshot(store);
      let mutations = 0;
      const crashing = withHooks(store, {
        async after(call) {
          if (!isMutation(call)) {
            return;
          }
          expect(await pullableTags(store)).toEqual(expect.arrayContaining(pullableBefore));
          mutations += 1;
          if (mutations === crashAt) {
            throw new Error('killed');
          }
        },
      });
      const outcome = await runRepair(crashing, { ...settings(other), undo, concurrency: 1 }).then(
        () => 'ended',
        (error: unknown) => (error instanceof Error ? error.message : ''),
      );
      await runRepair(store, { ...settings(other), undo });
      expect(snapshot(store)).toEqual(goal);
      await runUndo(store, undo);
      expect(snapshot(store)).toEqual(
        Object.fromEntries(asUndone(undo, Object.entries(before), Object.entries(goal))),
      );
      if (outcome === 'ended') {
        break;
      }
      expect(outcome).toBe('killed');
    }
  });
});
