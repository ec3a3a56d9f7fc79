import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const file = fileURLToPath(new URL('../../scripts/parser-module.cjs', import.meta.url));
const { tieringBudgets } = createRequire(import.meta.url)(file) as { tieringBudgets: Record<string, number> };

const node = (...args: string[]) => execFileSync(process.execPath, args, { encoding: 'utf8' });

test('the budget to which V8 is set back is its own, where its version is known', () => {
  const usual = /default: --wasm-tiering-budget=(\d+)/.exec(node('--v8-options'))?.[1];
  const version = /^\d+\.\d+/.exec(process.versions.v8)?.[0] ?? '';
  expect([Number(usual), undefined]).toContain(tieringBudgets[version]);
});

test('makes a module, and leaves the flags of V8 as they were, also where the module is none', () => {
  const script = `
    const { cachedDataVersionTag } = require('node:v8');
    const before = cachedDataVersionTag();
    const { parserModule } = require(${JSON.stringify(file)});
    const empty = Buffer.from([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
    const made = parserModule(empty) instanceof WebAssembly.Module;
    let refused;
    try { parserModule(Buffer.from('no module')); } catch (error) { refused = error.name; }
    process.stdout.write(JSON.stringify({ made, refused, isAsBefore: cachedDataVersionTag() === before }));
  `;
  expect(JSON.parse(node('-e', script))).toEqual({
    made: true,
    refused: 'CompileError',
    isAsBefore: true,
  });
});
