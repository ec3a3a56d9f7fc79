import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createTemporaryFolder } from '../servers/process.ts';

const repository = path.join(import.meta.dirname, '..', '..');
const folder = createTemporaryFolder('regtool-load-bundle');
const program = path.join(folder.path, 'dist', 'regtool.cjs');
const compiled = path.join(folder.path, 'dist', 'regtool.compiled');

// Each starts a process, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

beforeEach(() => {
  rmSync(compiled, { recursive: true, force: true });
  const parts = [
    'bin/load-bundle.js',
    'bin/run.js',
    'package.json',
    'oclif.manifest.json',
    'dist/regtool.cjs',
    'dist/regtool.compiled',
  ];
  for (const part of parts) {
    mkdirSync(path.dirname(path.join(folder.path, part)), { recursive: true });
    cpSync(path.join(repository, part), path.join(folder.path, part));
  }
});
afterAll(() => folder.remove());

const node = (...args: string[]) => promisify(execFile)(process.execPath, args);

const help = async () => (await node(path.join(folder.path, 'bin/run.js'), '--help')).stdout;

/** `taken`, `refused` by V8, or `not given` to it, where `process` says so much of the machine. */
async function useOfCompiled(machine: { arch?: string; platform?: string } = {}): Promise<string> {
  const loader = pathToFileURL(path.join(folder.path, 'bin/load-bundle.js')).href;
  const script = `
    for (const [name, value] of Object.entries(${JSON.stringify(machine)})) {
      Object.defineProperty(process, name, { value });
    }
    const { loadBundle } = await import(${JSON.stringify(loader)});
    const refused = loadBundle().script.cachedDataRejected;
    process.stdout.write(refused === undefined ? 'not given' : refused ? 'refused' : 'taken');
  `;
  return (await node('--input-type=module', '-e', script)).stdout;
}

describe('what was compiled when the bundle was made', () => {
  test('is taken, and nothing else of the repository is needed for --help', async () => {
    expect(await useOfCompiled()).toBe('taken');
    expect(await help()).toContain('COMMANDS');
  });

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
    expect(await useOfCompiled()).toBe('not given');
    expect(await help()).toContain('COMMANDS');
  });

  test.each([{ arch: 'riscv64' }, { platform: 'sunos' }])(
    'is left aside on another kind of machine: %o',
    async (machine) => {
      expect(await useOfCompiled(machine)).toBe('not given');
    },
  );

  test('is left aside where the program is another, if as long', async () => {
    const text = readFileSync(program, 'latin1');
    expect(text).toContain('"COMMANDS"');
    writeFileSync(program, text.replaceAll('"COMMANDS"', '"BEFEHLE!"'), 'latin1');
    expect(await useOfCompiled()).toBe('not given');
    expect(await help()).toContain('BEFEHLE!');
  });
});

function changeByte(file: string): void {
  const content = readFileSync(file);
  const middle = content.length >> 1;
  content[middle] = (content[middle] ?? 0) ^ 0xff;
  writeFileSync(file, content);
}
