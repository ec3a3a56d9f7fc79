import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeySum } from '../../src/operations/key-sum.ts';

function sumOf(keys: readonly string[]): KeySum {
  const sum = new KeySum();
  for (const key of keys) {
    sum.add(key);
  }
  return sum;
}

test('a sum of keys is the same in any order, and another for any other keys', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string(), { minLength: 1 }),
      fc.uniqueArray(fc.string(), { minLength: 1 }),
      (left, right) => {
        const isSameSet = left.length === right.length && left.every((key) => right.includes(key));
        expect(sumOf(left).equals(sumOf(left.toReversed()))).toBe(true);
        expect(sumOf(left).equals(sumOf(right))).toBe(isSameSet);
        expect(sumOf(left).equals(sumOf(left.slice(1)))).toBe(false);
      },
    ),
  );
});
