import { describe, expect, it } from 'vitest';
import { forEachConcurrently, inOneRow, limitTo } from '../../src/operations/concurrency.ts';

describe('forEachConcurrently', () => {
  it('runs each item once, and never more than the width at a time', async () => {
    let running = 0;
    let most = 0;
    const seen: number[] = [];
    await forEachConcurrently(
      Array.from({ length: 100 }, (_, index) => index),
      7,
      async (item) => {
        running += 1;
        most = Math.max(most, running);
        await Promise.resolve();
        seen.push(item);
        running -= 1;
      },
    );
    expect(most).toBe(7);
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, index) => index));
  });

  it('pulls no further item after an error, waits for what runs, and throws the error', async () => {
    let pulled = 0;
    let finished = 0;
    let closed = false;
    async function* items() {
      try {
        for (; ; pulled += 1) {
          yield pulled;
        }
      } finally {
        closed = true;
      }
    }
    const action = async (item: number) => {
      if (item === 10) {
        throw new Error('item ten');
      }
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      finished += 1;
    };
    await expect(forEachConcurrently(items(), 4, action)).rejects.toThrow('item ten');
    expect(pulled).toBeLessThan(20);
    expect(finished).toBeLessThanOrEqual(pulled);
    expect(closed).toBe(true);
    const finishedAtThrow = finished;
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    expect(finished).toBe(finishedAtThrow);
  });
});

describe('inOneRow', () => {
  it('gives the items of all groups once, and asks for a group when those before are used up', async () => {
    const groups = [[1, 2], [], [3], [], [4, 5, 6]];
    const asked: number[] = [];
    const taken: number[] = [];
    async function* inTurn() {
      for (const group of groups) {
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
        asked.push(taken.length);
        yield group;
      }
    }
    await forEachConcurrently(inOneRow(inTurn()), 4, async (item) => {
      taken.push(item);
    });
    expect(taken).toEqual([1, 2, 3, 4, 5, 6]);
    expect(asked).toEqual([0, 2, 2, 3, 3]);
  });

  it('ends its groups when no more items are wanted', async () => {
    let isClosed = false;
    async function* groups() {
      try {
        for (;;) {
          yield [1, 2, 3];
        }
      } finally {
        isClosed = true;
      }
    }
    const action = () => Promise.reject(new Error('the first item'));
    await expect(forEachConcurrently(inOneRow(groups()), 2, action)).rejects.toThrow('the first item');
    expect(isClosed).toBe(true);
  });

  it('throws what a group could not be had for', async () => {
    async function* groups() {
      yield [1];
      throw new Error('the second group');
    }
    const taken: number[] = [];
    const all = forEachConcurrently(inOneRow(groups()), 3, async (item) => {
      taken.push(item);
    });
    await expect(all).rejects.toThrow('the second group');
    expect(taken).toEqual([1]);
  });
});

describe('limitTo', () => {
  it('lets so many actions run, the others in the order in which they came, and gives back what they give', async () => {
    const limit = limitTo(3);
    const began: number[] = [];
    let running = 0;
    let most = 0;
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        limit(async () => {
          began.push(index);
          running += 1;
          most = Math.max(most, running);
          await new Promise((resolve) => {
            setImmediate(resolve);
          });
          running -= 1;
          return index * 2;
        }),
      ),
    );
    expect(most).toBe(3);
    expect(began).toEqual(Array.from({ length: 20 }, (_, index) => index));
    expect(results).toEqual(began.map((index) => index * 2));
  });

  it('takes a place back from an action that failed, with or without others waiting', async () => {
    const limit = limitTo(1);
    const fail = () => limit(() => Promise.reject(new Error('failed')));
    const failures = [fail(), fail()].map((failing) => expect(failing).rejects.toThrow('failed'));
    await Promise.all(failures);
    await expect(limit(async () => 'went on')).resolves.toBe('went on');
  });
});
