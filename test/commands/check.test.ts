import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { currentKey } from '../../fixtures/keys.ts';
import Check from '../../src/commands/check.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { runClass } from '../cli/run-class.ts';
import { healthyRegistry } from '../operations/check/fixtures.ts';
import { createTemporaryFolder } from '../servers/process.ts';

describe('regtool check', () => {
  const folder = createTemporaryFolder('regtool-check-command');
  const whole = path.join(folder.path, 'whole');
  const broken = path.join(folder.path, 'broken');

  beforeAll(async () => {
    for (const root of [whole, broken]) {
      mkdirSync(root);
      const driver = await openFilesystem({ root, location: root });
      await healthyRegistry().registry.writeTo(driver);
      await driver.close();
    }
    rmSync(path.join(broken, currentKey('shop', 'v1')));
  });
  afterAll(() => {
    folder.remove();
  });

  test('ends with 0 on a healthy store, and says so first', async () => {
    const { exitCode, stdout } = await runClass(Check, [whole, '--no-progress']);
    expect(exitCode).toBe(0);
    expect(stdout.split('\n')[0]).toBe(`HEALTHY: ${whole}. All 2 tags can be pulled.`);
  });

  test('ends with 3 where a tag cannot be pulled, and reports each finding and tag', async () => {
    const reportPath = path.join(folder.path, 'report.ndjson');
    const { exitCode, json } = await runClass(Check, [
      broken,
      '--json',
      '--no-progress',
      '--report',
      reportPath,
    ]);
    expect(exitCode).toBe(3);
    expect(json).toMatchObject({
      ok: false,
      exitCode: 3,
      result: { verdict: 'broken', tags: { notPullable: 1 } },
    });
    const lines = readFileSync(reportPath, 'utf8').trim().split('\n');
    const records = lines.map((line) => JSON.parse(line) as { type: string; code?: string; tag?: string });
    expect(records).toHaveLength(2);
    expect(records).toContainEqual(expect.objectContaining({ type: 'tag', repository: 'shop', tag: 'v1' }));
    expect(records).toContainEqual(
      expect.objectContaining({ type: 'finding', code: 'tag-current-missing', severity: 'error' }),
    );
  });

  test('proves the data of all blobs with --read-data before the store', async () => {
    const { exitCode, stdout } = await runClass(Check, ['--read-data', whole, '--no-progress']);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('The bytes of all 13 blobs');
  });

  test('ends with 6 on what is no registry, and says where it is', async () => {
    const above = await runClass(Check, [folder.path, '--json', '--no-progress']);
    expect(above.exitCode).toBe(6);
    expect(above.json).toMatchObject({ error: { code: 'NOT_A_REGISTRY' } });
    expect(JSON.stringify(above.json)).toContain('One is below');

    const empty = path.join(whole, 'empty');
    mkdirSync(empty);
    try {
      const below = await runClass(Check, [empty, '--json', '--no-progress']);
      expect(below.exitCode).toBe(6);
      expect(JSON.stringify(below.json)).toContain(`One is at ${whole}.`);
    } finally {
      rmSync(empty, { recursive: true });
    }
  });

  test('ends with 5 where there is no store', async () => {
    const { exitCode } = await runClass(Check, [
      path.join(folder.path, 'nowhere'),
      '--json',
      '--no-progress',
    ]);
    expect(exitCode).toBe(5);
  });

  test('ends with 2 on a wrong flag', async () => {
    expect((await runClass(Check, [whole, '--read-data=0%', '--json'])).exitCode).toBe(2);
  });
});
