import { describe, expect, it } from 'vitest';
import { randomRegistry } from '../../fixtures/random-registry.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { DriverError, type DriverErrorCode } from '../../src/drivers/errors.ts';
import { openMemory, type MemoryDriver } from '../../src/drivers/memory.ts';
import { withRetry } from '../../src/drivers/with-retry.ts';
import { isMutation, withHooks, type Call } from '../support/hooked-driver.ts';
import { contentOf, deleteAnything, memoryOf, runMigrate } from '../support/migrating.ts';
import { brokenTags } from '../support/pullable.ts';

/** The process is gone: not an error that code could handle. */
class Killed extends Error {}

interface Pass {
  name: string;
  target: () => Promise<MemoryDriver>;
  source: MemoryDriver;
}

/** A first copy, and an update with retags, deletes and a garbage collection, of the same small registry. */
async function passes(): Promise<Pass[]> {
  const { registry, change } = randomRegistry('crash', 10);
  const first = memoryOf(new Map(registry.objects));
  for (let index = 0; index < 8; index += 1) {
    change();
  }
  registry.garbageCollect();
  const second = memoryOf(new Map(registry.objects));
  return [
    { name: 'first copy', source: first, target: async () => openMemory() },
    {
      name: 'update with deletes',
      source: second,
      target: async () => {
        const target = openMemory();
        await runMigrate(first, target);
        return target;
      },
    },
  ];
}

/** A driver that dies for good at its nth mutation, before or after it took effect. */
function dyingAt(driver: Driver, nth: number, when: 'before' | 'after') {
  const mutations: Call[] = [];
  let dead = false;
  const check = (call: Call, moment: 'before' | 'after') => {
    if (isMutation(call) && moment === 'before') {
      mutations.push(call);
    }
    if (dead || (mutations[nth - 1] === call && moment === when)) {
      dead = true;
      throw new Killed();
    }
  };
  return {
    driver: withHooks(driver, {
      before: (call) => check(call, 'before'),
      after: (call) => check(call, 'after'),
    }),
    isDead: () => dead,
  };
}

describe('migrate, killed at every write', () => {
  it.each(['before', 'after'] as const)(
    'leaves a target without a broken tag, %s each write, and a rerun completes it',
    async (when) => {
      for (const { name, source, target: begin } of await passes()) {
        let nth = 1;
        for (let finished = false; !finished; nth += 1) {
          const target = await begin();
          const dying = dyingAt(
            { ...target, supports: { ...target.supports, deleteBatchSize: 3 } },
            nth,
            when,
          );
          try {
            await runMigrate(source, dying.driver, { delete: deleteAnything, concurrency: 3 });
          } catch (error) {
            expect(error).toBeInstanceOf(Killed);
          }
          finished = !dying.isDead();
          expect(await brokenTags(target), `${name}, write ${nth}`).toEqual([]);
          await runMigrate(source, target, { delete: deleteAnything });
          expect(contentOf(target.objects), `${name}, write ${nth}`).toEqual(contentOf(source.objects));
        }
        expect(nth).toBeGreaterThan(20);
      }
    },
  );
});

