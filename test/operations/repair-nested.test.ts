import { expect, test } from 'vitest';
import { revisionKey } from '../../fixtures/keys.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { nestedIndexes } from './check/nested-indexes.ts';
import { runRepair } from './repair/repairing.ts';

const LEVELS = 40;

test('indexes that share children on many levels are each looked at once, not once for each way to them', async () => {
  const { registry, top } = nestedIndexes(LEVELS);
  const expected = new Map(registry.objects);
  registry.objects.set(revisionKey('a', top), Buffer.from('damaged'));
  const store = openMemory({ objects: registry.objects });
  const { steps } = await runRepair(store);
  expect(steps).toHaveLength(1);
  expect(store.objects.get(revisionKey('a', top))).toEqual(
    new Uint8Array(expected.get(revisionKey('a', top)) ?? []),
  );
}, 20_000);
