import { describe, expect, test } from 'vitest';
import { blobKey, currentKey, indexKey, layerKey, lockfileKey, revisionKey } from '../../fixtures/keys.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { sampleRegistry } from '../../fixtures/sample-registry.ts';
import type { Driver, ObjectStat } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { type MemoryDriver, openMemory } from '../../src/drivers/memory.ts';
import { silentObserver } from '../../src/operations/observer.ts';
import { sampleRank } from '../../src/operations/sample.ts';
import { verify, type VerifyOptions } from '../../src/operations/verify.ts';
import type { VerifyRecord } from '../../src/operations/verify/records.ts';
import { digestOf } from '../support/images.ts';

const ALL = { subset: { percent: 100 }, seed: 1 };

/** Runs a verification and keeps what it reported, in the order of keys. */
async function run(source: Driver, target: Driver, options: Partial<VerifyOptions> = {}) {
  const records: VerifyRecord[] = [];
  const result = await verify(source, target, {
    readData: undefined,
    concurrency: 8,
    observer: {
      ...silentObserver,
      record: async (record) => {
        records.push(record);
      },
    },
    ...options,
  });
  records.sort((a, b) => (a.key < b.key ? -1 : 1));
  return { ...result, records };
}

/** Two images in one repository, in two equal stores. */
function twoStores() {
  const registry = new RegistryBuilder({ seed: 'verify' });
  const first = registry.push('shop/web', '1.0', registry.image());
  const second = registry.push('shop/web', '2.0', registry.image());
  registry.lockfile('filesystem-in-use');
  const source = openMemory({ objects: registry.objects, pageSize: 3 });
  const target = openMemory({ objects: registry.objects, pageSize: 4 });
  return { registry, first, second, source, target };
}

function problemsOf(records: VerifyRecord[]): Record<string, string> {
  return Object.fromEntries(
    records.map((record) => [record.key, record.type === 'unread' ? record.side : record.problem]),
  );
}

const bytesOf = (text: string) => Buffer.from(text);

/** A store whose listings tell no MD5, as a filesystem's, and when each object was written. */
function plainStore(
  driver: MemoryDriver,
  writtenAtMs: (key: string) => number | undefined = () => 0,
): Driver {
  const plain = ({ key, sizeBytes }: ObjectStat): ObjectStat => ({
    key,
    sizeBytes,
    modifiedAtMs: writtenAtMs(key),
  });
  return {
    ...driver,
    async *list(prefix, options) {
      for await (const page of driver.list(prefix, options)) {
        yield page.map(plain);
      }
    },
    async listFolder(folder, options) {
      const { folders, objects } = await driver.listFolder(folder, options);
      return { folders, objects: objects.map(plain) };
    },
    async stat(key, options) {
      const stat = await driver.stat(key, options);
      return stat === undefined ? undefined : plain(stat);
    },
  };
}

/** Fails with this error whatever `fails` says. */
function failing(
  driver: Driver,
  fails: (operation: 'list' | 'read' | 'stat', key: string) => boolean,
  code: ConstructorParameters<typeof DriverError>[0] = 'UNAVAILABLE',
): Driver {
  const check = (operation: 'list' | 'read' | 'stat', key: string) => {
    if (fails(operation, key)) {
      throw new DriverError(code, 'The store says 503.', { driver: 'memory', operation, key });
    }
  };
  return {
    ...driver,
    async *list(prefix, options) {
      for await (const page of driver.list(prefix, options)) {
        check('list', prefix);
        yield page;
      }
    },
    async *read(key, options) {
      check('read', key);
      yield* driver.read(key, options);
    },
    async readSmall(key, maxBytes, options) {
      check('read', key);
      return driver.readSmall(key, maxBytes, options);
    },
    async stat(key, options) {
      check('stat', key);
      return driver.stat(key, options);
    },
  };
}

