import { describe, expect, test } from 'vitest';
import { blobKey, currentKey, layerKey, revisionKey } from '../../fixtures/keys.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { exitCodeOf } from '../../src/cli/migrate-exit-code.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { type MemoryDriver, openMemory } from '../../src/drivers/memory.ts';
import { visibleTags } from '../support/broken-objects.ts';
import { withHooks } from '../support/hooked-driver.ts';
import { contentOf, memoryOf, runMigrate } from '../support/migrating.ts';

/** An image of two layers, of which the first one's link says the second one's digest. */
function crossedLink() {
  const registry = new RegistryBuilder();
  const { layers, digest } = registry.push('a', 'v1', registry.image());
  const [layer, other] = layers;
  if (layer === undefined || other === undefined) {
    throw new TypeError('An image has two layers.');
  }
  registry.objects.set(layerKey('a', layer.digest), Buffer.from(other.digest));
  return { registry, layer, other, digest };
}

/** Takes everything but this key. */
function refusing(target: MemoryDriver, refused: string): Driver {
  return withHooks(target, {
    before: ({ operation, key }) => {
      if (operation === 'write' && key === refused) {
        throw new DriverError('UNAVAILABLE', 'No answer.', { driver: 'memory', operation, key });
      }
    },
  });
}

function publishedTags({ objects }: MemoryDriver): string[] {
  return visibleTags(objects).map(({ key }) => key);
}

describe('migrate, with a layer link that says another digest than its name', () => {
  test('publishes neither it nor what needs it, and names them', async () => {
    const { registry, layer, other, digest } = crossedLink();
    const target = openMemory();
    const result = await runMigrate(memoryOf(registry.objects), target);
    expect(exitCodeOf(result)).toBe(3);
    expect(result.tally.incompletes).toEqual(
      expect.arrayContaining([
        {
          key: layerKey('a', layer.digest),
          message: `its link says ${other.digest}, which is not its own name`,
        },
        expect.objectContaining({ key: revisionKey('a', digest) }),
        expect.objectContaining({ key: currentKey('a', 'v1') }),
      ]),
    );
    expect(target.objects.has(layerKey('a', layer.digest))).toBe(false);
    expect(publishedTags(target)).toEqual([]);
  });

  test('copies it as it is when asked', async () => {
    const { registry } = crossedLink();
    const target = openMemory();
    const result = await runMigrate(memoryOf(registry.objects), target, { includeIncomplete: true });
    expect(exitCodeOf(result)).toBe(0);
    expect(contentOf(target.objects)).toEqual(contentOf(registry.objects));
  });

  test('waits for the blob of its name, too, when asked to copy it as it is', async () => {
    const { registry, layer } = crossedLink();
    const target = openMemory();
    const failing = refusing(target, blobKey(layer.digest));
    const result = await runMigrate(memoryOf(registry.objects), failing, { includeIncomplete: true });
    expect(exitCodeOf(result)).toBe(4);
    expect(publishedTags(target)).toEqual([]);
  });

  test('publishes no tag that needs the blob of its name, when that is lost as well', async () => {
    const { registry, layer } = crossedLink();
    registry.objects.delete(blobKey(layer.digest));
    const target = openMemory();
    const result = await runMigrate(memoryOf(registry.objects), target);
    expect(exitCodeOf(result)).toBe(3);
    expect(publishedTags(target)).toEqual([]);
  });
});

test('a signature link that says another digest than its name is left out, and named', async () => {
  const registry = new RegistryBuilder();
  const { digest, layers } = registry.push('a', 'v1', registry.image());
  const [signature, other] = layers;
  const folder = revisionKey('a', digest).slice(0, -'link'.length);
  const key = `${folder}signatures/${(signature?.digest ?? '').replace(':', '/')}/link`;
  registry.objects.set(key, Buffer.from(other?.digest ?? ''));
  const target = openMemory();
  const result = await runMigrate(memoryOf(registry.objects), target);
  expect(exitCodeOf(result)).toBe(3);
  expect(result.tally.incompletes.map((problem) => problem.key)).toEqual([key]);
  expect(target.objects.has(key)).toBe(false);
  expect(publishedTags(target)).toEqual([currentKey('a', 'v1')]);
});
