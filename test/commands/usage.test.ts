import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import Usage from '../../src/commands/usage.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { runClass } from '../cli/run-class.ts';
import { createBucket, describeWithServers } from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { openBucket } from '../support/own-stores.ts';

const MIB = 1024 * 1024;

/** `large` has most, nearly all of it shared with `copy`, and `tiny` has nothing but its own. */
function shop(): RegistryBuilder {
  const registry = new RegistryBuilder({ seed: 'usage' });
  registry.blob('large', Buffer.alloc(3 * MIB, 1));
  registry.blob('copy', Buffer.alloc(3 * MIB, 1));
  registry.blob('large', Buffer.alloc(1 * MIB, 2));
  registry.blob('tiny', Buffer.alloc(2 * MIB, 3));
  registry.push('tiny', 'v1', registry.image({ layers: 1, layerBytes: 100 }));
  return registry;
}

const run = (...argv: string[]) => runClass(Usage, [...argv, '--no-progress'], 'usage');

/** The names in the last column of the table of repositories. */
const namesIn = (stdout: string): string[] =>
  stdout.split('\n').flatMap((line) => /(?:MiB|B)(?: +[\d,]+){3} {2}(\S+)$/.exec(line)?.[1] ?? []);

describe('regtool usage', () => {
  const folder = createTemporaryFolder('regtool-usage-command');
  const store = path.join(folder.path, 'store');

  beforeAll(async () => {
    mkdirSync(store);
    const driver = await openFilesystem({ root: store, location: store });
    await shop().writeTo(driver);
    await driver.close();
  });
  afterAll(() => {
    folder.remove();
  });

  test('ends with 0, and shows the repositories that link most first', async () => {
    const { exitCode, stdout } = await run(store);
    expect(exitCode).toBe(0);
    expect(stdout.split('\n')[0]).toMatch(/^6\.0 MiB in \d+ objects: /);
    expect(namesIn(stdout)).toEqual(['large', 'copy', 'tiny']);
    expect(stdout).toMatch(/^ *4\.0 MiB +1\.0 MiB +0 +0 +2 {2}large$/m);
    expect(stdout).toMatch(/^ *3\.0 MiB +0 B +0 +0 +1 {2}copy$/m);
    expect(stdout).toMatch(/^several repositories +1 +3\.0 MiB$/m);
  });

  test.each([
    ['only-here', ['tiny', 'large', 'copy']],
    ['tags', ['tiny', 'copy', 'large']],
    ['name', ['copy', 'large', 'tiny']],
  ])('sorts by %s', async (order, names) => {
    expect(namesIn((await run(store, '--sort', order)).stdout)).toEqual(names);
  });

  test('shows as many as it is told to, and says how many it does not', async () => {
    const { stdout } = await run(store, '--limit', '1');
    expect(namesIn(stdout)).toEqual(['large']);
    expect(stdout).toContain('and 2 more: --limit 0 shows all, and all are in --report');
    expect(namesIn((await run(store, '--limit', '0')).stdout)).toHaveLength(3);
  });

  test('gives JSON, and a line for each repository in a report', async () => {
    const report = path.join(folder.path, 'usage.ndjson');
    const { json, exitCode } = await run(store, '--json', '--report', report);
    expect(exitCode).toBe(0);
    expect(json).toMatchObject({
      ok: true,
      command: 'usage',
      result: {
        complete: true,
        repositoryCount: 3,
        repositories: [{ repository: 'large', linkedBytes: 4 * MIB, onlyHereBytes: MIB }, {}, {}],
        blobs: { shared: { blobs: 1, bytes: 3 * MIB } },
      },
    });
    const lines = readFileSync(report, 'utf8').trim().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { repository: string }).repository)).toEqual([
      'large',
      'copy',
      'tiny',
    ]);
  });

  test('ends with 2 for an order that is none, and with 6 for what is no registry', async () => {
    expect((await run(store, '--sort', 'bytes')).exitCode).toBe(2);
    expect((await run(store, '--limit', '-1')).exitCode).toBe(2);
    const other = await run(path.join(store, 'docker'), '--json');
    expect(other.exitCode).toBe(6);
    expect(other.json).toMatchObject({ error: { code: 'NOT_A_REGISTRY' } });
  });

  test('says where the registry is that is not in the store', async () => {
    const beside = path.join(store, 'beside');
    mkdirSync(beside);
    try {
      const { exitCode, json } = await run(beside, '--json');
      expect(exitCode).toBe(6);
      expect(JSON.stringify(json)).toContain(`One is at ${store}.`);
    } finally {
      rmSync(beside, { recursive: true });
    }
  });
});

describeWithServers('regtool usage of a bucket', ['rgw'], (servers) => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  test('counts there what it counts in a folder', async () => {
    const { endpoint, region, accessKey, secretKey } = servers.rgw;
    vi.stubEnv('AWS_ACCESS_KEY_ID', accessKey);
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', secretKey);
    const bucket = await createBucket(servers.rgw);
    const location = `s3://${bucket}?region=${region}&endpoint=${encodeURIComponent(endpoint)}&pathstyle=true`;
    const driver = await openBucket(servers.rgw, bucket);
    await shop().writeTo(driver);
    await driver.close();
    const { exitCode, json } = await run(location, '--json');
    expect(exitCode).toBe(0);
    expect(json).toMatchObject({
      result: {
        complete: true,
        repositories: [
          { repository: 'large', linkedBytes: 4 * MIB, onlyHereBytes: MIB, layers: 2 },
          { repository: 'copy', linkedBytes: 3 * MIB, onlyHereBytes: 0, layers: 1 },
          { repository: 'tiny', tags: 1, manifests: 1 },
        ],
      },
    });
  });
});
