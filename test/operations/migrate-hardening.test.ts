import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { blobKey, currentKey, indexKey, layerKey, revisionKey } from '../../fixtures/keys.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { type MemoryDriver, openMemory } from '../../src/drivers/memory.ts';
import { migrateJson } from '../../src/cli/present-migrate.ts';
import { totalOf } from '../../src/operations/counts.ts';
import { withHooks } from '../support/hooked-driver.ts';
import { contentOf, deleteAnything, memoryOf, runMigrate } from '../support/migrating.ts';
import { brokenTags, pullableTags } from '../support/pullable.ts';

/** A registry with enough in it that a few deletes are a few percent, copied to a target. */
async function copied() {
  const registry = new RegistryBuilder();
  for (let index = 0; index < 20; index += 1) {
    registry.push('filler', `f${index}`, registry.image());
  }
  const old = registry.push('a', 'v1', registry.image());
  const target = openMemory();
  await runMigrate(memoryOf(registry.objects), target);
  return { registry, old, target };
}

/** Moves the tag, and deletes what it stood for, as a registry and its garbage collection would. */
function moveAndForget(registry: RegistryBuilder, old: string) {
  const next = registry.image();
  registry.deleteManifest('a', old);
  registry.push('a', 'v1', next);
  registry.garbageCollect();
  return next;
}

const tenPercent = { delete: { max: { percent: 10 } } };

describe('migrate --delete keeps what a tag of the target still stands for, when', () => {
  async function expectKept(source: Driver, target: MemoryDriver, options = {}, through: Driver = target) {
    const result = await runMigrate(source, through, { ...tenPercent, ...options });
    expect(await brokenTags(target)).toEqual([]);
    expect(result.deletesWithheld).toBe(true);
    expect(result.tally.failed).toBeGreaterThan(0);
    return result;
  }

  it('the tag moved at the source and lost a layer there', async () => {
    const { registry, old, target } = await copied();
    const next = moveAndForget(registry, old.digest);
    registry.objects.delete(blobKey(next.layers[0]?.digest ?? ''));
    await expectKept(memoryOf(registry.objects), target);
  });

  it('the tag moved at the source and was deleted before it was published', async () => {
    const { registry, old, target } = await copied();
    moveAndForget(registry, old.digest);
    const source = memoryOf(registry.objects);
    const approve = async () => {
      source.objects.delete(currentKey('a', 'v1'));
      return true;
    };
    await expectKept(source, target, { approve });
  });

  it('the tag is to be deleted and that fails', async () => {
    const { registry, old, target } = await copied();
    registry.deleteManifest('a', old.digest);
    registry.garbageCollect();
    const failing: Driver = {
      ...target,
      delete: async (keys, options) => {
        const locked = keys.filter((key) => key.endsWith('/current/link'));
        const error = new DriverError('PERMISSION_DENIED', 'Locked.', {
          driver: 'memory',
          operation: 'delete',
        });
        return [
          ...(await target.delete(
            keys.filter((key) => !locked.includes(key)),
            options,
          )),
          ...locked.map((key) => ({ key, error })),
        ];
      },
    };
    await expectKept(memoryOf(registry.objects), target, {}, failing);
    expect((await pullableTags(target)).length).toBe(21);
  });

  it('the tag was to be deleted and comes back with another digest', async () => {
    const { registry, old, target } = await copied();
    registry.deleteManifest('a', old.digest);
    registry.garbageCollect();
    const source = memoryOf(registry.objects);
    const approve = async () => {
      registry.push('a', 'v1', registry.image());
      registry.objects.forEach((content, key) => source.objects.set(key, content));
      return true;
    };
    await expectKept(source, target, { approve });
  });

  it('the source lost a blob that its manifest names by SHA-512', async () => {
    const { registry, target } = await copied();
    const content = new TextEncoder().encode('named by SHA-512');
    const { digest, sha512 } = registry.sha512Alias('a', content);
    const { config = { digest: '', bytes: content } } = registry.image();
    const manifest = new TextEncoder().encode(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: config.digest, size: 2 },
        layers: [
          { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: sha512, size: content.byteLength },
        ],
      }),
    );
    const manifestDigest = `sha256:${createHash('sha256').update(manifest).digest('hex')}`;
    const link = (text: string) => new TextEncoder().encode(text);
    registry.objects.set(blobKey(manifestDigest), manifest);
    registry.objects.set(blobKey(config.digest), config.bytes);
    registry.objects.set(layerKey('a', config.digest), link(config.digest));
    registry.objects.set(revisionKey('a', manifestDigest), link(manifestDigest));
    registry.objects.set(currentKey('a', 'alias'), link(manifestDigest));
    await runMigrate(memoryOf(registry.objects), target);
    const source = memoryOf(registry.objects);
    expect(source.objects.delete(blobKey(digest))).toBe(true);
    const before = new Map(target.objects);
    await expect(runMigrate(source, target, tenPercent)).rejects.toMatchObject({ name: 'SafetyRefusal' });
    expect(target.objects).toEqual(before);
  });
});

