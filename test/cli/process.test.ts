import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const script = fileURLToPath(new URL('example-process.ts', import.meta.url));

type Child = ChildProcessByStdio<null, Readable, Readable>;

function start(...argv: string[]): Child {
  return spawn(process.execPath, ['--import', 'tsx', script, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
}

async function exitOf(child: Child): Promise<[code: number | null, signal: NodeJS.Signals | null]> {
  return (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
}

/** Waits until the child has printed this on stdout. */
async function printed(child: Child, wanted: string): Promise<void> {
  let seen = '';
  while (!seen.includes(wanted)) {
    const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
    seen += chunk.toString();
  }
}

test.each([[[]], [['--json']]])(
  'the exit code of a result is that of the process, with %j',
  async (flags) => {
    const child = start('finds', ...flags);
    child.stdout.resume();
    child.stderr.resume();
    expect(await exitOf(child)).toEqual([3, null]);
  },
);

test.each([[[]], [['--json']]])(
  'the exit code of an error is that of the process, with %j',
  async (flags) => {
    const child = start('finds', '--nonsense', ...flags);
    child.stdout.resume();
    const [stderr, exit] = await Promise.all([text(child.stderr), exitOf(child)]);
    expect(exit).toEqual([2, null]);
    expect(stderr).toBe(
      flags.length === 0 ? 'Error: Nonexistent flag: --nonsense\nSee more help with --help\n' : '',
    );
  },
);

test('a reader who has seen enough ends the output, not the command, and without a word', async () => {
  const child = start('talkative', '--no-progress');
  await once(child.stdout, 'data');
  child.stdout.destroy();
  const [stderr, exit] = await Promise.all([text(child.stderr), exitOf(child)]);
  expect(stderr).toBe('');
  expect(exit).toEqual([0, null]);
});

const fullDisk =
  'Error: The output cannot be written, as no space is left: choose another disk. What was finished stays; run the same command again.\n';

test.each([
  ['what is under way is wound up', ['obedient', '--no-progress']],
  ['also when it is full at the end', ['talkative', '--no-progress']],
  ['also with --json', ['finds', '--json', '--no-progress']],
])('a full disk below stdout is one sentence: %s', async (_, argv) => {
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, ['--import', 'tsx', script, ...argv], {
    stdio: ['ignore', full, 'pipe'],
  }) as ChildProcessByStdio<null, null, Readable>;
  closeSync(full);
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);
  expect(stderr).toContain(fullDisk);
  expect(stderr.replace(fullDisk, '')).not.toMatch(/Error|at /);
  expect(code).toBe(2);
});

test('a full disk below stderr ends nothing', async () => {
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, ['--import', 'tsx', script, 'finds'], {
    stdio: ['ignore', 'ignore', full],
  });
  closeSync(full);
  expect(await once(child, 'close')).toEqual([3, null]);
});

test('a broken pipe at stderr is no error', async () => {
  const child = start('obedient');
  await printed(child, 'started');
  child.stderr.destroy();
  child.stdout.resume();
  child.kill('SIGTERM');
  expect(await exitOf(child)).toEqual([130, null]);
});

test.each(['SIGINT', 'SIGTERM'] as const)('%s ends the command in order', async (name) => {
  const child = start('obedient');
  await printed(child, 'started');
  child.stdout.resume();
  child.kill(name);
  const [stderr, exit] = await Promise.all([text(child.stderr), exitOf(child)]);
  expect(exit).toEqual([130, null]);
  expect(stderr).toMatch(
    /^interrupted: stopping cleanly.*\nobedient .*\nError: Interrupted\. .* run the same command again\.\n$/s,
  );
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('a second signal, %s, ends it at once', async (name, exitCode) => {
  const child = start('stuck');
  await printed(child, 'started');
  child.kill('SIGINT');
  await printed(child, 'still working');
  child.stdout.resume();
  child.stderr.resume();
  child.kill(name);
  expect(await exitOf(child)).toEqual([exitCode, null]);
});
