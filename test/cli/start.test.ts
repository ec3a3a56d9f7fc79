import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { runRegtool } from '../support/run-regtool.ts';

const script = fileURLToPath(new URL('../../bin/run.js', import.meta.url));

describe('a command line without a command that there is', () => {
  test.each([
    [['migrte', 'a', 'b'], 'There is no command "migrte"; did you mean migrate? regtool --help lists all.'],
    [['migrte', '--help'], 'There is no command "migrte"; did you mean migrate? regtool --help lists all.'],
    [['help', 'chekc'], 'There is no command "chekc"; did you mean check? regtool --help lists all.'],
    [['nonsense'], 'There is no command "nonsense": regtool --help lists all.'],
    [['-v'], 'A command comes first, before -v: regtool --help lists all.'],
    [
      ['s3://me:hush-hush@bucket', '/b\u202e'],
      'There is no command "s3://***@bucket": regtool --help lists all.',
    ],
  ])('%j is one sentence', async (argv, sentence) => {
    expect(await runRegtool(argv)).toEqual({ exitCode: 2, stdout: '', stderr: `Error: ${sentence}\n` });
  });

  test.each([[['nonsense', '--json']], [['--json']]])('%j is one envelope', async (argv) => {
    const { exitCode, stdout, stderr } = await runRegtool(argv);
    expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({
      schema: 1,
      ok: false,
      command: '',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
      exitCode: 2,
      error: {
        code: 'USAGE',
        exitCode: 2,
        message: expect.stringContaining('regtool --help') as string,
        reasons: [],
      },
    });
  });
});

test.each([
  [
    ['help', 'migrate'],
    ['migrate', '--help'],
  ],
  [['help'], ['--help']],
  [[], ['--help']],
])('%j shows what %j shows', async (argv, same) => {
  const { exitCode, stdout } = await runRegtool(argv);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/USAGE\n {2}\$ regtool/);
  expect(stdout).toBe((await runRegtool(same)).stdout);
});

test('help for a full disk is one sentence', async () => {
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, [script, 'migrate', '--help'], {
    stdio: ['ignore', full, 'pipe'],
  }) as ChildProcessByStdio<null, null, Readable>;
  closeSync(full);
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);
  expect(stderr).toBe('Error: The output cannot be written (ENOSPC).\n');
  expect(code).toBe(2);
});
