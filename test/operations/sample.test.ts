import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type DataSubset, Sample, sampleRank } from '../../src/operations/sample.ts';

const digests = Array.from(
  { length: 5000 },
  (_, index) => `sha256:${createHash('sha256').update(`blob ${index}`).digest('hex')}`,
);

/** The digests that a sample takes out of blobs of these sizes. */
function choose(subset: DataSubset, seed: number, sizeOf: (index: number) => number, names = digests) {
  const sample = new Sample(subset, seed);
  names.forEach((digest, index) => {
    sample.count(digest, sizeOf(index));
  });
  return { chosen: names.filter((digest) => sample.includes(digest)), size: sample.size };
}

describe('a percentage', () => {
  test('takes about that share, and tells exactly how much', () => {
    const { chosen, size } = choose({ percent: 20 }, 7, () => 10);
    // A thousand of 5000 are expected; 150 are more than five standard deviations.
    expect(Math.abs(chosen.length - 1000)).toBeLessThan(150);
    expect(size).toEqual({ blobs: chosen.length, bytes: chosen.length * 10 });
  });

  test('of 100 takes all', () => {
    expect(choose({ percent: 100 }, 1, () => 1).chosen).toHaveLength(digests.length);
  });

  test('takes the same for the same seed, whatever the order, and other blobs for another seed', () => {
    const { chosen } = choose({ percent: 20 }, 7, () => 10);
    const again = choose({ percent: 20 }, 7, () => 10, digests.toReversed());
    expect(new Set(again.chosen)).toEqual(new Set(chosen));
    expect(choose({ percent: 20 }, 8, () => 10).chosen).not.toEqual(chosen);
  });

  test('takes of a grown registry what it took before, and more', () => {
    const before = choose({ percent: 20 }, 7, () => 10, digests.slice(0, 1000)).chosen;
    expect(choose({ percent: 20 }, 7, () => 10).chosen).toEqual(expect.arrayContaining(before));
  });
});

describe('a number of bytes', () => {
  test('takes blobs in the seeded order until the next would not fit', () => {
    const few = digests.slice(0, 40);
    const ordered = few.toSorted((a, b) => sampleRank(a, 3) - sampleRank(b, 3));
    const { chosen, size } = choose({ bytes: 1050 }, 3, () => 100, few);
    expect(new Set(chosen)).toEqual(new Set(ordered.slice(0, 10)));
    expect(size).toEqual({ blobs: 10, bytes: 1000 });
  });

  test('comes close to the amount in a large registry, and never goes over it', () => {
    const { size } = choose({ bytes: 100_000 }, 3, (index) => 1 + (index % 100));
    expect(size.bytes).toBeLessThanOrEqual(100_000);
    expect(size.bytes).toBeGreaterThan(98_000);
  });

  test('passes over a blob that is larger than all of it', () => {
    const few = digests.slice(0, 20);
    const [first] = few.toSorted((a, b) => sampleRank(a, 3) - sampleRank(b, 3));
    const { chosen } = choose({ bytes: 300 }, 3, (index) => (few[index] === first ? 301 : 100), few);
    expect(chosen).toHaveLength(3);
    expect(chosen).not.toContain(first);
  });

  test('takes all when all fit', () => {
    expect(choose({ bytes: 50_000 }, 3, () => 10).size).toEqual({ blobs: 5000, bytes: 50_000 });
  });
});
