import { describe, expect, test } from 'vitest';
import { blobKey, currentKey, layerKey, revisionKey } from '../../fixtures/keys.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { exitCodeOf } from '../../src/cli/migrate-exit-code.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { type MemoryDriver, openMemory } from '../../src/drivers/memory.ts';
import { visibleTags } from '../support/broken-objects.ts';
import { withHooks } from '../support/hooked-driver.ts';
import { contentOf, deleteAnything, memoryOf, runMigrate } from '../support/migrating.ts';
import { pushRaw } from './check/fixtures.ts';

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

/** A healthy image beside one of which the manifest names a layer by SHA-512. */
function aliasedLayer() {
  const registry = new RegistryBuilder();
  const content = Buffer.from('pushed by SHA-512');
  const { digest, sha512 } = registry.sha512Alias('a', content);
  const config = Buffer.from('{"architecture":"amd64","os":"linux"}');
  const manifest = pushRaw(registry, 'a', 'v1', {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: {
      mediaType: 'application/vnd.oci.image.config.v1+json',
      digest: registry.blob('a', config),
      size: config.byteLength,
    },
    layers: [
      { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: sha512, size: content.byteLength },
    ],
  });
  registry.push('b', 'v1', registry.image());
  return { registry, manifest, canonicalKey: layerKey('a', digest), aliasKey: layerKey('a', sha512) };
}

describe('migrate, with a layer that is named by SHA-512', () => {
  test('publishes no tag when the link of its SHA-256 could not be copied', async () => {
    const { registry, canonicalKey } = aliasedLayer();
    const target = openMemory();
    const result = await runMigrate(memoryOf(registry.objects), refusing(target, canonicalKey));
    expect(exitCodeOf(result)).toBe(4);
    expect(result.tally.failures.map(({ key }) => key)).toEqual([canonicalKey]);
    expect(publishedTags(target)).toEqual([currentKey('b', 'v1')]);
    // A rerun finds the alias held back, or there already, and brings the rest.
    expect(exitCodeOf(await runMigrate(memoryOf(registry.objects), target))).toBe(0);
    expect(contentOf(target.objects)).toEqual(contentOf(registry.objects));
  });

  test.each([true, false])(
    'publishes no tag when the source lost the link of its SHA-256 (alias at the target before: %j)',
    async (isAliasThere) => {
      const { registry, canonicalKey, aliasKey } = aliasedLayer();
      registry.objects.delete(canonicalKey);
      const alias = registry.objects.get(aliasKey);
      const target = openMemory();
      if (isAliasThere && alias !== undefined) {
        target.objects.set(aliasKey, alias);
      }
      const result = await runMigrate(memoryOf(registry.objects), target);
      expect(exitCodeOf(result)).toBe(3);
      expect(publishedTags(target)).toEqual([currentKey('b', 'v1')]);
    },
  );

  test('publishes no tag when the link of its SHA-256 is empty at the source', async () => {
    const { registry, canonicalKey } = aliasedLayer();
    registry.objects.set(canonicalKey, new Uint8Array());
    const target = openMemory();
    const result = await runMigrate(memoryOf(registry.objects), target);
    expect(exitCodeOf(result)).toBe(3);
    expect(result.tally.incompletes.map(({ key }) => key)).toContain(canonicalKey);
    expect(publishedTags(target)).toEqual([currentKey('b', 'v1')]);
  });

  test.each(['the link of its SHA-256', 'the link of its SHA-512'])(
    '--delete refuses, with nothing touched, when the source lost %s',
    async (what) => {
      const { registry, manifest, canonicalKey, aliasKey } = aliasedLayer();
      const target = memoryOf(registry.objects);
      const source = memoryOf(registry.objects);
      const lost = what === 'the link of its SHA-256' ? canonicalKey : aliasKey;
      source.objects.delete(lost);
      const before = new Map(target.objects);
      await expect(runMigrate(source, target, { delete: deleteAnything })).rejects.toMatchObject({
        name: 'SafetyRefusal',
        code: 'LISTING_INCOMPLETE',
        reasons: [`${lost} is needed by manifest a@${manifest}`],
      });
      expect(target.objects).toEqual(before);
    },
  );

  test('--delete keeps what a tag needs that moved there and was published since the plan', async () => {
    const { registry, manifest } = aliasedLayer();
    const moved = new Map(registry.objects).set(currentKey('a', 'moving'), Buffer.from(manifest));
    // Only layers of it are at the target.
    registry.deleteManifest('a', manifest);
    const target = memoryOf(registry.objects);
    const other = new RegistryBuilder({ seed: 'other' });
    other.push('a', 'moving', other.image());
    const source = memoryOf(other.objects);
    const becomes = (objects: ReadonlyMap<string, Uint8Array>) => {
      source.objects.clear();
      objects.forEach((bytes, key) => source.objects.set(key, bytes));
    };
    const deleting = withHooks(target, {
      after: ({ operation, key }) => {
        if (operation === 'write' && key === currentKey('a', 'moving')) {
          becomes(other.objects);
        }
      },
    });
    await runMigrate(source, deleting, {
      delete: deleteAnything,
      approve: async () => {
        becomes(moved);
        return true;
      },
    });
    expect(visibleTags(target.objects)).toEqual([
      { key: currentKey('a', 'moving'), digest: manifest, why: undefined },
    ]);
    const layerLinks = [...registry.objects.keys()].filter((key) => key.includes('/a/_layers/'));
    expect(layerLinks.filter((key) => !target.objects.has(key))).toEqual([]);
  });
});

describe('migrate to a target to which another tool copied layer links as they were', () => {
  const broken = { empty: '', 'of another layer': undefined, 'of zeros': '\0'.repeat(71) };

  function copiedByOther(what: keyof typeof broken) {
    const registry = new RegistryBuilder();
    const { layers } = registry.push('a', 'v1', registry.image());
    const key = layerKey('a', layers[0]?.digest ?? '');
    const link = Buffer.from(broken[what] ?? layers[1]?.digest ?? '');
    const target = openMemory({
      objects: [...registry.objects].filter(([each]) => !each.includes('/_manifests/')),
    });
    target.objects.set(key, link);
    return { registry, key, link, target };
  }

  test.each(['empty', 'of another layer', 'of zeros'] as const)(
    'publishes no tag that needs one which is broken at the source, too (%s)',
    async (what) => {
      const { registry, key, link, target } = copiedByOther(what);
      registry.objects.set(key, link);
      const result = await runMigrate(memoryOf(registry.objects), target);
      expect(exitCodeOf(result)).toBe(3);
      expect(result.tally.incompletes.map((problem) => problem.key)).toContain(key);
      expect(publishedTags(target)).toEqual([]);
    },
  );

  test.each(['empty', 'of another layer', 'of zeros'] as const)(
    'mends one that the source has whole, before the tag that needs it (%s)',
    async (what) => {
      const { registry, target } = copiedByOther(what);
      const result = await runMigrate(memoryOf(registry.objects), target);
      expect(exitCodeOf(result)).toBe(0);
      expect(contentOf(target.objects)).toEqual(contentOf(registry.objects));
    },
  );
});
