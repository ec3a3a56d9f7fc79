import { expect, test } from 'vitest';
import { RegistryBuilder } from '../../../fixtures/registry-builder.ts';
import { openMemory } from '../../../src/drivers/memory.ts';
import { silentObserver } from '../../../src/operations/observer.ts';
import { observe, wholeData } from './observe.ts';

test('a blob of no bytes counts as read, like any other', async () => {
  const registry = new RegistryBuilder();
  registry.push('a', 'v1', registry.image());
  registry.blob('a', new Uint8Array());
  let phase = '';
  let done = 0;
  let total: number | undefined;
  const { dataRead, counts, verdict } = await observe(openMemory({ objects: registry.objects }), {
    readData: wholeData,
    observer: {
      ...silentObserver,
      phase(name, totals) {
        phase = name;
        total = name === 'reading data' ? totals?.objects : total;
      },
      progress({ objects = 0 }) {
        done += phase === 'reading data' ? objects : 0;
      },
      async finding() {},
      async brokenTag() {},
      async unread() {},
    },
  });
  expect(verdict).toBe('healthy');
  expect(counts['blob-data']?.objects).toBe(5);
  expect({ read: dataRead?.blobs, done, total }).toEqual({ read: 5, done: 5, total: 5 });
});
