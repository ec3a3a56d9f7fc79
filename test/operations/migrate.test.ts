import { describe, expect, it } from 'vitest';
import { currentKey, indexKey } from '../../fixtures/keys.ts';
import { randomRegistry } from '../../fixtures/random-registry.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { sampleRegistry } from '../../fixtures/sample-registry.ts';
import { exitCodeOf } from '../../src/cli/migrate-exit-code.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { totalOf } from '../../src/operations/counts.ts';
import { withHooks } from '../support/hooked-driver.ts';
import { contentOf, deleteAnything, memoryOf, runMigrate } from '../support/migrating.ts';
import { brokenTags, pullableTags } from '../support/pullable.ts';

const blobKey = (digest: string) =>
  `docker/registry/v2/blobs/sha256/${digest.slice(7, 9)}/${digest.slice(7)}/data`;
const repositories = 'docker/registry/v2/repositories/';
const text = (content: string) => new TextEncoder().encode(content);

describe('migrate', () => {
  it('copies a registry whole, and has nothing to do the second time', async () => {
    const { registry } = sampleRegistry({ largeLayerBytes: 600_000 });
    const source = memoryOf(registry.objects);
    const target = openMemory({ pageSize: 7 });
    const first = await runMigrate(source, target);
    expect(first.end).toEqual({ kind: 'done' });
    expect(contentOf(target.objects)).toEqual(contentOf(registry.objects));
    expect(await pullableTags(target)).toEqual(await pullableTags(source));
    expect((await pullableTags(target)).length).toBe(registry.tags().length);

    const writes: string[] = [];
    const watched = withHooks(target, {
      before: ({ operation, key }) => {
        if (operation !== 'list' && operation !== 'listFolder') {
          writes.push(`${operation} ${key}`);
        }
      },
    });
    const second = await runMigrate(source, watched, { delete: deleteAnything });
    expect(totalOf(second.tally.copied).objects).toBe(0);
    expect(writes.filter((call) => !call.startsWith('stat'))).toEqual([]);
  });

  it('never copies uploads, markers, temporary or foreign files, and copies lockfiles', async () => {
    const registry = new RegistryBuilder();
    registry.push('a', 'v1', registry.image());
    registry.upload('a');
    registry.lockfile('filesystem-in-use');
    registry.marker(`${repositories}a/_manifests/tags/`);
    registry.foreign('backup/readme.txt');
    registry.foreign('docker/registry/v2/notes.txt');
    registry.objects.set(
      `${repositories}a/_manifests/tags/v1/current/link.01234567-89ab-4def-8123-456789abcdef.tmp`,
      text('half'),
    );
    const target = openMemory();
    const result = await runMigrate(memoryOf(registry.objects), target);
    const wanted = contentOf(registry.objects);
    wanted.delete('docker/registry/v2/notes.txt');
    expect(contentOf(target.objects)).toEqual(wanted);
    expect([...target.objects.keys()].sort()).toEqual([...wanted.keys()].sort());
    expect(wanted.has('docker/registry/lockfiles/filesystem-in-use')).toBe(true);
    expect(result.plan.foreignSamples.sort()).toEqual(['backup/', 'docker/registry/v2/notes.txt']);
    expect(result.plan.notContent.source.upload?.objects).toBeGreaterThan(0);
  });

  it('copies foreign files when asked, and leaves equal ones alone', async () => {
    const registry = new RegistryBuilder();
    registry.push('a', 'v1', registry.image());
    registry.foreign('backup/readme.txt', 'one');
    registry.foreign('docker/registry/v2/notes.txt', 'two');
    const source = memoryOf(registry.objects);
    const target = openMemory();
    await runMigrate(source, target, { includeForeign: true });
    expect(Buffer.from(target.objects.get('backup/readme.txt') ?? []).toString()).toBe('one');
    expect(Buffer.from(target.objects.get('docker/registry/v2/notes.txt') ?? []).toString()).toBe('two');
    source.objects.set('backup/readme.txt', text('new'));
    const second = await runMigrate(source, target, { includeForeign: true });
    expect(second.tally.copied).toEqual({ foreign: { objects: 1, bytes: 3 } });
    expect(Buffer.from(target.objects.get('backup/readme.txt') ?? []).toString()).toBe('new');
  });

  it('decides in a dry run exactly what a run does, and writes nothing', async () => {
    for (const seed of ['one', 'two', 'three']) {
      const { registry, change } = randomRegistry(seed, 30);
      const target = openMemory();
      await runMigrate(memoryOf(registry.objects), target);
      for (let index = 0; index < 10; index += 1) {
        change();
      }
      registry.garbageCollect();
      const source = memoryOf(registry.objects);
      const before = new Map(target.objects);
      const options = { delete: deleteAnything };
      const dry = await runMigrate(source, target, { ...options, dryRun: true });
      expect(target.objects).toEqual(before);
      const real = await runMigrate(source, target, options);
      const summary = (records: typeof dry.records) =>
        records
          .map(({ action, key, outcome }) => `${action} ${key} ${outcome.replace('planned', 'done')}`)
          .sort();
      expect(summary(dry.records)).toEqual(summary(real.records));
      expect(dry.tally.copied).toEqual(real.tally.copied);
    }
  });

  it('rewrites a truncated blob and a moved tag, and reports both digests of the tag', async () => {
    const registry = new RegistryBuilder();
    const old = registry.push('a', 'v1', registry.image());
    const source = memoryOf(registry.objects);
    const target = openMemory();
    await runMigrate(source, target);
    target.objects.set(blobKey(old.digest), text('trunc'));
    const next = registry.push('a', 'v1', registry.image());
    for (const [key, content] of registry.objects) {
      source.objects.set(key, content);
    }
    const { records } = await runMigrate(source, target);
    expect(records.find(({ kind }) => kind === 'tag-current')).toMatchObject({
      action: 'rewrite',
      formerDigest: old.digest,
      digest: next.digest,
      tag: 'v1',
      repository: 'a',
    });
    expect(contentOf(target.objects)).toEqual(contentOf(registry.objects));
  });

  it('copies only the selected repositories and what they need', async () => {
    const registry = new RegistryBuilder();
    registry.push('team/a', 'v1', registry.image());
    registry.push('team/b', 'v1', registry.image());
    registry.push('other', 'v1', registry.index());
    const target = openMemory();
    const selects = (name: string) => name === 'team/a' || name === 'other';
    const result = await runMigrate(memoryOf(registry.objects), target, { selects });
    expect(result.tally.failed).toBe(0);
    const tags = await pullableTags(target);
    expect(tags.map(({ repository, tag }) => `${repository}:${tag}`)).toEqual(['other:v1', 'team/a:v1']);
    expect([...target.objects.keys()].some((key) => key.includes('team/b'))).toBe(false);
    const blobs = [...target.objects.keys()].filter((key) => key.includes('/blobs/')).length;
    expect(blobs).toBeLessThan([...registry.objects.keys()].filter((key) => key.includes('/blobs/')).length);
    const again = await runMigrate(memoryOf(registry.objects), target, { selects, delete: deleteAnything });
    expect(totalOf(again.tally.copied).objects + totalOf(again.tally.deleted).objects).toBe(0);
  });

  describe('with a blob that is not what its name says', () => {
    it('publishes neither it nor what depends on it, names it, and copies the rest', async () => {
      const registry = new RegistryBuilder();
      const bad = registry.push('a', 'bad', registry.image());
      registry.push('a', 'good', registry.image());
      registry.push('b', 'good', registry.image());
      const source = memoryOf(registry.objects);
      const corrupt = bad.layers[0]?.digest ?? '';
      const bytes = Uint8Array.from(source.objects.get(blobKey(corrupt)) ?? []);
      bytes[0] = (bytes[0] ?? 0) ^ 1;
      source.objects.set(blobKey(corrupt), bytes);
      const target = openMemory();
      const result = await runMigrate(source, target);
      expect(result.tally.failures.map(({ key }) => key)).toEqual([blobKey(corrupt)]);
      expect(result.tally.failures[0]?.message).toContain(`is corrupt in ${source.location}`);
      expect(result.tally.heldBack).toBeGreaterThan(0);
      expect(target.objects.has(blobKey(corrupt))).toBe(false);
      const tags = await pullableTags(target);
      expect(tags.map(({ repository, tag }) => `${repository}:${tag}`)).toEqual(['a:good', 'b:good']);
      expect(await brokenTags(target)).toEqual([]);
      expect([...target.objects.keys()].filter((key) => key.includes(corrupt.slice(7)))).toEqual([]);
    });
  });

  describe('with a source that is broken already', () => {
    const broken = () => {
      const registry = new RegistryBuilder();
      const image = registry.push('a', 'broken', registry.image());
      registry.push('a', 'good', registry.image());
      const layer = image.layers[0]?.digest ?? '';
      registry.objects.delete(blobKey(layer));
      return { registry, layer };
    };

    it('leaves out the tags that cannot be pulled there, and names them', async () => {
      const { registry } = broken();
      const target = openMemory();
      const result = await runMigrate(memoryOf(registry.objects), target);
      expect(result.tally.failed).toBe(0);
      expect(result.tally.incompletes.map(({ key }) => key)).toContain(
        `${repositories}a/_manifests/tags/broken/current/link`,
      );
      expect(await brokenTags(target)).toEqual([]);
      expect((await pullableTags(target)).map(({ tag }) => tag)).toEqual(['good']);
    });

    it('copies them as they are when asked', async () => {
      const { registry } = broken();
      const target = openMemory();
      const result = await runMigrate(memoryOf(registry.objects), target, { includeIncomplete: true });
      expect(result.tally).toMatchObject({ failed: 0, incomplete: 0 });
      expect(contentOf(target.objects)).toEqual(contentOf(registry.objects));
    });

    it.each([true, false])(
      'reads a link that is empty at that moment once more (--include-incomplete: %j)',
      async (includeIncomplete) => {
        const registry = new RegistryBuilder();
        const { digest } = registry.push('a', 'v1', registry.image());
        const link = `${repositories}a/_manifests/tags/v1/current/link`;
        const source = memoryOf(registry.objects);
        // As a registry does that writes in place.
        source.objects.set(link, text(''));
        const live = withHooks(source, {
          after: ({ operation, key }) => {
            if (operation === 'readSmall' && key === link) {
              source.objects.set(link, text(digest));
            }
          },
        });
        const target = openMemory();
        const result = await runMigrate(live, target, { includeIncomplete });
        expect(result.tally).toMatchObject({ failed: 0, incomplete: 0 });
        expect(Buffer.from(target.objects.get(link) ?? '').toString()).toBe(digest);
      },
    );

    it.each(['', 'sha256:short', 'not a digest', `sha256:${'a'.repeat(64)}\n`])(
      'does not publish a tag whose link says %j',
      async (content) => {
        const registry = new RegistryBuilder();
        registry.push('a', 'v1', registry.image());
        registry.push('a', 'v2', registry.image());
        registry.objects.set(`${repositories}a/_manifests/tags/v1/current/link`, text(content));
        const target = openMemory();
        const result = await runMigrate(memoryOf(registry.objects), target);
        expect(result.tally.incomplete).toBe(1);
        expect(target.objects.has(`${repositories}a/_manifests/tags/v1/current/link`)).toBe(false);
        expect((await pullableTags(target)).map(({ tag }) => tag)).toEqual(['v2']);
      },
    );

    it('names the index links of a tag that lost its current link, and does not say that all is done', async () => {
      const registry = new RegistryBuilder();
      registry.push('a', 'v1', registry.image());
      const { digest } = registry.push('a', 'v2', registry.image());
      registry.objects.delete(currentKey('a', 'v2'));
      const target = openMemory();
      const result = await runMigrate(memoryOf(registry.objects), target);
      expect(result.tally.incompletes.map(({ key }) => key)).toEqual([indexKey('a', 'v2', digest)]);
      expect(exitCodeOf(result)).toBe(3);
      expect([...target.objects.keys()].filter((key) => key.includes('/tags/v2/'))).toEqual([]);
    });

    it('leaves a tag to the next run whose first push ends after it was listed', async () => {
      const registry = new RegistryBuilder();
      registry.push('a', 'v1', registry.image());
      const source = memoryOf(registry.objects);
      source.objects.delete(currentKey('a', 'v1'));
      const target = openMemory();
      const result = await runMigrate(source, target, {
        approve: async () => {
          source.objects.set(currentKey('a', 'v1'), registry.objects.get(currentKey('a', 'v1')) ?? text(''));
          return true;
        },
      });
      expect(exitCodeOf(result)).toBe(0);
      expect(await pullableTags(target)).toEqual([]);
      await runMigrate(source, target);
      expect(contentOf(target.objects)).toEqual(contentOf(source.objects));
    });

    it('copies what garbage collection leaves, as the harmless thing it is', async () => {
      const registry = new RegistryBuilder();
      const image = registry.push('a', 'v1', registry.image());
      registry.push('a', 'v1', registry.image());
      registry.deleteManifest('a', image.digest);
      registry.garbageCollect();
      const target = openMemory();
      const result = await runMigrate(memoryOf(registry.objects), target);
      expect(result.tally).toMatchObject({ failed: 0, incomplete: 0, heldBack: 0 });
      expect(result.tally.dangling).toBeGreaterThan(0);
      expect(contentOf(target.objects)).toEqual(contentOf(registry.objects));
    });
  });

  describe('while the source takes pushes', () => {
    it('follows what a moved tag stands for when it is published', async () => {
      const registry = new RegistryBuilder();
      registry.push('a', 'latest', registry.image());
      const source = memoryOf(registry.objects);
      let pushed = false;
      const live = withHooks(source, {
        before: ({ operation, key }) => {
          // Right before the first tag is read for publishing: after all listings, and after the blobs.
          if (!pushed && operation === 'readSmall' && key.endsWith('tags/latest/current/link')) {
            pushed = true;
            registry.push('a', 'latest', registry.index());
            for (const [changed, content] of registry.objects) {
              source.objects.set(changed, content);
            }
          }
        },
      });
      const target = openMemory();
      const result = await runMigrate(live, target);
      expect(pushed).toBe(true);
      expect(result.tally.failed).toBe(0);
      expect(await brokenTags(target)).toEqual([]);
      expect(await pullableTags(target)).toEqual(await pullableTags(source));
    });

    it('is pullable after every single write, whatever is pushed, moved and deleted meanwhile', async () => {
      for (const seed of ['a', 'b', 'c', 'd']) {
        const { registry, change } = randomRegistry(seed, 12);
        const source = memoryOf(registry.objects);
        const target = openMemory();
        let calls = 0;
        const live = withHooks(source, {
          before: () => {
            calls += 1;
            if (calls % 25 === 0) {
              change();
              syncTo(source.objects, registry.objects);
            }
          },
        });
        const watched = withHooks(target, {
          after: async (call) => {
            if (call.operation === 'write' && call.key.includes('/current/')) {
              expect(await brokenTags(target)).toEqual([]);
            }
          },
        });
        for (let pass = 0; pass < 3; pass += 1) {
          await runMigrate(live, watched, { delete: deleteAnything });
          expect(await brokenTags(target)).toEqual([]);
        }
        // With the source at rest, one pass makes them equal.
        await runMigrate(source, target, { delete: deleteAnything });
        expect(contentOf(target.objects)).toEqual(contentOf(source.objects));
      }
    });
  });
});

function syncTo(objects: Map<string, Uint8Array>, wanted: ReadonlyMap<string, Uint8Array>): void {
  for (const key of objects.keys()) {
    if (!wanted.has(key)) {
      objects.delete(key);
    }
  }
  for (const [key, content] of wanted) {
    objects.set(key, content);
  }
}
