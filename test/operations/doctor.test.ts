import { describe, expect, test } from 'vitest';
import { sampleRegistry } from '../../fixtures/sample-registry.ts';
import { presentDoctor } from '../../src/cli/present-doctor.ts';
import type { Driver, StoreSettings } from '../../src/drivers/driver.ts';
import { DriverError, type DriverErrorCode } from '../../src/drivers/errors.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import type {
  DeleteDialect,
  FolderFacts,
  ListDialect,
  StoreProbe,
  WriteProbe,
} from '../../src/drivers/probe.ts';
import { doctor, type DoctorOptions, type DoctorResult, type Patient } from '../../src/operations/doctor.ts';
import { evenly } from '../../src/operations/doctor/estimate.ts';
import { type Call, isMutation, withHooks } from '../support/hooked-driver.ts';
import { contentOf, memoryOf } from '../support/migrating.ts';

const GIB = 2 ** 30;
const sample = sampleRegistry({ largeLayerBytes: 20_000 }).registry.objects;

describe('a healthy registry', () => {
  test('fails in nothing, and nothing is written to it', async () => {
    const memory = memoryOf(sample);
    const calls: Call[] = [];
    const store = withHooks(memory, { before: (call) => void calls.push(call) });
    const result = await examine([patient('store', store)]);
    expect(result.verdict).toBe('healthy');
    expect(calls.filter(isMutation)).toEqual([]);
  });

  test('is counted, if it is small', async () => {
    const { stores } = await examine([patient('store', memoryOf(sample))]);
    const keys = [...sample.keys()];
    const blobs = keys.filter((key) => key.startsWith('docker/registry/v2/blobs/'));
    const bytes = blobs.reduce((sum, key) => sum + (sample.get(key)?.byteLength ?? 0), 0);
    expect(stores[0]?.content).toEqual({
      blobs: blobs.length,
      blobBytes: bytes,
      links: keys.filter((key) => /^docker\/registry\/v2\/repositories\/.*\/link$/.test(key)).length,
      isExact: true,
      isAtLeast: false,
    });
  });
});

test('uploads and temporary files are not counted: a migration leaves them', async () => {
  const upload = 'docker/registry/v2/repositories/app/_uploads/01234567-89ab-4abc-8abc-0123456789ab';
  const others = new Map([
    [`${upload}/data`, Buffer.alloc(5000)],
    [`${upload}/startedat`, Buffer.from('2024-01-02T15:04:05Z')],
    [`docker/registry/v2/blobs/sha256/ab/${'ab'.repeat(32)}/data.regtool.tmp`, Buffer.alloc(7000)],
  ]);
  const registry = uniformBlobs({ shards: 1, blobsInEach: 3, bytes: 10 });
  const source = memoryOf(new Map([...registry, ...someLink, ...others]));
  const { stores, passes } = await examine([patient('source', source), patient('target', openMemory())]);
  expect(stores[0]?.content).toMatchObject({ blobs: 3, blobBytes: 30, links: 1, isExact: true });
  expect(passes).toMatchObject({ objects: 4, blobBytes: 30 });
});

