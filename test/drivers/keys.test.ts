import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareKeys, overlap, sortKeys } from '../../src/drivers/keys.ts';

describe('sortKeys', () => {
  it('sorts by the UTF-8 bytes, whatever the characters', () => {
    const unit = fc.constantFrom('a', 'b', '/', '-', 'é', '\uFFFD', '😀');
    fc.assert(
      fc.property(fc.array(fc.string({ unit, maxLength: 4 })), (keys) => {
        const expected = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
        expect(sortKeys([...keys])).toEqual(expected);
      }),
    );
  });
});

describe('compareKeys', () => {
  it.each([
    ['a-b/x', 'a/x'],
    ['', 'a'],
    ['a', 'a/'],
    ['Z', 'a'],
    ['\uFFFD', '😀'],
    ['é', '日'],
  ])('puts %j before %j, as their bytes do', (first, second) => {
    expect(Math.sign(Buffer.compare(Buffer.from(first), Buffer.from(second)))).toBe(-1);
    expect(Math.sign(compareKeys(first, second))).toBe(-1);
    expect(Math.sign(compareKeys(second, first))).toBe(1);
    expect(compareKeys(first, first)).toBe(0);
  });

  it('agrees with the order of the UTF-8 bytes for all well-formed strings', () => {
    const text = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(text, text, (first, second) => {
        const expected = Math.sign(Buffer.compare(Buffer.from(first), Buffer.from(second)));
        expect(Math.sign(compareKeys(first, second))).toBe(expected);
      }),
    );
  });
});

describe('overlap', () => {
  const store = (root: string, container = 'c', service = 's3:a') => ({ service, container, root });

  it.each([
    [store(''), store(''), 'same'],
    [store('a/'), store(''), 'first-inside-second'],
    [store(''), store('a/'), 'second-inside-first'],
    [store('a/'), store('ab/'), 'none'],
    [store('', 'c'), store('', 'd'), 'none'],
    [store('', 'c', 's3:a'), store('', 'c', 's3:b'), 'none'],
  ] as const)('of %j and %j is %s', (first, second, expected) => {
    expect(overlap(first, second)).toBe(expected);
  });
});