describe('equal stores', () => {
  test('are verified, with everything read', async () => {
    const { registry } = sampleRegistry({ largeLayerBytes: 100_000 });
    const source = openMemory({ objects: registry.objects, pageSize: 7 });
    const target = openMemory({ objects: registry.objects, pageSize: 9 });
    const { verdict, records, readData, counts } = await run(source, target, { readData: ALL });
    expect({ verdict, records }).toEqual({ verdict: 'verified', records: [] });
    const blobs = [...registry.objects].filter(([key]) => key.includes('/blobs/'));
    expect(readData).toMatchObject({
      blobs: blobs.length,
      bytes: blobs.reduce((sum, [, { length }]) => sum + length, 0),
      byStore: 0,
    });
    expect(counts.source).toEqual(counts.target);
    expect(counts.source['tag-current']?.objects).toBe(registry.tags().length);
  });

  test('are verified where no listing tells an MD5, an alias under SHA-512 among the links', async () => {
    const { registry } = sampleRegistry({ largeLayerBytes: 1000 });
    const source = plainStore(openMemory({ objects: registry.objects }));
    const target = plainStore(openMemory({ objects: registry.objects }));
    expect(await run(source, target, { readData: ALL })).toMatchObject({ verdict: 'verified', settled: 0 });
    // The target's listing tells MD5s, and that of the alias is not that of its name.
    const telling = openMemory({ objects: registry.objects });
    expect(await run(source, telling)).toMatchObject({ verdict: 'verified', settled: 0, records: [] });
  });

  test('are counted with what is no content apart, which makes no difference', async () => {
    const { registry, source, target } = twoStores();
    const content = registry.objects.size;
    registry.upload('shop/web');
    registry.foreign('docker/registry/v2/notes.txt');
    registry.foreign('docker/registry/old/a/b');
    registry.foreign('backup/of/something');
    for (const [key, bytes] of registry.objects) {
      source.objects.set(key, bytes);
    }
    target.objects.set('docker/registry/v2/', bytesOf(''));
    target.objects.set('docker/registry/v2/repositories/shop/', bytesOf(''));
    const result = await run(source, target);
    expect(result).toMatchObject({
      verdict: 'verified',
      records: [],
      counts: { source: { upload: { objects: 4 }, foreign: { objects: 2 } }, target: {} },
      foreignFolders: [{ folder: 'backup/', inSource: true, inTarget: false }],
    });
    expect(result.counts.target['directory-marker']?.objects).toBe(2);
    const held = [
      'blob-data',
      'layer-link',
      'revision-link',
      'tag-index',
      'tag-current',
      'lockfile',
    ] as const;
    const sum = held.reduce((total, kind) => total + (result.counts.target[kind]?.objects ?? 0), 0);
    expect(sum).toBe(content);
  });
});

