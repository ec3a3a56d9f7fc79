import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { blobKey, currentKey } from '../../fixtures/keys.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import Verify from '../../src/commands/verify.ts';
import { digestOf } from '../support/images.ts';
import { runClass } from '../cli/run-class.ts';
import { inOneLine } from '../support/in-one-line.ts';

let folder: string;
let source: Driver;
let target: Driver;
let registry: RegistryBuilder;
const pathOf = (name: string) => join(folder, name);
const run = (...argv: string[]) =>
  runClass(Verify, [pathOf('source'), pathOf('target'), ...argv, '--no-progress'], 'verify');

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'regtool-verify-'));
  mkdirSync(pathOf('source'));
  mkdirSync(pathOf('target'));
  registry = new RegistryBuilder({ seed: 'command' });
  registry.push('shop/web', '1.0', registry.image());
  registry.push('shop/web', '2.0', registry.image());
  registry.push('tools/cli', 'latest', registry.image());
  source = await openFilesystem({ root: pathOf('source') });
  target = await openFilesystem({ root: pathOf('target') });
  await registry.writeTo(source);
  await registry.writeTo(target);
});

afterEach(async () => {
  await Promise.all([source.close(), target.close()]);
  rmSync(folder, { recursive: true });
});

const digestOfTag = (name: string) => registry.tags().find(({ tag }) => tag === name)?.digest ?? '';

/** What a table's row says in its columns for source and target. */
function countsOf(stdout: string, row: string): string[] {
  const line = stdout.split('\n').find((line) => line.startsWith(`  ${row} `)) ?? '';
  return line
    .slice(row.length + 2)
    .trim()
    .split(/\s+/)
    .slice(0, 2);
}

test('a refused run leaves the report of the run before, and one without differences replaces it', async () => {
  const report = pathOf('report.ndjson');
  writeFileSync(report, 'of an earlier run\n');
  mkdirSync(pathOf('empty'));
  for (const [store, exitCode] of [
    ['empty', 6],
    ['nowhere', 5],
  ] as const) {
    const refused = await runClass(Verify, [pathOf(store), pathOf('target'), '--report', report], 'verify');
    expect(refused.exitCode).toBe(exitCode);
    expect(readFileSync(report, 'utf8')).toBe('of an earlier run\n');
  }
  expect((await run('--report', report)).exitCode).toBe(0);
  expect(readFileSync(report, 'utf8')).toBe('');
});

describe('equal stores', () => {
  test('are verified in the first line, and end with 0', async () => {
    const { stdout, exitCode } = await run('--read-data');
    expect(exitCode).toBe(0);
    expect(stdout.split('\n')[0]).toMatch(
      /^VERIFIED: both stores hold the same content: 3 tags, 12 blobs, 30 objects in all/,
    );
    expect(stdout).toContain('Blobs proved at the target: 12');
  });

  test('without --read-data, say that no blob was read', async () => {
    const { stdout } = await run();
    expect(inOneLine(stdout)).toMatch(/^VERIFIED: .* Compared by name, size and what tags say\. source/);
    expect(stdout).toContain('No blob was read.');
  });

  test('are counted as the documentation asks, side by side, with _uploads apart', async () => {
    registry.upload('shop/web');
    registry.foreign('docker/registry/v2/notes.txt');
    await registry.writeTo(source);
    const { stdout, exitCode } = await run();
    expect(exitCode).toBe(0);
    expect(countsOf(stdout, 'tags')).toEqual(['3', '3']);
    expect(countsOf(stdout, 'blobs')).toEqual(['12', '12']);
    expect(countsOf(stdout, 'foreign files')).toEqual(['1', '0']);
    expect(countsOf(stdout, 'all but _uploads')).toEqual(['31', '30']);
    expect(countsOf(stdout, 'upload files')).toEqual(['4', '0']);
  });
});

