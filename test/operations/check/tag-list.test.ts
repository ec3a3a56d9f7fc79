import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Digest } from '../../../src/layout/digest.ts';
import { TagList } from '../../../src/operations/check/tag-list.ts';

const digestOf = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}` as Digest;

test('a list of tags gives back what was added, in order, whatever the lengths of the names', () => {
  const list = new TagList();
  const added = Array.from({ length: 40_000 }, (_, number) => {
    const tag = `${'v'.repeat(number % 119)}${number}`.slice(-128);
    return { tag, digest: digestOf(tag) };
  });
  for (const { tag, digest } of added) {
    expect(list.add(tag, digest)).toBe(true);
  }
  expect(list).toHaveLength(added.length);
  expect([...list]).toEqual(added);
});

test('a list of tags takes no digest of another kind', () => {
  const list = new TagList();
  expect(list.add('v1', `sha512:${'0'.repeat(128)}` as Digest)).toBe(false);
  expect([...list]).toEqual([]);
  expect(list).toHaveLength(0);
});
