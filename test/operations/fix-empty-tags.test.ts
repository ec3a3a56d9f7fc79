import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Random, randomRegistry } from '../../fixtures/random-registry.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import type { Driver, ObjectStat } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { type MemoryDriver, openMemory } from '../../src/drivers/memory.ts';
import {
  fixEmptyTags,
  type FixEmptyTagsOptions,
  type FixEmptyTagsResult,
  type MarkerRecord,
} from '../../src/operations/fix-empty-tags.ts';
import { withHooks } from '../support/hooked-driver.ts';
import { pullableTags } from '../support/pullable.ts';

const v2 = 'docker/registry/v2/';
const repositories = `${v2}repositories/`;
const app = `${repositories}group/app/`;

async function run(
  store: Driver,
  options: Partial<FixEmptyTagsOptions> = {},
): Promise<FixEmptyTagsResult & { records: MarkerRecord[] }> {
  const records: MarkerRecord[] = [];
  const result = await fixEmptyTags(store, {
    dryRun: false,
    allMarkers: false,
    concurrency: 8,
    observer: {
      phase() {},
      progress() {},
      notice() {},
      record: async (record) => {
        records.push(record);
      },
    },
    approve: async () => true,
    ...options,
  });
  return { ...result, records };
}

/** A registry of one image in group/app:v1, with these objects of zero bytes besides. */
function storeWith(...markers: string[]): { registry: RegistryBuilder; store: MemoryDriver } {
  const registry = new RegistryBuilder({ seed: 'markers' });
  registry.push('group/app', 'v1', registry.image());
  registry.upload('group/app');
  for (const key of markers) {
    registry.marker(key);
  }
  return { registry, store: openMemory({ objects: registry.objects, pageSize: 3 }) };
}

const harmful = {
  'marker-empty-tag': [`${app}_manifests/tags/`],
  'marker-ghost-tag': [`${app}_manifests/tags/gone/`, `${app}_manifests/tags/gone/current/`],
  'marker-purger-panic': [
    repositories,
    `${repositories}group/`,
    app,
    `${app}_uploads/`,
    `${app}_uploads/7d2a2ef5-0000-4000-8000-000000000000/`,
  ],
};
const harmless = [
  'docker/',
  v2,
  `${v2}blobs/`,
  `${v2}blobs/sha256/`,
  `${v2}blobs/sha256/00/`,
  `${app}_layers/`,
  `${app}_layers/sha256/`,
  `${app}_manifests/`,
  `${app}_manifests/revisions/`,
  `${app}_manifests/tags/v1/`,
  `${app}_manifests/tags/v1/index/`,
];
const allMarkers = [...Object.values(harmful).flat(), ...harmless];

const keysOf = (driver: MemoryDriver) => [...driver.objects.keys()].sort();

function classesOf(records: readonly MarkerRecord[]): Record<string, string[]> {
  const classes: Record<string, string[]> = {};
  for (const { code, key } of records) {
    (classes[code] ??= []).push(key);
  }
  return Object.fromEntries(Object.entries(classes).map(([code, keys]) => [code, keys.sort()]));
}

