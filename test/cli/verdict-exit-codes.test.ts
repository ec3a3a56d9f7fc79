import { expect, test } from 'vitest';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { usageExitCode } from '../../src/cli/verdict-exit-codes.ts';
import { silentObserver } from '../../src/operations/observer.ts';
import { usage, type UsageResult } from '../../src/operations/usage.ts';
import { memoryOf } from '../support/migrating.ts';

test.each<[string, Partial<UsageResult>, number]>([
  ['everything was counted', {}, 0],
  ['there were more blobs than could be kept track of', { tooManyBlobs: true }, 4],
  ['a part could not be read', { unread: [{ key: 'docker/', message: 'no' }] }, 4],
])('usage ends so when %s: %j', async (_, change, exitCode) => {
  const registry = new RegistryBuilder();
  registry.push('a', 'v1', registry.image());
  const result = await usage(memoryOf(registry.objects), { concurrency: 4, observer: silentObserver });
  expect(usageExitCode({ ...result, ...change })).toBe(exitCode);
});