describe('different stores', () => {
  test('whose target is not where it was said to be, say where it is', async () => {
    mkdirSync(join(pathOf('target'), 'new'));
    const argv = [pathOf('source'), join(pathOf('target'), 'new'), '--no-progress'];
    const { stdout, exitCode } = await runClass(Verify, argv, 'verify');
    expect(exitCode).toBe(3);
    expect(inOneLine(stdout)).toContain(
      `The target has no docker/registry/v2/. One is at ${pathOf('target')}.`,
    );
  });

  test('are different in the first line, and end with 3; each difference is named', async () => {
    await target.write(currentKey('shop/web', '2.0'), Buffer.from(digestOfTag('1.0')));
    await target.delete([currentKey('tools/cli', 'latest')]);
    const { stdout, exitCode } = await run();
    expect(exitCode).toBe(3);
    expect(stdout.split('\n')[0]).toBe(
      'DIFFERENT: 2 differences: 1 tag missing at the target, 1 tag elsewhere.',
    );
    expect(stdout).toContain(
      [
        '  shop/web',
        '    tag 2.0: elsewhere',
        `      source says ${digestOfTag('2.0')}`,
        `      target says ${digestOfTag('1.0')}`,
        '  tools/cli',
        '    tag latest: missing at the target',
      ].join('\n'),
    );
  });

  test('show fifty differences, and report all', async () => {
    for (let tag = 0; tag < 60; tag += 1) {
      await source.write(currentKey('shop/web', `v${tag}`), Buffer.from(digestOfTag('1.0')));
    }
    const { stdout, exitCode } = await run('--report', pathOf('report'));
    expect(exitCode).toBe(3);
    expect(stdout.match(/tag v\d+: missing at the target/g)).toHaveLength(50);
    expect(stdout).toContain('  and 10 more; all are in --report');
    const lines = readFileSync(pathOf('report'), 'utf8').trim().split('\n');
    const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(records).toHaveLength(60);
    expect(records).toContainEqual({
      type: 'difference',
      problem: 'missing',
      kind: 'tag-current',
      key: currentKey('shop/web', 'v7'),
      repository: 'shop/web',
      tag: 'v7',
      sourceSizeBytes: 71,
    });
  });

  test('name a corrupt blob, and on which side it is', async () => {
    const digest = digestOfTag('1.0');
    const bytes = Buffer.from(registry.objects.get(blobKey(digest)) ?? []);
    bytes[0] = 0;
    await target.write(blobKey(digest), bytes);
    expect((await run()).exitCode).toBe(0);
    const { stdout, exitCode } = await run('--read-data=100%');
    expect(exitCode).toBe(3);
    expect(stdout).toMatch(/^DIFFERENT: 1 difference: 1 blob corrupt at the target\.\n/);
    expect(stdout).toContain(`target hashes to ${digestOf(bytes)}`);
    expect(stdout).toContain('Delete a blob that is corrupt at the target there');
  });

  test('say in JSON what they say in words', async () => {
    await target.delete([currentKey('tools/cli', 'latest')]);
    const { json, exitCode } = await run('--json');
    expect(exitCode).toBe(3);
    expect(json).toMatchObject({
      schema: 1,
      ok: false,
      command: 'verify',
      exitCode: 3,
      result: {
        source: pathOf('source'),
        verdict: 'different',
        objectsWithoutUploads: { source: 30, target: 29 },
        counts: { source: { 'tag-current': { objects: 3, bytes: 213 } } },
        differences: {
          total: 1,
          by: { missing: { 'tag-current': 1 } },
          first: [{ problem: 'missing', repository: 'tools/cli', tag: 'latest' }],
        },
        newer: { total: 0, first: [] },
        unread: { total: 0, first: [] },
        readData: null,
      },
    });
  });

  test('may be a wrong root, which is said', async () => {
    const { stdout, exitCode } = await runClass(Verify, [pathOf('source'), folder, '--no-progress']);
    expect([exitCode, stdout]).toEqual([6, '']);
    const empty = mkdtempSync(join(tmpdir(), 'regtool-empty-'));
    const other = await runClass(Verify, [pathOf('source'), empty, '--no-progress']);
    rmSync(empty, { recursive: true });
    expect(other.exitCode).toBe(3);
    expect(other.stdout).toContain('The target has no docker/registry/v2/');
  });
});

describe('a sample', () => {
  test('prints the seed with which the same blobs are read again', async () => {
    const first = await run('--read-data=50%', '--json');
    const { readData } = (first.json as { result: { readData: { seed: number; blobs: number } } }).result;
    const again = await run('--read-data=50%', `--seed=${readData.seed}`);
    expect(inOneLine(again.stdout)).toContain(`--seed ${readData.seed} reads the same again`);
    expect(again.stdout).toContain(`Blobs proved at the target: ${readData.blobs} `);
    expect(first.exitCode).toBe(0);
  });

  test('of bytes reads no more than that', async () => {
    const { json } = await run('--read-data=3KiB', '--json');
    const { bytes } = (json as { result: { readData: { bytes: number } } }).result.readData;
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThanOrEqual(3072);
  });
});

describe('refuses', () => {
  test('the same store twice, and a source that is no registry, with 6', async () => {
    const same = await runClass(Verify, [pathOf('source'), pathOf('source')]);
    expect([same.exitCode, same.error?.message]).toEqual([
      6,
      expect.stringContaining('are the same store') as string,
    ]);
    const none = mkdtempSync(join(tmpdir(), 'regtool-empty-'));
    const noRegistry = await runClass(Verify, [none, pathOf('target')]);
    rmSync(none, { recursive: true });
    expect([noRegistry.exitCode, noRegistry.error?.message]).toEqual([
      6,
      expect.stringContaining("is not a registry's storage") as string,
    ]);
  });

  test('a store that is not there, with 5', async () => {
    const { exitCode } = await runClass(Verify, [pathOf('source'), pathOf('nowhere/at/all')]);
    expect(exitCode).toBe(5);
  });
});
