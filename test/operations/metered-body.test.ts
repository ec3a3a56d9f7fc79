import { expect, test } from 'vitest';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { withRetry } from '../../src/drivers/with-retry.ts';
import { meteredBody } from '../../src/operations/metered-body.ts';
import { silentObserver } from '../../src/operations/observer.ts';
import { withHooks } from '../support/hooked-driver.ts';
import { memoryOf, runMigrate } from '../support/migrating.ts';

test('tells of bytes as they are read, and takes them back when it is opened again', async () => {
  const changes: number[] = [];
  const body = meteredBody(
    {
      sizeBytes: 5,
      async *open() {
        yield Buffer.from('abc');
        yield Buffer.from('de');
      },
    },
    (change) => changes.push(change),
  );
  const first = body.open()[Symbol.asyncIterator]();
  await first.next();
  await first.return?.();
  for await (const _ of body.open()) {
    // Only what is told of it matters.
  }
  expect(changes.filter((change) => change !== 0)).toEqual([3, -3, 3, 2]);
});

test('has the bytes put where its consumer wants them', async () => {
  const wanted = new Uint8Array(3);
  const into = (): Uint8Array => wanted;
  const given: unknown[] = [];
  const body = meteredBody(
    {
      sizeBytes: 3,
      async *open(asked) {
        given.push(asked?.());
        yield Buffer.from('abc');
      },
    },
    () => {},
  );
  for await (const _ of body.open(into)) {
    // Only what was asked for matters.
  }
  expect(given).toEqual([wanted]);
});

test.each([
  ['every write succeeds', 0, 1_000_000],
  ['a write fails once and is repeated', 1, 1_000_000],
  ['a write fails for good', 99, 0],
])('progress ends at the bytes that were copied when %s', async (_, failures, expected) => {
  const registry = new RegistryBuilder();
  const digest = registry.blob('some/repository', Buffer.alloc(1_000_000, 'x'));
  let left = failures;
  const target = withHooks(memoryOf(new Map()), {
    after: ({ operation, key }) => {
      if (operation === 'write' && key.includes(digest.slice('sha256:'.length)) && left > 0) {
        left -= 1;
        throw new DriverError('UNAVAILABLE', 'Made up.', { driver: 'memory', operation, key });
      }
    },
  });
  let bytes = 0;
  const steps: number[] = [];
  let isCopying = false;
  await runMigrate(memoryOf(registry.objects), withRetry(target, { attempts: 3, sleep: async () => {} }), {
    observer: {
      ...silentObserver,
      phase: (name) => {
        isCopying = name === 'copying blobs';
      },
      progress: (step) => {
        bytes += isCopying ? (step.bytes ?? 0) : 0;
        steps.push(bytes);
      },
    },
  });
  expect(bytes).toBe(expected);
  expect(Math.max(...steps)).toBe(1_000_000);
  expect(Math.min(...steps)).toBe(0);
});
