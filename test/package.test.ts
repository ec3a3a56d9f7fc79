import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { sampleRegistry } from '../fixtures/sample-registry.ts';
import { openFilesystem } from '../src/drivers/filesystem.ts';
import { createContainer, describeWithServers } from './servers/index.ts';
import { createTemporaryFolder } from './servers/process.ts';
import { openContainer } from './support/own-stores.ts';
import { pullableTags } from './support/pullable.ts';
import { azureEnvironment, runRegtool } from './support/run-regtool.ts';

// Packs, unpacks, and starts processes, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

const run = promisify(execFile);
const repository = fileURLToPath(new URL('..', import.meta.url));

describeWithServers('what `npm pack` makes', ['azurite'], (servers) => {
  const folder = createTemporaryFolder('regtool-package');
  const unpacked = path.join(folder.path, 'package');
  const program = path.join(unpacked, 'bin', 'run.js');
  afterAll(folder.remove);

  beforeAll(async () => {
    const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder.path];
    const { stdout } = await run('npm', pack, { cwd: repository });
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
    await run('tar', ['-xzf', path.join(folder.path, filename), '-C', folder.path]);
    const { dependencies } = JSON.parse(readFileSync(path.join(unpacked, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    // What an installation would bring, and none of what only this repository has.
    for (const name of Object.keys(dependencies)) {
      const link = path.join(unpacked, 'node_modules', name);
      mkdirSync(path.dirname(link), { recursive: true });
      symlinkSync(path.join(repository, 'node_modules', name), link);
    }
  });

  test('migrates and verifies a registry with nothing beside it but its dependencies', async () => {
    const source = path.join(folder.path, 'registry');
    mkdirSync(source);
    const { registry } = sampleRegistry({ largeLayerBytes: 300_000 });
    await registry.writeTo(await openFilesystem({ root: source }));
    const { azurite } = servers;
    const container = await createContainer(azurite);
    const target = `azure://${container}?serviceurl=${azurite.serviceUrl}`;
    const options = { program, cwd: folder.path, env: azureEnvironment(azurite) };
    const migrated = await runRegtool(['migrate', source, target], options);
    expect(migrated).toMatchObject({ exitCode: 0 });
    const verified = await runRegtool(['verify', source, target, '--read-data'], options);
    expect(verified).toMatchObject({ exitCode: 0 });
    const driver = await openContainer(azurite, container);
    expect(await pullableTags(driver)).toHaveLength(registry.tags().length);
    await driver.close();
  });

  test('says what version it is, and has the documents that its messages name', async () => {
    const { version } = JSON.parse(readFileSync(path.join(repository, 'package.json'), 'utf8')) as {
      version: string;
    };
    expect((await runRegtool(['--version'], { program, cwd: folder.path })).stdout).toContain(
      `regtool/${version} `,
    );
    expect(readFileSync(path.join(unpacked, 'docs', 'errors.md'), 'utf8')).toContain('### TARGET_IN_USE');
  });
});