describe('migrate from a filesystem whose disk goes away below the root', () => {
  async function onDisk(action: (root: string, source: Driver, registry: RegistryBuilder) => Promise<void>) {
    const root = mkdtempSync(join(tmpdir(), 'regtool-away-'));
    const { registry } = await copied();
    const source = await openFilesystem({ root });
    await registry.writeTo(source);
    try {
      await action(root, source, registry);
    } finally {
      rmSync(root, { recursive: true });
      rmSync(`${root}.away`, { recursive: true, force: true });
    }
  }

  it('stops when it goes after the plan, and does not call everything deleted', async () => {
    await onDisk(async (root, source) => {
      const approve = async () => {
        renameSync(join(root, 'docker'), `${root}.away`);
        return true;
      };
      const result = await runMigrate(source, openMemory(), { approve });
      expect(result.end).toMatchObject({ kind: 'stopped', error: { code: 'STORE_NOT_FOUND' } });
    });
  });

  it('deletes nothing when it goes while the last blobs are listed', async () => {
    await onDisk(async (root, source, registry) => {
      const target = memoryOf(registry.objects);
      const before = new Map(target.objects);
      const shards = new Set(
        [...registry.objects.keys()].map((key) => /blobs\/sha256\/./.exec(key)?.[0]).filter(Boolean),
      );
      let listed = 0;
      const live = withHooks(source, {
        before: ({ operation, key }) => {
          listed += operation === 'list' && key.includes('/blobs/') ? 1 : 0;
          if (listed === shards.size - 2 && operation === 'list') {
            listed = Number.POSITIVE_INFINITY;
            renameSync(join(root, 'docker'), `${root}.away`);
          }
        },
      });
      await expect(
        runMigrate(live, target, { ...deleteAnything, delete: deleteAnything }),
      ).rejects.toMatchObject({
        code: expect.stringMatching(/STORE_NOT_FOUND|SOURCE_EMPTY|LISTING_INCOMPLETE|NOT_A_REGISTRY/),
      });
      expect(target.objects).toEqual(before);
    });
  });

  it.each(['blobs', 'repositories'])(
    'refuses when %s is an empty mount point from the start',
    async (folder) => {
      await onDisk(async (root, source, registry) => {
        const target = memoryOf(registry.objects);
        const before = new Map(target.objects);
        const path = join(root, 'docker/registry/v2', folder);
        rmSync(path, { recursive: true });
        mkdirSync(path);
        await expect(runMigrate(source, target, { delete: deleteAnything })).rejects.toMatchObject({
          code: 'NOT_A_REGISTRY',
        });
        expect(target.objects).toEqual(before);
      });
    },
  );
});

