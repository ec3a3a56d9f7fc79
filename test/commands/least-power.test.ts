import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { CreateMultipartUploadCommand, PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { blobOf } from '../../fixtures/images.ts';
import { blobKey, layerKey } from '../../fixtures/keys.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import {
  createBucket,
  createRgwUser,
  describeWithServers,
  type RgwAccess,
  type RgwUser,
} from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { inOneLine } from '../support/in-one-line.ts';
import { runMigrate } from '../support/migrating.ts';
import { openBucket } from '../support/own-stores.ts';
import { runRegtool, s3Environment } from '../support/run-regtool.ts';

vi.setConfig({ testTimeout: 120_000 });

/** What docs/security.md gives each command, on the bucket and on its objects. */
const READ = ['s3:ListBucket', 's3:GetObject'];
const WRITE = [...READ, 's3:PutObject', 's3:AbortMultipartUpload', 's3:ListBucketMultipartUploads'];
const DELETE = [...WRITE, 's3:DeleteObject'];
const UNMARK = [...READ, 's3:DeleteObject'];
const MEND = [...READ, 's3:PutObject'];
const MOVE = [...MEND, 's3:DeleteObject'];
const ABORT = [...MOVE, 's3:ListBucketMultipartUploads', 's3:AbortMultipartUpload'];

