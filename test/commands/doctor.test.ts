import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { sampleRegistry } from '../../fixtures/sample-registry.ts';
import Doctor from '../../src/commands/doctor.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { runClass } from '../cli/run-class.ts';
import {
  createBucket,
  createContainer,
  createRgwUser,
  describeWithServers,
  type RgwAccess,
} from '../servers/index.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'regtool-doctor-'));
const registry = path.join(folder, 'registry');
let empty = '';

beforeEach(async () => {
  empty = mkdtempSync(path.join(folder, 'empty-'));
  rmSync(registry, { recursive: true, force: true });
  mkdirSync(registry);
  const store = await openFilesystem({ root: registry });
  await sampleRegistry({ largeLayerBytes: 20_000 }).registry.writeTo(store);
});

afterEach(() => {
  vi.unstubAllEnvs();
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe('doctor', () => {
  test('ends with 0 for two stores that will do, and leaves nothing', async () => {
    const { stdout, exitCode } = await run(registry, empty, '--write-probe');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^Source: /m);
    expect(stdout).toMatch(/^Target: /m);
    expect(stdout).toMatch(/^ {2}ok +put +objects can be written$/m);
    expect(stdout).toMatch(/^ {2}The first pass takes /m);
    expect(readdirSync(empty)).toEqual([]);
  });

  test('writes nothing at all without --write-probe', async () => {
    const { stdout, exitCode } = await run(registry, empty);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^ {2}unknown +put +writing was not tried$/m);
  });

  test('ends with 6 when the source is no registry', async () => {
    const { stdout, exitCode } = await run(empty, registry);
    expect(exitCode).toBe(6);
    expect(stdout).toMatch(/^ {2}failed +root +no registry/m);
  });

  test('warns of a target that is a folder inside a registry, or that lies in one', async () => {
    const other = path.join(folder, 'other');
    await sampleRegistry({ largeLayerBytes: 20_000 }).registry.writeTo(
      await openFilesystem({ root: newFolder(other) }),
    );
    const inside = await run(registry, path.join(other, 'docker'));
    expect(inside.stdout).toMatch(
      /^ {2}warning +root +nothing below docker\/registry\/v2\/, and a registry/m,
    );
    expect(inside.stdout).toContain('It looks like the folder "docker" inside one');
    const above = await run(registry, newFolder(path.join(other, 'new')));
    expect(above.stdout).toContain(`One is at ${other}.`);
    expect(above.exitCode).toBe(0);
  });

  test('ends with 3 when a check failed', async () => {
    const lockfiles = path.join(registry, 'docker/registry/lockfiles');
    mkdirSync(lockfiles, { recursive: true });
    writeFileSync(path.join(lockfiles, 'database-in-use'), '{"version":1}');
    writeFileSync(path.join(lockfiles, 'filesystem-in-use'), '{"version":1}');
    const { stdout, exitCode } = await run(registry);
    expect(exitCode).toBe(3);
    expect(stdout).toMatch(/^ {2}failed +lockfiles +both are there/m);
  });

  test('ends with 5 when a store cannot be reached, and examines the other one', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAUNREACHABLE');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'a-secret-that-is-never-shown');
    const { stdout, stderr, exitCode } = await run(
      registry,
      's3://registry?endpoint=http://127.0.0.1:1',
      '--write-probe',
    );
    expect(exitCode).toBe(5);
    expect(stdout).toMatch(/^ {2}failed +reach +cannot be used: Nothing listens at/m);
    expect(stdout).toMatch(/^ {2}ok +root +a registry/m);
    expect(stdout + stderr).not.toMatch(/AKIA|a-secret/);
  });

  test('ends with 5 for a folder that is not there', async () => {
    const { exitCode } = await run(path.join(folder, 'nowhere'));
    expect(exitCode).toBe(5);
  });

  test('says what the configuration makes of the registry', async () => {
    const config = path.join(folder, 'config.yml');
    const storage = { filesystem: { rootdirectory: registry }, maintenance: { readonly: { enabled: true } } };
    writeFileSync(config, `version: 0.1\nstorage: ${JSON.stringify(storage)}\n`);
    const { stdout } = await run(config);
    expect(stdout).toMatch(/^ {2}ok +read-only +the configuration makes the registry read-only/m);
  });

  test('gives the checks in the envelope with --json', async () => {
    const { json } = await run(registry, '--json');
    expect(json).toMatchObject({
      ok: true,
      result: {
        verdict: 'healthy',
        stores: [
          {
            role: 'store',
            isRegistry: true,
            checks: expect.arrayContaining([expect.objectContaining({ name: 'list', status: 'ok' })]),
            content: { isExact: true },
          },
        ],
      },
    });
  });
});

