import { describe, expect, it } from 'vitest';
import { openRetryNotices } from '../../src/cli/retry-notices.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import type { Retry } from '../../src/drivers/retrier.ts';
import { withRetry } from '../../src/drivers/with-retry.ts';

const lasting: Retry = {
  operation: 'write',
  key: 'a',
  code: 'UNAVAILABLE',
  message: 'The store answered 503.',
  attempt: 3,
  delayMs: 100,
  mayLastMs: 25_001,
};

function notices() {
  const clock = { nowMs: 0 };
  const said: string[] = [];
  const tell = openRetryNotices(
    's3://bucket',
    (sentence) => said.push(sentence),
    () => clock.nowMs,
  );
  return { clock, said, tell };
}

describe('what is said of a store that is away', () => {
  it('names the store, what it says, and how long it is tried again', () => {
    const { said, tell } = notices();
    tell(lasting);
    expect(said).toEqual([
      's3://bucket: The store answered 503. Trying again for up to 26 s; nothing is lost.',
    ]);
  });

  it('is said once in fifteen seconds, however many requests fail', () => {
    const { clock, said, tell } = notices();
    for (clock.nowMs = 0; clock.nowMs <= 30_000; clock.nowMs += 100) {
      tell(lasting);
    }
    expect(said).toHaveLength(3);
  });

  it('is nothing while a request failed once or twice, or soon gives up', () => {
    const { said, tell } = notices();
    tell({ ...lasting, attempt: 2 });
    tell({ ...lasting, mayLastMs: 800 });
    expect(said).toEqual([]);
  });

  it('is true: the pauses last no longer than was said', async () => {
    const inner = openMemory();
    const failure = new DriverError('RATE_LIMITED', 'made up', { driver: 'memory', operation: 'stat' });
    const pauses: number[] = [];
    const retries: Retry[] = [];
    const driver = withRetry(
      { ...inner, stat: () => Promise.reject(failure) },
      {
        random: () => 1,
        sleep: async (durationMs) => void pauses.push(durationMs),
        onRetry: (retry) => retries.push(retry),
      },
    );
    await expect(driver.stat('a')).rejects.toBe(failure);
    expect(retries.map(({ mayLastMs }) => mayLastMs)).toEqual(
      pauses.map((_, index) => pauses.slice(index).reduce((sum, pause) => sum + pause, 0)),
    );
  });
});