describe('the write probe', () => {
  test('leaves nothing, and stays outside docker/', async () => {
    const memory = memoryOf(sample);
    const before = contentOf(memory.objects);
    const touched: string[] = [];
    const store = withHooks(memory, {
      before: (call) => void (isMutation(call) && touched.push(...call.key.split(' '))),
    });
    const result = await examine([patient('target', store)], { writeProbe: true });
    expect(statusOf(result, 'put')).toBe('ok');
    expect(statusOf(result, 'copy')).toBe('ok');
    expect(statusOf(result, 'delete')).toBe('ok');
    expect(touched.length).toBeGreaterThan(0);
    expect(touched.filter((key) => !/^regtool-probe-[0-9a-f-]{36}\/./.test(key))).toEqual([]);
    expect(contentOf(memory.objects)).toEqual(before);
  });

  test('is not made at a source', async () => {
    const calls: Call[] = [];
    const source = withHooks(memoryOf(sample), { before: (call) => void calls.push(call) });
    await examine([patient('source', source), patient('target', openMemory())], { writeProbe: true });
    expect(calls.filter(isMutation)).toEqual([]);
  });

  test.each([1, 2, 5, 30, 66])('tidies up when it is interrupted after write %i', async (writes) => {
    const memory = memoryOf(sample);
    const before = contentOf(memory.objects);
    const controller = new AbortController();
    let count = 0;
    const store = withHooks(memory, {
      after: ({ operation }) => {
        count += operation === 'write' ? 1 : 0;
        if (count === writes) {
          controller.abort();
        }
      },
    });
    const result = examine([patient('store', store)], { writeProbe: true, signal: controller.signal });
    await expect(result).rejects.toMatchObject({ code: 'ABORTED' });
    expect(contentOf(memory.objects)).toEqual(before);
  });

  test('says what to remove by hand when nothing can be deleted', async () => {
    const store = refusing(['delete']);
    const result = await examine([patient('store', store)], { writeProbe: true });
    expect(check(result, 'delete')).toMatchObject({
      status: 'failed',
      advice: expect.stringContaining('s3:DeleteObject'),
    });
    expect(check(result, 'clean-up')?.advice).toMatch(/Remove everything below "regtool-probe-[0-9a-f-]+\/"/);
  });

  test('says so, too, when it was interrupted', async () => {
    const controller = new AbortController();
    const notices: string[] = [];
    const store = refusing(['delete'], { onWrite: () => controller.abort() });
    const observer = { phase() {}, notice: (sentence: string) => void notices.push(sentence) };
    const result = examine([patient('store', store)], {
      writeProbe: true,
      signal: controller.signal,
      observer,
    });
    await expect(result).rejects.toMatchObject({ code: 'ABORTED' });
    expect(notices.join()).toContain('regtool-probe-');
  });

  test('notices bytes that come back changed', async () => {
    const memory = openMemory();
    const store: Driver = {
      ...memory,
      readSmall: async (key, maxBytes, options) =>
        (await memory.readSmall(key, maxBytes, options)).map((byte) => byte ^ 1),
    };
    const result = await examine([patient('store', store)], { writeProbe: true });
    expect(statusOf(result, 'get')).toBe('failed');
  });
});

describe('a missing right is named by itself', () => {
  test.each([
    ['listFolder', 'list', 's3:ListBucket'],
    ['stat', 'head', 's3:GetObject'],
    ['readSmall', 'get', 's3:GetObject'],
    ['write', 'put', 's3:PutObject'],
    ['copyFrom', 'copy', 's3:PutObject'],
    ['delete', 'delete', 's3:DeleteObject'],
  ] as const)('%s', async (operation, name, right) => {
    const result = await examine([patient('store', refusing([operation]))], { writeProbe: true });
    expect(check(result, name)).toMatchObject({ status: 'failed', advice: expect.stringContaining(right) });
    expect(result.verdict).toBe('failed');
  });

  test('on Azure by the role', async () => {
    const store = { ...refusing(['write']), name: 'azure' };
    const result = await examine([patient('store', store)], { writeProbe: true });
    expect(check(result, 'put')?.advice).toContain('Storage Blob Data Contributor');
  });

  test('of a folder by the user, as it has no credentials', async () => {
    const store = { ...refusing(['listFolder', 'write']), name: 'filesystem' };
    const result = await examine([patient('store', store)], { writeProbe: true });
    expect(check(result, 'put')).toMatchObject({
      status: 'failed',
      finding: 'the user who runs regtool lacks the right to write to the folder and all below it',
    });
    expect(JSON.stringify(result.stores)).not.toContain('credentials');
  });

  test('parts and aborted uploads by the answers of the store', async () => {
    const store = withProbe({
      writes: {
        multipart: { unknown: 'no', missing: 's3:PutObject' },
        abort: { unknown: 'no', missing: 's3:AbortMultipartUpload' },
        listUploads: { value: true },
      },
    });
    const result = await examine([patient('store', store)], { writeProbe: true });
    expect(statusOf(result, 'multipart')).toBe('failed');
    expect(check(result, 'abort')?.advice).toContain('s3:AbortMultipartUpload');
    expect(statusOf(result, 'list-uploads')).toBe('ok');
  });
});

