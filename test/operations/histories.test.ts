import fc from 'fast-check';
import { expect, it } from 'vitest';
import { histories, live, type Seen } from './histories/history.ts';

// `npm run test:soak` goes on for minutes, with another seed each time.
it('loses nothing and breaks no tag, in random histories of a registry, its faults and its runs', async () => {
  const seen: Partial<Seen> = {};
  await fc.assert(
    fc.asyncProperty(histories, async (history) => live(history, seen)),
    { numRuns: 100, seed: 7, endOnFailure: true },
  );
  // All of this came about, so that all of it was judged.
  for (const what of endings) {
    expect({ what, count: seen[what] ?? 0 }).not.toEqual({ what, count: 0 });
  }
}, 600_000);

const endings = [
  'done',
  'declined',
  'interrupted',
  'stopped',
  'refused',
  'failed',
  'killed',
  'copied',
  'deleted',
  'exit 0',
  'exit 3',
  'exit 4',
  'exit 5',
] as const;