describeWithServers('doctor of a bucket', ['rgw'], (servers) => {
  test('names what it checks, and leaves nothing', async () => {
    signIn(servers.rgw);
    const location = locationOf(servers.rgw, await createBucket(servers.rgw));
    const { stdout, stderr, exitCode } = await run(registry, location, '--write-probe');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^ {2}ok +credentials +from environment variables$/m);
    expect(stdout).toMatch(/^ {2}ok +payload-hash +refuses/m);
    expect(stdout).toMatch(/^ {2}ok +abort /m);
    expect(stdout).not.toMatch(/^ {2}failed/m);
    expect(stdout + stderr).not.toContain(servers.rgw.secretKey);
    expect(stdout + stderr).not.toContain(servers.rgw.accessKey);
    const { exitCode: emptyAgain } = await run(location);
    expect(emptyAgain).toBe(0);
  });

  test('names the missing rights of a stranger', async () => {
    const bucket = await createBucket(servers.rgw);
    signIn({ ...servers.rgw, ...(await createRgwUser()) });
    const { stdout, exitCode } = await run(locationOf(servers.rgw, bucket), '--write-probe');
    expect(exitCode).toBe(3);
    expect(stdout).toMatch(/^ {2}failed +list /m);
    expect(stdout).toContain('Grant s3:ListBucket on the bucket.');
    expect(stdout).toMatch(/^ {2}failed +put /m);
    expect(stdout).toContain('Grant s3:PutObject on its objects');
  });

  test('tries all of it with no more rights than docs/security.md names', async () => {
    const bucket = await createBucket(servers.rgw);
    await allow(servers.rgw, bucket, [
      's3:ListBucket',
      's3:ListBucketMultipartUploads',
      's3:GetObject',
      's3:PutObject',
      's3:DeleteObject',
      's3:AbortMultipartUpload',
    ]);
    signIn({ ...servers.rgw, ...(await createRgwUser()) });
    const { stdout, exitCode } = await run(registry, locationOf(servers.rgw, bucket), '--write-probe');
    expect(stdout).not.toMatch(/^ {2}failed/m);
    expect(exitCode).toBe(0);
    const { stdout: alone, exitCode: again } = await run(locationOf(servers.rgw, bucket));
    expect(alone).not.toMatch(/^ {2}failed/m);
    expect(again).toBe(0);
  });

  test('a bucket that is not there ends with 5', async () => {
    signIn(servers.rgw);
    const { exitCode, stdout } = await run(locationOf(servers.rgw, 'no-such-bucket'));
    expect(exitCode).toBe(5);
    expect(stdout).toContain('There is no bucket no-such-bucket');
  });
});

describeWithServers('doctor of a container', ['azurite'], (servers) => {
  test('names what it checks, and leaves nothing', async () => {
    const { accountName, accountKey, serviceUrl } = servers.azurite;
    vi.stubEnv('AZURE_STORAGE_ACCOUNT', accountName);
    vi.stubEnv('AZURE_STORAGE_KEY', accountKey);
    const container = await createContainer(servers.azurite);
    const location = `azure://${container}?serviceurl=${serviceUrl}`;
    const { stdout, stderr, exitCode } = await run(registry, location, '--write-probe');
    expect(stdout).not.toMatch(/^ {2}failed/m);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^ {2}ok +checksum +refuses/m);
    expect(stdout).toMatch(/^ {2}(ok +namespace +flat|unknown +namespace )/m);
    expect(stdout + stderr).not.toContain(accountKey);
  });
});

function newFolder(at: string): string {
  mkdirSync(at, { recursive: true });
  return at;
}

function run(...argv: string[]) {
  return runClass(Doctor, argv, 'doctor');
}

function signIn({ accessKey, secretKey }: RgwAccess): void {
  vi.stubEnv('AWS_ACCESS_KEY_ID', accessKey);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', secretKey);
}

/** Lets every user do so much with a bucket, and nothing else. */
async function allow(
  { endpoint, region, accessKey, secretKey }: RgwAccess,
  bucket: string,
  actions: readonly string[],
): Promise<void> {
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
  });
  const Statement = [
    {
      Effect: 'Allow',
      Principal: { AWS: ['*'] },
      Action: actions,
      Resource: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`],
    },
  ];
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement });
  await client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
  client.destroy();
}

function locationOf({ endpoint, region }: RgwAccess, bucket: string): string {
  return `s3://${bucket}?endpoint=${endpoint}&region=${region}`;
}
