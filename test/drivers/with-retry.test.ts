import { describe, expect, it } from 'vitest';
import type { Driver } from '../../src/drivers/driver.ts';
import { DriverError, isDriverError, type DriverErrorCode } from '../../src/drivers/errors.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import type { Retry, RetryOptions } from '../../src/drivers/retrier.ts';
import { withRetry } from '../../src/drivers/with-retry.ts';
import { describeDriver, listAll, readAll } from './contract.ts';

describeDriver('memory with retries', {
  open: async () => ({
    driver: withRetry(openMemory({ pageSize: 7 }), { sleep: async () => {} }),
    dispose: async () => {},
  }),
});

const failure = (code: DriverErrorCode, more: { retryAfterMs?: number } = {}): DriverError =>
  new DriverError(code, `made up: ${code}`, { driver: 'memory', operation: 'test', ...more });

/** A driver whose named method fails so many times before it works, with the pauses and retries it led to. */
function failing(
  method: 'stat' | 'write' | 'readSmall' | 'listFolder' | 'copyFrom',
  failures: Error[],
  options: RetryOptions = {},
) {
  const inner = openMemory({ objects: [['key', 'content']] });
  const left = [...failures];
  let calls = 0;
  const original: (...given: never[]) => unknown = (inner[method] ?? inner.stat).bind(inner);
  const broken = {
    ...inner,
    [method]: async (...given: never[]) => {
      calls += 1;
      const error = left.shift();
      if (error !== undefined) {
        throw error;
      }
      return original(...given);
    },
  } as Driver;
  const pauses: number[] = [];
  const retries: Retry[] = [];
  const driver = withRetry(broken, {
    random: () => 0.5,
    sleep: async (durationMs) => {
      pauses.push(durationMs);
    },
    onRetry: (retry) => retries.push(retry),
    ...options,
  });
  return { driver, pauses, retries, inner, calls: () => calls };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'no error';
  } catch (error) {
    return isDriverError(error) ? error.code : String(error);
  }
}

