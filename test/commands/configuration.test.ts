import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { createBucket, describeWithServers, type RgwAccess } from '../servers/index.ts';
import { openBucket } from '../support/own-stores.ts';
import { type Ended, runRegtool } from '../support/run-regtool.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'regtool-configuration-'));
  await mkdir(path.join(folder, 'target'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

describeWithServers('a configuration file as the location of a command', ['rgw'], (servers) => {
  async function filledBucket(rgw: RgwAccess): Promise<string> {
    const bucket = await createBucket(rgw);
    const store = await openBucket(rgw, bucket);
    const registry = new RegistryBuilder();
    registry.push('group/app', 'v1', registry.image());
    await registry.writeTo(store);
    await store.close();
    return bucket;
  }

  async function run(
    configuration: string,
    env: Record<string, string> = {},
  ): Promise<Ended & { report: string }> {
    const file = path.join(folder, 'config.yml');
    const report = path.join(folder, 'report.ndjson');
    await writeFile(file, configuration);
    await writeFile(report, '');
    const argv = ['migrate', file, path.join(folder, 'target'), '--json', '--report', report];
    const ended = await runRegtool(argv, { env });
    return { ...ended, report: await readFile(report, 'utf8') };
  }

  function configurationOf(bucket: string, keys: { accesskey: string; secretkey: string }): string {
    const { region, endpoint } = servers.rgw;
    const s3 = { bucket, region, regionendpoint: endpoint, ...keys, sessiontokn: 'x' };
    return `version: 0.1\nstorage: ${JSON.stringify({ s3, delete: { enabled: true } })}\n`;
  }

  test('says driver, bucket and credentials, and none of them shows anywhere', async () => {
    const { accessKey: accesskey, secretKey: secretkey } = servers.rgw;
    const { exitCode, stdout, stderr, report } = await run(
      configurationOf(await filledBucket(servers.rgw), { accesskey, secretkey }),
    );
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    expect(stdout).toContain('"source": "s3://');
    expect(stderr).toMatch(
      /config\.yml:2: storage\.s3 has the parameter sessiontokn .* Did you mean sessiontoken\?/,
    );
    expect(report).toContain('group/app');
    for (const output of [stdout, stderr, report]) {
      expect(output).not.toContain(accesskey);
      expect(output).not.toContain(secretkey);
    }
  });

  test('with wrong credentials is refused by the store, and shows none of them', async () => {
    const keys = { accesskey: 'AKIAIOSFODNN7EXAMPLE', secretkey: 'wJalrXUtnFEMIbPxRfiCYEXAMPLEKEY' };
    const { exitCode, stdout, stderr } = await run(configurationOf(await createBucket(servers.rgw), keys));
    expect(exitCode).toBe(5);
    expect(stdout + stderr).not.toContain(keys.accesskey);
    expect(stdout + stderr).not.toContain(keys.secretkey);
  });

  test.each([
    ['broken', 'version: 0.1\nstorage:\n  s3:\n    secretkey: wJalrXUtnFEMIbPxRfiCY: x\n'],
    ['wrong', 'version: 0.1\nstorage:\n  s3:\n    bucket: wJalrXUtnFEMIbPxRfiCY/x\n    region: r\n'],
  ])('that is %s is refused as wrong usage, and nothing of it shows', async (_, configuration) => {
    const { exitCode, stdout, stderr } = await run(configuration);
    expect(exitCode).toBe(2);
    expect(stdout).toMatch(/"message": ".*config\.yml:\d: /);
    expect(stdout + stderr).not.toContain('wJalrXUtnFEMI');
  });

  test('is overridden by REGISTRY_STORAGE variables', async () => {
    const { accessKey, secretKey } = servers.rgw;
    const wrong = configurationOf('another-bucket', {
      accesskey: 'AKIAIOSFODNN7EXAMPLE',
      secretkey: 'wrong',
    });
    const { exitCode, stdout, stderr } = await run(wrong, {
      REGISTRY_STORAGE_S3_BUCKET: await filledBucket(servers.rgw),
      REGISTRY_STORAGE_S3_ACCESSKEY: accessKey,
      REGISTRY_STORAGE_S3_SECRETKEY: secretKey,
    });
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    expect(stdout + stderr).not.toContain(secretKey);
  });
});
