import { CreateMultipartUploadCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Random } from '../../fixtures/random-registry.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { fixEmptyTags } from '../../src/operations/fix-empty-tags.ts';
import {
  createBucket,
  createContainer,
  describeWithServers,
  type DockerRegistry,
  type RgwAccess,
  startDockerRegistry,
} from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { runMigrate } from '../support/migrating.ts';
import { openBucket, openContainer } from '../support/own-stores.ts';
import { pullableTags } from '../support/pullable.ts';
import { pullAll, type SeedResult, seedRegistry } from '../support/seed.ts';
import { StrictPuller } from '../support/strict-puller.ts';
import { blobKey, flipped, healthyRegistry, layerKey, revisionKey, set, SHOP } from './check/fixtures.ts';
import { observe, wholeData } from './check/observe.ts';
import { runRepair, runUndo, UndoList } from './repair/repairing.ts';

const HOUR_MS = 3_600_000;

async function newBucket(rgw: RgwAccess): Promise<{ bucket: string; driver: Driver }> {
  const bucket = await createBucket(rgw);
  return { bucket, driver: await openBucket(rgw, bucket) };
}

/** Every object with its size and ETag, which is the MD5 of its content. */
async function contentOf(driver: Driver, prefix = ''): Promise<Map<string, string>> {
  const content = new Map<string, string>();
  for await (const page of driver.list(prefix)) {
    for (const { key, sizeBytes, etag } of page) {
      content.set(key, `${sizeBytes} ${etag ?? ''}`);
    }
  }
  return content;
}

describeWithServers(
  'repair of a bucket from the disk it was migrated from',
  ['rgw', 'docker-registry', 'skopeo'],
  (servers) => {
    const folder = createTemporaryFolder('regtool-repair-seed');
    let seed: SeedResult;
    let disk: Driver;
    let bucket: string;
    let driver: Driver;
    let registry: DockerRegistry;
    let puller: StrictPuller;

    beforeAll(async () => {
      const source = await startDockerRegistry({ storage: { filesystem: { rootdirectory: folder.path } } });
      try {
        seed = await seedRegistry(source.address, { largeLayerBytes: 2 * 2 ** 20 });
      } finally {
        await source.stop();
      }
      disk = await openFilesystem({ root: folder.path });
      ({ bucket, driver } = await newBucket(servers.rgw));
      await runMigrate(disk, driver);
      const { rgw } = servers;
      registry = await startDockerRegistry({
        storage: {
          s3: {
            bucket,
            region: rgw.region,
            regionendpoint: rgw.endpoint,
            accesskey: rgw.accessKey,
            secretkey: rgw.secretKey,
          },
        },
      });
      puller = new StrictPuller(registry.address);
    });
    afterAll(async () => {
      await puller.close();
      await registry.stop();
      await driver.close();
      await disk.close();
      folder.remove();
    });

    async function failedPulls(): Promise<Record<string, string>> {
      const failed: Record<string, string> = {};
      for (const name of seed.tags.keys()) {
        const [repository = '', tag = ''] = name.split(':');
        const failure = await puller.failureOf(repository, tag);
        if (failure !== undefined) {
          failed[name] = failure;
        }
      }
      return failed;
    }

    it(
      'makes every tag pullable again after random damage, and can put the damage back',
      { timeout: 240_000 },
      async () => {
        const random = new Random('bucket');
        const keys = [...(await contentOf(driver, 'docker/registry/v2/')).keys()];
        const hurtTags = new Set<string>();
        for (let damage = 0; damage < 30; damage += 1) {
          await damageOne(driver, random.pick(keys), random, hurtTags);
        }
        const before = await contentOf(driver);
        const failed = await failedPulls();
        expect(Object.keys(failed).length).toBeGreaterThan(3);

        const undo = new UndoList();
        const { outcomes, plan } = await runRepair(driver, { other: disk, undo });
        expect(outcomes).toEqual({ done: plan.steps.length });
        expect(await observe(driver, { readData: wholeData })).toMatchObject({
          verdict: 'healthy',
          broken: [],
        });
        expect(await pullAll(registry.address, seed.tags.keys())).toEqual(seed.tags);
        expect((await runRepair(driver, { other: disk })).steps).toEqual([]);

        await runUndo(driver, undo);
        expect(await contentOf(driver)).toEqual(before);
        expect(await failedPulls()).toEqual(failed);
        await runRepair(driver, { other: disk });
        expect(await failedPulls()).toEqual({});
      },
    );

    it('aborts the multipart uploads that nobody ends', async () => {
      const { endpoint, region, accessKey, secretKey } = servers.rgw;
      const client = new S3Client({
        endpoint,
        region,
        forcePathStyle: true,
        credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
      });
      const key =
        'docker/registry/v2/repositories/library/app/_uploads/0f9a2f8e-0d6f-4d6f-8b51-3f2f6f0a1b2c/data';
      await client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: key }));
      client.destroy();
      const pending = async () => {
        const found: string[] = [];
        for await (const page of driver.listUploads?.('') ?? []) {
          found.push(...page.map((upload) => upload.key));
        }
        return found;
      };
      const choices = { uploads: true };
      await runRepair(driver, { choices, nowMs: Date.now() });
      expect(await pending()).toEqual([key]);
      expect((await runRepair(driver, { choices, nowMs: Date.now() + 200 * HOUR_MS })).steps).toEqual([
        `abort ${key}`,
      ]);
      expect(await pending()).toEqual([]);
    });
  },
);

