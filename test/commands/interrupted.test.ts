import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { contentOfDriver } from '../crash/crashing.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { brokenTags } from '../support/pullable.ts';
import { runRegtool } from '../support/run-regtool.ts';

// Each test starts processes, which take their time on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const program = fileURLToPath(new URL('../../bin/run.js', import.meta.url));
const folder = createTemporaryFolder('regtool-interrupted');
const source = path.join(folder.path, 'source');
let target: string;

beforeAll(async () => {
  mkdirSync(source);
  const registry = new RegistryBuilder({ seed: 'interrupted' });
  registry.push('app', 'v1', registry.image({ layerBytes: 300_000 }));
  registry.push('shop', 'v1', registry.image());
  await registry.writeTo(await openFilesystem({ root: source }));
});
afterAll(folder.remove);
beforeEach(() => {
  target = mkdtempSync(path.join(folder.path, 'target-'));
});

async function expectSoundAndConvergent(): Promise<void> {
  const driver = await openFilesystem({ root: target });
  expect(await brokenTags(driver)).toEqual([]);
  const names = readdirSync(target, { recursive: true }).map(String);
  expect(names.filter((name) => name.includes('.tmp'))).toEqual([]);
  expect(await runRegtool(['migrate', source, target])).toMatchObject({ exitCode: 0 });
  expect(await contentOfDriver(driver)).toEqual(
    await contentOfDriver(await openFilesystem({ root: source })),
  );
}

describe('a migration that gets a signal in the middle of a write', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)('ends in order with 130 for %s, and can go on', async (signal) => {
    const failing = [{ call: 'write', path: target, signal, after: 3, times: 1 }];
    const ended = await runRegtool(['migrate', source, target, '--bandwidth=300k'], { failing });
    expect(ended).toMatchObject({ exitCode: 130 });
    expect(ended.stdout).toMatch(/^INTERRUPTED/m);
    expect(ended.stdout).not.toMatch(/^Done/m);
    expect(ended.stderr).toContain('stopping cleanly');
    await expectSoundAndConvergent();
  });

  it('goes on after SIGHUP where there is no terminal, as under nohup', async () => {
    const failing = [{ call: 'write', path: target, signal: 'SIGHUP' as const, after: 3, times: 1 }];
    const ended = await runRegtool(['migrate', source, target], { failing });
    expect(ended).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('goes on without it') });
    await expectSoundAndConvergent();
  });

  it.each([
    // The kernel tells the leader of the session, and when that has ended, everybody else of the terminal.
    ['is interrupted by SIGHUP', '130\n', 'true'],
    ['goes on to its end if nobody tells it', '0\n', "trap '' HUP"],
  ])('%s when its terminal goes away', async (_, status, leader) => {
    const own = mkdtempSync(path.join(folder.path, 'terminal-'));
    const statusFile = path.join(own, 'status');
    // This shell outlives the terminal, to see how the command ends.
    writeFileSync(
      path.join(own, 'run.sh'),
      `trap '' HUP\n'${process.execPath}' '${program}' migrate '${source}' '${target}' --bandwidth=100k\necho $? > '${statusFile}'\n`,
    );
    const terminal = spawn(
      'script',
      ['-qfc', `${leader}; sh '${own}/run.sh'; true`, path.join(own, 'typescript')],
      { stdio: 'ignore', env: { PATH: process.env['PATH'], HOME: '/nonexistent', SHELL: '/bin/sh' } },
    );
    while (readdirSync(target).length === 0) {
      await delay(20);
    }
    terminal.kill('SIGKILL');
    while (!existsSync(statusFile) || readFileSync(statusFile, 'utf8') === '') {
      await delay(20);
    }
    expect(readFileSync(statusFile, 'utf8')).toBe(status);
    await expectSoundAndConvergent();
  });
});

describe('a reader that has seen enough', () => {
  it.each(['check', 'verify', 'migrate'])('changes nothing about how %s ends', async (command) => {
    const stores = command === 'check' ? [source] : [source, target];
    if (command === 'verify') {
      await runRegtool(['migrate', source, target]);
    }
    const child = spawn(process.execPath, [program, command, ...stores, '--no-progress'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.destroy();
    const [stderr, [code]] = await Promise.all([
      text(child.stderr),
      once(child, 'close') as Promise<[number | null]>,
    ]);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    if (command === 'migrate') {
      await expectSoundAndConvergent();
    }
  });
});