describe('names', () => {
  test('what is missing at the target, of every kind', async () => {
    const { first, source, target } = twoStores();
    const keys = [
      blobKey(first.digest),
      lockfileKey('filesystem-in-use'),
      revisionKey('shop/web', first.digest),
      currentKey('shop/web', '1.0'),
      indexKey('shop/web', '1.0', first.digest),
    ];
    await target.delete(keys);
    const { verdict, records, differencesBy } = await run(source, target);
    expect(verdict).toBe('different');
    expect(records.map(({ key }) => key)).toEqual(keys.toSorted());
    expect(records).toContainEqual({
      type: 'difference',
      problem: 'missing',
      kind: 'tag-current',
      key: currentKey('shop/web', '1.0'),
      repository: 'shop/web',
      tag: '1.0',
      sourceSizeBytes: 71,
    });
    expect(differencesBy).toEqual({
      missing: { 'blob-data': 1, lockfile: 1, 'revision-link': 1, 'tag-current': 1, 'tag-index': 1 },
    });
  });

  test('what is extra at the target', async () => {
    const { registry, source, target } = twoStores();
    const digest = registry.blob('shop/gone', bytesOf('only at the target'));
    target.objects.set(blobKey(digest), bytesOf('only at the target'));
    target.objects.set(layerKey('shop/gone', digest), bytesOf(digest));
    const { verdict, records } = await run(source, target);
    expect(verdict).toBe('different');
    expect(records).toMatchObject([
      { problem: 'extra', kind: 'blob-data', targetSizeBytes: 18 },
      { problem: 'extra', kind: 'layer-link', repository: 'shop/gone' },
    ]);
  });

  test('a tag that stands for something else, with both digests', async () => {
    const { first, second, source, target } = twoStores();
    target.objects.set(currentKey('shop/web', '2.0'), bytesOf(first.digest));
    const expected = {
      problem: 'content',
      repository: 'shop/web',
      tag: '2.0',
      sourceDigest: second.digest,
      targetDigest: first.digest,
    };
    expect((await run(source, target)).records).toMatchObject([expected]);
    expect((await run(plainStore(source), plainStore(target))).records).toMatchObject([expected]);
  });

  test('a truncated blob and an empty tag, by their sizes', async () => {
    const { first, second, source, target } = twoStores();
    target.objects.set(blobKey(first.digest), first.manifestBytes.subarray(0, 10));
    target.objects.set(currentKey('shop/web', '2.0'), bytesOf(''));
    const { records } = await run(source, target);
    expect(records).toMatchObject([
      { problem: 'size', sourceSizeBytes: first.manifestBytes.length, targetSizeBytes: 10 },
      { problem: 'size', tag: '2.0', targetSizeBytes: 0, sourceDigest: second.digest },
    ]);
    expect(records[1]).not.toHaveProperty('targetDigest');
    expect((await run(plainStore(source), plainStore(target))).records).toEqual(records);
  });

  test('a link that says something else, where the listing tells the MD5 of what it says', async () => {
    const { first, second, source, target } = twoStores();
    const key = revisionKey('shop/web', first.digest);
    target.objects.set(key, bytesOf(second.digest));
    expect((await run(plainStore(source), target)).records).toMatchObject([
      { problem: 'content', key, sourceDigest: first.digest, targetDigest: second.digest },
    ]);
  });

  test('such a link where no listing tells, when data is read', async () => {
    const { first, second, source, target } = twoStores();
    target.objects.set(revisionKey('shop/web', first.digest), bytesOf(second.digest));
    const stores = [plainStore(source), plainStore(target)] as const;
    expect((await run(...stores, { readData: ALL })).records).toMatchObject([{ problem: 'content' }]);
  });

  test('another lockfile', async () => {
    const { source, target } = twoStores();
    target.objects.set(lockfileKey('filesystem-in-use'), bytesOf('{"version":2}'));
    expect((await run(source, target)).records).toMatchObject([{ problem: 'content', kind: 'lockfile' }]);
  });

  test('the first fifty, tags first, and reports all of them', async () => {
    const registry = new RegistryBuilder({ seed: 'many' });
    for (let tag = 0; tag < 30; tag += 1) {
      registry.push(`many/r${tag % 3}`, `v${tag}`, registry.image({ layers: 1, layerBytes: 10 }));
    }
    const source = openMemory({ objects: registry.objects });
    const { differences, records, targetIsRegistry } = await run(source, openMemory());
    expect(targetIsRegistry).toBe(false);
    expect(differences.total).toBe(registry.objects.size);
    expect(records.map(({ key }) => key)).toEqual([...registry.objects.keys()].sort());
    expect(differences.first).toHaveLength(50);
    expect(new Set(differences.first.slice(0, 30).map(({ kind }) => kind))).toEqual(new Set(['tag-current']));
  });
});

