import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { DigestSet } from '../../src/operations/digest-set.ts';

const digest = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`;

describe('DigestSet', () => {
  it('has exactly what was added, through many enlargements', () => {
    const set = new DigestSet(1_000_000);
    for (let index = 0; index < 20_000; index += 1) {
      set.add(digest(`in ${index}`));
      set.add(digest(`in ${index}`));
    }
    expect(set.size).toBe(20_000);
    for (let index = 0; index < 20_000; index += 1) {
      expect(set.has(digest(`in ${index}`))).toBe(true);
      expect(set.has(digest(`out ${index}`))).toBe(false);
    }
  });

  it('tells digests apart that begin alike, and takes one of zeros', () => {
    const set = new DigestSet(10);
    const zeros = `sha256:${'0'.repeat(64)}`;
    expect(set.has(zeros)).toBe(false);
    set.add(zeros);
    expect(set.has(zeros)).toBe(true);
    expect(set.has(`sha256:${'0'.repeat(31)}1${'0'.repeat(32)}`)).toBe(false);
  });

  it('takes no more than its ceiling, and says so', () => {
    const set = new DigestSet(3);
    for (const text of ['a', 'b', 'c', 'd', 'e']) {
      set.add(digest(text));
    }
    expect(set.size).toBe(3);
    expect(set.isFull).toBe(true);
    expect(['a', 'b', 'c', 'd', 'e'].map((text) => set.has(digest(text)))).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
  });
});