describeWithServers('an S3 user with no more rights than docs/security.md names', ['rgw'], (servers) => {
  const folder = createTemporaryFolder('regtool-power');
  const source = path.join(folder.path, 'source');
  const smaller = path.join(folder.path, 'smaller');
  let user: RgwUser;
  /** Of the image `app:v2`. */
  let config: string;
  let layer: string;

  beforeAll(async () => {
    const registry = new RegistryBuilder({ seed: 'power' });
    registry.push('app', 'v1', registry.image());
    mkdirSync(smaller);
    mkdirSync(path.join(folder.path, 'empty'));
    await registry.writeTo(await openFilesystem({ root: smaller }));
    const image = registry.push('app', 'v2', registry.image());
    config = blobOf(image.config?.bytes ?? new Uint8Array()).digest;
    layer = blobOf(image.layers[0]?.bytes ?? new Uint8Array()).digest;
    mkdirSync(source);
    await registry.writeTo(await openFilesystem({ root: source }));
    user = await createRgwUser();
  });
  afterAll(folder.remove);

  /** A bucket of another user, on which this one may do so much and nothing else. */
  async function bucketAllowing(actions: readonly string[], isFilled: boolean): Promise<string> {
    const { rgw } = servers;
    const bucket = await createBucket(rgw);
    if (isFilled) {
      const driver = await openOwned(bucket);
      await runMigrate(await openFilesystem({ root: source }), driver);
      await driver.close();
    }
    const client = clientOf();
    const Statement = [
      {
        Effect: 'Allow',
        Principal: { AWS: ['*'] },
        Action: actions,
        Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`],
      },
    ];
    await client.send(
      new PutBucketPolicyCommand({
        Bucket: bucket,
        Policy: JSON.stringify({ Version: '2012-10-17', Statement }),
      }),
    );
    client.destroy();
    return bucket;
  }

  function clientOf(): S3Client {
    const { endpoint, region, accessKey, secretKey } = servers.rgw;
    return new S3Client({
      endpoint,
      region,
      forcePathStyle: true,
      credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
    });
  }

  function openOwned(bucket: string): Promise<Driver> {
    return openBucket(servers.rgw, bucket);
  }

  const asUser = (): Record<string, string> => s3Environment({ ...servers.rgw, ...user });

  async function exitCodeOf(argv: string[]): Promise<number> {
    const ended = await runRegtool(argv, { env: asUser() });
    return ended.exitCode;
  }

  type Argv = (location: string) => string[];
  const check: Argv = (location) => ['check', location];
  const copy: Argv = (location) => ['migrate', source, location];
  const remove: Argv = (location) => ['migrate', smaller, location, '--delete', '--yes', '--max-delete=100%'];

  const marker = 'docker/registry/v2/repositories/app/_manifests/tags/';
  const uploadOf = 'docker/registry/v2/blobs/unfinished';

  /** What other tools and crashes leave, a thing for each command that mends. */
  async function damage(bucket: string): Promise<void> {
    const driver = await openOwned(bucket);
    await driver.write(layerKey('app', config), new Uint8Array());
    await driver.write(blobKey(layer), Buffer.from('wrong'));
    await driver.write(marker, new Uint8Array());
    await driver.close();
    const client = clientOf();
    await client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: uploadOf }));
    client.destroy();
  }

  const undoFile = (bucket: string): string => path.join(folder.path, `${bucket}.undo`);
  const repair =
    (...flags: string[]): Argv =>
    (location) => ['repair', location, '--yes', '--undo-file', undoFile(bucketIn(location)), ...flags];

  /** Where something else is left broken they end with 3: what they may do is done all the same. */
  const mending: [
    name: string,
    actions: readonly string[],
    Argv,
    done: string,
    exitCode: number,
    without: string,
  ][] = [
    [
      'fix-empty-tags',
      UNMARK,
      (location) => ['fix-empty-tags', location, '--yes'],
      'Done: removed 1 marker, failed 0',
      0,
      's3:DeleteObject',
    ],
    ['repair', MEND, repair(), 'Done: made 1 change, failed 0', 3, 's3:PutObject'],
    [
      'repair --quarantine',
      MOVE,
      repair('--quarantine'),
      'Done: made 2 changes, failed 0',
      3,
      's3:DeleteObject',
    ],
    [
      'repair --uploads',
      ABORT,
      repair('--uploads', '--older-than', '0m'),
      'Done: made 2 changes, failed 0',
      3,
      's3:AbortMultipartUpload',
    ],
  ];

  test.concurrent.each(mending)(
    '%s does its work, and says that it failed without one right',
    async (_name, actions, argv, done, exitCode, without) => {
      const [allowed, refused] = await Promise.all(
        [actions, actions.filter((action) => action !== without)].map(async (granted) => {
          const bucket = await bucketAllowing(granted, true);
          await damage(bucket);
          return runRegtool(argv(locationOf(servers.rgw, bucket)), { env: asUser() });
        }),
      );
      expect(allowed).toMatchObject({ exitCode, stdout: expect.stringContaining(done) });
      expect(refused).toMatchObject({ exitCode: 4, stdout: expect.stringContaining('DONE IN PART') });
      expect(inOneLine(refused?.stdout ?? '')).toContain(`(403 AccessDenied); grant ${without}`);
    },
  );

  test('repair --undo puts back what repair wrote, with the rights to write and to delete', async () => {
    const bucket = await bucketAllowing(MOVE, true);
    await damage(bucket);
    const location = locationOf(servers.rgw, bucket);
    expect(await exitCodeOf(repair('--quarantine')(location))).toBe(3);
    expect(await exitCodeOf(['repair', location, '--yes', '--undo', undoFile(bucket)])).toBe(0);
    const driver = await openOwned(bucket);
    expect((await driver.stat(layerKey('app', config)))?.sizeBytes).toBe(0);
    expect(await driver.readSmall(blobKey(layer), 100)).toEqual(Buffer.from('wrong'));
    await driver.close();
  });

  const commands: [name: string, actions: readonly string[], isFilled: boolean, Argv][] = [
    ['check', READ, true, check],
    ['usage', READ, true, (location) => ['usage', location]],
    ['verify', READ, true, (location) => ['verify', source, location, '--read-data']],
    ['migrate from it', READ, true, (location) => ['migrate', location, path.join(folder.path, 'empty')]],
    ['migrate to it', WRITE, false, copy],
    ['migrate --delete to it', DELETE, true, remove],
  ];

  const needed: [action: string, actions: readonly string[], isFilled: boolean, Argv, exitCode: number][] = [
    ['s3:ListBucket', READ, true, check, 5],
    ['s3:GetObject', READ, true, check, 4],
    ['s3:PutObject', WRITE, false, copy, 4],
    ['s3:ListBucketMultipartUploads', WRITE, false, copy, 5],
    ['s3:DeleteObject', DELETE, true, remove, 5],
  ];

  test.concurrent.each(commands)('can %s', async (_command, actions, isFilled, argv) => {
    const bucket = await bucketAllowing(actions, isFilled);
    expect(await exitCodeOf(argv(locationOf(servers.rgw, bucket)))).toBe(0);
  });

  test.concurrent.each(needed)(
    'is refused and told so without %s',
    async (action, actions, isFilled, argv, code) => {
      const bucket = await bucketAllowing(
        actions.filter((other) => other !== action),
        isFilled,
      );
      const { exitCode, stdout, stderr } = await runRegtool(argv(locationOf(servers.rgw, bucket)), {
        env: asUser(),
      });
      expect({ exitCode, stdout, stderr }).toEqual({ exitCode: code, stdout, stderr });
      expect(inOneLine(`${stdout}${stderr}`)).toContain(`(403 AccessDenied); grant ${action}`);
    },
  );

  test('leaves no trace where it may not write', async () => {
    const bucket = await bucketAllowing(READ, false);
    expect([4, 5]).toContain(await exitCodeOf(['migrate', source, locationOf(servers.rgw, bucket)]));
    const driver = await openOwned(bucket);
    expect(await driver.listFolder('')).toEqual({ folders: [], objects: [] });
    await driver.close();
  });
});

const bucketIn = (location: string): string => /^s3:\/\/([^?]+)/.exec(location)?.[1] ?? '';

function locationOf({ endpoint }: RgwAccess, bucket: string): string {
  return `s3://${bucket}?endpoint=${endpoint}`;
}
