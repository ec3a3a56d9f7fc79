import { describe, expect, test } from 'vitest';
import type { Driver, ObjectStat } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { type MemoryDriver, openMemory } from '../../src/drivers/memory.ts';
import { findingCodes } from '../../src/layout/findings.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { sampleRegistry } from '../../fixtures/sample-registry.ts';
import { brokenRegistries } from './check/broken-registries.ts';
import { blobKey, currentKey, revisionKey } from '../../fixtures/keys.ts';
import {
  type Broken,
  type Expected,
  type Healthy,
  healthyRegistry,
  layerKey,
  pushRaw,
  set,
  SHOP,
} from './check/fixtures.ts';
import { importerRegistries } from './check/importer-registries.ts';
import { notPullable, NOW_MS, type Observed, observe, wholeData } from './check/observe.ts';

describe('a check of a broken registry', () => {
  test.each(brokenRegistries)('finds $name', async (broken) => {
    await expectFindings(broken);
  });

  test('has a fixture for every code', () => {
    const { healthy } = build(brokenRegistries[0]);
    const inFixtures = brokenRegistries.flatMap(({ findings }) => findings(healthy).map(([code]) => code));
    const elsewhere = ['folder-stub', 'multipart-upload-abandoned'];
    expect([...new Set([...inFixtures, ...elsewhere])].sort()).toEqual([...findingCodes].sort());
  });
});

describe("a check of GitLab's importer's broken registries", () => {
  test.each(importerRegistries)('finds $name', async (broken) => {
    await expectFindings(broken);
  });
});

