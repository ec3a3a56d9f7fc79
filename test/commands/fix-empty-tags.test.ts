import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import FixEmptyTags from '../../src/commands/fix-empty-tags.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { runClass, type ClassRun } from '../cli/run-class.ts';
import { createBucket, describeWithServers, type RgwAccess } from '../servers/index.ts';
import { inOneLine } from '../support/in-one-line.ts';
import { openBucket } from '../support/own-stores.ts';

const tags = 'docker/registry/v2/repositories/shop/web/_manifests/tags/';
const gone = `${tags}gone/`;
const layers = 'docker/registry/v2/repositories/shop/web/_layers/';

function registryWith(...markers: string[]): RegistryBuilder {
  const registry = new RegistryBuilder({ seed: 'command' });
  registry.push('shop/web', 'v1', registry.image());
  for (const key of markers) {
    registry.marker(key);
  }
  return registry;
}

const run = (...argv: string[]): Promise<ClassRun> => runClass(FixEmptyTags, argv, 'fix-empty-tags');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'regtool-fix-empty-tags-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

describeWithServers('regtool fix-empty-tags on S3', ['rgw'], (servers) => {
  it('plans with 3, removes with 0, and finds nothing the second time', async () => {
    const { location } = await fill(servers.rgw, registryWith(tags, gone, layers));
    const report = join(folder, 'report.ndjson');
    const dry = await run(location, '--dry-run', '--report', report);
    expect(dry.exitCode).toBe(3);
    expect(dry.stdout).toContain('marker-empty-tag: makes an empty tag name');
    expect(dry.stdout).toContain('marker-ghost-tag: makes a ghost tag');
    expect(dry.stdout).toContain('Dry run, nothing was removed: would remove 2 markers');
    const lines = (await readFile(report, 'utf8')).trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          key: tags,
          code: 'marker-empty-tag',
          outcome: 'planned',
          repository: 'shop/web',
        }),
        expect.objectContaining({ key: gone, code: 'marker-ghost-tag', outcome: 'planned', tag: 'gone' }),
        expect.objectContaining({ key: layers, code: 'marker-harmless', outcome: 'left' }),
      ]),
    );
    const wet = await run(location, '--yes');
    expect(wet.exitCode).toBe(0);
    expect(wet.stdout).toContain('Done: removed 2 markers');
    expect(wet.stdout).toContain('Left: 1 harmless marker; --all-markers removes them, too.');
    const again = await run(location, '--yes', '--json');
    expect(again.exitCode).toBe(0);
    expect(again.json).toMatchObject({ ok: true, result: { toRemove: 0, removed: 0, end: 'done' } });
  });

  it('says of a bucket with versions that they remain', async () => {
    const { location, bucket } = await fill(servers.rgw, registryWith(tags));
    expect((await run(location, '--dry-run')).stdout).not.toContain('version');
    const client = clientOf(servers.rgw);
    await client.send(
      new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status: 'Enabled' } }),
    );
    client.destroy();
    const { stdout, exitCode } = await run(location, '--yes');
    expect(stdout).toContain('stays as an older version until a lifecycle rule expires it');
    expect(exitCode).toBe(0);
    expect((await run(location, '--yes', '--json')).json).toMatchObject({
      result: { versioning: 'enabled', found: [] },
    });
  });

  it('ends with 3 while something with content stands in the place of a marker', async () => {
    const registry = registryWith();
    registry.foreign(tags, 'content');
    const { location } = await fill(servers.rgw, registry);
    const { exitCode, stdout } = await run(location, '--yes');
    expect(inOneLine(stdout)).toContain('look at it and move it out of the store by hand');
    expect(exitCode).toBe(3);
  });

  it('removes nothing without a terminal and without --yes', async () => {
    const { location } = await fill(servers.rgw, registryWith(tags));
    expect(await run(location)).toMatchObject({ exitCode: 2 });
    expect((await run(location, '--dry-run')).exitCode).toBe(3);
  });

  it('refuses a bucket that is no registry', async () => {
    const bucket = await createBucket(servers.rgw);
    stubCredentials(servers.rgw);
    expect(await run(locationOf(servers.rgw, bucket), '--yes')).toMatchObject({ exitCode: 6 });
  });
});

describe('regtool fix-empty-tags on a filesystem', () => {
  it('has nothing to do, says why, and needs no agreement', async () => {
    const store = await openFilesystem({ root: folder });
    await registryWith().writeTo(store);
    await store.close();
    const { exitCode, stdout } = await run(folder);
    expect(inOneLine(stdout)).toContain('nothing to do. Folders are real on a filesystem');
    expect(exitCode).toBe(0);
  });

  it('refuses a folder that is no registry', async () => {
    expect(await run(folder)).toMatchObject({ exitCode: 6 });
  });
});

async function fill(
  rgw: RgwAccess,
  registry: RegistryBuilder,
): Promise<{ location: string; bucket: string }> {
  const bucket = await createBucket(rgw);
  const driver = await openBucket(rgw, bucket);
  await registry.writeTo(driver);
  await driver.close();
  stubCredentials(rgw);
  return { location: locationOf(rgw, bucket), bucket };
}

function stubCredentials({ accessKey, secretKey }: RgwAccess): void {
  vi.stubEnv('AWS_ACCESS_KEY_ID', accessKey);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', secretKey);
}

function locationOf({ endpoint, region }: RgwAccess, bucket: string): string {
  return `s3://${bucket}?region=${region}&endpoint=${encodeURIComponent(endpoint)}`;
}

function clientOf({ endpoint, region, accessKey, secretKey }: RgwAccess): S3Client {
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
  });
}
