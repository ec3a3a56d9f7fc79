import { mkdirSync, mkdtempSync, rmSync, statfsSync, chownSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type * as S3Sdk from '@aws-sdk/client-s3';
import { openAzure } from '../../src/drivers/azure.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { withLimits } from '../../src/drivers/with-limits.ts';
import { withRetry } from '../../src/drivers/with-retry.ts';
import {
  createBucket,
  createContainer,
  createRgwUser,
  describeWithServers,
  type RgwAccess,
} from '../servers/index.ts';
import { openBucket, openContainer } from '../support/own-stores.ts';

const samplePrefix = 'docker/registry/v2/blobs/';
const scratchPrefix = 'regtool-probe-test/';
const opened: Driver[] = [];
const folders: string[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((driver) => driver.close()));
  folders.splice(0).forEach((folder) => {
    rmSync(folder, { recursive: true });
  });
});

describeWithServers('what a Ceph RGW bucket tells', ['rgw'], (servers) => {
  test('reads settings and writes nothing', async () => {
    const { driver } = await newBucket(servers.rgw);
    const probe = await driver.probe?.({ samplePrefix });
    expect(probe).toMatchObject({
      credentials: { value: 'the configuration file' },
      region: { value: expect.any(String) },
      objectLock: { value: false },
      lifecycle: { value: { abortsUploadsAfterDays: undefined, archivesTo: [], expiresObjects: false } },
      archived: { value: { looked: 0, archived: 0 } },
    });
    expect(probe?.writes).toBeUndefined();
    expect(await keysOf(driver)).toEqual([]);
  });

  test('lists as ListObjectsV2 does, as far as there are objects to tell', async () => {
    const { driver } = await newBucket(servers.rgw, 'some/root/');
    const speaks = 'ListObjectsV2';
    expect((await driver.probe?.({ samplePrefix }))?.lists).toEqual({
      value: { speaks, continues: undefined, encodesKeys: true, groups: undefined, ascends: undefined },
    });
    for (const name of ['a/1', 'a-/1', 'ä', '1']) {
      await driver.write(`${samplePrefix}${name}`, Buffer.from(name));
    }
    expect((await driver.probe?.({ samplePrefix }))?.lists).toEqual({
      value: { speaks, continues: true, encodesKeys: true, groups: true, ascends: true },
    });
  });

  test('its clock is that of this machine, on which it runs', async () => {
    const { driver } = await newBucket(servers.rgw);
    const probe = await driver.probe?.({ samplePrefix });
    const clock = probe?.clockAheadMs;
    expect(clock !== undefined && 'value' in clock && Math.abs(clock.value) < 10_000).toBe(true);
  });

  test('refuses a wrong payload hash, ignores a wrong checksum, honours If-None-Match and writes in parts', async () => {
    const { driver } = await newBucket(servers.rgw, 'some/root/');
    const probe = await driver.probe?.({ samplePrefix, scratchPrefix });
    // RGW 16.2, as facts of the test servers have it: x-amz-checksum-* is ignored in silence.
    expect(probe?.writes).toEqual({
      refusesWrongPayloadHash: { value: true },
      refusesWrongChecksum: { value: false },
      keepsSha256: { value: false },
      honoursIfNoneMatch: { value: true },
      multipart: { value: true },
      listUploads: { value: true },
      abort: { value: true },
      // The same facts: both proofs are accepted.
      deletes: {
        value: {
          batchKeys: 1000,
          proofs: ['Content-MD5', 'x-amz-checksum'],
          keepsQuiet: true,
          tellsEach: true,
          removes: true,
        },
      },
    });
    const keys = await keysOf(driver);
    expect(keys.length).toBeGreaterThan(0);
    expect(keys.filter((key) => !key.startsWith(scratchPrefix))).toEqual([]);
    expect(await driver.listUploads?.('')[Symbol.asyncIterator]().next()).toMatchObject({ done: true });
  });

  test('tells of lifecycle rules and versions that somebody set', async () => {
    const { driver, bucket } = await newBucket(servers.rgw);
    await withClient(servers.rgw, async (sdk, client) => {
      const LifecycleConfiguration: S3Sdk.BucketLifecycleConfiguration = {
        Rules: [
          {
            ID: 'abort',
            Status: 'Enabled',
            Filter: { Prefix: '' },
            AbortIncompleteMultipartUpload: { DaysAfterInitiation: 3 },
          },
          { ID: 'old', Status: 'Disabled', Filter: { Prefix: 'x' }, Expiration: { Days: 1 } },
        ],
      };
      await client.send(
        new sdk.PutBucketLifecycleConfigurationCommand({ Bucket: bucket, LifecycleConfiguration }),
      );
    });
    const probe = await driver.probe?.({ samplePrefix });
    expect(probe?.lifecycle).toEqual({
      value: { abortsUploadsAfterDays: 3, archivesTo: [], expiresObjects: false },
    });
  });

  test('a user who may only read is told which rights the rest takes', async () => {
    const reader = await createRgwUser();
    const { driver, bucket } = await newBucket(servers.rgw);
    await driver.write(`${samplePrefix}a`, Buffer.from('a'));
    await withClient(servers.rgw, async (sdk, client) => {
      const Policy = JSON.stringify({
        Version: '2012-10-17',
        Statement: [
          {
            Effect: 'Allow',
            Principal: '*',
            Action: ['s3:ListBucket', 's3:GetObject'],
            Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`],
          },
        ],
      });
      await client.send(new sdk.PutBucketPolicyCommand({ Bucket: bucket, Policy }));
    });
    const other = await open({ ...servers.rgw, ...reader }, bucket);
    const probe = await other.probe?.({ samplePrefix, scratchPrefix });
    expect(probe?.archived).toEqual({ value: { looked: 1, archived: 0 } });
    expect(probe?.lifecycle).toMatchObject({ missing: 's3:GetLifecycleConfiguration' });
    expect(probe?.writes?.multipart).toMatchObject({ missing: 's3:PutObject' });
    expect(probe?.writes?.listUploads).toMatchObject({ missing: 's3:ListBucketMultipartUploads' });
    expect(await keysOf(driver)).toEqual([`${samplePrefix}a`]);
  });

  test('an interruption goes up', async () => {
    const { driver } = await newBucket(servers.rgw);
    const signal = AbortSignal.abort();
    await expect(driver.probe?.({ samplePrefix, scratchPrefix, signal })).rejects.toMatchObject({
      code: 'ABORTED',
    });
  });

  test('the wrappers pass it on', async () => {
    const { driver } = await newBucket(servers.rgw);
    const wrapped = withRetry(withLimits(driver, { maxRequestsPerSecond: 1000 }));
    expect(await wrapped.probe?.({ samplePrefix })).toMatchObject({ archived: { value: { looked: 0 } } });
  });
});

describeWithServers('what an Azurite container tells', ['azurite'], (servers) => {
  const newContainer = async (): Promise<Driver> => {
    const { azurite } = servers;
    return remember(await openContainer(azurite, await createContainer(azurite), { root: '/' }));
  };

  test('reads settings and writes nothing', async () => {
    const driver = await newContainer();
    const probe = await driver.probe?.({ samplePrefix });
    expect(probe).toMatchObject({
      credentials: { value: 'an account key' },
      objectLock: { value: false },
      lists: { value: { speaks: expect.stringMatching(/^List Blobs of version \d{4}-\d\d-\d\d$/) } },
      keepsDeletedDays: { value: 0 },
      archived: { value: { looked: 0, archived: 0 } },
    });
    expect(await keysOf(driver)).toEqual([]);
  });

  test('refuses a wrong MD5, honours If-None-Match and writes in blocks', async () => {
    const driver = await newContainer();
    const probe = await driver.probe?.({ samplePrefix, scratchPrefix });
    expect(probe?.writes).toEqual({
      refusesWrongChecksum: { value: true },
      honoursIfNoneMatch: { value: true },
      multipart: { value: true },
      deletes: {
        value: { batchKeys: 256, proofs: [], keepsQuiet: undefined, tellsEach: true, removes: true },
      },
      // Azurite has no versions.
      keepsVersions: { value: false },
    });
    expect((await keysOf(driver)).filter((key) => !key.startsWith(scratchPrefix))).toEqual([]);
  });

  test('tells for how long it keeps deleted blobs', async () => {
    const { accountName, accountKey, serviceUrl } = servers.azurite;
    const sdk = await import('@azure/storage-blob');
    const service = new sdk.BlobServiceClient(
      serviceUrl,
      new sdk.StorageSharedKeyCredential(accountName, accountKey),
    );
    const driver = await newContainer();
    await service.setProperties({ deleteRetentionPolicy: { enabled: true, days: 7 } });
    try {
      expect((await driver.probe?.({ samplePrefix }))?.keepsDeletedDays).toEqual({ value: 7 });
    } finally {
      await service.setProperties({ deleteRetentionPolicy: { enabled: false } });
    }
  });

  test('a SAS that may only read is told which role the rest takes', async () => {
    const { accountName, accountKey, serviceUrl } = servers.azurite;
    const container = await createContainer(servers.azurite);
    const sdk = await import('@azure/storage-blob');
    const sasToken = sdk
      .generateBlobSASQueryParameters(
        {
          containerName: container,
          permissions: sdk.ContainerSASPermissions.parse('rl'),
          expiresOn: new Date(Date.now() + 3_600_000),
        },
        new sdk.StorageSharedKeyCredential(accountName, accountKey),
      )
      .toString();
    const driver = remember(
      await openAzure({ container, root: '', location: `azure://${container}`, sasToken, serviceUrl }),
    );
    const probe = await driver.probe?.({ samplePrefix, scratchPrefix });
    expect(probe?.credentials).toEqual({ value: 'a SAS' });
    // Only what covers the whole account tells of its settings.
    expect(probe?.keepsDeletedDays).toMatchObject({ missing: expect.stringContaining('account SAS') });
    expect(probe?.writes?.multipart).toMatchObject({
      missing: expect.stringContaining('Storage Blob Data Contributor'),
    });
    expect(JSON.stringify(probe)).not.toContain(new URLSearchParams(sasToken).get('sig'));
  });
});

describe('what a folder tells', () => {
  test('space, owner and mode, and writes nothing', async () => {
    const folder = temporaryFolder();
    const driver = await openFilesystem({ root: folder });
    const probe = await driver.probe?.({ samplePrefix, scratchPrefix });
    const { bsize, blocks } = statfsSync(folder);
    expect(probe?.folder).toMatchObject({
      value: {
        freeBytes: expect.any(Number),
        owner: { uid: process.geteuid?.(), mode: 0o700 },
        runsAsUid: process.geteuid?.(),
        isReadable: true,
        isWritable: true,
        otherOwners: [],
      },
    });
    const facts = probe?.folder;
    expect(facts !== undefined && 'value' in facts && facts.value.freeBytes <= bsize * blocks).toBe(true);
    expect(await keysOf(driver)).toEqual([]);
  });

  test.skipIf(process.geteuid?.() !== 0)('folders below it that belong to somebody else', async () => {
    const folder = temporaryFolder();
    mkdirSync(path.join(folder, 'docker/registry/v2'), { recursive: true });
    chownSync(path.join(folder, 'docker/registry'), 1234, 1235);
    const driver = await openFilesystem({ root: folder });
    const probe = await driver.probe?.({ samplePrefix });
    expect(probe?.folder).toMatchObject({
      value: { otherOwners: [{ path: path.join(folder, 'docker/registry/'), uid: 1234, gid: 1235 }] },
    });
  });
});

async function newBucket(rgw: RgwAccess, root = ''): Promise<{ driver: Driver; bucket: string }> {
  const bucket = await createBucket(rgw);
  return { driver: await open(rgw, bucket, root), bucket };
}

async function open(rgw: RgwAccess, bucket: string, root = ''): Promise<Driver> {
  return remember(await openBucket(rgw, bucket, { root }));
}

function remember(driver: Driver): Driver {
  opened.push(driver);
  return driver;
}

async function withClient(
  rgw: RgwAccess,
  action: (sdk: typeof S3Sdk, client: S3Sdk.S3Client) => Promise<void>,
): Promise<void> {
  const sdk = await import('@aws-sdk/client-s3');
  const client = new sdk.S3Client({
    endpoint: rgw.endpoint,
    region: rgw.region,
    forcePathStyle: true,
    credentials: { accessKeyId: rgw.accessKey, secretAccessKey: rgw.secretKey },
  });
  try {
    await action(sdk, client);
  } finally {
    client.destroy();
  }
}

async function keysOf(driver: Driver): Promise<string[]> {
  const keys: string[] = [];
  for await (const batch of driver.list('')) {
    keys.push(...batch.map(({ key }) => key));
  }
  return keys;
}

function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'regtool-probe-'));
  folders.push(folder);
  return folder;
}
