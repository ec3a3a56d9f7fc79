import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { openS3 } from '../../src/drivers/s3.ts';
import {
  createBucket,
  createRgwUser,
  describeWithServers,
  type RgwAccess,
  type RgwUser,
} from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { runMigrate } from '../support/migrating.ts';
import { runRegtool, s3Environment } from '../support/run-regtool.ts';

vi.setConfig({ testTimeout: 120_000 });

/** What docs/security.md gives each command, on the bucket and on its objects. */
const READ = ['s3:ListBucket', 's3:GetObject'];
const WRITE = [...READ, 's3:PutObject', 's3:AbortMultipartUpload', 's3:ListBucketMultipartUploads'];
const DELETE = [...WRITE, 's3:DeleteObject'];

describeWithServers('an S3 user with no more rights than docs/security.md names', ['rgw'], (servers) => {
  const folder = createTemporaryFolder('regtool-power');
  const source = path.join(folder.path, 'source');
  const smaller = path.join(folder.path, 'smaller');
  let user: RgwUser;

  beforeAll(async () => {
    const registry = new RegistryBuilder({ seed: 'power' });
    registry.push('app', 'v1', registry.image());
    mkdirSync(smaller);
    mkdirSync(path.join(folder.path, 'empty'));
    await registry.writeTo(await openFilesystem({ root: smaller }));
    registry.push('app', 'v2', registry.image());
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
    const client = new S3Client({
      endpoint: rgw.endpoint,
      region: rgw.region,
      forcePathStyle: true,
      credentials: { accessKeyId: rgw.accessKey, secretAccessKey: rgw.secretKey },
    });
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

  function openOwned(bucket: string): Promise<Driver> {
    const { endpoint, region, accessKey, secretKey } = servers.rgw;
    return openS3({
      bucket,
      root: '',
      location: `s3://${bucket}`,
      endpoint,
      region,
      accessKeyId: accessKey,
      secretAccessKey: secretKey,
    });
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

  const commands: [name: string, actions: readonly string[], isFilled: boolean, Argv][] = [
    ['check', READ, true, check],
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
      expect(`${stdout}${stderr}`).toContain('AccessDenied');
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

function locationOf({ endpoint }: RgwAccess, bucket: string): string {
  return `s3://${bucket}?endpoint=${endpoint}`;
}
