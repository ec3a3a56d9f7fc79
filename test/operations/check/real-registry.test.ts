import { execFile } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Driver } from '../../../src/drivers/driver.ts';
import { openFilesystem } from '../../../src/drivers/filesystem.ts';
import {
  createBucket,
  describeWithServers,
  startDockerRegistry,
  type DockerRegistry,
} from '../../servers/index.ts';
import { createTemporaryFolder } from '../../servers/process.ts';
import { openBucket } from '../../support/own-stores.ts';
import { seedRegistry } from '../../support/seed.ts';
import { StrictPuller } from '../../support/strict-puller.ts';
import { brokenRegistries } from './broken-registries.ts';
import { type Broken, type Healthy, healthyRegistry } from './fixtures.ts';
import { importerRegistries } from './importer-registries.ts';
import { notPullable, observe, wholeData } from './observe.ts';

/** Debian's registry up to 2.8 does not know a build cache, and a client that pulls it asks for blobs, not manifests. */
const NOT_IMAGES = new Set([
  'buildkit-index-as-manifest-list',
  'buildkit-index-as-manifest-list-without-layers',
]);
/** What a cache lacks it would fetch from its upstream, which this one does not have; GitLab reads its database. */
const OTHER_KINDS_OF_REGISTRY = /pull-through cache|metadata database/;

describeWithServers('each broken registry, served by a real docker-registry', ['docker-registry'], () => {
  const folder = createTemporaryFolder('regtool-check');
  let registry: DockerRegistry;
  let puller: StrictPuller;
  let driver: Driver;

  beforeAll(async () => {
    driver = await openFilesystem({ root: folder.path, location: folder.path });
    registry = await startDockerRegistry({ storage: { filesystem: { rootdirectory: folder.path } } });
    puller = new StrictPuller(registry.address);
  });
  afterAll(async () => {
    await puller.close();
    await registry.stop();
    await driver.close();
    folder.remove();
  });

  test.each([...brokenRegistries, ...importerRegistries].filter(isPlain))(
    'pulls what the check says: $name',
    async (broken) => {
      const healthy = healthyRegistry();
      broken.damage(healthy);
      await replaceWith(healthy);
      const failed: string[] = [];
      for (const { repository, tag } of tagsOf(healthy.registry.objects.keys())) {
        if ((await puller.failureOf(repository, tag)) !== undefined) {
          failed.push(`${repository}:${tag}`);
        }
      }
      expect(failed.sort()).toEqual(broken.notPullable ?? []);
      expect(notPullable(await observe(driver, { readData: wholeData }))).toEqual(broken.notPullable ?? []);
    },
  );

  test('lists a tag for an empty folder, as the check says', async () => {
    const healthy = healthyRegistry();
    await replaceWith(healthy);
    rmSync(path.join(folder.path, 'docker/registry/v2/repositories/shop/_manifests/tags/v1/current/link'));
    rmSync(path.join(folder.path, 'docker/registry/v2/repositories/shop/_manifests/tags/v1/index'), {
      recursive: true,
    });
    const answer = await fetch(`http://${registry.address}/v2/shop/tags/list`);
    expect(await answer.json()).toEqual({ name: 'shop', tags: ['v1'] });
    const { all } = await observe(driver);
    expect(all.map(({ code, severity, tags }) => ({ code, severity, tags }))).toEqual([
      { code: 'tag-ghost', severity: 'warning', tags: ['v1'] },
    ]);
  });

  async function replaceWith({ registry: built }: Healthy): Promise<void> {
    for (const name of readdirSync(folder.path)) {
      rmSync(path.join(folder.path, name), { recursive: true });
    }
    await built.writeTo(driver);
  }
});

