import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { withHooks } from '../support/hooked-driver.ts';
import { contentOf, memoryOf, runMigrate } from '../support/migrating.ts';

const REPOSITORIES = 'docker/registry/v2/repositories/';

/**
 * A store as far away as can be: what it is asked takes effect when nothing else goes on any more, and all of it at once.
 * So its rounds are what a run waits for, whatever the machine does.
 */
function distant(store: Driver): { store: Driver; roundsOfLinks: () => number } {
  let waiting: (() => void)[] = [];
  let round = 0;
  const rounds = new Set<number>();

  async function answerAll(): Promise<void> {
    for (let seen = 0; seen < waiting.length;) {
      seen = waiting.length;
      await setImmediate();
    }
    round += 1;
    const answered = waiting;
    waiting = [];
    answered.forEach((answer) => answer());
  }

  return {
    store: withHooks(store, {
      before: ({ operation, key }) =>
        new Promise((resolve) => {
          waiting.push(() => {
            if (operation === 'write' && key.startsWith(REPOSITORIES)) {
              rounds.add(round);
            }
            resolve();
          });
          if (waiting.length === 1) {
            void answerAll();
          }
        }),
    }),
    roundsOfLinks: () => rounds.size,
  };
}

describe('migrate to a distant store', () => {
  it.each([
    { what: 'images', isIndex: false, rounds: 4 },
    { what: 'indexes of images', isIndex: true, rounds: 5 },
  ])('waits $rounds times for its answers to publish any number of $what', async ({ isIndex, rounds }) => {
    const registry = new RegistryBuilder();
    for (let number = 0; number < 20; number += 1) {
      for (const tag of ['v1', 'v2']) {
        registry.push(
          `group${number % 5}/project${number}`,
          tag,
          isIndex ? registry.index() : registry.image(),
        );
      }
    }
    const target = openMemory();
    const { store, roundsOfLinks } = distant(target);
    const result = await runMigrate(memoryOf(registry.objects), store, { concurrency: 1000 });
    expect(result.end).toEqual({ kind: 'done' });
    expect(contentOf(target.objects)).toEqual(contentOf(registry.objects));
    // Layer links, the children of an index, revisions, tag index links, tags: each needs all that are before it.
    expect(roundsOfLinks()).toBe(rounds);
  });
});