describe('fixEmptyTags', () => {
  it('classes each marker by its place, and removes those that do harm and nothing else', async () => {
    const { registry, store } = storeWith(...allMarkers);
    const { records, plan, removed } = await run(store);
    expect(classesOf(records)).toEqual({
      ...Object.fromEntries(Object.entries(harmful).map(([code, keys]) => [code, keys.toSorted()])),
      'marker-harmless': harmless.toSorted(),
    });
    expect(removed).toBe(8);
    expect(plan.repositories).toEqual([
      { repository: 'group', counts: { 'marker-purger-panic': 1 } },
      {
        repository: 'group/app',
        counts: { 'marker-empty-tag': 1, 'marker-ghost-tag': 2, 'marker-purger-panic': 3 },
      },
    ]);
    const gone = new Set(Object.values(harmful).flat());
    expect(keysOf(store)).toEqual([...registry.objects.keys()].filter((key) => !gone.has(key)).sort());
  });

  it('removes the harmless ones, too, when asked for all, and finds nothing the second time', async () => {
    const { store } = storeWith(...allMarkers);
    await run(store, { allMarkers: true });
    expect(keysOf(store).filter((key) => key.endsWith('/'))).toEqual([]);
    expect(await run(store, { allMarkers: true })).toMatchObject({
      plan: { found: {}, toRemove: 0 },
      removed: 0,
    });
  });

  it('removes nothing in a dry run, and plans what a run removes', async () => {
    const { registry, store } = storeWith(...allMarkers);
    const dry = await run(store, { dryRun: true });
    expect(keysOf(store)).toEqual([...registry.objects.keys()].sort());
    const planned = dry.records.filter(({ outcome }) => outcome === 'planned').map(({ key }) => key);
    const wet = await run(store);
    expect(wet.records.filter(({ outcome }) => outcome === 'done').map(({ key }) => key)).toEqual(planned);
  });

  it('removes nothing that was not agreed to, and does not ask where there is nothing to remove', async () => {
    const { registry, store } = storeWith(...allMarkers);
    expect(await run(store, { approve: async () => false })).toMatchObject({ end: 'declined', removed: 0 });
    expect(keysOf(store)).toEqual([...registry.objects.keys()].sort());
    const clean = storeWith(...harmless).store;
    await run(clean, {
      approve: () => {
        throw new Error('asked');
      },
    });
  });

  it('never removes what has content, whatever its name, nor empty objects that are no markers', async () => {
    const { registry } = storeWith();
    const blob = registry.blob('group/app', new Uint8Array());
    const kept = [
      [`${app}_manifests/tags/`, 'somebody put this here'],
      [`${app}_manifests/tags/broken/current/link`, ''],
      [`${app}_manifests/tags/gone/notes/`, 'x'],
      ['other/', ''],
    ] as const;
    for (const [key, content] of kept) {
      registry.foreign(key, content);
    }
    expect(registry.objects.get(`${v2}blobs/sha256/${blob.slice(7, 9)}/${blob.slice(7)}/data`)?.length).toBe(
      0,
    );
    const store = openMemory({ objects: registry.objects });
    const { records } = await run(store, { allMarkers: true });
    expect(classesOf(records)).toEqual({
      'marker-with-content': [`${app}_manifests/tags/`, `${app}_manifests/tags/gone/notes/`],
    });
    expect(new Map(store.objects)).toEqual(registry.objects);
  });

  it('keeps a marker that got content since it was listed, and passes over one that is gone', async () => {
    const [first, second] = [`${app}_manifests/tags/`, `${app}_manifests/tags/gone/`];
    const { store } = storeWith(first, second);
    const hooked = withHooks(store, {
      before: ({ operation, key }) => {
        if (operation === 'stat' && key === first) {
          store.objects.set(first, Buffer.from('now it is a file'));
          store.objects.delete(second);
        }
      },
    });
    const result = await run(hooked, { concurrency: 1 });
    expect(result).toMatchObject({ removed: 0, changed: 1, vanished: 1, failed: 0 });
    expect(store.objects.get(first)?.length).toBe(16);
  });

  it('takes a tag for a ghost only after a listing of its folder that came to its end', async () => {
    const { store } = storeWith(`${app}_manifests/tags/`, `${app}_manifests/tags/v1/`);
    const broken: Driver = {
      ...store,
      async *list(prefix, options) {
        for await (const page of store.list(prefix, options)) {
          for (const object of page) {
            yield [object];
            if (object.key === `${app}_manifests/tags/v1/`) {
              throw new DriverError('UNAVAILABLE', 'made up', { driver: 'memory', operation: 'list' });
            }
          }
        }
      },
    };
    const result = await run(broken);
    expect(classesOf(result.records)).toEqual({ 'marker-empty-tag': [`${app}_manifests/tags/`] });
    expect(result.plan.notListed.map(({ message }) => message)).toEqual(['made up']);
    expect(store.objects.has(`${app}_manifests/tags/v1/`)).toBe(true);
  });

  it('names those that the store would not remove, and removes the others', async () => {
    const { store } = storeWith(...harmful['marker-purger-panic']);
    const refusing: Driver = {
      ...store,
      async delete(keys, options) {
        await store.delete(
          keys.filter((key) => key !== app),
          options,
        );
        const error = new DriverError('PERMISSION_DENIED', 'made up', {
          driver: 'memory',
          operation: 'delete',
        });
        return keys.filter((key) => key === app).map((key) => ({ key, error }));
      },
    };
    expect(await run(refusing)).toMatchObject({
      removed: 4,
      failed: 1,
      failures: [{ key: app, message: 'made up' }],
    });
  });

  it('counts every marker as failed where the store refuses all', async () => {
    const { registry, store } = storeWith(...harmful['marker-purger-panic']);
    const refusing = withHooks(store, {
      before: ({ operation }) => {
        if (operation === 'delete') {
          throw new DriverError('PERMISSION_DENIED', 'read only', { driver: 'memory', operation: 'delete' });
        }
      },
    });
    expect(await run(refusing)).toMatchObject({ removed: 0, failed: 5 });
    expect(new Map(store.objects)).toEqual(registry.objects);
  });

  it('ends early when it is interrupted, and a rerun goes on', async () => {
    const { store } = storeWith(...allMarkers);
    const controller = new AbortController();
    const hooked = withHooks(store, {
      before: ({ operation }) => {
        if (operation === 'delete') {
          controller.abort();
        }
      },
    });
    const interrupted = await run(hooked, { signal: controller.signal });
    expect(interrupted.end).toBe('interrupted');
    await run(store, { allMarkers: true });
    expect(keysOf(store).filter((key) => key.endsWith('/'))).toEqual([]);
  });

  it('refuses what is no registry', async () => {
    await expect(run(openMemory({ objects: [['a/', '']] }))).rejects.toMatchObject({
      code: 'NOT_A_REGISTRY',
    });
  });

  it('has nothing to do on a filesystem, whose folders are real', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'regtool-markers-'));
    try {
      const store = await openFilesystem({ root: folder });
      await storeWith().registry.writeTo(store);
      expect(await run(store)).toMatchObject({ plan: { hasRealFolders: true, toRemove: 0 }, end: 'done' });
      await store.close();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('leaves alone what stands for folders of a hierarchical namespace', async () => {
    const stub = `${app}_manifests/tags/gone`;
    const withSlash = `${app}_manifests/tags/`;
    const { store } = storeWith(withSlash);
    store.objects.set(stub, new Uint8Array());
    const outcomes = async (hierarchicalNamespace: boolean | undefined) => {
      const azure: Driver = {
        ...stubbing(store, stub, withSlash),
        describe: async () => ({ hierarchicalNamespace }),
      };
      return classesOf((await run(azure, { dryRun: true })).records);
    };
    expect(await outcomes(true)).toEqual({ 'folder-stub': [withSlash, stub] });
    expect(await outcomes(undefined)).toEqual({ 'folder-stub': [withSlash, stub] });
    // What rclone writes on an account without such a namespace is a marker with that metadata.
    expect(await outcomes(false)).toEqual({ 'folder-stub': [stub], 'marker-empty-tag': [withSlash] });
  });

  it.each([
    ['azure', 'https://account.blob.core.windows.net'],
    ['s3', 'https://storage.googleapis.com'],
  ])('takes every marker for harmful on %s at %s', async (name, service) => {
    const { store } = storeWith(...allMarkers);
    await run({ ...store, name, identity: { ...store.identity, service } });
    expect(keysOf(store).filter((key) => key.endsWith('/'))).toEqual([]);
  });

  it('removes only empty objects with a slash at their end, of any registry', async () => {
    for (let seed = 0; seed < 15; seed += 1) {
      const { registry } = randomRegistry(`markers ${seed}`, 20);
      const random = new Random(`markers ${seed}`);
      const before = new Map(registry.objects);
      for (const key of before.keys()) {
        const components = key.split('/');
        registry.marker(`${components.slice(0, 1 + random.below(components.length - 1)).join('/')}/`);
      }
      const store = openMemory({ objects: registry.objects, pageSize: 1 + random.below(20) });
      const tags = await pullableTags(store);
      await run(store, { allMarkers: true });
      expect(new Map(store.objects)).toEqual(before);
      expect(await pullableTags(store)).toEqual(tags);
    }
  });
});

function stubbing(store: MemoryDriver, ...stubs: string[]): Driver {
  const mark = (object: ObjectStat): ObjectStat =>
    stubs.includes(object.key) ? { ...object, isFolderStub: true } : object;
  return {
    ...store,
    name: 'azure-like',
    async *list(prefix, options) {
      for await (const page of store.list(prefix, options)) {
        yield page.map(mark);
      }
    },
  };
}