describe('how it ends', () => {
  test.each<DriverErrorCode>(['UNAVAILABLE', 'UNAUTHENTICATED', 'STORE_NOT_FOUND'])(
    'a store that answers %s is unreachable, and the other one is examined all the same',
    async (code) => {
      const source = refusing(['listFolder'], { code });
      const result = await examine([patient('source', source), patient('target', openMemory())]);
      expect(result.verdict).toBe('unreachable');
      expect(result.stores.map(({ isReachable }) => isReachable)).toEqual([false, true]);
      expect(result.stores[1]?.checks.length).toBeGreaterThan(3);
    },
  );

  test('a store that could not be opened is unreachable', async () => {
    const error = new DriverError('STORE_NOT_FOUND', 'There is no such folder.', {
      driver: 'filesystem',
      operation: 'open',
    });
    const result = await examine([{ role: 'store', location: '/nowhere', store: { error } }]);
    expect(result.verdict).toBe('unreachable');
    expect(check(result, 'reach')?.finding).toContain('There is no such folder.');
  });

  test('a source that is no registry', async () => {
    const result = await examine([patient('source', openMemory()), patient('target', openMemory())]);
    expect(result.verdict).toBe('not-a-registry');
  });

  test('a store without a registry is a warning, and a target without one is fine', async () => {
    expect(statusOf(await examine([patient('store', openMemory())]), 'root')).toBe('warning');
    const both = await examine([patient('source', memoryOf(sample)), patient('target', openMemory())]);
    expect(both.stores[1]?.checks.find(({ name }) => name === 'root')?.status).toBe('ok');
    expect(both.verdict).toBe('healthy');
  });

  test('source and target that are one store', async () => {
    const store = memoryOf(sample);
    const result = await examine([patient('source', store), patient('target', store)]);
    expect(result.pair).toContainEqual(expect.objectContaining({ name: 'pair', status: 'failed' }));
    expect(result.verdict).toBe('failed');
  });
});

