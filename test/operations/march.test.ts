import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Driver, ObjectStat } from '../../src/drivers/driver.ts';
import { compareKeys } from '../../src/drivers/keys.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { marchShard } from '../../src/operations/march-shard.ts';
import { march, type Pair } from '../../src/operations/march.ts';

async function* pages(keys: string[], pageSize: number): AsyncGenerator<ObjectStat[]> {
  for (let start = 0; start < keys.length; start += pageSize) {
    yield keys.slice(start, start + pageSize).map((key) => ({ key, sizeBytes: key.length }));
  }
}

async function collect(
  source: AsyncIterable<ObjectStat[]>,
  target: AsyncIterable<ObjectStat[]>,
): Promise<Pair[]> {
  const found: Pair[] = [];
  for await (const batch of march(source, target)) {
    found.push(...batch);
  }
  return found;
}

describe('march', () => {
  it('pairs what both have and names what one has, in order, for any two sets and page sizes', async () => {
    const keys = fc.uniqueArray(fc.stringMatching(/^[ab/-]{0,6}$/), { maxLength: 40 });
    const size = fc.integer({ min: 1, max: 7 });
    await fc.assert(
      fc.asyncProperty(keys, keys, size, size, async (first, second, firstSize, secondSize) => {
        const left = [...first].sort(compareKeys);
        const right = [...second].sort(compareKeys);
        const found = await collect(pages(left, firstSize), pages(right, secondSize));
        expect(found.map(({ key }) => key)).toEqual([...new Set([...left, ...right])].sort(compareKeys));
        for (const { key, source, target } of found) {
          expect(source?.key).toBe(left.includes(key) ? key : undefined);
          expect(target?.key).toBe(right.includes(key) ? key : undefined);
        }
      }),
    );
  });

  it.each([
    [['b', 'a'], 2],
    [['b', 'a'], 1],
    [['a', 'a'], 2],
    [['a', 'a'], 1],
  ])('throws BAD_LISTING for %j in pages of %i, instead of seeing absences', async (keys, pageSize) => {
    await expect(collect(pages(keys, pageSize), pages([], 1))).rejects.toMatchObject({ code: 'BAD_LISTING' });
    await expect(collect(pages([], 1), pages(keys, pageSize))).rejects.toMatchObject({ code: 'BAD_LISTING' });
  });

  it('passes a failing listing on, and closes the other side', async () => {
    let closed = false;
    async function* endless() {
      try {
        for (let index = 0; ; index += 1) {
          yield [{ key: `key-${String(index).padStart(9, '0')}`, sizeBytes: 1 }];
        }
      } finally {
        closed = true;
      }
    }
    async function* failing() {
      yield [{ key: 'key-000000001', sizeBytes: 1 }];
      throw new Error('no more');
    }
    await expect(collect(endless(), failing())).rejects.toThrow('no more');
    expect(closed).toBe(true);
  });

  it('hands on what a page completes before it asks for the next one, and holds it no longer', async () => {
    const asked: number[] = [];
    async function* watched(size: number) {
      for (let start = 0; start < 12; start += size) {
        asked.push(start);
        yield* pages(
          Array.from({ length: size }, (_, index) => String(start + index).padStart(2, '0')),
          size,
        );
      }
    }
    const pairs = march(watched(6), watched(4));
    const first = await pairs.next();
    const batch: Pair[] = first.done === true ? [] : first.value;
    expect(batch.map(({ key }) => key)).toEqual(['00', '01', '02', '03']);
    expect(asked).toEqual([0, 0]);
    await pairs.next();
    // Another batch in the same array: nothing of the first is held by whoever still has it.
    expect(batch.map(({ key }) => key)).toEqual(['04', '05']);
    expect(asked).toEqual([0, 0, 4]);
    await pairs.return(undefined);
  });
});

describe('marchShard', () => {
  it('empties each page once it is used up', async () => {
    const given: ObjectStat[][] = [];
    const store: Driver = {
      ...openMemory(),
      async *list() {
        for (const keys of [['a', 'b'], ['c'], ['d', 'e']]) {
          const page = keys.map((key) => ({ key, sizeBytes: 1 }));
          expect(given.map(({ length }) => length)).toEqual(given.map(() => 0));
          given.push(page);
          yield page;
        }
      },
    };
    const shard = { prefix: '', inSource: true, inTarget: false };
    const found: string[] = [];
    for await (const pairs of marchShard(store, openMemory(), shard, {})) {
      found.push(...pairs.map(({ key }) => key));
    }
    expect(found).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(given.map(({ length }) => length)).toEqual([0, 0, 0]);
  });
});