/** Deletes, empties, cuts off or changes an object. Of a tag's only one, for a tag without any leaves no trace. */
async function damageOne(driver: Driver, key: string, random: Random, hurtTags: Set<string>): Promise<void> {
  const tag = /^.*\/_manifests\/tags\/[^/]+\//.exec(key)?.[0];
  const stat = await driver.stat(key);
  if (stat === undefined || stat.sizeBytes === 0 || (tag !== undefined && hurtTags.has(tag))) {
    return;
  }
  if (tag !== undefined) {
    hurtTags.add(tag);
  }
  const bytes = await driver.readSmall(key, stat.sizeBytes);
  switch (random.below(tag === undefined ? 4 : 3)) {
    case 0:
      await driver.delete([key]);
      break;
    case 1:
      await driver.write(key, new Uint8Array());
      break;
    case 2:
      await driver.write(key, bytes.subarray(0, random.below(bytes.length)));
      break;
    default:
      await driver.write(key, flipped(bytes));
  }
}

describeWithServers('mending a container of Azure', ['azurite'], (servers) => {
  let driver: Driver;

  beforeAll(async () => {
    const { azurite } = servers;
    const container = await createContainer(azurite);
    driver = await openContainer(azurite, container);
  });
  afterAll(async () => {
    await driver.close();
  });

  it('removes folder markers, mends links, and moves a corrupt blob aside and back', async () => {
    const { registry, image, layer, otherLayer } = healthyRegistry();
    const markers = [
      `${SHOP}/`,
      `${SHOP}/_manifests/tags/`,
      `${SHOP}/_manifests/tags/gone/`,
      'docker/registry/v2/blobs/',
    ];
    for (const key of markers) {
      registry.marker(key);
    }
    set(registry, revisionKey('shop', image.digest), '');
    registry.objects.delete(layerKey('shop', otherLayer.digest));
    set(registry, blobKey(layer.digest), flipped(layer.bytes));
    await registry.writeTo(driver);

    const { removed } = await fixEmptyTags(driver, {
      dryRun: false,
      allMarkers: false,
      concurrency: 4,
      observer: { phase() {}, progress() {}, notice() {}, async record() {} },
      approve: async () => true,
    });
    expect(removed).toBe(markers.length);
    expect([...(await contentOf(driver)).keys()].filter((key) => key.endsWith('/'))).toEqual([]);

    const before = await sizesOf(driver);
    const undo = new UndoList();
    await runRepair(driver, { choices: { quarantine: true }, undo });
    expect(await driver.stat(blobKey(layer.digest))).toBeUndefined();
    expect(
      [...(await sizesOf(driver)).keys()].filter((key) => key.startsWith('regtool-quarantine/')),
    ).toHaveLength(1);
    await driver.write(blobKey(layer.digest), layer.bytes);
    expect((await pullableTags(driver)).map(({ repository }) => repository)).toEqual(['multi', 'shop']);

    await driver.delete([blobKey(layer.digest)]);
    await runUndo(driver, undo);
    expect(await sizesOf(driver)).toEqual(before);
    expect(Buffer.from(await driver.readSmall(blobKey(layer.digest), 10_000))).toEqual(flipped(layer.bytes));
  });
});

async function sizesOf(driver: Driver): Promise<Map<string, number>> {
  return new Map(
    [...(await contentOf(driver))].map(([key, content]) => [key, Number(content.split(' ')[0])]),
  );
}