describe('migrate, with a fault at every call', () => {
  const fault = (code: DriverErrorCode, { operation, key }: Call) =>
    new DriverError(code, `Made to fail with ${code}.`, { driver: 'memory', operation, key });

  /** Runs with one call failing, for each call in turn, until a run gets through without meeting it. */
  async function everyCall(
    side: 'source' | 'target',
    action: (
      source: Driver,
      target: Driver,
      memory: { source: MemoryDriver; target: MemoryDriver },
      nth: number,
    ) => Promise<void>,
    makeFault: (call: Call) => Error,
    step = 1,
  ): Promise<void> {
    for (const { source, target: begin } of await passes()) {
      let met = true;
      for (let nth = 1; met; nth += step) {
        met = false;
        const target = await begin();
        const hooks = {
          before: (call: Call) => {
            if (call.number === nth) {
              met = true;
              throw makeFault(call);
            }
          },
        };
        await action(
          side === 'source' ? withHooks(source, hooks) : source,
          side === 'target' ? withHooks(target, hooks) : target,
          { source, target },
          nth,
        );
      }
    }
  }

  it.each(['source', 'target'] as const)('of the %s that passes, gets everything over', async (side) => {
    await everyCall(
      side,
      async (source, target, memory) => {
        const retried = (driver: Driver) => withRetry(driver, { sleep: async () => {}, random: () => 0 });
        const result = await runMigrate(retried(source), retried(target), {
          delete: deleteAnything,
          concurrency: 3,
        });
        expect(result.tally).toMatchObject({ failed: 0, heldBack: 0, incomplete: 0 });
        expect(contentOf(memory.target.objects)).toEqual(contentOf(memory.source.objects));
      },
      (call) => fault('UNAVAILABLE', call),
      5,
    );
  });

  it.each([
    ['source', 'PERMISSION_DENIED'],
    ['target', 'PERMISSION_DENIED'],
    ['source', 'UNEXPECTED'],
    ['target', 'CORRUPT'],
    ['target', 'STORE_FULL'],
    ['source', 'UNAUTHENTICATED'],
  ] as const)(
    'of the %s that stays (%s), names the failure, breaks no tag, deletes nothing after it',
    async (side, code) => {
      await everyCall(
        side,
        async (source, target, memory, nth) => {
          const before = new Map(memory.target.objects);
          let failed: boolean;
          try {
            const result = await runMigrate(source, target, { delete: deleteAnything, concurrency: 3 });
            failed = result.tally.failed > 0 || result.end.kind === 'stopped';
            const deletedBefore = [...before.keys()].filter((key) => !memory.target.objects.has(key));
            if (failed && result.tally.failures.some(({ key }) => memory.source.objects.has(key))) {
              expect(deletedBefore, `call ${nth}`).toEqual([]);
            }
          } catch (error) {
            failed = true;
            expect(error).toMatchObject({ name: expect.stringMatching(/DriverError|SafetyRefusal/) });
            expect(memory.target.objects, `call ${nth}`).toEqual(before);
          }
          expect(await brokenTags(memory.target), `call ${nth}`).toEqual([]);
          if (!failed) {
            expect(contentOf(memory.target.objects), `call ${nth}`).toEqual(contentOf(memory.source.objects));
          }
          await runMigrate(memory.source, memory.target, { delete: deleteAnything });
          expect(contentOf(memory.target.objects), `call ${nth}`).toEqual(contentOf(memory.source.objects));
        },
        (call) => fault(code, call),
        3,
      );
    },
  );

  it('stops, and says why, when the store answers nothing any more', async () => {
    const { registry } = randomRegistry('away', 60);
    let writes = 0;
    const target = withHooks(openMemory(), {
      before: (call) => {
        writes += isMutation(call) ? 1 : 0;
        if (isMutation(call) && writes > 5) {
          throw fault('UNAVAILABLE', call);
        }
      },
    });
    const result = await runMigrate(memoryOf(registry.objects), target);
    expect(result.end).toMatchObject({ kind: 'stopped', error: { code: 'UNAVAILABLE' } });
    expect(writes).toBeLessThan(registry.objects.size);
  });

  it('ends as interrupted when the signal is aborted, with no broken tag, and a rerun completes it', async () => {
    const { registry } = randomRegistry('interrupted', 20);
    for (const nth of [1, 5, 20, 50, 80]) {
      const controller = new AbortController();
      const memory = openMemory();
      let writes = 0;
      const target = withHooks(memory, {
        before: (call) => {
          writes += isMutation(call) ? 1 : 0;
          if (writes === nth) {
            controller.abort();
          }
        },
      });
      const result = await runMigrate(memoryOf(registry.objects), target, { signal: controller.signal });
      expect(result.end).toEqual({ kind: 'interrupted' });
      expect(await brokenTags(memory)).toEqual([]);
      await runMigrate(memoryOf(registry.objects), memory);
      expect(contentOf(memory.objects)).toEqual(contentOf(registry.objects));
    }
  });
});
