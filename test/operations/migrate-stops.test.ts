import { describe, expect, it } from 'vitest';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { withHooks } from '../support/hooked-driver.ts';
import { memoryOf, runMigrate } from '../support/migrating.ts';

/** A store that lists everything but the layer links, as if they had been pushed after the listing. */
function withoutListedLayers(store: Driver): Driver {
  return {
    ...store,
    async *list(prefix, options) {
      for await (const page of store.list(prefix, options)) {
        yield page.filter(({ key }) => !key.includes('/_layers/'));
      }
    },
  };
}

describe('migrate that has to stop', () => {
  it('ends when the last write has ended that it began, also of what it followed on the spot', async () => {
    const registry = new RegistryBuilder();
    registry.push('library/app', 'v1', registry.image());
    const target = openMemory();
    let begun = 0;
    let ended = 0;
    let failed = false;
    const store = withHooks(target, {
      before: async ({ operation, key }) => {
        if (operation !== 'write' || !key.includes('/_layers/')) {
          return;
        }
        if (!failed) {
          failed = true;
          throw new DriverError('STORE_FULL', 'Full.', { driver: 'memory', operation, key });
        }
        begun += 1;
        await new Promise((resolve) => {
          setTimeout(resolve, 20);
        });
        ended += 1;
      },
    });
    const result = await runMigrate(withoutListedLayers(memoryOf(registry.objects)), store);
    const endedInTime = ended;
    expect(result.end.kind).toBe('stopped');
    expect(begun).toBeGreaterThan(0);
    expect(endedInTime).toBe(begun);
  });
});
