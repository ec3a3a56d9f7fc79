import { fileURLToPath } from 'node:url';
import type { Command, Config } from '@oclif/core';
import { captureOutput } from '@oclif/test';

export interface ClassRun {
  /** The operator's message of the error that ended it, if any; not with `--json`. */
  error?: Error | undefined;
  /** What the process would end with. */
  exitCode: number;
  /** What stdout holds, parsed; undefined unless it is JSON. */
  json?: unknown;
  stderr: string;
  stdout: string;
}

type CommandClass = (new (argv: string[], config: Config) => Command) & typeof Command;

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Runs a command class in this process as oclif would, with the sources as they are. */
export async function runClass(commandClass: unknown, argv: string[] = [], id = 'test'): Promise<ClassRun> {
  const before = process.exitCode;
  process.exitCode = undefined;
  try {
    const Class = commandClass as CommandClass;
    Class.id ??= id;
    const { error, stdout, stderr } = await captureOutput(() => Class.run(argv, { root }));
    return { error, exitCode: currentExitCode(), json: parsed(stdout), stderr, stdout };
  } finally {
    process.exitCode = before;
  }
}

function currentExitCode(): number {
  return Number(process.exitCode ?? 0);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
