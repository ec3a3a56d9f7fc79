import { describe, expect, it } from 'vitest';
import type { Driver } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { withConcurrency } from '../../src/drivers/with-concurrency.ts';
import { withRetry } from '../../src/drivers/with-retry.ts';
import { describeDriver } from './contract.ts';

describeDriver('memory with so many calls at once', {
  open: async () => ({
    driver: withConcurrency(openMemory({ pageSize: 7 }), { max: 2 }),
    dispose: async () => {},
  }),
});

/** A driver whose writes end when they are told to, and which knows how many are under way. */
function gated() {
  const inner = openMemory();
  const open: (() => void)[] = [];
  let most = 0;
  const driver: Driver = {
    ...inner,
    write: async () => {
      await new Promise<void>((resolve) => {
        open.push(resolve);
        most = Math.max(most, open.length);
      });
    },
  };
  const endAll = async (): Promise<void> => {
    while (open.length > 0) {
      open.splice(0).forEach((end) => end());
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { driver, most: () => most, endAll };
}

const content = Buffer.from('content');

describe('withConcurrency', () => {
  it('lets no more calls through at once than it may, and each in the end', async () => {
    const { driver, most, endAll } = gated();
    const bounded = withConcurrency(driver, { max: 5 });
    let written = 0;
    const writes = Array.from({ length: 50 }, async (_, index) => {
      await bounded.write(`key ${index}`, content);
      written += 1;
    });
    await new Promise((resolve) => setImmediate(resolve));
    await endAll();
    await Promise.all(writes);
    expect([most(), written]).toEqual([5, 50]);
  });

  it('gives a place back when a call fails', async () => {
    const failing = { ...openMemory(), stat: () => Promise.reject(new Error('made up')) } as Driver;
    const bounded = withConcurrency(failing, { max: 1 });
    await expect(bounded.stat('a')).rejects.toThrow('made up');
    await expect(bounded.stat('b')).rejects.toThrow('made up');
  });

  it('makes no call at all before the time that the store named', async () => {
    const inner = openMemory({ objects: [['a', 'b']] });
    let nowMs = 0;
    const asked: [string, number][] = [];
    const driver: Driver = {
      ...inner,
      stat: async (key) => {
        asked.push([key, nowMs]);
        if (asked.length === 1) {
          throw new DriverError('RATE_LIMITED', 'made up', {
            driver: 'memory',
            operation: 'stat',
            retryAfterMs: 5000,
          });
        }
        return inner.stat(key);
      },
    };
    const sleep = async (durationMs: number): Promise<void> => {
      nowMs += durationMs;
    };
    const bounded = withConcurrency(driver, { max: 8, now: () => nowMs, sleep });
    await expect(bounded.stat('a')).rejects.toThrow('made up');
    await bounded.stat('other');
    expect(asked).toEqual([
      ['a', 0],
      ['other', 5000],
    ]);
  });

  it('ends that wait when the caller gives up', async () => {
    const refusal = new DriverError('RATE_LIMITED', 'made up', {
      driver: 'memory',
      operation: 'stat',
      retryAfterMs: 3_600_000,
    });
    const driver: Driver = { ...openMemory(), stat: () => Promise.reject(refusal) };
    const bounded = withConcurrency(driver, { max: 1 });
    await expect(bounded.stat('a')).rejects.toThrow('made up');
    const controller = new AbortController();
    const waiting = [bounded.stat('a', controller), bounded.stat('b', controller)];
    controller.abort();
    for (const stat of waiting) {
      await expect(stat).rejects.toMatchObject({ code: 'ABORTED' });
    }
  });

  it('holds no place while a call waits to be repeated', async () => {
    const inner = openMemory();
    let failures = 0;
    const driver: Driver = {
      ...inner,
      stat: async (key) => {
        if (key === 'failing' && failures < 1) {
          failures += 1;
          throw new DriverError('UNAVAILABLE', 'made up', { driver: 'memory', operation: 'stat' });
        }
        return inner.stat(key);
      },
    };
    let goOn = (): void => {};
    const sleep = (): Promise<void> =>
      new Promise((resolve) => {
        goOn = resolve;
      });
    const bounded = withRetry(withConcurrency(driver, { max: 1 }), { sleep });
    const repeated = bounded.stat('failing');
    await expect(bounded.stat('other')).resolves.toBeUndefined();
    goOn();
    await expect(repeated).resolves.toBeUndefined();
  });
});