describe('the state of the registry', () => {
  const database = 'docker/registry/lockfiles/database-in-use';
  const filesystem = 'docker/registry/lockfiles/filesystem-in-use';

  test.each([
    [[], 'warning', 'GitLab 19'],
    [[filesystem], 'ok', 'filesystem-in-use'],
    [[database], 'ok', 'database-in-use'],
    [[database, filesystem], 'failed', 'does not start'],
  ])('lockfiles %j', async (keys, status, words) => {
    const store = memoryOf(sample);
    for (const key of [database, filesystem]) {
      store.objects.delete(key);
    }
    for (const key of keys) {
      store.objects.set(key, Buffer.from('{"version":1}'));
    }
    const result = await examine([patient('store', store)]);
    const found = check(result, 'lockfiles');
    expect(found?.status).toBe(status);
    expect(`${found?.finding} ${found?.advice}`).toContain(words);
  });

  test('of both lockfiles one is to be removed', async () => {
    const store = memoryOf(sample);
    store.objects.set(database, Buffer.from('{"version":1}'));
    store.objects.set(filesystem, Buffer.from('{"version":1}'));
    expect(check(await examine([patient('store', store)]), 'lockfiles')?.advice).toMatch(
      /remove one of them by hand: filesystem-in-use if it did, database-in-use if it did not\.$/,
    );
  });

  test('a registry at another root is pointed to', async () => {
    const elsewhere = memoryOf(sample);
    const store: Driver = {
      ...openMemory(),
      otherRoots: [{ root: '/', setting: 'legacyrootprefix=true', ruledOut: false, open: () => elsewhere }],
    };
    const result = await examine([patient('source', memoryOf(sample)), patient('target', store)]);
    const root = result.stores[1]?.checks.find(({ name }) => name === 'root');
    expect(root).toMatchObject({
      status: 'warning',
      advice: expect.stringContaining('legacyrootprefix=true'),
    });
  });

  describe('a target without a registry at its root', () => {
    test.each([
      ['is the docker folder of one', moved(sample, '', 'docker/'), 'the folder "docker" inside one'],
      ['is docker/registry of one', moved(sample, '', 'docker/registry/'), '"docker/registry" inside one'],
      [
        'is its innermost folder',
        moved(sample, '', 'docker/registry/v2/'),
        '"docker/registry/v2" inside one',
      ],
      ['has one below it', moved(sample, 'archive/old/'), 'One is below "archive/old/"'],
    ])('is warned of when it %s', async (_, objects, words) => {
      const result = await examine([
        patient('source', memoryOf(sample)),
        patient('target', memoryOf(objects)),
      ]);
      expect(rootOf(result)).toMatchObject({ status: 'warning', advice: expect.stringContaining(words) });
      expect(result.verdict).toBe('healthy');
    });

    test('is warned of when it lies inside the folder of one', async () => {
      const target = { ...patient('target', openMemory()), openAbove: async () => memoryOf(sample) };
      const result = await examine([patient('source', memoryOf(sample)), target]);
      expect(rootOf(result)).toMatchObject({
        status: 'warning',
        advice: expect.stringMatching(/^One is at memory/),
      });
    });

    test.each([
      ['nothing', openMemory(), undefined],
      ['something else', memoryOf(other), undefined],
      ['something else, and so has what is above', memoryOf(other), memoryOf(other)],
      ['nothing, and what is above may not be listed', openMemory(), refusing(['listFolder'])],
    ])('is fine when it has %s', async (_, store, above) => {
      const target = { ...patient('target', store), openAbove: async () => above };
      const result = await examine([patient('source', memoryOf(sample)), target]);
      expect(rootOf(result)).toEqual({ name: 'root', status: 'ok', finding: NOTHING_YET, advice: undefined });
    });

    test('is fine when the registry nearby is the source', async () => {
      const source = memoryOf(sample);
      const target = { ...patient('target', openMemory()), openAbove: async () => source };
      expect(rootOf(await examine([patient('source', source), target]))?.status).toBe('ok');
    });

    test('is fine when a folder in it cannot be read', async () => {
      const store = unreadableAt(memoryOf(other), 'listFolder', (key) => key === 'photos/');
      const result = await examine([patient('source', memoryOf(sample)), patient('target', store)]);
      expect(rootOf(result)?.status).toBe('ok');
    });
  });

  test.each([
    [true, 'read-only'],
    [false, 'takes pushes'],
    [undefined, 'takes pushes'],
  ])('its configuration says readonly: %s', async (readOnly, words) => {
    const given = { ...patient('store', memoryOf(sample)), configuration: { readOnly } };
    expect(check(await examine([given]), 'read-only')?.finding).toContain(words);
  });

  test('each part that cannot be listed is found, and what migrate does with it', async () => {
    const blobs = uniformBlobs({ shards: 4, blobsInEach: 2, bytes: 10 });
    const isUnreadable = (key: string) => /\/blobs\/sha256\/0[13]\/$/.test(key);
    const store = unreadableAt(memoryOf(new Map([...blobs, ...someLink])), 'list', isUnreadable);
    const result = await examine([patient('store', store)]);
    const found = check(result, 'content');
    expect(found?.status).toBe('failed');
    expect(found?.finding).toMatch(/^2 parts of it cannot be listed: .*sha256\/01\/.*sha256\/03\//);
    expect(found?.advice).toMatch(/leaves it out and ends with 4, and with --delete it refuses/);
    expect(result.stores[0]?.content).toMatchObject({ blobs: 4, links: 1, isAtLeast: true, isExact: false });
    expect(presentDoctor(result).join('\n')).toContain('At least (a part was not listed to its end) 4 blobs');
  });

  test('of upper folders that cannot be listed it is said that migrate ends there', async () => {
    const isUpper = (key: string) => key === 'docker/registry/v2/blobs/';
    let looks = 0;
    // The look for a registry's root comes first, and is answered.
    const store = unreadableAt(memoryOf(sample), 'listFolder', (key) => isUpper(key) && (looks += 1) > 1);
    expect(check(await examine([patient('store', store)]), 'content')).toMatchObject({
      status: 'failed',
      advice: expect.stringContaining('migrate ends there'),
    });
  });
});

describe('settings of the store', () => {
  test.each<[string, StoreSettings & StoreProbe, string]>([
    ['versioning', { versioning: 'enabled' }, 'warning'],
    ['versioning', { versioning: 'suspended' }, 'ok'],
    ['versioning', { versioning: 'disabled' }, 'ok'],
    ['namespace', { hierarchicalNamespace: true }, 'failed'],
    ['namespace', { hierarchicalNamespace: false }, 'ok'],
    ['clock', { clockAheadMs: { value: 900 } }, 'ok'],
    ['clock', { clockAheadMs: { value: -5 * 60_000 } }, 'warning'],
    ['clock', { clockAheadMs: { value: 16 * 60_000 } }, 'failed'],
    ['encryption', { encryption: { value: 'aws:kms' } }, 'ok'],
    [
      'encryption',
      { encryption: { unknown: 'May not.', missing: 's3:GetEncryptionConfiguration' } },
      'unknown',
    ],
    ['object-lock', { objectLock: { value: true } }, 'warning'],
    ['archive', { archived: { value: { looked: 1000, archived: 3 } } }, 'failed'],
    ['list-dialect', { lists: lists({}) }, 'ok'],
    ['list-dialect', { lists: lists({ encodesKeys: false }) }, 'warning'],
    ['list-dialect', { lists: lists({ continues: false }) }, 'failed'],
    ['list-dialect', { lists: lists({ groups: false }) }, 'failed'],
    ['list-dialect', { lists: lists({ ascends: false }) }, 'failed'],
    ['soft-delete', { keepsDeletedDays: { value: 0 } }, 'ok'],
    ['soft-delete', { keepsDeletedDays: { value: 7 } }, 'warning'],
    ['soft-delete', { keepsDeletedDays: { unknown: 'May not.' } }, 'unknown'],
    ['lifecycle', { lifecycle: lifecycle({ abortsUploadsAfterDays: 3 }) }, 'ok'],
    ['lifecycle', { lifecycle: lifecycle({}) }, 'warning'],
    ['lifecycle', { lifecycle: lifecycle({ archivesTo: ['GLACIER'] }) }, 'failed'],
    ['lifecycle', { lifecycle: lifecycle({ expiresObjects: true }) }, 'warning'],
    ['folder', { folder: { value: folder({}) } }, 'ok'],
    ['folder', { folder: { value: folder({ isWritable: false }) } }, 'failed'],
    ['owner', { folder: { value: folder({ runsAsUid: 1000 }) } }, 'warning'],
    ['owner', { folder: { value: folder({ runsAsUid: 0 }) } }, 'ok'],
    [
      'owners',
      { folder: { value: folder({ otherOwners: [{ path: '/r/docker/', uid: 0, gid: 0 }] }) } },
      'warning',
    ],
  ])('%s: %j', async (name, found, status) => {
    const result = await examine([patient('store', withProbe(found, found))]);
    expect(statusOf(result, name)).toBe(status);
  });

  test.each([
    [{}, 'Run regtool as root, or as user 500, to whom it belongs.'],
    [{ owner: { uid: 0, gid: 0, mode: 0o755 } }, 'Run regtool as user 0, to whom it belongs.'],
    [
      { runsAsUid: 0 },
      'See whether its file system is mounted read-only, or shared without rights for root.',
    ],
  ])('who may write to a folder: %j', async (facts, advice) => {
    const value = folder({ isWritable: false, runsAsUid: 65534, ...facts });
    const result = await examine([patient('store', withProbe({ folder: { value } }))]);
    expect(check(result, 'folder')?.advice).toBe(advice);
  });

  test.each([
    ['azure', 'unknown'],
    ['s3', undefined],
  ])('a namespace of which nothing is said, on %s', async (name, status) => {
    const result = await examine([patient('store', { ...withProbe({}), name })]);
    expect(statusOf(result, 'namespace')).toBe(status);
  });

  test.each<[string, WriteProbe | undefined, string]>([
    ['nothing was written', undefined, 'unknown'],
    ['a write got a version', { keepsVersions: { value: true } }, 'warning'],
    ['a write got none', { keepsVersions: { value: false } }, 'ok'],
    ['the write was refused', { keepsVersions: { unknown: 'May not.' } }, 'unknown'],
  ])('versions in Azure, when %s', async (_, writes, status) => {
    const store = { ...withProbe({ writes }), name: 'azure' };
    expect(statusOf(await examine([patient('store', store)]), 'versioning')).toBe(status);
  });

  test.each<[string, Partial<DeleteDialect>, string, RegExp]>([
    ['many at once', {}, 'ok', /up to 1000 keys in one request, proved by Content-MD5/],
    ['one at a time', { batchKeys: 1, proofs: [] }, 'warning', /1 request per key instead of 1 per 1,000/],
    ['in name only', { removes: false }, 'failed', /Do not use migrate --delete/],
  ])('a store that deletes %s', async (_, difference, status, words) => {
    const deletes = { value: { ...deleting, ...difference } };
    const store = withProbe({ writes: { deletes } });
    const result = await examine([patient('store', store)], { writeProbe: true });
    const found = check(result, 'delete-dialect');
    expect(found?.status).toBe(status);
    expect(`${found?.finding} ${found?.advice}`).toMatch(words);
  });

  test('what could not be asked names the right that would tell', async () => {
    const store = withProbe({ lifecycle: { unknown: 'May not.', missing: 's3:GetLifecycleConfiguration' } });
    const result = await examine([patient('store', store)]);
    expect(check(result, 'lifecycle')?.advice).toContain('s3:GetLifecycleConfiguration');
    expect(result.verdict).toBe('healthy');
  });

  test('a source may be a folder that nobody may write to', async () => {
    const source = { ...withProbe({ folder: { value: folder({ isWritable: false }) } }, {}, sample) };
    const result = await examine([patient('source', source), patient('target', openMemory())]);
    expect(result.verdict).toBe('healthy');
  });
});

describe('what a migration will take', () => {
  test('room for all of it', async () => {
    const target = withProbe({ folder: { value: folder({ freeBytes: 10 * GIB, freeFiles: undefined }) } });
    const result = await examine([patient('source', memoryOf(sample)), patient('target', target)]);
    expect(result.pair.find(({ name }) => name === 'space')?.status).toBe('ok');
    expect(result.pair.find(({ name }) => name === 'inodes')).toBeUndefined();
  });

  test('too little space, and too few inodes', async () => {
    const target = withProbe({ folder: { value: folder({ freeBytes: 1000, freeFiles: 10 }) } });
    const result = await examine([patient('source', memoryOf(sample)), patient('target', target)]);
    expect(result.pair.filter(({ status }) => status === 'failed').map(({ name }) => name)).toEqual([
      'space',
      'inodes',
    ]);
    expect(result.verdict).toBe('failed');
  });

  test('is told in units of its size', async () => {
    const target = withProbe({
      folder: { value: folder({ freeBytes: 5 * 2 ** 40, freeFiles: 12_345_678 }) },
    });
    const blobs = uniformBlobs({ shards: 2, blobsInEach: 3, bytes: 1024 });
    const source = memoryOf(new Map([...blobs, ...someLink]));
    const result = await examine([patient('source', source), patient('target', target)]);
    expect(result.pair.find(({ name }) => name === 'space')?.finding).toBe(
      '5.0 TiB are free, of which about 6.0 KiB are needed',
    );
    expect(result.pair.find(({ name }) => name === 'inodes')?.finding).toMatch(/^12,345,678 files/);
  });

  test('is reckoned from a sample when it is large', async () => {
    const blobs = uniformBlobs({ shards: 256, blobsInEach: 100, bytes: 10 });
    const { stores } = await examine([patient('store', memoryOf(new Map([...blobs, ...someLink])))]);
    expect(stores[0]?.content).toMatchObject({
      blobs: 25_600,
      blobBytes: 256_000,
      isExact: false,
      isAtLeast: false,
    });
  });

  test('is more than what was seen where a part was too large to list', async () => {
    const blobs = uniformBlobs({ shards: 1, blobsInEach: 6000, bytes: 1 });
    const { stores } = await examine([patient('store', memoryOf(new Map([...blobs, ...someLink])))]);
    expect(stores[0]?.content).toMatchObject({ isAtLeast: true, isExact: false });
    expect(stores[0]?.content?.blobs).toBeGreaterThanOrEqual(5000);
  });

  test('so long a final pass as listing takes, and a first pass at the rates of the target', async () => {
    // 64 small writes take 640 ms, that is 100 a second; 8 MiB take 1000 ms; listing a shard takes 500 ms.
    let clockMs = 0;
    const advance = (ms: number) => {
      clockMs += ms;
    };
    const source = withHooks(
      memoryOf(new Map([...uniformBlobs({ shards: 8, blobsInEach: 125, bytes: 10 }), ...someLink])),
      {
        before: ({ operation, key }) => {
          advance(operation === 'list' && key.startsWith('docker/registry/v2/blobs/') ? 500 : 0);
        },
      },
    );
    const target = withHooks(openMemory(), {
      before: ({ operation, key }) => {
        if (operation === 'write') {
          advance(key.endsWith('/large') ? 1000 : 10);
        }
      },
    });
    const { passes } = await examine([patient('source', source), patient('target', target)], {
      writeProbe: true,
      now: () => clockMs,
    });
    expect(passes).toMatchObject({ objects: 1001, blobBytes: 10_000, isExact: true });
    expect(passes?.finalPassMs).toBeCloseTo(4000, 0);
    expect(passes?.fullPassMs).toBeCloseTo(4000 + 10_010, 0);
  });

  test('a time that is not known without a write probe', async () => {
    const result = await examine([patient('source', memoryOf(sample)), patient('target', openMemory())]);
    expect(result.passes?.fullPassMs).toBeUndefined();
    expect(presentDoctor(result).join('\n')).toContain('--write-probe measures the target.');
  });

  test('a time that is not known because the write probe failed', async () => {
    const stores = [patient('source', memoryOf(sample)), patient('target', refusing(['write']))];
    const result = await examine(stores, { writeProbe: true });
    expect(result.passes?.fullPassMs).toBeUndefined();
    const text = presentDoctor(result).join(' ').replaceAll(/\s+/g, ' ');
    expect(text).toContain('what --write-probe tried at the target failed, so nothing was measured.');
    expect(text).not.toContain('--write-probe measures');
  });
});

test.each([
  [5, 3, [0, 1, 3]],
  [2, 3, [0, 1]],
  [0, 3, []],
  [256, 4, [0, 64, 128, 192]],
])('of %i things %i are chosen at equal distances', (length, count, expected) => {
  expect(
    evenly(
      Array.from({ length }, (_, index) => index),
      count,
    ),
  ).toEqual(expected);
});

const someLink = new Map([
  [`docker/registry/v2/repositories/a/_layers/sha256/${'0'.repeat(64)}/link`, Buffer.from('x')],
]);

function examine(patients: Patient[], options: Partial<DoctorOptions> = {}): Promise<DoctorResult> {
  return doctor(patients, {
    writeProbe: false,
    concurrency: 4,
    observer: { phase() {}, notice() {} },
    ...options,
  });
}

function patient(role: Patient['role'], store: Driver): Patient {
  return { role, location: store.location, store };
}

function check({ stores }: DoctorResult, name: string) {
  return stores[0]?.checks.find((found) => found.name === name);
}

function statusOf(result: DoctorResult, name: string): string | undefined {
  return check(result, name)?.status;
}

const NOTHING_YET = 'nothing below docker/registry/v2/ yet';

const other = new Map([['photos/2024/one.jpg', Buffer.from('x')]]);

/** What is below a prefix, under another. */
function moved(objects: ReadonlyMap<string, Uint8Array>, to: string, from = ''): Map<string, Uint8Array> {
  return new Map(
    [...objects]
      .filter(([key]) => key.startsWith(from))
      .map(([key, content]) => [to + key.slice(from.length), content]),
  );
}

function rootOf({ stores }: DoctorResult) {
  return stores[1]?.checks.find(({ name }) => name === 'root');
}

/** A store of which some folders may not be read. */
function unreadableAt(
  store: Driver,
  unreadable: 'list' | 'listFolder',
  isUnreadable: (key: string) => boolean,
): Driver {
  return withHooks(store, {
    before: ({ operation, key }) => {
      if (operation === unreadable && isUnreadable(key)) {
        throw new DriverError('PERMISSION_DENIED', 'May not be read.', { driver: 'memory', operation, key });
      }
    },
  });
}

/** A store of the sample whose calls are refused, and which says that it is S3, so that rights have names. */
function refusing(
  operations: readonly Call['operation'][],
  { code = 'PERMISSION_DENIED', onWrite }: { code?: DriverErrorCode; onWrite?: () => void } = {},
): Driver {
  const store = withHooks(memoryOf(sample), {
    before: ({ operation, key }) => {
      if (operations.includes(operation)) {
        throw new DriverError(code, 'Refused.', { driver: 's3', operation, key, retryable: false });
      }
    },
    after: ({ operation }) => {
      if (operation === 'write') {
        onWrite?.();
      }
    },
  });
  return { ...store, name: 's3' };
}

function withProbe(
  probe: StoreProbe,
  settings: StoreSettings = {},
  objects: ReadonlyMap<string, Uint8Array> = new Map(),
): Driver {
  return {
    ...memoryOf(objects),
    name: 's3',
    probe: async () => probe,
    describe: async () => settings,
  };
}

/** As Ceph RGW and AWS answer. */
const deleting: DeleteDialect = {
  batchKeys: 1000,
  proofs: ['Content-MD5'],
  keepsQuiet: true,
  tellsEach: true,
  removes: true,
};

function lists(given: Partial<ListDialect>) {
  const right = { speaks: 'ListObjectsV2', continues: true, encodesKeys: true, groups: true, ascends: true };
  return { value: { ...right, ...given } };
}

function lifecycle(
  given: Partial<{ abortsUploadsAfterDays: number; archivesTo: string[]; expiresObjects: boolean }>,
) {
  return { value: { abortsUploadsAfterDays: undefined, archivesTo: [], expiresObjects: false, ...given } };
}

function folder(given: Partial<FolderFacts>): FolderFacts {
  return {
    freeBytes: GIB,
    freeFiles: 1_000_000,
    owner: { uid: 500, gid: 500, mode: 0o750 },
    runsAsUid: 500,
    isReadable: true,
    isWritable: true,
    otherOwners: [],
    ...given,
  };
}

function uniformBlobs({
  shards,
  blobsInEach,
  bytes,
}: {
  shards: number;
  blobsInEach: number;
  bytes: number;
}) {
  const content = new Uint8Array(bytes);
  return new Map(
    Array.from({ length: shards * blobsInEach }, (_, index) => {
      const start = Math.floor(index / blobsInEach)
        .toString(16)
        .padStart(2, '0');
      const hex = start + (index % blobsInEach).toString(16).padStart(62, '0');
      return [`docker/registry/v2/blobs/sha256/${start}/${hex}/data`, content] as const;
    }),
  );
}