describe('migrate to a target that something else wrote before', () => {
  it('does not take any bytes under a lost blob’s name for the blob', async () => {
    const registry = new RegistryBuilder();
    const image = registry.push('a', 'v1', registry.image());
    const lost = blobKey(image.layers[0]?.digest ?? '');
    const target = openMemory({ objects: [[lost, 'truncated!']] });
    registry.objects.delete(lost);
    const result = await runMigrate(memoryOf(registry.objects), target);
    expect(result.tally.incomplete).toBeGreaterThan(0);
    expect(await pullableTags(target)).toEqual([]);
    expect(await brokenTags(target)).toEqual([]);
  });

  it('uses a lost blob that is whole at the target', async () => {
    const registry = new RegistryBuilder();
    const image = registry.push('a', 'v1', registry.image());
    const lost = blobKey(image.layers[0]?.digest ?? '');
    const target = openMemory({ objects: [[lost, registry.objects.get(lost) ?? '']] });
    registry.objects.delete(lost);
    await runMigrate(memoryOf(registry.objects), target);
    expect((await pullableTags(target)).length).toBe(1);
  });

  it.each(['missing at the source', 'corrupt at the source'])(
    'does not publish a tag whose revision is there and whose layer is %s',
    async (what) => {
      const registry = new RegistryBuilder();
      const image = registry.push('a', 'v1', registry.image());
      const layer = blobKey(image.layers[0]?.digest ?? '');
      const revision = revisionKey('a', image.digest);
      const target = openMemory({ objects: [[revision, registry.objects.get(revision) ?? '']] });
      if (what.startsWith('missing')) {
        registry.objects.delete(layer);
      } else {
        registry.objects.set(layer, new Uint8Array(registry.objects.get(layer)?.length ?? 0));
      }
      const result = await runMigrate(memoryOf(registry.objects), target);
      expect(result.tally.failed + result.tally.incomplete).toBeGreaterThan(0);
      expect(target.objects.has(currentKey('a', 'v1'))).toBe(false);
    },
  );
});

describe('migrate shows no tag that it does not publish', () => {
  it('writes no index link of a tag that is held back', async () => {
    const registry = new RegistryBuilder();
    const former = registry.push('a', 'v1', registry.image());
    const image = registry.push('a', 'v1', registry.image());
    const layer = blobKey(image.layers[0]?.digest ?? '');
    registry.objects.set(layer, new Uint8Array(registry.objects.get(layer)?.length ?? 0));
    const target = openMemory();
    await runMigrate(memoryOf(registry.objects), target);
    expect(target.objects.has(revisionKey('a', former.digest))).toBe(true);
    expect(target.objects.has(indexKey('a', 'v1', former.digest))).toBe(false);
    expect([...target.objects.keys()].filter((key) => key.includes('/tags/'))).toEqual([]);
  });

  it('leaves no folder behind when a write to a filesystem fails', async () => {
    const root = mkdtempSync(join(tmpdir(), 'regtool-folders-'));
    const driver = await openFilesystem({ root });
    const failing = { sizeBytes: 5, open: () => failingStream() };
    await expect(driver.write(currentKey('a', 'v1'), failing)).rejects.toThrow('gone');
    expect(await driver.listFolder('')).toEqual({ folders: [], objects: [] });
    rmSync(root, { recursive: true });
  });
});

describe('migrate --delete to a filesystem', () => {
  it('removes tag folders that a killed run left empty, and only those', async () => {
    const root = mkdtempSync(join(tmpdir(), 'regtool-ghost-'));
    const target = await openFilesystem({ root });
    const registry = new RegistryBuilder();
    registry.push('a', 'v1', registry.image());
    registry.push('a/nested', 'v1', registry.image());
    await runMigrate(memoryOf(registry.objects), target);
    const ghosts = ['a/_manifests/tags/gone/current', 'a/nested/_manifests/tags/gone/index/sha256'];
    const kept = ['a/_uploads/0b6f7e9a-97a8-4d64-8d0c-5f1a5a1b2c3d', 'b/_manifests/tags'];
    const path = (below: string) => join(root, 'docker/registry/v2/repositories', below);
    [...ghosts, ...kept].forEach((below) => mkdirSync(path(below), { recursive: true }));
    const source = memoryOf(registry.objects);
    await runMigrate(source, target, { delete: deleteAnything, dryRun: true });
    await runMigrate(source, target);
    expect(ghosts.every((below) => existsSync(path(below)))).toBe(true);
    const { records } = await runMigrate(source, target, { delete: deleteAnything });
    expect(
      records.map(({ action, key }) => `${action} ${key.replace('docker/registry/v2/repositories/', '')}`),
    ).toEqual(['clean-up a/_manifests/tags/gone/', 'clean-up a/nested/_manifests/tags/gone/']);
    expect(readdirSync(path('a/_manifests/tags'))).toEqual(['v1']);
    expect(readdirSync(path('a/nested/_manifests/tags'))).toEqual(['v1']);
    expect(kept.every((below) => existsSync(path(below)))).toBe(true);
    expect((await pullableTags(target)).length).toBe(2);
    rmSync(root, { recursive: true });
  });
});