describe('a check', () => {
  test('finds nothing in a healthy registry', async () => {
    const { registry } = sampleRegistry({ largeLayerBytes: 5000 });
    const checked = await observe(await memoryOf(registry), {
      readData: wholeData,
      nowMs: JUST_AFTER_UPLOADS_MS,
    });
    const total = registry.tags().length;
    expect(checked.verdict).toBe('healthy');
    expect(checked.tags).toEqual({ total, pullable: total, notPullable: 0, unknown: 0 });
    expect(checked.all.filter(({ severity }) => severity !== 'hint')).toEqual([]);
    expect(checked.untaggedManifests).toBe(1);
  });

  test('counts objects and bytes by kind', async () => {
    const { registry } = healthyRegistry();
    const checked = await observe(await memoryOf(registry));
    expect(checked.counts['tag-current']).toEqual({ objects: 2, bytes: 142 });
    expect(checked.counts.lockfile).toEqual({ objects: 1, bytes: 13 });
    // One image of two layers, and an index of two such images.
    expect(checked.counts['blob-data']?.objects).toBe(4 + 1 + 8);
  });

  test('names every tag that a shared layer hurts, and the images of an index through it', async () => {
    const registry = new RegistryBuilder({ seed: 'shared' });
    const base = registry.image({ layers: 1 });
    const child = registry.image({ base });
    registry.push('app', 'one', registry.image({ base }));
    registry.push('app', 'two', registry.index([child]));
    registry.push('app', 'safe', registry.image());
    registry.push('other', 'three', registry.image({ base }));
    const [shared] = base.layers;
    registry.objects.delete(blobOf(shared?.digest));
    const checked = await observe(await memoryOf(registry));
    const missing = checked.all.filter(({ code }) => code === 'layer-blob-missing');
    expect(missing.map(({ repository, tags }) => [repository, tags])).toEqual([
      ['app', ['one', 'two']],
      ['other', ['three']],
    ]);
    expect(missing[0]?.revisions).toContain(child.digest);
    expect(notPullable(checked)).toEqual(['app:one', 'app:two', 'other:three']);
  });

  test('calls nothing an orphan while a manifest cannot be read', async () => {
    const { registry, image } = healthyRegistry();
    set(registry, `docker/registry/v2/blobs/sha256/ab/${'ab'.repeat(32)}/data`, 'nobody needs it');
    expect((await observe(await memoryOf(registry))).all.map(({ code }) => code)).toEqual(['blob-orphan']);
    registry.objects.delete(blobOf(image.digest));
    const checked = await observe(await memoryOf(registry));
    expect(checked.all.map(({ code }) => code)).toEqual(['manifest-blob-missing']);
    expect(checked.notExamined).toEqual([expect.stringContaining('a manifest is missing or cannot be read')]);
  });

  test('does not require a layer that clients fetch from elsewhere', async () => {
    const { registry, config } = healthyRegistry();
    const foreign = {
      schemaVersion: 2,
      mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      config: {
        mediaType: 'application/vnd.docker.container.image.v1+json',
        digest: config.digest,
        size: config.bytes.length,
      },
      layers: [
        {
          mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
          digest: `sha256:${'9'.repeat(64)}`,
          size: 5,
          urls: ['https://example.com/layer'],
        },
      ],
    };
    pushRaw(registry, 'shop', 'windows', foreign);
    expect((await observe(await memoryOf(registry))).all).toEqual([]);
  });

  test('leaves a young upload alone, as it may be a push under way', async () => {
    const { registry } = healthyRegistry();
    registry.upload('shop');
    const checked = await observe(await memoryOf(registry), { nowMs: JUST_AFTER_UPLOADS_MS });
    expect(checked.all).toEqual([]);
  });

  test('tells the age and the bytes of an abandoned upload', async () => {
    const { registry } = healthyRegistry();
    registry.upload('shop', 1000);
    const { all } = await observe(await memoryOf(registry));
    const [upload] = all;
    expect(upload?.code).toBe('upload-abandoned');
    expect(upload?.ageMs).toBe(NOW_MS - Date.parse('2024-01-02T15:04:05Z'));
    expect(upload?.sizeBytes).toBeGreaterThan(1000);
  });

  test('tells abandoned multipart uploads, where the store does', async () => {
    const { registry } = healthyRegistry();
    const dayMs = 24 * 3600 * 1000;
    const driver: Driver = {
      ...(await memoryOf(registry)),
      async *listUploads() {
        yield [
          { key: 'docker/registry/v2/old', uploadId: 'a', startedAtMs: NOW_MS - 8 * dayMs, sizeBytes: 77 },
          { key: 'docker/registry/v2/young', uploadId: 'b', startedAtMs: NOW_MS - 6 * dayMs, sizeBytes: 88 },
        ];
      },
    };
    const { all } = await observe(driver);
    expect(all.map(({ code, paths, sizeBytes, ageMs }) => ({ code, paths, sizeBytes, ageMs }))).toEqual([
      {
        code: 'multipart-upload-abandoned',
        paths: ['docker/registry/v2/old'],
        sizeBytes: 77,
        ageMs: 8 * dayMs,
      },
    ]);
  });

  test('tells the folders of a hierarchical namespace in one finding', async () => {
    const { registry } = healthyRegistry();
    for (const folder of [
      `${SHOP}/_manifests`,
      `${SHOP}/_manifests/tags`,
      'docker/registry/v2/blobs/sha256',
    ]) {
      set(registry, folder, '');
    }
    const memory = await memoryOf(registry);
    const isStub = ({ key }: ObjectStat) => !/(?:link|data|in-use)$/.test(key);
    const withStubs = (objects: ObjectStat[]) =>
      objects.map((object) => (isStub(object) ? { ...object, isFolderStub: true } : object));
    const driver: Driver = {
      ...memory,
      async *list(prefix) {
        for await (const page of memory.list(prefix)) {
          yield withStubs(page);
        }
      },
      async listFolder(folder) {
        const { folders, objects } = await memory.listFolder(folder);
        return { folders, objects: withStubs(objects) };
      },
    };
    const { all } = await observe(driver);
    expect(all.map(({ code, severity, objects }) => ({ code, severity, objects }))).toEqual([
      { code: 'folder-stub', severity: 'warning', objects: 3 },
    ]);
  });

  test('proves a link by the MD5 of the listing, without reading it', async () => {
    const { registry } = healthyRegistry();
    const memory = await memoryOf(registry);
    const read: string[] = [];
    const driver: Driver = {
      ...memory,
      async readSmall(key, maxBytes, options) {
        read.push(key);
        return memory.readSmall(key, maxBytes, options);
      },
    };
    await observe(driver);
    expect(read.filter((key) => key.endsWith('/link'))).toEqual([]);
    // It says what no entry of its index does, so that only its bytes tell.
    const { digest } = registry.push('app', 'other', registry.image());
    const moved = currentKey('app', 'v1');
    memory.objects.set(moved, Buffer.from(digest));
    await observe(driver);
    expect(read.filter((key) => key.endsWith('/current/link'))).toEqual([moved]);
  });

  test('does not call missing what was pushed while it ran', async () => {
    const { registry, image, layer } = healthyRegistry();
    const late = new Set([blobOf(layer.digest), layerKey('shop', layer.digest), revision(image.digest)]);
    const memory = await memoryOf(registry);
    const driver: Driver = {
      ...memory,
      async *list(prefix) {
        for await (const page of memory.list(prefix)) {
          const seen = page.filter(({ key }) => !late.has(key));
          if (seen.length > 0) {
            yield seen;
          }
        }
      },
    };
    const checked = await observe(driver);
    expect(checked.verdict).toBe('healthy');
    expect(notPullable(checked)).toEqual([]);
  });

  test('claims no health when a part could not be read, and calls those tags unknown', async () => {
    const { registry, image } = healthyRegistry();
    const memory = await memoryOf(registry);
    const driver: Driver = {
      ...memory,
      async readSmall(key, maxBytes, options) {
        if (key === blobOf(image.digest)) {
          throw new DriverError('PERMISSION_DENIED', 'No.', { driver: 'memory', operation: 'read', key });
        }
        return memory.readSmall(key, maxBytes, options);
      },
    };
    const checked = await observe(driver);
    expect(checked.verdict).toBe('incomplete');
    expect(checked.tags).toEqual({ total: 2, pullable: 1, notPullable: 0, unknown: 1 });
    expect(checked.unread.map(({ key }) => key)).toEqual([blobOf(image.digest)]);
    expect(checked.broken.map(({ tag, state }) => [tag, state])).toEqual([['v1', 'unknown']]);
  });

  test('judges no repository whose listing broke off', async () => {
    const { registry } = healthyRegistry();
    const memory = await memoryOf(registry);
    const driver: Driver = {
      ...memory,
      async *list(prefix) {
        for await (const page of memory.list(prefix)) {
          if (prefix === `${SHOP}/`) {
            yield page.slice(0, 2);
            throw new DriverError('UNAVAILABLE', 'Gone.', {
              driver: 'memory',
              operation: 'list',
              key: prefix,
            });
          }
          yield page;
        }
      },
    };
    const checked = await observe(driver);
    expect(checked.verdict).toBe('incomplete');
    expect(checked.all).toEqual([]);
    expect(checked.tags).toEqual({ total: 1, pullable: 1, notPullable: 0, unknown: 0 });
  });

  test('lists blobs a second time only where something may be said of them', async () => {
    const { registry } = healthyRegistry();
    const orphan = registry.blob('shop', Buffer.from('nothing needs it'));
    const empty = `sha256:${'ab'.repeat(32)}`;
    set(registry, blobKey(empty), '');
    registry.objects.delete(layerKey('shop', orphan));
    const memory = await memoryOf(registry);
    const listed: string[] = [];
    const driver: Driver = {
      ...memory,
      list(prefix, options) {
        listed.push(prefix);
        return memory.list(prefix, options);
      },
    };
    const { all } = await observe(driver);
    expect(all.map(({ code, digest }) => ({ code, digest }))).toEqual([
      { code: 'blob-empty', digest: empty },
      ...[empty, orphan].sort().map((digest) => ({ code: 'blob-orphan', digest })),
    ]);
    const twice = listed.filter((prefix, index) => listed.indexOf(prefix) !== index);
    expect(twice.sort()).toEqual([empty, orphan].map(shardOf).sort());
  });

  test('finds an empty blob also where it cannot be told what is needed', async () => {
    const { registry } = healthyRegistry();
    registry.lockfile('database-in-use');
    const empty = `sha256:${'ab'.repeat(32)}`;
    set(registry, blobKey(empty), '');
    const { all, notExamined } = await observe(await memoryOf(registry));
    expect(notExamined.join(' ')).toContain('Which blobs nothing needs was not concluded');
    expect(all.filter(({ code }) => code.startsWith('blob-'))).toMatchObject([
      { code: 'blob-empty', digest: empty },
    ]);
  });

  test('reads a link again that was listed as broken: a registry empties it before it fills it', async () => {
    const { registry } = healthyRegistry();
    const memory = await memoryOf(registry);
    const driver = listing(memory, (object) => ({ ...object, content: '' }));
    expect((await observe(driver)).all).toEqual([]);
  });

  test('takes the content that a listing tells, if it is valid', async () => {
    const { registry, image, index } = healthyRegistry();
    const memory = await memoryOf(registry);
    const driver: Driver = {
      ...listing(memory, ({ key, sizeBytes }) => ({
        key,
        sizeBytes,
        content: key.includes('/tags/latest/current') ? index.digest : textOf(memory, key),
      })),
      readSmall(key, maxBytes, options) {
        return key.endsWith('/link')
          ? Promise.reject(new Error(`It read ${key}.`))
          : memory.readSmall(key, maxBytes, options);
      },
    };
    expect((await observe(driver)).all).toEqual([]);
    memory.objects.set(revisionKey('shop', image.digest), Buffer.from(index.digest));
    expect((await observe(driver)).all.map(({ code, tags }) => ({ code, tags }))).toEqual([
      { code: 'revision-link-mismatch', tags: ['v1'] },
    ]);
  });

  test('reads a tag again before it calls it broken, for it may have been deleted with its image', async () => {
    const { registry, image } = healthyRegistry();
    const memory = await memoryOf(registry);
    const gone = [currentKey('shop', 'v1'), revisionKey('shop', image.digest), blobKey(image.digest)];
    const driver: Driver = {
      ...memory,
      async readSmall(key, maxBytes, options) {
        if (key === blobKey(image.digest)) {
          await memory.delete(gone);
        }
        return memory.readSmall(key, maxBytes, options);
      },
    };
    const { tags, broken } = await observe(driver);
    expect(tags).toEqual({ total: 1, pullable: 1, notPullable: 0, unknown: 0 });
    expect(broken).toEqual([]);
  });

  test('names all tags of a manifest that is not whole, in order', async () => {
    const { registry, image, layer } = healthyRegistry();
    const names = Array.from({ length: 600 }, (_, number) => `t${String(number).padStart(4, '0')}`);
    for (const name of names) {
      registry.push('shop', name, image);
    }
    registry.objects.delete(blobKey(layer.digest));
    const { all, tags, brokenTags } = await observe(await memoryOf(registry));
    expect(all.map(({ code, tags }) => ({ code, tags }))).toEqual([
      { code: 'layer-blob-missing', tags: [...names, 'v1'] },
    ]);
    expect(brokenTags.map(({ tag }) => tag)).toEqual([...names, 'v1']);
    expect(tags).toEqual({ total: names.length + 2, pullable: 1, notPullable: names.length + 1, unknown: 0 });
  });

  test('stops when the store went away', async () => {
    const registry = new RegistryBuilder({ seed: 'many' });
    for (let number = 0; number < 80; number += 1) {
      registry.push('app', `v${number}`, registry.image({ layers: 0 }));
    }
    const driver: Driver = {
      ...(await memoryOf(registry)),
      async readSmall(key) {
        throw new DriverError('UNAVAILABLE', 'Gone.', { driver: 'memory', operation: 'read', key });
      },
    };
    await expect(observe(driver)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('writes nothing', async () => {
    const { registry } = sampleRegistry({ largeLayerBytes: 5000 });
    const memory = await memoryOf(registry);
    const refuse = () => Promise.reject(new Error('A check wrote.'));
    await observe({ ...memory, write: refuse, copyFrom: refuse, delete: refuse }, { readData: wholeData });
    expect(new Map(memory.objects)).toEqual(registry.objects);
  });

  test('ends when it is interrupted', async () => {
    const { registry } = healthyRegistry();
    await expect(observe(await memoryOf(registry), { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ABORTED',
    });
  });
});

describe('a check of what is no registry', () => {
  const { registry } = healthyRegistry();

  test.each([
    ['an empty store', () => '', 'It is empty'],
    ['the folder docker', (key: string) => key.replace('docker/', ''), '"docker"'],
    ['the folder v2', (key: string) => key.replace('docker/registry/v2/', ''), '"docker/registry/v2"'],
    ['the folder above', (key: string) => `registry-data/${key}`, 'One is below "registry-data/"'],
    [
      'a root far above',
      (key: string) => `azure/virtual/container/${key}`,
      'below "azure/virtual/container/"',
    ],
    ['keys that begin with a slash', (key: string) => `/${key}`, 'begin with a slash'],
    ['keys with two slashes', (key: string) => key.replace('docker/', 'docker//'), 'two slashes'],
    ['some other store', (key: string) => `backup/${key.length}`, 'that holds docker/'],
  ])('refuses %s and says where it is', async (_, keyOf, words) => {
    const objects = [...registry.objects].map(([key, content]): [string, Uint8Array] => [
      keyOf(key),
      content,
    ]);
    const driver = openMemory({ objects: objects.filter(([key]) => key !== '') });
    await expect(observe(driver)).rejects.toMatchObject({
      code: 'NOT_A_REGISTRY',
      message: expect.stringContaining(words) as string,
    });
  });

  test('refuses half a registry', async () => {
    const objects = [...registry.objects].filter(([key]) => !key.includes('/blobs/'));
    await expect(observe(openMemory({ objects }))).rejects.toMatchObject({
      code: 'NOT_A_REGISTRY',
      message: expect.stringContaining('docker/registry/v2/blobs/') as string,
    });
  });
});

/** A store whose listings tell something else. */
function listing(memory: MemoryDriver, change: (object: ObjectStat) => ObjectStat): Driver {
  return {
    ...memory,
    async *list(prefix, options) {
      for await (const page of memory.list(prefix, options)) {
        yield page.map((object) => (object.key.endsWith('/link') ? change(object) : object));
      }
    },
  };
}

const textOf = (memory: MemoryDriver, key: string) => Buffer.from(memory.objects.get(key) ?? []).toString();

/** The folder of a blob's first two digits. */
const shardOf = (digest: string) => `docker/registry/v2/blobs/sha256/${digest.slice(7, 9)}/`;

/** The builder's uploads say that they began on the 2nd of January. */
const JUST_AFTER_UPLOADS_MS = Date.parse('2024-01-03T00:00:00Z');

function build(broken: Broken | undefined): { healthy: Healthy } {
  const healthy = healthyRegistry();
  broken?.damage(healthy);
  return { healthy };
}

async function expectFindings(broken: Broken): Promise<void> {
  const { healthy } = build(broken);
  const memory = await memoryOf(healthy.registry);
  const driver = broken.store === undefined ? memory : { ...memory, name: broken.store };
  const checked = await observe(driver, broken.readData === true ? { readData: wholeData } : {});
  const expected = [...broken.findings(healthy)].sort(byCodeAndPath);
  expect(shortForm(checked, expected)).toEqual(expected);
  expect(notPullable(checked)).toEqual(broken.notPullable ?? []);
  expect(checked.verdict).toBe(verdictOf(expected));
}

/** Tags are compared where the fixture names them. */
function shortForm({ all }: Observed, expected: readonly Expected[]): Expected[] {
  return all.map(({ code, severity, paths, tags }, index): Expected => {
    const path = paths[0] ?? '';
    return expected[index]?.[3] === undefined ? [code, severity, path] : [code, severity, path, tags];
  });
}

function verdictOf(expected: readonly Expected[]): Observed['verdict'] {
  const severities = new Set(expected.map(([, severity]) => severity));
  if (severities.has('error')) {
    return 'broken';
  }
  return severities.has('warning') ? 'warnings' : 'healthy';
}

function byCodeAndPath(left: Expected, right: Expected): number {
  const [a, b] = [`${left[0]} ${left[2]}`, `${right[0]} ${right[2]}`];
  return a < b ? -1 : Number(a > b);
}

async function memoryOf(registry: RegistryBuilder) {
  return openMemory({ objects: registry.objects, pageSize: 7 });
}

function blobOf(digest = ''): string {
  const hex = digest.slice('sha256:'.length);
  return `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
}

function revision(digest: string): string {
  return `${SHOP}/_manifests/revisions/${digest.replace(':', '/')}/link`;
}
