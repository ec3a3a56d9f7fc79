import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { mkdirSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { blobKey, currentKey, layerKey, revisionKey } from '../../fixtures/keys.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { contentOfDriver, encode } from '../crash/crashing.ts';
import { describeWithServers } from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { deleteAnything, memoryOf, runMigrate } from '../support/migrating.ts';
import { openBucket } from '../support/own-stores.ts';
import { brokenTags, pullableTags } from '../support/pullable.ts';

const folder = createTemporaryFolder('regtool-hostile-stores');
afterAll(folder.remove);

async function openFolder(name: string): Promise<{ root: string; driver: Driver }> {
  const root = path.join(folder.path, name);
  mkdirSync(root);
  return { root, driver: await openFilesystem({ root }) };
}

function twoImages() {
  const registry = new RegistryBuilder({ seed: 'hostile stores' });
  const image = registry.push('a', 'v1', registry.image());
  registry.push('b', 'v1', registry.image());
  return { registry, image };
}

describe('a link that is nearly right', () => {
  const spellings: [string, (digest: string) => string][] = [
    ['with a byte order mark', (digest) => `\uFEFF${digest}`],
    ['with a line end of Windows', (digest) => `${digest}\r\n`],
    ['in capitals', (digest) => `sha256:${digest.slice(7).toUpperCase()}`],
    ['with a zero byte', (digest) => `${digest}\0`],
    ['after a space', (digest) => ` ${digest}`],
    ['padded to more than a page', (digest) => digest.padEnd(9000)],
  ];
  test.each(spellings)('%s is followed by nothing, and named', async (_, spell) => {
    const { registry, image } = twoImages();
    const layer = image.layers[0]?.digest ?? '';
    for (const [key, digest] of [
      [currentKey('a', 'v1'), image.digest],
      [revisionKey('a', image.digest), image.digest],
      [layerKey('a', layer), layer],
    ] as const) {
      const source = memoryOf(new Map(registry.objects).set(key, Buffer.from(spell(digest))));
      const target = openMemory();
      const { tally } = await runMigrate(source, target, { delete: deleteAnything });
      const named = [...tally.failures, ...tally.incompletes].map((problem) => problem.key);
      expect(named).toContain(key);
      expect((await pullableTags(target)).map(({ repository }) => repository)).toEqual(['b']);
      expect(await brokenTags(target)).toEqual([]);
    }
  });
});

test('a folder where a file should be is named, and what needs it is held back', async () => {
  const { registry, image } = twoImages();
  const { root, driver } = await openFolder('in-the-way');
  const key = blobKey(image.layers[0]?.digest ?? '');
  mkdirSync(path.join(root, key), { recursive: true });
  const { tally } = await runMigrate(memoryOf(registry.objects), driver, { delete: deleteAnything });
  expect(tally.failures.map((problem) => problem.key)).toEqual([key]);
  expect((await pullableTags(driver)).map(({ repository }) => repository)).toEqual(['b']);
  expect(await brokenTags(driver)).toEqual([]);
});

test('links of a hundred gigabytes of nothing are not read', async () => {
  const { registry, image } = twoImages();
  const { root, driver } = await openFolder('sparse');
  await registry.writeTo(driver);
  const keys = [currentKey('b', 'v1'), revisionKey('a', image.digest)];
  for (const key of keys) {
    truncateSync(path.join(root, key), 100 * 2 ** 30);
  }
  const target = openMemory();
  const { tally } = await runMigrate(driver, target, { delete: deleteAnything });
  expect(tally.failures).toEqual([]);
  expect(tally.incompletes.map((problem) => problem.key)).toEqual(expect.arrayContaining(keys));
  expect(await pullableTags(target)).toEqual([]);
});

test('repositories and tags named like parts of the layout, one in another, come and go by themselves', async () => {
  const registry = new RegistryBuilder({ seed: 'names' });
  const repositories = [
    'docker/registry/v2/repositories/a',
    'blobs/sha256',
    'index',
    'index/current/link',
    'tags',
  ];
  const tags = ['_manifests', '_layers', '_uploads', 'current', 'index', 'link', 'sha256'];
  for (const repository of repositories) {
    for (const tag of tags) {
      registry.push(repository, tag, registry.image({ layers: 1 }));
    }
  }
  const { driver } = await openFolder('names');
  await runMigrate(memoryOf(registry.objects), driver);
  for (const gone of repositories) {
    const left = new Map([...registry.objects].filter(([key]) => !key.includes(`/repositories/${gone}/_`)));
    await runMigrate(memoryOf(left), driver, { delete: deleteAnything });
    expect(await contentOfDriver(driver)).toEqual(encode(left));
    expect(await brokenTags(driver)).toEqual([]);
  }
});

describeWithServers('a bucket that keeps versions', ['rgw'], (servers) => {
  test.each([false, true])(
    'is copied to, deleted from and copied to again, with locks: %s',
    async (locks) => {
      const { endpoint, region, accessKey, secretKey } = servers.rgw;
      const client = new S3Client({
        endpoint,
        region,
        forcePathStyle: true,
        credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
      });
      const bucket = `versions-${locks ? 'locked' : 'kept'}-${process.pid}`;
      await client.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: locks }));
      await client.send(
        new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status: 'Enabled' } }),
      );
      const driver = await openBucket(servers.rgw, bucket);
      const { registry, image } = twoImages();
      const whole = new Map(registry.objects);
      registry.deleteManifest('a', image.digest);
      registry.garbageCollect();
      for (const objects of [whole, registry.objects, whole]) {
        await runMigrate(memoryOf(objects), driver, { delete: deleteAnything });
        const again = await runMigrate(memoryOf(objects), driver, { delete: deleteAnything });
        expect(again.tally).toMatchObject({ copied: {}, deleted: {}, failures: [] });
        expect(Object.keys({ ...again.tally.copied, ...again.tally.deleted })).toEqual([]);
        expect(await contentOfDriver(driver)).toEqual(encode(objects));
      }
      client.destroy();
      await driver.close();
    },
  );
});