describe('tags whose content the listing tells', () => {
  const isTag = (key: string) => key.endsWith('/current/link');

  /** As a folder does: content where it is asked for, and no MD5. */
  function contentStore(driver: MemoryDriver): Driver {
    const plain = plainStore(driver);
    return {
      ...plain,
      async *list(prefix, options = {}) {
        const { content: wanted } = options;
        for await (const page of plain.list(prefix, options)) {
          yield page.map((object) => {
            const bytes = driver.objects.get(object.key);
            return bytes !== undefined && wanted !== undefined && object.key.endsWith(wanted.ending)
              ? { ...object, content: Buffer.from(bytes).toString('latin1') }
              : object;
          });
        }
      },
    };
  }

  test.each([
    ['from one that tells content to one that tells MD5s', contentStore, (driver: MemoryDriver) => driver],
    ['between two that tell content', contentStore, contentStore],
  ])('are not read where they are the same, %s', async (_, sourceOf, targetOf) => {
    const { source, target } = twoStores();
    const unreadable = (driver: Driver) => failing(driver, (call, key) => call === 'read' && isTag(key));
    const stores = [unreadable(sourceOf(source)), unreadable(targetOf(target))] as const;
    expect(await run(...stores)).toMatchObject({ verdict: 'verified', records: [] });
  });

  test('are read before they are called different', async () => {
    const { first, second, source, target } = twoStores();
    const key = currentKey('shop/web', '2.0');
    target.objects.set(key, bytesOf(first.digest));
    expect((await run(contentStore(source), contentStore(target))).records).toMatchObject([
      { problem: 'content', key, sourceDigest: second.digest, targetDigest: first.digest },
    ]);
    const changing: Driver = {
      ...contentStore(target),
      async readSmall(asked, maxBytes, options) {
        target.objects.set(key, bytesOf(second.digest));
        return target.readSmall(asked, maxBytes, options);
      },
    };
    expect(await run(contentStore(source), changing)).toMatchObject({ verdict: 'verified', records: [] });
  });
});

