import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { blobKey, currentKey } from '../../fixtures/keys.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { createTemporaryFolder, runProgram } from '../servers/process.ts';
import { runRegtool } from '../support/run-regtool.ts';

const run = promisify(execFile);

/** Escape sequences of either length, a bell, a carriage return, and marks that turn text around. */
const EVIL = [
  '\u001B[31mred',
  '\u001B]0;title\u0007',
  'car\rriage',
  'new\nline',
  '\u009B31m',
  'turn\u202Earound',
  '\u007F',
];
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const CONTROL = /[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/;

describe('names with control characters', () => {
  const folder = createTemporaryFolder('regtool-evil');
  const [source, target, whole] = ['source', 'target', 'whole'].map((name) =>
    path.join(folder.path, name),
  ) as [string, string, string];

  beforeAll(async () => {
    const registry = new RegistryBuilder();
    for (const [index, name] of EVIL.entries()) {
      const image = registry.push('app', 'v1', registry.image());
      registry.objects.set(currentKey('app', name), Buffer.from(image.digest));
      registry.objects.set(currentKey(`repository${name}`, 'v1'), Buffer.from(`evil ${name}`));
      registry.objects.set(`docker/registry/v2/repositories/app/_layers/${name}/link`, Buffer.from(name));
      registry.objects.set(`docker/registry/v2/blobs/sha256/${name}/data`, Buffer.from(name));
      registry.objects.set(`foreign-${name}`, Buffer.from(name));
      // A tag that cannot be published because of a link whose content goes into the message.
      registry.objects.set(currentKey('app', `broken${index}`), Buffer.from(`sha256:${name}`));
    }
    const lost = registry.push('lost', 'v1', registry.image());
    registry.objects.delete(blobKey(lost.digest));
    mkdirSync(source);
    mkdirSync(target);
    mkdirSync(whole);
    await registry.writeTo(await openFilesystem({ root: source }));
    const other = new RegistryBuilder();
    other.push('app', 'v1', other.image());
    await other.writeTo(await openFilesystem({ root: whole }));
  });
  afterAll(folder.remove);

  const commands: [string, () => string[]][] = [
    ['migrate --dry-run', () => ['migrate', source, target, '--dry-run', '--include-foreign']],
    ['migrate', () => ['migrate', source, target]],
    [
      'migrate --delete --dry-run',
      () => ['migrate', whole, source, '--delete', '--dry-run', '--max-delete=100%'],
    ],
    ['verify', () => ['verify', source, whole]],
    ['check', () => ['check', source]],
    ['check --json', () => ['check', source, '--json']],
    ['fix-empty-tags --dry-run', () => ['fix-empty-tags', source, '--dry-run']],
    ['check of a location', () => ['check', `/absent/${EVIL.join('')}`]],
    ['check of a parameter', () => ['check', `s3://bucket?${EVIL.map(encodeURIComponent).join('=1&')}`]],
  ];

  test.each(commands)('reach no terminal through %s', async (_command, argv) => {
    const { exitCode, stdout, stderr } = await runRegtool(argv());
    expect([0, 2, 3, 4, 5, 6]).toContain(exitCode);
    expect(stdout.split('\n').filter((line) => CONTROL.test(line))).toEqual([]);
    expect(stderr.split('\n').filter((line) => CONTROL.test(line))).toEqual([]);
  });
});

describe('locations that are no store', () => {
  const folder = createTemporaryFolder('regtool-odd-location');
  afterAll(folder.remove);

  test('such as a pipe or a device are refused at once', async () => {
    const pipe = path.join(folder.path, 'config.yml');
    await runProgram('mkfifo', [pipe]);
    for (const location of [pipe, '/dev/zero']) {
      const ended = await runRegtool(['check', location]);
      expect(ended.exitCode).toBe(5);
      expect(ended.stderr).toContain(`${location} is a file, not the folder`);
    }
  });

  test('such as a configuration that grows without end through aliases are refused at once', async () => {
    const file = path.join(folder.path, 'bomb.yml');
    const levels = Array.from({ length: 30 }, (_, level) => {
      const items = Array(9).fill(level === 0 ? 'x' : `*l${level - 1}`);
      return `l${level}: &l${level} [${items.join(', ')}]`;
    });
    writeFileSync(
      file,
      ['version: 0.1', ...levels, 'storage:', '  filesystem:', '    rootdirectory: *l29'].join('\n'),
    );
    const ended = await runRegtool(['check', file]);
    expect(ended.exitCode).toBe(2);
    expect(ended.stderr).toContain('aliases');
  });
});

test('200,000 tags in one repository are planned in a heap of 384 MiB', async () => {
  const { stdout } = await run(
    process.execPath,
    ['--max-old-space-size=384', '--import', 'tsx', 'test/support/many-tags-program.ts', '200000'],
    { timeout: 60_000 },
  );
  expect(JSON.parse(stdout)).toEqual({ tags: 200_000 });
});
