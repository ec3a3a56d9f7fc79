import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import Migrate from '../../src/commands/migrate.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { runClass } from '../cli/run-class.ts';
import { createTemporaryFolder } from '../servers/process.ts';

const NAMES = ['group/app', 'group/deep/app', 'group/secret', 'other'];

describe('migrate --repository', () => {
  const folder = createTemporaryFolder('regtool-repository');
  const source = path.join(folder.path, 'source');

  beforeAll(async () => {
    mkdirSync(source);
    const registry = new RegistryBuilder();
    for (const name of NAMES) {
      registry.push(name, 'v1', registry.image());
    }
    const driver = await openFilesystem({ root: source, location: source });
    await registry.writeTo(driver);
    await driver.close();
  });
  afterAll(() => {
    folder.remove();
  });

  test.each([
    { patterns: ['group/*'], taken: ['group/app', 'group/secret'] },
    { patterns: ['group/**'], taken: ['group/app', 'group/deep/app', 'group/secret'] },
    { patterns: ['group/**', '!group/secret'], taken: ['group/app', 'group/deep/app'] },
    { patterns: ['!group/**'], taken: ['other'] },
  ])('$patterns takes $taken', async ({ patterns, taken }) => {
    const target = path.join(folder.path, patterns.join(' ').replaceAll('/', '-'));
    mkdirSync(target);
    const flags = patterns.flatMap((pattern) => ['--repository', pattern]);
    const { exitCode } = await runClass(Migrate, [source, target, ...flags, '--json', '--no-progress']);
    expect(exitCode).toBe(0);
    const repositories = path.join(target, 'docker/registry/v2/repositories');
    expect(NAMES.filter((name) => existsSync(path.join(repositories, name, '_manifests')))).toEqual(taken);
  });

  test('that matches nothing is refused, and nothing is written', async () => {
    const target = path.join(folder.path, 'empty');
    mkdirSync(target);
    const { exitCode, json } = await runClass(Migrate, [source, target, '--repository', 'group', '--json']);
    expect(exitCode).toBe(6);
    expect(json).toMatchObject({ error: { code: 'NOTHING_SELECTED' } });
    expect(existsSync(path.join(target, 'docker'))).toBe(false);
  });
});
