import { describe, expect, it } from 'vitest';
import { isDriverError } from '../../src/drivers/errors.ts';
import { createLimiter } from '../../src/drivers/limiter.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import type { Sleep } from '../../src/drivers/pause.ts';
import { withLimits } from '../../src/drivers/with-limits.ts';
import { describeDriver, listAll, readAll } from './contract.ts';

describeDriver('memory with limits', {
  open: async () => ({
    driver: withLimits(openMemory({ pageSize: 7 }), {
      maxRequestsPerSecond: 50,
      bandwidthBytesPerSecond: 30_000,
      ...clock(),
    }),
    dispose: async () => {},
  }),
});

/** Time that passes only by sleeping. */
function clock(): { now: () => number; sleep: Sleep; sleeps: number[] } {
  let nowMs = 0;
  const sleeps: number[] = [];
  return {
    sleeps,
    now: () => nowMs,
    sleep: async (durationMs) => {
      sleeps.push(durationMs);
      nowMs += durationMs;
    },
  };
}

const total = (durations: number[]): number => Math.round(durations.reduce((sum, next) => sum + next, 0));

const twoLetters = {
  sizeBytes: 2,
  async *open() {
    yield Buffer.from('ab');
  },
};

describe('withLimits', () => {
  it('lets a second of requests through at once and makes the others wait for their turn', async () => {
    const time = clock();
    const driver = withLimits(openMemory(), { maxRequestsPerSecond: 10, ...time });
    for (let count = 0; count < 10; count += 1) {
      await driver.stat('x');
    }
    expect(time.sleeps).toEqual([]);
    for (let count = 0; count < 5; count += 1) {
      await driver.stat('x');
    }
    expect(total(time.sleeps)).toBe(500);
  });

  it('never saves up more than a second', async () => {
    const time = clock();
    const driver = withLimits(openMemory(), { maxRequestsPerSecond: 10, ...time });
    await time.sleep(60_000, new AbortController().signal);
    time.sleeps.length = 0;
    for (let count = 0; count < 20; count += 1) {
      await driver.stat('x');
    }
    expect(total(time.sleeps)).toBe(1000);
  });

  it('counts a request for each page of a listing', async () => {
    const time = clock();
    const objects = Array.from({ length: 21 }, (_, index) => [`k${index}`, ''] as const);
    const driver = withLimits(openMemory({ pageSize: 7, objects }), { maxRequestsPerSecond: 1, ...time });
    await listAll(driver);
    expect(total(time.sleeps)).toBe(2000);
    await listAll(driver, 'nothing');
    expect(total(time.sleeps)).toBe(3000);
  });

  it('counts a write once, and once more for each part', async () => {
    const time = clock();
    const inner = openMemory();
    const supports = { ...inner.supports, partSizeBytes: 100 };
    const driver = withLimits({ ...inner, supports }, { maxRequestsPerSecond: 1, ...time });
    await driver.write('small', Buffer.alloc(100));
    expect(total(time.sleeps)).toBe(0);
    await driver.write('large', Buffer.alloc(250));
    expect(total(time.sleeps)).toBe(4000);
  });

  it('counts a delete once for each batch that the store takes', async () => {
    const time = clock();
    const driver = withLimits(openMemory(), { maxRequestsPerSecond: 1, ...time });
    await driver.delete([]);
    await driver.delete(Array.from({ length: 1001 }, (_, index) => `k${index}`));
    expect(total(time.sleeps)).toBe(1000);
  });

  it('paces what is read, and cuts chunks that are larger than a second holds', async () => {
    const time = clock();
    const objects = [['key', 'x'.repeat(3500)]] as const;
    const driver = withLimits(openMemory({ objects }), { bandwidthBytesPerSecond: 1000, ...time });
    const sizes: number[] = [];
    for await (const chunk of driver.read('key')) {
      sizes.push(chunk.byteLength);
    }
    expect(sizes).toEqual([1000, 1000, 1000, 500]);
    expect(time.sleeps.map((duration) => Math.round(duration))).toEqual([1000, 1000, 500]);
  });

  it('counts a hash once, and leaves it out where bytes are limited, for nothing could hold it back', async () => {
    const time = clock();
    const inner = { ...openMemory(), hash: async () => 'made up' };
    const driver = withLimits(inner, { maxRequestsPerSecond: 1, ...time });
    expect(await driver.hash?.('x', 'sha256')).toBe('made up');
    await driver.hash?.('x', 'sha256');
    expect(total(time.sleeps)).toBe(1000);
    expect(withLimits(inner, { bandwidthBytesPerSecond: 1, ...time }).hash).toBeUndefined();
  });

  it('lets a body be put where the store wants it, and reads into what the reader gives', async () => {
    const time = clock();
    const memory = new Uint8Array(2);
    const into = (): Uint8Array => memory;
    const asked: unknown[] = [];
    const inner = openMemory();
    const driver = withLimits(
      {
        ...inner,
        read: (_, options) => {
          asked.push(options?.into?.());
          return twoLetters.open();
        },
        write: async (_, body) => {
          if (!(body instanceof Uint8Array)) {
            await body.open(into)[Symbol.asyncIterator]().next();
          }
        },
      },
      { maxRequestsPerSecond: 100, ...time },
    );
    await readAll(driver, 'x', { into });
    const open = (given?: () => Uint8Array | undefined) => {
      asked.push(given?.());
      return twoLetters.open();
    };
    await driver.write('x', { sizeBytes: 2, open });
    expect(asked).toEqual([memory, memory]);
  });

  it('paces what is written, as bytes and as a stream', async () => {
    const time = clock();
    const driver = withLimits(openMemory(), { bandwidthBytesPerSecond: 1, ...time });
    await driver.write('stream', twoLetters);
    expect(total(time.sleeps)).toBe(1000);
    await driver.write('bytes', Buffer.from('ab'));
    expect(total(time.sleeps)).toBe(3000);
    expect((await readAll(driver, 'stream')).toString()).toBe('ab');
  });

  it('shares one budget between the drivers that are given the same limiter', async () => {
    const time = clock();
    const limiter = createLimiter({ maxRequestsPerSecond: 1, ...time });
    await withLimits(openMemory(), { limiter }).stat('x');
    await withLimits(openMemory(), { limiter }).stat('x');
    expect(total(time.sleeps)).toBe(1000);
  });

  it('waits for nothing without a limit', async () => {
    const time = clock();
    const driver = withLimits(openMemory(), time);
    await driver.write('stream', twoLetters);
    expect(time.sleeps).toEqual([]);
  });

  it.each([0, -1, Number.NaN])('does not take %d for a limit', (maxRequestsPerSecond) => {
    expect(() => createLimiter({ maxRequestsPerSecond })).toThrow(RangeError);
  });

  describe('while a call waits', () => {
    /** Sleeps until woken by an abort. */
    function endless() {
      const waiting: AbortSignal[] = [];
      const sleep: Sleep = (_, signal) =>
        new Promise((_resolve, reject) => {
          waiting.push(signal);
          signal.addEventListener('abort', () => reject(new Error('woken')));
        });
      return { sleep, waiting, now: () => 0 };
    }

    async function codeOf(promise: Promise<unknown>): Promise<string> {
      try {
        await promise;
        return 'no error';
      } catch (error) {
        return isDriverError(error) ? error.code : String(error);
      }
    }

    it('stops at once when it is aborted, and gives back what it did not use', async () => {
      const time = endless();
      const driver = withLimits(openMemory(), { maxRequestsPerSecond: 2, ...time });
      await driver.stat('x');
      const controller = new AbortController();
      const waiting = driver.delete(
        Array.from({ length: 5000 }, (_, index) => `k${index}`),
        { signal: controller.signal },
      );
      controller.abort();
      expect(await codeOf(waiting)).toBe('ABORTED');
      await driver.stat('x');
      expect(time.waiting.length).toBe(1);
    });

    it('stops when the driver is closed, so that no timer outlives it', async () => {
      const time = endless();
      const driver = withLimits(openMemory(), { maxRequestsPerSecond: 1, ...time });
      await driver.stat('x');
      const waiting = driver.stat('x');
      await driver.close();
      expect(await codeOf(waiting)).toBe('ABORTED');
    });

    it('is woken at once on the real clock, too', async () => {
      const driver = withLimits(openMemory(), { maxRequestsPerSecond: 0.0001 });
      await driver.stat('x');
      const waiting = driver.stat('x');
      await driver.close();
      expect(await codeOf(waiting)).toBe('ABORTED');
    });
  });

  it('offers only what the driver offers', () => {
    const { copyFrom: _, ...bare } = openMemory();
    expect(withLimits(bare, {}).copyFrom).toBeUndefined();
    expect(withLimits(openMemory(), {}).copyFrom).toBeDefined();
  });
});
