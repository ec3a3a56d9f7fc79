import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface Command {
  command: string;
  args: string[];
  env: Record<string, string>;
}

/** What one run of a program took. */
export interface Measured {
  wallS: number;
  /** User and system time of the program and all that it started: what stays steady on a busy machine. */
  cpuS: number;
  /** Of its largest process; undefined where there is no /proc. */
  peakMb: number | undefined;
}

const POLL_MS = 20;

/**
 * Runs a program to its end and measures it.
 * @throws Error with the end of what it wrote, when it fails.
 */
export async function measure({ command, args, env }: Command): Promise<Measured> {
  const folder = mkdtempSync(path.join(tmpdir(), 'regtool-bench-time-'));
  const timesPath = path.join(folder, 'times');
  try {
    const startedAtMs = performance.now();
    const child = spawn('bash', ['-c', TIMED, timesPath, command, ...args], {
      env: { PATH: process.env['PATH'] ?? '', HOME: folder, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    const keep = (chunk: Buffer): void => {
      said = (said + chunk.toString()).slice(-4000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    let peakKb = 0;
    const poll = setInterval(() => {
      peakKb = Math.max(peakKb, peakOfChildrenKb(child.pid ?? 0));
    }, POLL_MS);
    const status = await new Promise<string>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve(String(code ?? signal)));
    }).finally(() => clearInterval(poll));
    const wallS = (performance.now() - startedAtMs) / 1000;
    if (status !== '0') {
      throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${said}`);
    }
    const [userS = 0, systemS = 0] = readFileSync(timesPath, 'utf8').trim().split(' ').map(Number);
    return { wallS, cpuS: userS + systemS, peakMb: peakKb === 0 ? undefined : peakKb / 1024 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The shell's own `time`: there is no other way in Node to learn what a child used. */
const TIMED = 'TIMEFORMAT="%U %S"; exec 3>&2; { time "$@" 2>&3; } 2>"$0"';

function peakOfChildrenKb(shell: number): number {
  let peakKb = 0;
  try {
    const children = readFileSync(`/proc/${shell}/task/${shell}/children`, 'utf8').trim().split(' ');
    for (const child of children.filter((pid) => pid !== '')) {
      const [, kilobytes] = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${child}/status`, 'utf8')) ?? [];
      peakKb = Math.max(peakKb, Number(kilobytes ?? 0));
    }
  } catch {
    // It ended between two looks, or this system has no /proc.
  }
  return peakKb;
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