describe('migrate and its reports', () => {
  it('converges where a listing’s MD5 is none, as with a bucket that encrypts by default', async () => {
    const { registry, target } = await copied();
    const encrypted: Driver = {
      ...target,
      async *list(prefix, options) {
        for await (const page of target.list(prefix, options)) {
          yield page.map((object) => ({ ...object, md5: 'f'.repeat(32) }));
        }
      },
    };
    const result = await runMigrate(memoryOf(registry.objects), encrypted);
    expect(totalOf(result.tally.copied).objects).toBe(0);
  });

  it('says why an object failed, not why it was to be copied', async () => {
    const registry = new RegistryBuilder();
    const { layers } = registry.push('a', 'v1', registry.image());
    const refused = [blobKey(layers[0]?.digest ?? ''), layerKey('a', layers[1]?.digest ?? '')];
    const failing = withHooks(openMemory(), {
      before: ({ operation, key }) => {
        if (operation === 'write' && refused.includes(key)) {
          throw new DriverError('UNAVAILABLE', 'No answer.', { driver: 'memory', operation, key });
        }
      },
    });
    const { records } = await runMigrate(memoryOf(registry.objects), failing);
    const failures = records.filter(({ outcome }) => outcome === 'failed');
    expect(failures.map(({ key, reason }) => [key, reason])).toEqual(
      expect.arrayContaining(refused.map((key) => [key, 'No answer.'])),
    );
  });

  it('names a left-over that could not be removed', async () => {
    const { registry, target } = await copied();
    const leftover = `${currentKey('a', 'v1')}.01234567-89ab-4def-8123-456789abcdef.regtool.tmp`;
    target.objects.set(leftover, new Uint8Array(3));
    const error = new DriverError('PERMISSION_DENIED', 'No.', {
      driver: 'memory',
      operation: 'delete',
      key: leftover,
    });
    const locked: Driver = { ...target, delete: async (keys) => keys.map((key) => ({ key, error })) };
    const result = await runMigrate(memoryOf(registry.objects), locked);
    expect(result.tally.failures.map(({ key }) => key)).toEqual([leftover]);
  });

  it('moves a tag although what it stood for cannot be read', async () => {
    const { registry, target } = await copied();
    registry.push('a', 'v1', registry.image());
    let isPublishing = false;
    const unreadable = withHooks(target, {
      before: ({ operation, key }) => {
        isPublishing ||= operation === 'write';
        // While it is listed it can still be compared; what it stood for is looked up for the report, later.
        if (operation === 'readSmall' && isPublishing) {
          throw new DriverError('PERMISSION_DENIED', 'No.', { driver: 'memory', operation, key });
        }
      },
    });
    const result = await runMigrate(memoryOf(registry.objects), unreadable);
    expect(result.tally.failed).toBe(0);
    expect(contentOf(target.objects)).toEqual(contentOf(registry.objects));
  });

  it.each([true, false])('tells what it planned to delete, dry run: %s', async (dryRun) => {
    const { registry, old, target } = await copied();
    registry.deleteManifest('a', old.digest);
    registry.garbageCollect();
    const source = memoryOf(registry.objects);
    const result = await runMigrate(source, target, { ...tenPercent, dryRun });
    const json = migrateJson(result, source, target, { dryRun, durationMs: 1, retries: 0 });
    expect(json.plan.delete).toMatchObject({ 'tag-current': 1, 'revision-link': 1 });
    expect(result.deletesWithheld).toBe(false);
  });
});

async function* failingStream(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(2);
  throw new Error('the source is gone');
}
