import { mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import Check from '../../src/commands/check.ts';
import FixEmptyTags from '../../src/commands/fix-empty-tags.ts';
import Migrate from '../../src/commands/migrate.ts';
import Repair from '../../src/commands/repair.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { runClass } from '../cli/run-class.ts';
import { healthyRegistry } from '../operations/check/fixtures.ts';
import { createTemporaryFolder } from '../servers/process.ts';

describe('a store whose root is a folder too deep', () => {
  const folder = createTemporaryFolder('regtool-wrong-root');
  const whole = path.join(folder.path, 'whole');
  const tooDeep = path.join(whole, 'empty');
  const other = path.join(folder.path, 'other');
  const target = path.join(folder.path, 'target');

  beforeAll(async () => {
    for (const root of [whole, other, target, tooDeep]) {
      mkdirSync(root);
    }
    for (const root of [whole, other]) {
      const driver = await openFilesystem({ root, location: root });
      await healthyRegistry().registry.writeTo(driver);
      await driver.close();
    }
  });
  afterAll(() => {
    folder.remove();
  });

  test.each([
    ['migrate, as its source', Migrate, [tooDeep, target]],
    ['fix-empty-tags', FixEmptyTags, [tooDeep]],
    ['repair', Repair, [tooDeep, '--dry-run']],
    ['repair, as the store to take from', Repair, [other, '--from', tooDeep, '--dry-run']],
  ])('is refused by %s with 6, saying where the registry is', async (_name, command, args) => {
    const { exitCode, json } = await runClass(command, [...args, '--json', '--no-progress']);
    expect(exitCode).toBe(6);
    expect(json).toMatchObject({ error: { code: 'NOT_A_REGISTRY' } });
    expect(JSON.stringify(json)).toContain(`One is at ${whole}.`);
  });
});

describe('a store whose root is a folder too high', () => {
  const folder = createTemporaryFolder('regtool-too-high');

  beforeAll(async () => {
    const root = path.join(folder.path, 'registry');
    mkdirSync(root);
    const driver = await openFilesystem({ root, location: root });
    await healthyRegistry().registry.writeTo(driver);
    await driver.close();
  });
  afterAll(() => {
    folder.remove();
  });

  test('is refused, saying where the registry is, though its folder has the name of one of its own', async () => {
    const { exitCode, json } = await runClass(Check, [folder.path, '--json', '--no-progress']);
    expect(exitCode).toBe(6);
    expect(JSON.stringify(json)).toContain('One is below');
  });

  test('is refused for that, whatever else in it cannot be listed', async () => {
    symlinkSync('nowhere', path.join(folder.path, 'dangling'));
    const { exitCode, json } = await runClass(Check, [folder.path, '--json', '--no-progress']);
    expect(exitCode).toBe(6);
    expect(json).toMatchObject({ error: { code: 'NOT_A_REGISTRY' } });
    expect(JSON.stringify(json)).toContain('One is below');
  });
});