describeWithServers('a check of a registry that real tools made', ['docker-registry', 'skopeo'], () => {
  const folder = createTemporaryFolder('regtool-check-real');
  afterAll(() => {
    folder.remove();
  });

  test('finds nothing but hints after pushes, deletes and garbage collection', async () => {
    const registry = await startDockerRegistry({ storage: { filesystem: { rootdirectory: folder.path } } });
    const driver = await openFilesystem({ root: folder.path, location: folder.path });
    try {
      const seed = await seedRegistry(registry.address, { largeLayerBytes: 2 ** 20 });
      const total = seed.tags.size;
      const pushed = await observe(driver, { readData: wholeData, nowMs: Date.now() });
      expect(pushed.verdict).toBe('healthy');
      expect(pushed.tags).toEqual({ total, pullable: total, notPullable: 0, unknown: 0 });
      const orphans = new Set(
        pushed.all.filter(({ code }) => code === 'blob-orphan').map(({ digest }) => digest),
      );
      const { deleted, emptyBlob, sha512Blob } = seed;
      expect(orphans).toEqual(
        new Set([deleted.digest, ...deleted.blobs, emptyBlob.digest, sha512Blob.digest]),
      );

      await promisify(execFile)('docker-registry', ['garbage-collect', registry.configPath]);
      const collected = await observe(driver, { readData: wholeData, nowMs: Date.now() });
      expect(collected.verdict).toBe('healthy');
      expect(collected.tags).toEqual(pushed.tags);
      expect(collected.all.filter(({ code }) => code === 'blob-orphan')).toEqual([]);
      expect(collected.all.map(({ code }) => code)).toContain('layer-link-dangling');
    } finally {
      await driver.close();
      await registry.stop();
    }
  });
});

describeWithServers('a check of folder markers on S3', ['rgw', 'docker-registry'], (servers) => {
  test('names exactly the tags that a real docker-registry lists and that are none', async () => {
    const { endpoint, region, accessKey, secretKey } = servers.rgw;
    const bucket = await createBucket(servers.rgw);
    const driver = await openBucket(servers.rgw, bucket);
    const tagFolder = 'docker/registry/v2/repositories/shop/_manifests/tags/';
    const { registry: built } = healthyRegistry();
    for (const folder of [tagFolder, `${tagFolder}v1/`, `${tagFolder}gone/`]) {
      built.marker(folder);
    }
    await built.writeTo(driver);
    const registry = await startDockerRegistry({
      storage: {
        s3: { bucket, region, regionendpoint: endpoint, accesskey: accessKey, secretkey: secretKey },
      },
    });
    try {
      const answer = await fetch(`http://${registry.address}/v2/shop/tags/list`);
      const { tags } = (await answer.json()) as { tags: string[] };
      expect(new Set(tags)).toEqual(new Set(['', 'gone', 'v1']));
      const { all } = await observe(driver);
      expect(all.map(({ code, paths }) => [code, paths[0]])).toEqual([
        ['marker-empty-tag', tagFolder],
        ['marker-ghost-tag', `${tagFolder}gone/`],
        ['marker-harmless', `${tagFolder}v1/`],
      ]);
    } finally {
      await registry.stop();
      await driver.close();
    }
  });
});

/** What a filesystem can hold, of the kind of registry that serves it here. Schema 1 is signed anew when it is served. */
function isPlain(broken: Broken): boolean {
  const healthy = healthyRegistry();
  broken.damage(healthy);
  const keys = [...healthy.registry.objects.keys()];
  return (
    keys.every((key) => !key.endsWith('/') && !key.startsWith('/') && !key.includes('//')) &&
    !NOT_IMAGES.has(broken.name) &&
    !broken.name.includes('schema 1') &&
    !OTHER_KINDS_OF_REGISTRY.test(broken.name) &&
    broken.name !== 'lockfile-db-in-use'
  );
}

/** The names that have a link below them and that clients can ask for. */
function tagsOf(keys: Iterable<string>): { repository: string; tag: string }[] {
  const names = new Map<string, { repository: string; tag: string }>();
  for (const key of keys) {
    const [, repository, tag] = TAG_KEY.exec(key) ?? [];
    if (repository !== undefined && tag !== undefined) {
      names.set(`${repository}:${tag}`, { repository, tag });
    }
  }
  return [...names.values()];
}

const TAG_KEY = /^docker\/registry\/v2\/repositories\/([a-z]+)\/_manifests\/tags\/(\w+)\/.*\/link$/;
