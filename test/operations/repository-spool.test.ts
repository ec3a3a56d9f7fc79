import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PlannedCopy, RepositoryPlan } from '../../src/operations/migrate/plan.ts';
import { piecesOf, RepositorySpool } from '../../src/operations/migrate/repository-spool.ts';

const phases = ['layers', 'revisions', 'tagIndexes', 'tagCurrents'] as const;

function planOf(repository: string, ...counts: number[]): RepositoryPlan {
  const copies = (phase: string, count = 0): PlannedCopy[] =>
    Array.from({ length: count }, (_, index) => ({
      key: `${repository} ${phase} ${index}`,
      sizeBytes: index,
      reason: 'missing',
    }));
  return {
    repository,
    layers: copies('layers', counts[0]),
    revisions: copies('revisions', counts[1]),
    tagIndexes: copies('tagIndexes', counts[2]),
    tagCurrents: copies('tagCurrents', counts[3]),
  };
}

async function read(spool: RepositorySpool): Promise<RepositoryPlan[]> {
  const found: RepositoryPlan[] = [];
  for await (const plan of spool) {
    found.push(plan);
  }
  return found;
}

describe('a spool of repositories', () => {
  it('gives each repository back whole and once, also when they are written at the same time', async () => {
    const counts = fc.array(fc.nat(9), { minLength: 4, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(counts, { maxLength: 6 }),
        fc.integer({ min: 1, max: 4 }),
        async (all, size) => {
          const spool = new RepositorySpool(size);
          const plans = all.map((each, index) => planOf(`r${index}`, ...each));
          await Promise.all(plans.map((plan) => spool.append(plan)));
          const expected = plans.filter((plan) => phases.some((phase) => plan[phase].length > 0));
          expect(await read(spool)).toEqual(expected);
          expect(await read(spool)).toEqual(expected);
          expect(spool.length).toBe(expected.length);
          await spool.dispose();
        },
      ),
      { numRuns: 50 },
    );
  });

  it('writes no more copies into one line than it is told', () => {
    const sizes = piecesOf(planOf('large', 25, 10, 0, 3), 10).map(({ phase, copies }) => [
      phase,
      copies.length,
    ]);
    expect(sizes).toEqual([
      ['layers', 10],
      ['layers', 10],
      ['layers', 5],
      ['revisions', 10],
      ['tagCurrents', 3],
    ]);
  });
});
