import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { DigestTable } from '../../src/operations/digest-table.ts';

const digest = (number: number) => `sha256:${createHash('sha256').update(String(number)).digest('hex')}`;

describe('a table of digests', () => {
  test('keeps numbers and flags of many digests, also while it grows', () => {
    const table = new DigestTable(100_000);
    for (let number = 0; number < 5000; number += 1) {
      table.set(digest(number), number * 2 ** 40);
      table.flag(digest(number), number % 2 === 0 ? 1 : 2);
    }
    const wrong = Array.from({ length: 5000 }, (_, number) => number).filter(
      (number) =>
        table.get(digest(number)) !== number * 2 ** 40 ||
        table.hasFlag(digest(number), 1) !== (number % 2 === 0) ||
        table.hasFlag(digest(number), 2) !== (number % 2 === 1),
    );
    expect(wrong).toEqual([]);
    expect(table.size).toBe(5000);
  });

  test('knows nothing of a digest that is not in, and takes no flag for it', () => {
    const table = new DigestTable(10);
    table.flag(digest(1), 1);
    expect(table.get(digest(1))).toBeUndefined();
    expect(table.hasFlag(digest(1), 1)).toBe(false);
    table.set(digest(1), 0);
    expect(table.get(digest(1))).toBe(0);
    expect(table.hasFlag(digest(1), 1)).toBe(false);
  });

  test('replaces the number and keeps the flags of one that is in', () => {
    const table = new DigestTable(10);
    table.set(digest(1), 5);
    table.flag(digest(1), 2);
    table.set(digest(1), 6);
    expect([table.get(digest(1)), table.hasFlag(digest(1), 2), table.size]).toEqual([6, true, 1]);
  });

  test('takes no more than its ceiling, and says so', () => {
    const table = new DigestTable(2);
    table.set(digest(1), 1);
    expect(table.isFull).toBe(false);
    table.set(digest(2), 2);
    table.set(digest(3), 3);
    expect(table.isFull).toBe(true);
    expect([table.size, table.get(digest(2)), table.get(digest(3))]).toEqual([2, 2, undefined]);
  });

  test('calls back for each, with the first byte of its hash', () => {
    const table = new DigestTable(1000);
    const expected = Array.from({ length: 300 }, (_, number) => {
      table.set(digest(number), number);
      table.flag(digest(number), number % 4);
      return { firstByte: digest(number).slice(7, 9), number, flags: number % 4 };
    });
    const seen: unknown[] = [];
    table.forEach((firstByte, number, flags) => {
      seen[number] = { firstByte: firstByte.toString(16).padStart(2, '0'), number, flags };
    });
    expect(seen).toEqual(expected);
  });

  test.each([
    ['with numbers', true, 40],
    ['without', false, 28],
  ])(
    'takes few bytes for each digest, %s, at any size, also while it grows',
    (_, holdsNumbers, mostBytes) => {
      const table = new DigestTable(1_000_000, holdsNumbers);
      let peakBytes = 0;
      // Sorted, as a listing gives them.
      const digests = Array.from({ length: 20_000 }, (__, number) => digest(number)).sort();
      for (const [index, one] of digests.entries()) {
        table.set(one, index);
        if (index > 5000 && index % 250 === 0) {
          peakBytes = Math.max(peakBytes, table.sizeBytes / table.size);
        }
      }
      expect(peakBytes).toBeLessThan(mostBytes);
    },
  );
});
