import { describe, expect, it } from 'vitest';
import { blobKey, revisionKey } from '../../fixtures/keys.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { memoryOf, runMigrate } from '../support/migrating.ts';
import { brokenTags, pullableTags } from '../support/pullable.ts';

/** A registry with one tag, and a target to which another tool copied the tag's revision link and nothing else. */
function interruptedCopy() {
  const registry = new RegistryBuilder();
  const image = registry.push('team/app', 'v1', registry.image());
  const link = new TextEncoder().encode(image.digest);
  const target = openMemory({ objects: [[revisionKey('team/app', image.digest), link]] });
  const [layer] = image.layers;
  if (layer === undefined) {
    throw new TypeError('The image has no layer.');
  }
  return { registry, target, layerKey: blobKey(layer.digest) };
}

describe('migrate to a target where another tool left revision links without what they need', () => {
  it('adds what is missing and publishes the tag', async () => {
    const { registry, target } = interruptedCopy();
    await runMigrate(memoryOf(registry.objects), target);
    expect(await pullableTags(target)).toMatchObject([{ repository: 'team/app', tag: 'v1' }]);
  });

  it('publishes no tag that needs a blob which the source has lost', async () => {
    const { registry, target, layerKey } = interruptedCopy();
    registry.objects.delete(layerKey);
    const { tally } = await runMigrate(memoryOf(registry.objects), target);
    expect(await brokenTags(target)).toEqual([]);
    expect(tally.incomplete).toBeGreaterThan(0);
  });

  it('publishes no tag that needs a blob which could not be copied', async () => {
    const { registry, target, layerKey } = interruptedCopy();
    registry.objects.set(layerKey, new Uint8Array(registry.objects.get(layerKey)?.byteLength ?? 0));
    const { tally } = await runMigrate(memoryOf(registry.objects), target);
    expect(await brokenTags(target)).toEqual([]);
    expect(tally.failed).toBe(1);
    expect(tally.heldBack).toBeGreaterThan(0);
  });
});