describe('withRetry', () => {
  it('gives a store that never answered fewer attempts', async () => {
    const failures = Array.from({ length: 20 }, () => failure('UNAVAILABLE'));
    const { driver, calls } = failing('stat', failures, { attemptsBeforeFirstAnswer: 3 });
    expect(await codeOf(driver.stat('key'))).toBe('UNAVAILABLE');
    expect(calls()).toBe(3);
  });

  it.each([
    ['a success', async (driver: Driver) => driver.readSmall('key', 100)],
    ['a listing', async (driver: Driver) => listAll(driver, '')],
    ['a refusal', async (driver: Driver) => codeOf(driver.readSmall('no such key', 100))],
  ])('gives a store all attempts after %s, as it has answered', async (_, call) => {
    const failures = Array.from({ length: 20 }, () => failure('UNAVAILABLE'));
    const { driver, calls } = failing('stat', failures, { attempts: 5, attemptsBeforeFirstAnswer: 2 });
    await call(driver);
    expect(await codeOf(driver.stat('key'))).toBe('UNAVAILABLE');
    expect(calls()).toBe(5);
  });

  it('repeats a call that failed and may be repeated, and reports each retry', async () => {
    const { driver, retries } = failing('stat', [failure('UNAVAILABLE'), failure('RATE_LIMITED')]);
    expect((await driver.stat('key'))?.sizeBytes).toBe(7);
    expect(retries.map(({ operation, key, code, attempt }) => [operation, key, code, attempt])).toEqual([
      ['stat', 'key', 'UNAVAILABLE', 1],
      ['stat', 'key', 'RATE_LIMITED', 2],
    ]);
  });

  it.each(['NOT_FOUND', 'CORRUPT', 'PERMISSION_DENIED', 'ABORTED', 'CHANGED'] as const)(
    'does not repeat %s',
    async (code) => {
      const { driver, calls } = failing('stat', [failure(code)]);
      expect(await codeOf(driver.stat('key'))).toBe(code);
      expect(calls()).toBe(1);
    },
  );

  it('repeats a hash', async () => {
    const failures = [failure('UNAVAILABLE')];
    const hash = async (): Promise<string> => {
      const error = failures.shift();
      if (error !== undefined) {
        throw error;
      }
      return 'made up';
    };
    const driver = withRetry({ ...openMemory(), hash }, { sleep: async () => {} });
    expect(await driver.hash?.('x', 'sha256')).toBe('made up');
  });

  it('does not repeat an error that is no DriverError', async () => {
    const { driver, calls } = failing('stat', [new TypeError('a bug')]);
    await expect(driver.stat('key')).rejects.toThrow('a bug');
    expect(calls()).toBe(1);
  });

  it('lets the error up after as many attempts as allowed', async () => {
    const errors = Array.from({ length: 9 }, () => failure('UNAVAILABLE'));
    const { driver, calls } = failing('readSmall', errors, { attempts: 3 });
    expect(await codeOf(driver.readSmall('key', 10))).toBe('UNAVAILABLE');
    expect(calls()).toBe(3);
  });

  it('doubles the longest pause each time up to its bound, and takes a random part of it', async () => {
    const errors = Array.from({ length: 5 }, () => failure('UNAVAILABLE'));
    const { driver, pauses } = failing('stat', errors, { baseDelayMs: 100, maxDelayMs: 500 });
    await driver.stat('key');
    expect(pauses).toEqual([50, 100, 200, 250, 250]);
  });

  it('waits at least as long as the store asks for', async () => {
    const { driver, pauses } = failing('stat', [failure('RATE_LIMITED', { retryAfterMs: 7000 })]);
    await driver.stat('key');
    expect(pauses).toEqual([7000]);
  });

  it('opens the body anew for each attempt', async () => {
    let opened = 0;
    const inner = openMemory();
    let isBroken = true;
    const driver = withRetry(
      {
        ...inner,
        write: async (key, body, options) => {
          await inner.write(key, body, options);
          if (isBroken) {
            isBroken = false;
            throw failure('UNAVAILABLE');
          }
        },
      },
      { sleep: async () => {} },
    );
    const body = {
      sizeBytes: 3,
      async *open() {
        opened += 1;
        yield Buffer.from('abc');
      },
    };
    await driver.write('key', body);
    expect(opened).toBe(2);
    expect((await readAll(driver, 'key')).toString()).toBe('abc');
  });

  it('stops at once when aborted in a pause', async () => {
    const controller = new AbortController();
    const { driver, calls } = failing('stat', [failure('UNAVAILABLE'), failure('UNAVAILABLE')], {
      sleep: (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('woken')));
          controller.abort();
        }),
    });
    expect(await codeOf(driver.stat('key', { signal: controller.signal }))).toBe('ABORTED');
    expect(calls()).toBe(1);
  });

  it('does not pause at all when already aborted', async () => {
    const controller = new AbortController();
    const { driver, pauses } = failing('stat', [failure('UNAVAILABLE')], {
      onRetry: () => expect.unreachable(),
    });
    controller.abort();
    expect(await codeOf(driver.stat('key', { signal: controller.signal }))).toBe('ABORTED');
    expect(pauses).toEqual([]);
  });

  describe('a listing', () => {
    const keys = Array.from({ length: 20 }, (_, index) => `k${String(index).padStart(2, '0')}`);

    /** Breaks off after so many batches of three, once for each number. */
    function breaking(after: number[], code: DriverErrorCode = 'UNAVAILABLE'): Driver {
      const inner = openMemory({ pageSize: 3, objects: keys.map((key) => [key, key]) });
      const left = [...after];
      return {
        ...inner,
        async *list(prefix) {
          const limit = left.shift();
          let batches = 0;
          for await (const batch of inner.list(prefix)) {
            if (batches === limit) {
              throw failure(code);
            }
            batches += 1;
            yield batch;
          }
        },
      };
    }

    it('goes on after the last key that was delivered', async () => {
      const driver = withRetry(breaking([2, 0, 4, 1]), { sleep: async () => {} });
      expect((await listAll(driver)).map(({ key }) => key)).toEqual(keys);
    });

    it('delivers the rest of a batch that arrives cut differently', async () => {
      let isFirst = true;
      const inner = openMemory({ pageSize: 3, objects: keys.map((key) => [key, key]) });
      const other = openMemory({ pageSize: 4, objects: keys.map((key) => [key, key]) });
      const driver = withRetry(
        {
          ...inner,
          async *list(prefix) {
            if (!isFirst) {
              yield* other.list(prefix);
              return;
            }
            isFirst = false;
            for await (const batch of inner.list(prefix)) {
              yield batch;
              throw failure('UNAVAILABLE');
            }
          },
        },
        { sleep: async () => {} },
      );
      expect((await listAll(driver)).map(({ key }) => key)).toEqual(keys);
    });

    it('has all its attempts again after each batch that arrived', async () => {
      const driver = withRetry(breaking([1, 2, 3, 4, 5, 6]), { attempts: 2, sleep: async () => {} });
      expect((await listAll(driver)).map(({ key }) => key)).toEqual(keys);
    });

    it('fails when it does not get any further', async () => {
      const driver = withRetry(breaking([2, 2, 2, 2]), { attempts: 3, sleep: async () => {} });
      expect(await codeOf(listAll(driver))).toBe('UNAVAILABLE');
    });

    it('never takes a listing out of order for one that began again', async () => {
      const inner = openMemory();
      const driver = withRetry({
        ...inner,
        async *list() {
          yield [{ key: 'b', sizeBytes: 1 }];
          yield [{ key: 'a', sizeBytes: 1 }];
        },
      });
      expect(await codeOf(listAll(driver))).toBe('BAD_LISTING');
    });
  });

  describe('a download', () => {
    function download(failAfterBytes: number[]) {
      const inner = openMemory({ objects: [['key', 'abcdef']] });
      const left = [...failAfterBytes];
      let opened = 0;
      const driver = withRetry(
        {
          ...inner,
          async *read() {
            opened += 1;
            const limit = left.shift() ?? 6;
            for (const letter of 'abcdef'.slice(0, limit)) {
              yield Buffer.from(letter);
            }
            if (limit < 6) {
              throw failure('UNAVAILABLE');
            }
          },
        },
        { sleep: async () => {} },
      );
      return { driver, opened: () => opened };
    }

    it('is repeated as long as nothing was delivered', async () => {
      const { driver, opened } = download([0, 0]);
      expect((await readAll(driver, 'key')).toString()).toBe('abcdef');
      expect(opened()).toBe(3);
    });

    it('is not repeated once bytes were delivered, lest they come twice', async () => {
      const { driver, opened } = download([2]);
      const received: string[] = [];
      const reading = async () => {
        for await (const chunk of driver.read('key')) {
          received.push(Buffer.from(chunk).toString());
        }
      };
      expect(await codeOf(reading())).toBe('UNAVAILABLE');
      expect(received).toEqual(['a', 'b']);
      expect(opened()).toBe(1);
    });
  });

  describe('a delete', () => {
    function deleting(answers: Record<string, DriverErrorCode>[]) {
      const asked: string[][] = [];
      const left = [...answers];
      const driver = withRetry(
        {
          ...openMemory(),
          async delete(keys) {
            asked.push([...keys]);
            const answer = left.shift() ?? {};
            const whole = answer['*'];
            if (whole !== undefined) {
              throw failure(whole);
            }
            return keys.flatMap((key) => {
              const code = answer[key];
              return code === undefined ? [] : [{ key, error: failure(code) }];
            });
          },
        },
        { attempts: 3, sleep: async () => {} },
      );
      return { driver, asked };
    }

    it('asks again only for the keys that failed and may be asked for again', async () => {
      const { driver, asked } = deleting([{ a: 'RATE_LIMITED', b: 'PERMISSION_DENIED', c: 'UNAVAILABLE' }]);
      const failures = await driver.delete(['a', 'b', 'c', 'd']);
      expect(asked).toEqual([
        ['a', 'b', 'c', 'd'],
        ['a', 'c'],
      ]);
      expect(failures.map(({ key }) => key)).toEqual(['b']);
    });

    it('tells the keys that still fail at the end', async () => {
      const always = { a: 'UNAVAILABLE' } as const;
      const { driver, asked } = deleting([always, always, always, always]);
      expect((await driver.delete(['a', 'b'])).map(({ key }) => key)).toEqual(['a']);
      expect(asked.length).toBe(3);
    });

    it('tells which keys are not known to be gone when a later round fails as a whole', async () => {
      const { driver } = deleting([{ a: 'UNAVAILABLE' }, { '*': 'PERMISSION_DENIED' }]);
      expect((await driver.delete(['a', 'b'])).map(({ key }) => key)).toEqual(['a']);
    });

    it('throws when nothing is known of any key', async () => {
      const { driver } = deleting([{ '*': 'PERMISSION_DENIED' }]);
      expect(await codeOf(driver.delete(['a']))).toBe('PERMISSION_DENIED');
    });
  });

  it('offers only what the driver offers', () => {
    const { copyFrom: _, ...bare } = openMemory();
    expect(withRetry(bare).copyFrom).toBeUndefined();
    expect(withRetry(openMemory()).copyFrom).toBeDefined();
    expect(withRetry(openMemory()).listUploads).toBeUndefined();
  });

  it('delivers each pending upload once when their listing is repeated', async () => {
    const uploads = ['1', '2', '3'].map((uploadId) => ({ key: 'key', uploadId, startedAtMs: 0 }));
    let isFirst = true;
    const driver = withRetry(
      {
        ...openMemory(),
        async *listUploads() {
          yield uploads.slice(0, 2);
          if (isFirst) {
            isFirst = false;
            throw failure('UNAVAILABLE');
          }
          yield uploads.slice(2);
        },
      },
      { sleep: async () => {} },
    );
    const found: string[] = [];
    for await (const batch of driver.listUploads?.('') ?? []) {
      found.push(...batch.map(({ uploadId }) => uploadId));
    }
    expect(found).toEqual(['1', '2', '3']);
  });
});
