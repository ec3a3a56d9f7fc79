import fc from 'fast-check';
import { expect, it } from 'vitest';
import { histories, live, type Seen } from './histories/history.ts';

const MINUTES = 5;

it('loses nothing and breaks no tag in minutes of random histories', async () => {
  const seen: Partial<Seen> = {};
  // A failure prints the seed and the path that repeat it: `{ seed, path }` beside the number of runs.
  await fc.assert(
    fc.asyncProperty(histories, async (history) => live(history, seen)),
    {
      numRuns: 1_000_000,
      interruptAfterTimeLimit: MINUTES * 60_000,
      markInterruptAsFailure: false,
      endOnFailure: true,
    },
  );
  expect(seen['exit 0']).toBeGreaterThan(1000);
});
