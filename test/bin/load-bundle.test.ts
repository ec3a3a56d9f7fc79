import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createTemporaryFolder } from '../servers/process.ts';

const repository = path.join(import.meta.dirname, '..', '..');
const folder = createTemporaryFolder('regtool-load-bundle');
const dist = path.join(folder.path, 'dist');

// Each starts a process, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

beforeEach(() => {
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist);
  cpSync(path.join(repository, 'bin'), path.join(folder.path, 'bin'), { recursive: true });
  for (const part of ['regtool', 'regtool-commands']) {
    for (const file of [`${part}.cjs`, `${part}.compiled`]) {
      cpSync(path.join(repository, 'dist', file), path.join(dist, file));
    }
  }
});
afterAll(() => folder.remove());

const node = (...args: string[]) => promisify(execFile)(process.execPath, args);

const run = async (...argv: string[]) => node(path.join(folder.path, 'bin/run.js'), ...argv);

/**
 * What the loaders of both parts say in a process of their own: `taken`, `refused` by V8, or `not given` to it, where
 * `process` says so much of the machine.
 */
async function useOfCompiled(
  machine: { arch?: string; platform?: string } = {},
): Promise<Record<string, string>> {
  const script = `
    for (const [name, value] of Object.entries(${JSON.stringify(machine)})) {
      Object.defineProperty(process, name, { value });
    }
    const { loadPart, parts } = require(${JSON.stringify(path.join(folder.path, 'bin/load-bundle.js'))});
    const uses = Object.entries(parts).map(([name, part]) => {
      const refused = loadPart(part).script.cachedDataRejected;
      return [name, refused === undefined ? 'not given' : refused ? 'refused' : 'taken'];
    });
    process.stdout.write(JSON.stringify(Object.fromEntries(uses)));
  `;
  return JSON.parse((await node('-e', script)).stdout) as Record<string, string>;
}

const bothTaken = { start: 'taken', commands: 'taken' };

/** Runs a part that is asked for: `--help` that which starts, and a runbook, which needs no store, the commands. */
const helpAndCommand = async () => ({
  help: (await run('--help')).stdout,
  runbook: (await run('runbook', '/var/lib/registry', 's3://bucket?region=eu-1')).stdout,
});

async function expectBothToRun(): Promise<void> {
  const { help, runbook } = await helpAndCommand();
  expect(help).toContain('COMMANDS');
  expect(runbook).toContain('regtool migrate');
}

describe('what was compiled when the parts were made', () => {
  test('is taken, and nothing else of the repository is needed to run', async () => {
    expect(await useOfCompiled()).toEqual(bothTaken);
    await expectBothToRun();
  });

  describe.each([
    { part: 'start', compiled: path.join(dist, 'regtool.compiled') },
    { part: 'commands', compiled: path.join(dist, 'regtool-commands.compiled') },
  ])('of the part $part', ({ part, compiled }) => {
    test.each<[string, () => void]>([
      ['is missing', () => rmSync(compiled)],
      ['is empty', () => truncateSync(compiled, 0)],
      [
        'cannot be read',
        () => {
          rmSync(compiled);
          mkdirSync(compiled);
        },
      ],
      ['is cut off', () => truncateSync(compiled, readFileSync(compiled).length - 1)],
      ['has one byte that is another', () => changeByte(compiled)],
    ])('is left aside where it %s', async (_, damage) => {
      damage();
      expect(await useOfCompiled()).toEqual({ ...bothTaken, [part]: 'not given' });
      await expectBothToRun();
    });
  });

  test('is left aside where it is of the other part', async () => {
    cpSync(path.join(dist, 'regtool.compiled'), path.join(dist, 'regtool-commands.compiled'));
    expect(await useOfCompiled()).toEqual({ start: 'taken', commands: 'not given' });
    await expectBothToRun();
  });

  test.each([{ arch: 'riscv64' }, { platform: 'sunos' }])(
    'is left aside on another kind of machine: %o',
    async (machine) => {
      expect(await useOfCompiled(machine)).toEqual({ start: 'not given', commands: 'not given' });
    },
  );

  test('is left aside where the program is another, if as long', async () => {
    const program = path.join(dist, 'regtool.cjs');
    const text = readFileSync(program, 'latin1');
    expect(text).toContain('"COMMANDS"');
    writeFileSync(program, text.replaceAll('"COMMANDS"', '"BEFEHLE!"'), 'latin1');
    expect(await useOfCompiled()).toEqual({ start: 'not given', commands: 'taken' });
    expect((await run('--help')).stdout).toContain('BEFEHLE!');
  });
});

test('a command that can no longer end is a bug, and not done', async () => {
  const script = `
    const { loadPart, parts, root } = require(${JSON.stringify(path.join(folder.path, 'bin/load-bundle.js'))});
    const endless = { default: class { static run() { return new Promise(() => {}); } } };
    loadPart(parts.start).exports.run(root, ['check', 'x'], () => ({ check: async () => endless }));
  `;
  await expect(node('-e', script)).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('stopped before its end'),
  });
});

test('loading sets no flag of V8, for with one Node compiles its own modules again', async () => {
  const script = `
    const { cachedDataVersionTag } = require('node:v8');
    const before = cachedDataVersionTag();
    const { loadPart, parts } = require(${JSON.stringify(path.join(folder.path, 'bin/load-bundle.js'))});
    Object.values(parts).forEach((part) => loadPart(part));
    process.stdout.write(cachedDataVersionTag() === before ? 'same flags' : 'other flags');
  `;
  expect((await node('-e', script)).stdout).toBe('same flags');
});

function changeByte(file: string): void {
  const content = readFileSync(file);
  const middle = content.length >> 1;
  content[middle] = (content[middle] ?? 0) ^ 0xff;
  writeFileSync(file, content);
}
