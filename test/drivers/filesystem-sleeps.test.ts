import { describe, expect, it } from 'vitest';
import { countSleeps } from '../../src/drivers/filesystem/sleeps.ts';

const ROUNDS = 200;

describe.runIf(process.platform === 'linux')('sleeps of this thread', () => {
  it('are counted', () => {
    const before = countSleeps();
    const never = new Int32Array(new SharedArrayBuffer(4));
    for (let round = 0; round < ROUNDS; round += 1) {
      Atomics.wait(never, 0, 0, 1);
    }
    expect(countSleeps() - before).toBeGreaterThanOrEqual(ROUNDS);
  });

  it('are none while it has something to do, or few on a busy machine', () => {
    const before = countSleeps();
    let sum = 0;
    for (let round = 0; round < ROUNDS * 100_000; round += 1) {
      sum += round % 7;
    }
    expect(sum).toBeGreaterThan(0);
    expect(countSleeps() - before).toBeLessThan(ROUNDS / 2);
  });
});
