import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { AzuriteAccess, RgwAccess } from '../servers/index.ts';

export interface Ended {
  /** 128 and the signal's number if a signal ended it. */
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  /** Added to what every run gets: a PATH and a HOME that hold no credentials. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Runs as this user and group, with no others. Only root may ask for it. */
  userId?: number;
  /** Most bytes that a file may have, in KiB (`ulimit -f`). */
  fileLimitKib?: number;
  /** System calls that are to fail. */
  failing?: readonly FailingCall[];
  cwd?: string;
  /** Another `bin/run.js` than this repository's. */
  program?: string;
}

/** `failing-calls.mjs` says what each field means. */
export interface FailingCall {
  call: string;
  path: string;
  /** As errno(3) names it. */
  code?: string;
  /** Instead of failing, the process gets this signal, and the call goes well. */
  signal?: NodeJS.Signals;
  after?: number;
  times?: number;
}

export interface Running {
  pid: number;
  kill(signal: NodeJS.Signals): void;
  /** What it has written on stdout so far. */
  stdout(): string;
  ended: Promise<Ended>;
}

const script = fileURLToPath(new URL('../../bin/run.js', import.meta.url));

/** Runs the built command, as an operator would, to its end. `npm test` builds it first. */
export async function runRegtool(argv: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return startRegtool(argv, options).ended;
}

/** Starts the built command, without a terminal. */
export function startRegtool(argv: readonly string[], options: RunOptions = {}): Running {
  const [command, ...before] = launcher(options);
  const child = spawn(command, [...before, process.execPath, options.program ?? script, ...argv], {
    cwd: options.cwd,
    env: {
      PATH: process.env['PATH'],
      HOME: '/nonexistent',
      AWS_EC2_METADATA_DISABLED: 'true',
      ...failingEnvironment(options.failing),
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let seen = '';
  child.stdout.on('data', (chunk: Buffer) => {
    seen += chunk.toString();
  });
  return {
    pid: child.pid ?? 0,
    kill: (signal) => {
      child.kill(signal);
    },
    stdout: () => seen,
    ended: endOf(child, () => seen),
  };
}

/** Credentials for the shared S3 store, as an operator gives them. */
export function s3Environment({ accessKey, secretKey }: RgwAccess): Record<string, string> {
  return { AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey };
}

/** Credentials for the shared Azure service, as an operator gives them. */
export function azureEnvironment({ accountName, accountKey }: AzuriteAccess): Record<string, string> {
  return { AZURE_STORAGE_ACCOUNT: accountName, AZURE_STORAGE_KEY: accountKey };
}

/** `prlimit` and `setpriv` are of util-linux, and end up as the command itself, so that signals reach it. */
function launcher({ userId, fileLimitKib }: RunOptions): [string, ...string[]] {
  const limit = fileLimitKib === undefined ? [] : ['prlimit', `--fsize=${fileLimitKib * 1024}`];
  const user =
    userId === undefined ? [] : ['setpriv', `--reuid=${userId}`, `--regid=${userId}`, '--clear-groups'];
  return ['env', ...limit, ...user];
}

function failingEnvironment(failing: RunOptions['failing']): Record<string, string> {
  if (failing === undefined) {
    return {};
  }
  const preloaded = new URL('failing-calls.mjs', import.meta.url).href;
  return { NODE_OPTIONS: `--import=${preloaded}`, FAILING_CALLS: JSON.stringify(failing) };
}

async function endOf(
  child: ChildProcessByStdio<null, Readable, Readable>,
  stdout: () => string,
): Promise<Ended> {
  const [stderr, [code, signal]] = await Promise.all([
    text(child.stderr),
    once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>,
  ]);
  if (code === null) {
    throw new Error(`regtool was ended by ${signal}, and wrote:\n${stderr}`);
  }
  return { exitCode: code, stdout: stdout(), stderr };
}
