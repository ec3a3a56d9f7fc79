import { describe, expect, it } from 'vitest';
import { forEachConcurrently } from '../../src/operations/concurrency.ts';

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
