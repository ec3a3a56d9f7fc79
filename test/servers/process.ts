import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface ServerCommand {
  /** What to call it in messages. */
  name: string;
  command: string;
  args: string[];
  /** Its standard output and error go to this file. */
  logPath: string;
  /** The whole environment; this process's own when left out. */
  env?: NodeJS.ProcessEnv;
  /** Asked every few milliseconds until it answers true. */
  isReady(): Promise<boolean> | boolean;
  /** How long it may take to get ready. */
  timeoutMs?: number;
}

export interface ServerProcess {
  pid: number;
  /** Everything it has written so far. */
  log(): string;
  /** SIGTERM, then SIGKILL after a grace time. Resolves when the process is gone; may be called again. */
  stop(): Promise<void>;
}

/**
 * Starts a server as a child process and waits until it is ready. The child dies with this process,
 * however that ends.
 * @throws Error with the end of the log, when it exits or is not ready in time. It is stopped then.
 */
export async function startProcess(server: ServerCommand): Promise<ServerProcess> {
  const log = openSync(server.logPath, 'a');
  const child = spawn(...dyingWithParent(server), {
    env: server.env ?? process.env,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const running = trackChild(child, server.logPath);
  const deadlineMs = Date.now() + (server.timeoutMs ?? 30_000);
  while (!(await server.isReady())) {
    const ended = running.ended();
    if (ended !== undefined || Date.now() > deadlineMs) {
      await running.stop();
      throw new Error(
        `${server.name} ${ended ?? 'was not ready in time'}. The end of its log:\n${tail(running.log())}`,
      );
    }
    await delay(10);
  }
  return { pid: child.pid ?? 0, log: running.log, stop: running.stop };
}

/**
 * Runs a program to its end and returns what it wrote to standard output.
 * @throws Error with the end of what it wrote, when it fails or takes longer than a minute.
 */
export async function runProgram(
  command: string,
  args: string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 });
  const output: Buffer[] = [];
  const all: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => {
    output.push(chunk);
    all.push(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => all.push(chunk));
  const status = await new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(String(code ?? signal)));
  });
  if (status !== '0') {
    const said = tail(Buffer.concat(all).toString());
    throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${said}`);
  }
  return Buffer.concat(output).toString();
}

/** A new folder under the system's temporary folder. It is removed at the latest when this process exits. */
export function createTemporaryFolder(prefix: string): { path: string; remove(): void } {
  const folder = mkdtempSync(path.join(tmpdir(), `${prefix}-`));
  const remove = (): void => {
    // Retried, because a server that was just killed may still be writing.
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    atExit.delete(remove);
  };
  onExit(remove);
  return { path: folder, remove };
}

const STOP_GRACE_MS = 5000;
const SETPRIV = '/usr/bin/setpriv';

/**
 * Exit handlers do not run when this process is killed with SIGKILL, so the kernel is asked to end the child
 * (prctl(2), PR_SET_PDEATHSIG) where util-linux is there to ask it.
 */
function dyingWithParent(server: ServerCommand): [string, string[]] {
  return existsSync(SETPRIV)
    ? [SETPRIV, ['--pdeathsig', 'KILL', server.command, ...server.args]]
    : [server.command, server.args];
}

function trackChild(child: ChildProcess, logPath: string) {
  let ended: string | undefined;
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  onExit(kill);
  const gone = new Promise<void>((resolve) => {
    const settle = (how: string): void => {
      ended = how;
      atExit.delete(kill);
      resolve();
    };
    child.once('error', (error) => settle(`could not be started (${error.message})`));
    child.once('exit', (code, signal) => settle(`ended with ${code ?? signal}`));
  });
  return {
    ended: () => ended,
    log: () => readFileSync(logPath, 'utf8'),
    stop: async () => {
      if (ended === undefined) {
        child.kill('SIGTERM');
        const timer = setTimeout(kill, STOP_GRACE_MS);
        await gone;
        clearTimeout(timer);
      }
    },
  };
}

const atExit = new Set<() => void>();

/** Has `action` called when this process exits or is told to, the latest first. */
function onExit(action: () => void): void {
  if (!handlersInstalled) {
    handlersInstalled = true;
    process.once('exit', runExitActions);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => {
        runExitActions();
        // Whoever else listens decides how this process ends; with no one else it ends as it would have.
        if (process.listenerCount(signal) === 0) {
          process.kill(process.pid, signal);
        }
      });
    }
  }
  atExit.add(action);
}

let handlersInstalled = false;

function runExitActions(): void {
  for (const action of [...atExit].reverse()) {
    action();
  }
}

function tail(text: string): string {
  return text.trimEnd().split('\n').slice(-15).join('\n');
}
