import { expect, test } from 'vitest';
import { randomRegistry } from '../../fixtures/random-registry.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { isMutation, withHooks } from '../support/hooked-driver.ts';
import { deleteAnything, memoryOf, runMigrate } from '../support/migrating.ts';

const leftover = 'docker/registry/v2/blobs/sha256/aa/data.01234567-89ab-4def-8123-456789abcdef.regtool.tmp';

test.each([
  ['an update', {}],
  ['a dry run', { dryRun: true }],
  ['a pass that deletes', { delete: deleteAnything }],
  ['a copy of everything', { includeForeign: true, includeIncomplete: true }],
  ['a copy of some repositories', { selects: (repository: string) => repository.length % 2 === 0 }],
])('the source is only read in %s', async (_, options) => {
  const { registry, change } = randomRegistry('source', 20);
  const target = openMemory();
  await runMigrate(memoryOf(registry.objects), target);
  for (let index = 0; index < 10; index += 1) {
    change();
  }
  registry.garbageCollect();
  registry.upload('a');
  registry.marker('docker/registry/v2/repositories/a/_manifests/tags/');
  registry.foreign('notes.txt');
  const memory = memoryOf(registry.objects);
  // What an interrupted run leaves is cleaned up at the target, never here.
  for (const { objects } of [memory, target]) {
    objects.set(leftover, new Uint8Array(1));
  }
  const before = new Map(memory.objects);
  const calls: string[] = [];
  const source = withHooks(memory, {
    before: (call) => {
      calls.push(`${isMutation(call) ? 'CHANGES' : 'reads'} ${call.operation} ${call.key}`);
    },
  });
  await runMigrate(source, target, options);
  expect(calls.length).toBeGreaterThan(0);
  expect(calls.filter((call) => call.startsWith('CHANGES'))).toEqual([]);
  expect(memory.objects).toEqual(before);
});
