import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { countSleeps } from '../../src/drivers/filesystem/sleeps.ts';

const ROUNDS = 200;
const BUSY_MS = 400;

describe.runIf(process.platform === 'linux')('sleeps of this thread', () => {
  it('are counted', () => {
    const before = countSleeps();
    const never = new Int32Array(new SharedArrayBuffer(4));
    for (let round = 0; round < ROUNDS; round += 1) {
      Atomics.wait(never, 0, 0, 1);
    }
    expect(countSleeps() - before).toBeGreaterThanOrEqual(ROUNDS);
  });

  it('are none, or a few, while it has something to do and others take its turns', async () => {
    const others = Array.from(
      { length: availableParallelism() * 2 },
      () => new Worker('for (;;);', { eval: true }),
    );
    try {
      await Promise.all(others.map((other) => once(other, 'online')));
      const before = countSleeps();
      const untilMs = performance.now() + BUSY_MS;
      let rounds = 0;
      while (performance.now() < untilMs) {
        rounds += 1;
      }
      expect(rounds).toBeGreaterThan(0);
      expect(countSleeps() - before).toBeLessThan(10);
    } finally {
      await Promise.all(others.map((other) => other.terminate()));
    }
  });
});