describe('reading data', () => {
  const damage = (bytes: Uint8Array) => bytes.map((byte, index) => (index === 0 ? byte + 1 : byte));

  test('finds what is corrupt at the target', async () => {
    const { first, source, target } = twoStores();
    const damaged = damage(first.manifestBytes);
    target.objects.set(blobKey(first.digest), damaged);
    expect(await run(plainStore(source), target)).toMatchObject({ verdict: 'verified' });
    const { verdict, records } = await run(plainStore(source), target, { readData: ALL });
    expect(verdict).toBe('different');
    expect(records).toEqual([
      {
        type: 'difference',
        problem: 'corrupt-at-target',
        kind: 'blob-data',
        key: blobKey(first.digest),
        sourceSizeBytes: damaged.length,
        targetSizeBytes: damaged.length,
        sourceDigest: first.digest,
        targetDigest: digestOf(damaged),
      },
    ]);
  });

  test('tells it from what is corrupt at the source already', async () => {
    const { first, source, target } = twoStores();
    const damaged = damage(first.manifestBytes);
    for (const store of [source, target]) {
      store.objects.set(blobKey(first.digest), damaged);
    }
    expect((await run(source, target, { readData: ALL })).records).toMatchObject([
      { problem: 'corrupt-at-both', sourceDigest: digestOf(damaged), targetDigest: digestOf(damaged) },
    ]);
  });

  test('tells whose fault another size is', async () => {
    const { first, second, source, target } = twoStores();
    source.objects.set(blobKey(first.digest), first.manifestBytes.subarray(1));
    target.objects.set(blobKey(second.digest), second.manifestBytes.subarray(1));
    const { records } = await run(source, target, { readData: ALL });
    expect(records).toHaveLength(2);
    expect(problemsOf(records)).toEqual({
      [blobKey(first.digest)]: 'corrupt-at-source',
      [blobKey(second.digest)]: 'corrupt-at-target',
    });
  });

  test('finds corrupt blobs without being asked where both listings tell MD5s', async () => {
    const { first, second, source, target } = twoStores();
    source.objects.set(blobKey(first.digest), damage(first.manifestBytes));
    target.objects.set(blobKey(second.digest), damage(second.manifestBytes));
    const { records } = await run(source, target);
    expect(problemsOf(records)).toEqual({
      [blobKey(first.digest)]: 'corrupt-at-source',
      [blobKey(second.digest)]: 'corrupt-at-target',
    });
  });

  test('says that the source does not have a blob that is corrupt and extra', async () => {
    const { first, source, target } = twoStores();
    await source.delete([blobKey(first.digest)]);
    target.objects.set(blobKey(first.digest), damage(first.manifestBytes));
    const { records } = await run(source, target, { readData: ALL });
    expect(records).toContainEqual(
      expect.objectContaining({
        problem: 'corrupt-at-target',
        reason: 'The source does not have this blob.',
      }),
    );
    expect(records).toContainEqual(expect.objectContaining({ problem: 'extra' }));
  });

  test('reads the same sample for the same seed, and only that', async () => {
    const registry = new RegistryBuilder({ seed: 'sampled' });
    const digests = Array.from({ length: 200 }, (_, blob) => registry.blob('big', bytesOf(`blob ${blob}`)));
    registry.push('big', 'v1', registry.image({ layers: 0 }));
    const source = openMemory({ objects: registry.objects });
    const target = openMemory({ objects: registry.objects });
    for (const digest of digests) {
      target.objects.set(blobKey(digest), bytesOf(`bl0b ${digest}`).subarray(0, 8));
      source.objects.set(blobKey(digest), bytesOf('whatever').subarray(0, 8));
    }
    const readData = { subset: { percent: 30 }, seed: 99 };
    const { records, readData: read } = await run(plainStore(source), plainStore(target), { readData });
    const chosen = digests.filter((digest) => sampleRank(digest, 99) < 0.3);
    const blobs = records.filter((record) => 'kind' in record && record.kind === 'blob-data');
    expect(blobs.map(({ key }) => key)).toEqual(chosen.map((digest) => blobKey(digest)).sort());
    expect(read).toMatchObject({ seed: 99, subset: { percent: 30 } });
    expect(read?.blobs).toBe(read?.chosen.blobs);
  });

  test('takes the SHA-256 that a store keeps instead of the bytes', async () => {
    const { first, source, target } = twoStores();
    const reads: string[] = [];
    const keeping: Driver = {
      ...failing(target, (operation, key) => {
        if (operation === 'read' && key.includes('/blobs/')) {
          reads.push(key);
        }
        return false;
      }),
      async stat(key) {
        const stat = await target.stat(key);
        const bytes = target.objects.get(key) ?? new Uint8Array();
        return stat === undefined ? undefined : { ...stat, sha256: digestOf(bytes).slice('sha256:'.length) };
      },
    };
    const equal = await run(plainStore(source), keeping, { readData: ALL });
    expect(equal.verdict).toBe('verified');
    expect(equal.readData?.byStore).toBe(equal.readData?.blobs);
    target.objects.set(blobKey(first.digest), damage(first.manifestBytes));
    const { records } = await run(plainStore(source), keeping, { readData: ALL });
    expect(records).toMatchObject([{ problem: 'corrupt-at-target' }]);
    expect(reads).toEqual([]);
  });

  test.each([100, 100_000])('begins a blob of %d bytes anew whose connection broke', async (sizeBytes) => {
    const { source, target } = twoStores();
    const content = Buffer.alloc(sizeBytes, 7);
    const wanted = blobKey(digestOf(content));
    for (const { objects } of [source, target]) {
      objects.set(wanted, content);
    }
    let breaks = 0;
    const breakOnce = (key: string): void => {
      if (key === wanted && breaks === 0) {
        breaks += 1;
        throw new DriverError('UNAVAILABLE', 'reset', { driver: 'memory', operation: 'read', key });
      }
    };
    const flaky: Driver = {
      ...target,
      async *read(key, options) {
        const bytes = await target.readSmall(key, 1_000_000, options);
        yield bytes.subarray(0, 5);
        breakOnce(key);
        yield bytes.subarray(5);
      },
      async readSmall(key, maxBytes, options) {
        const bytes = await target.readSmall(key, maxBytes, options);
        breakOnce(key);
        return bytes;
      },
    };
    const { verdict } = await run(plainStore(source), flaky, { readData: ALL });
    expect(verdict).toBe('verified');
    expect(breaks).toBe(1);
  });
});

describe('a store whose listing tells something else in the form of an MD5', () => {
  test.each([undefined, ALL])('is not believed', async (readData) => {
    const { first, source, target } = twoStores();
    const lie = (stat: ObjectStat): ObjectStat => ({ ...stat, md5: 'ab'.repeat(16) });
    const encrypted: Driver = {
      ...target,
      async *list(prefix, options) {
        for await (const page of target.list(prefix, options)) {
          yield page.map(lie);
        }
      },
      async stat(key) {
        const stat = await target.stat(key);
        return stat === undefined ? undefined : lie(stat);
      },
    };
    expect(await run(source, encrypted, { readData })).toMatchObject({ verdict: 'verified', records: [] });
    expect(await run(plainStore(source), encrypted, { readData })).toMatchObject({ verdict: 'verified' });
    target.objects.set(currentKey('shop/web', '2.0'), bytesOf(first.digest));
    expect((await run(source, encrypted, { readData })).records).toMatchObject([{ tag: '2.0' }]);
  });
});

test('a listing that is caught with a false MD5 is not asked about links again', async () => {
  const { source, target } = twoStores();
  const links: string[] = [];
  const watched = failing(target, (operation, key) => {
    if (operation === 'read' && /_layers|revisions|index/.test(key)) {
      links.push(key);
    }
    return false;
  });
  const encrypted: Driver = {
    ...watched,
    async *list(prefix, options) {
      for await (const page of target.list(prefix, options)) {
        yield page.map((stat) => ({ ...stat, md5: 'ab'.repeat(16) }));
      }
    },
  };
  expect(await run(plainStore(source), encrypted, { concurrency: 1 })).toMatchObject({ verdict: 'verified' });
  expect(links).toHaveLength(1);
});

describe('a source that takes pushes', () => {
  const START = 1_000_000;
  /** A clock that is a second further with each look. */
  const clock = () => {
    let timeMs = START - 1000;
    return () => (timeMs += 1000);
  };

  test('names what is newer than the start, and calls it no difference', async () => {
    const { registry, source, target } = twoStores();
    const before = new Set(registry.objects.keys());
    registry.push('shop/new', '3.0', registry.image());
    for (const [key, bytes] of registry.objects) {
      source.objects.set(key, bytes);
    }
    const live = plainStore(source, (key) => (before.has(key) ? START - 1 : START + 1));
    const { verdict, newer, records, differences } = await run(live, target, { now: clock() });
    expect({ verdict, differences: differences.total }).toEqual({ verdict: 'verified', differences: 0 });
    const added = [...registry.objects.keys()].filter((key) => !before.has(key));
    expect(records.map(({ type, key }) => ({ type, key }))).toEqual(
      added.toSorted().map((key) => ({ type: 'newer', key })),
    );
    expect(newer.total).toBe(added.length);
  });

  test('does not take what was there before the start, or what is from the future, for newer', async () => {
    const { source, target } = twoStores();
    const [old, future] = [currentKey('shop/web', '1.0'), currentKey('shop/web', '2.0')];
    await target.delete([old, future]);
    const live = plainStore(source, (key) => (key === future ? START * 1000 : START - 1));
    const { verdict, records } = await run(live, target, { now: clock() });
    expect(verdict).toBe('different');
    expect(records.map(({ type, key }) => [type, key])).toEqual([
      ['difference', old],
      ['difference', future],
    ]);
  });

  test('names a tag that is moved between two looks as newer, without any clock', async () => {
    const { first, registry, source, target } = twoStores();
    const third = registry.image();
    const key = currentKey('shop/web', '2.0');
    target.objects.set(key, bytesOf(first.digest));
    let looks = 0;
    // Its clock is far behind, so that only its own times are compared.
    const plain = plainStore(source, () => START / 2 + looks);
    const live: Driver = {
      ...plain,
      async stat(statKey) {
        if (statKey === key) {
          looks += 1;
          source.objects.set(key, bytesOf(third.digest));
        }
        return plain.stat(statKey);
      },
    };
    const { verdict, records } = await run(live, target);
    expect(looks).toBe(1);
    expect(verdict).toBe('verified');
    expect(records).toMatchObject([{ type: 'newer', problem: 'content', tag: '2.0' }]);
  });

  test('names what is deleted at the source meanwhile as newer', async () => {
    const { source, target } = twoStores();
    const key = currentKey('shop/web', '1.0');
    await target.delete([key]);
    const live: Driver = {
      ...source,
      async stat(statKey) {
        if (statKey === key) {
          source.objects.delete(key);
        }
        return source.stat(statKey);
      },
    };
    expect(await run(live, target)).toMatchObject({
      verdict: 'verified',
      records: [{ type: 'newer', problem: 'deleted', tag: '1.0' }],
    });
  });

  test('does not take for deleted what the source lists and says that it does not have', async () => {
    const { source, target } = twoStores();
    const key = currentKey('shop/web', '1.0');
    await target.delete([key]);
    const stale: Driver = { ...source, stat: async (k) => (k === key ? undefined : source.stat(k)) };
    expect(await run(stale, target)).toMatchObject({
      verdict: 'incomplete',
      records: [{ type: 'unread', side: 'source', key }],
    });
  });

  test('drops what a migration brings over meanwhile', async () => {
    const { source, target } = twoStores();
    const key = currentKey('shop/web', '1.0');
    const bytes = target.objects.get(key) ?? new Uint8Array();
    await target.delete([key]);
    const filling: Driver = {
      ...target,
      async stat(k) {
        if (k === key) {
          target.objects.set(key, bytes);
        }
        return target.stat(k);
      },
    };
    expect(await run(source, filling)).toMatchObject({ verdict: 'verified', records: [], settled: 1 });
  });

  test('drops what looked extra because it was pushed and copied between the two listings', async () => {
    const { source, target } = twoStores();
    const key = currentKey('shop/web', '1.0');
    const listing: Driver = {
      ...source,
      async *list(prefix, options) {
        for await (const page of source.list(prefix, options)) {
          yield page.filter((stat) => stat.key !== key);
        }
      },
    };
    expect(await run(listing, target)).toMatchObject({ verdict: 'verified', settled: 1 });
  });
});

describe('a part that cannot be read', () => {
  test('is named, and then nothing is proved, whatever the rest is', async () => {
    const { first, source, target } = twoStores();
    const prefix = blobKey(first.digest).slice(0, blobKey(first.digest).indexOf(first.digest.slice(7)));
    const half = failing(target, (operation, key) => operation === 'list' && key === prefix);
    const { verdict, records, unread } = await run(source, half);
    expect(verdict).toBe('incomplete');
    expect(unread.total).toBe(1);
    expect(records).toEqual([
      { type: 'unread', side: 'target', key: prefix, message: 'The store says 503.' },
    ]);
  });

  test('does not hide differences elsewhere', async () => {
    const { source, target } = twoStores();
    await target.delete([currentKey('shop/web', '1.0')]);
    const half = failing(source, (operation, key) => operation === 'list' && key.includes('/blobs/'));
    const { verdict, unread, differences } = await run(half, target);
    expect(verdict).toBe('incomplete');
    expect(unread.first.every(({ side }) => side === 'source')).toBe(true);
    expect(differences.first).toMatchObject([{ problem: 'missing', tag: '1.0' }]);
  });

  test.each([['source'], ['target']] as const)('may be a tag at the %s', async (side) => {
    const { source, target } = twoStores();
    const key = currentKey('shop/web', '1.0');
    const stores = { source: plainStore(source), target: plainStore(target) };
    stores[side] = failing(stores[side], (operation, k) => operation === 'read' && k === key);
    expect(await run(stores.source, stores.target)).toMatchObject({
      verdict: 'incomplete',
      records: [{ type: 'unread', side, key }],
    });
  });

  test('may be a blob', async () => {
    const { first, source, target } = twoStores();
    const key = blobKey(first.digest);
    const half = failing(target, (operation, k) => operation === 'read' && k === key, 'PERMISSION_DENIED');
    expect(await run(source, half, { readData: ALL })).toMatchObject({
      verdict: 'incomplete',
      records: [{ type: 'unread', side: 'target', key }],
    });
  });

  test('may be what is looked at again', async () => {
    const { source, target } = twoStores();
    const key = currentKey('shop/web', '1.0');
    await target.delete([key]);
    const half = failing(source, (operation, k) => operation === 'stat' && k === key);
    expect(await run(half, target)).toMatchObject({
      verdict: 'incomplete',
      differences: { total: 0 },
      records: [{ type: 'unread', side: 'source', key }],
    });
  });

  test('ends the verification when it is the store itself', async () => {
    const { source, target } = twoStores();
    const gone = failing(target, (operation) => operation === 'list', 'STORE_NOT_FOUND');
    await expect(run(source, gone)).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' });
  });

  test('ends the verification when nothing answers any more', async () => {
    const registry = new RegistryBuilder({ seed: 'away' });
    for (let blob = 0; blob < 200; blob += 1) {
      registry.blob('big', bytesOf(`blob ${blob}`));
    }
    const source = openMemory({ objects: registry.objects });
    let isAway = false;
    const away = failing(openMemory({ objects: registry.objects }), (operation) => {
      isAway ||= operation === 'read';
      return isAway;
    });
    await expect(run(source, away, { readData: ALL })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('is no excuse for going on when interrupted', async () => {
    const { source, target } = twoStores();
    const signal = AbortSignal.abort();
    await expect(run(source, target, { signal })).rejects.toMatchObject({ code: 'ABORTED' });
  });
});

describe('refuses', () => {
  test('a store to compare with itself', async () => {
    const { source } = twoStores();
    await expect(run(source, source)).rejects.toMatchObject({ code: 'STORES_OVERLAP' });
  });

  test('a source that is no registry', async () => {
    const { target } = twoStores();
    await expect(run(openMemory({ objects: [['x/y', 'z']] }), target)).rejects.toMatchObject({
      code: 'NOT_A_REGISTRY',
    });
  });

  test('a source without content', async () => {
    const objects = [
      ['docker/registry/v2/blobs/sha256/', ''],
      ['docker/registry/v2/repositories/a/', ''],
    ] as const;
    await expect(run(openMemory({ objects }), openMemory({ objects }))).rejects.toMatchObject({
      code: 'SOURCE_EMPTY',
    });
  });
});

test.each([
  ['as many as calls', 4, 4],
  ['sixteen at most', 64, 16],
])('holds one page for each listing, %s, and differences on disk', async (_, concurrency, mostPages) => {
  const { registry, source, target } = twoStores();
  const repositories = 60;
  const linksEach = 1000;
  const pageSize = 500;
  let pages = 0;
  let pulledAhead = 0;
  /** Makes up links as they are asked for: the source is large only while it is listed. */
  const large: Driver = {
    ...source,
    async listFolder(folder, options) {
      const listing = await source.listFolder(folder, options);
      const own = 'docker/registry/v2/repositories/';
      return folder === own
        ? {
            ...listing,
            folders: [
              ...Array.from(
                { length: repositories },
                (_, index) => `${own}big${String(index).padStart(3, '0')}/`,
              ),
              ...listing.folders,
            ],
          }
        : folder.startsWith(`${own}big`)
          ? { objects: [], folders: [`${folder}_layers/`] }
          : listing;
    },
    async *list(prefix, options) {
      if (!prefix.includes('/big')) {
        yield* source.list(prefix, options);
        return;
      }
      if (prefix.endsWith('/link')) {
        return;
      }
      for (let start = 0; start < linksEach; start += pageSize) {
        pages += 1;
        pulledAhead = Math.max(pulledAhead, pages);
        yield Array.from({ length: pageSize }, (_, index) => ({
          key: `${prefix}_layers/sha256/${(start + index).toString(16).padStart(64, '0')}/link`,
          sizeBytes: 71,
        }));
        pages -= 1;
      }
    },
  };
  let recorded = 0;
  const result = await verify(large, target, {
    readData: undefined,
    concurrency,
    looksMax: 100,
    observer: {
      ...silentObserver,
      record: async () => {
        recorded += 1;
      },
    },
  });
  const made = repositories * linksEach;
  expect(result.counts.source['layer-link']?.objects).toBe(
    made + [...registry.objects.keys()].filter((key) => key.includes('/_layers/')).length,
  );
  // A hundred are looked at again, and are gone by then, since they were never there.
  expect(result).toMatchObject({
    newer: { total: 100 },
    differences: { total: made - 100 },
    notLookedAgain: made - 100,
  });
  expect(recorded).toBe(made);
  expect(result.differences.first).toHaveLength(50);
  expect(pulledAhead).toBe(mostPages);
});
