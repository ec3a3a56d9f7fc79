import { CLIError } from '@oclif/core/errors';
import { DriverError, type DriverErrorCode } from '../drivers/errors.ts';
import { LocationError } from '../drivers/location.ts';
import { SafetyRefusal, TemporaryFileError } from '../operations/errors.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { parserWords } from './parser-words.ts';
import { redact } from './redact.ts';
import { UsageError } from './usage-error.ts';

/** An error as the person at the terminal and the reader of `--json` get it. */
export interface Failure {
  /** Stable: the error's own code, `USAGE` for wrong arguments, `INTERRUPTED`, or `BUG`. */
  code: string;
  exitCode: ExitCode;
  /** One sentence or more, without secrets. */
  message: string;
  /** What was seen, one sentence each. */
  reasons: readonly string[];
  /** Only for a bug: where it happened. */
  stack?: string | undefined;
}

/** Exit codes of what stores answer; what is missing here is an answer that the operation should have dealt with. */
const driverExitCodes: Partial<Record<DriverErrorCode, ExitCode>> = {
  STORE_NOT_FOUND: exitCodes.store,
  UNAUTHENTICATED: exitCodes.store,
  PERMISSION_DENIED: exitCodes.store,
  UNAVAILABLE: exitCodes.store,
  RATE_LIMITED: exitCodes.store,
  STORE_FULL: exitCodes.store,
  BAD_LISTING: exitCodes.store,
  INVALID_KEY: exitCodes.store,
  UNSUPPORTED: exitCodes.store,
  UNEXPECTED: exitCodes.store,
  ABORTED: exitCodes.interrupted,
};

/** Tells what an error means for whoever ran the command, and how the process ends. `signal` is the command's own. */
export function describeFailure(error: unknown, signal?: AbortSignal): Failure {
  if (isInterruption(error, signal)) {
    const message = 'Interrupted. What was done by then stays as it is; run the same command again.';
    return { code: 'INTERRUPTED', exitCode: exitCodes.interrupted, message, reasons: [] };
  }
  if (error instanceof LocationError || error instanceof UsageError) {
    return { ...known(error, error.code, exitCodes.usage), message: redact(ownWords(error.message)) };
  }
  if (error instanceof SafetyRefusal) {
    return {
      ...known(error, error.code, exitCodes.refused),
      reasons: error.reasons.map((text) => redact(text)),
    };
  }
  if (error instanceof DriverError) {
    const exitCode = driverExitCodes[error.code];
    return exitCode === undefined ? bug(error, error.code) : known(error, error.code, exitCode);
  }
  if (error instanceof TemporaryFileError) {
    return known(error, error.code, exitCodes.usage);
  }
  // What oclif's parser raises, and the checks of its ready-made flags.
  if (error instanceof CLIError) {
    return { ...known(error, 'USAGE', exitCodes.usage), message: redact(parserWords(error)) };
  }
  return bug(error, 'BUG');
}

/** oclif frames the message of what a flag's own parser threw; the sentence in it says all. */
function ownWords(message: string): string {
  return message.replace(/^Parsing --\S+ \n\t/, '').replace(/\nSee more help with --help$/, '');
}

function isInterruption(error: unknown, signal: AbortSignal | undefined): boolean {
  if (error instanceof DriverError) {
    return error.code === 'ABORTED';
  }
  const isAbort = error instanceof Error && error.name === 'AbortError';
  return signal?.aborted === true && (isAbort || error === signal.reason);
}

function known(error: Error, code: string, exitCode: ExitCode): Failure {
  return { code, exitCode, message: redact(error.message), reasons: [] };
}

function bug(error: unknown, code: string): Failure {
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? stackOf(error) : undefined;
  return {
    code,
    exitCode: exitCodes.bug,
    message: redact(message),
    reasons: [],
    stack: stack === undefined ? undefined : redact(stack),
  };
}

/** The stack with those of its causes, but not their other properties, which may hold requests and their headers. */
function stackOf(error: Error, depth = 0): string {
  const own = error.stack ?? `${error.name}: ${error.message}`;
  return error.cause instanceof Error && depth < 5
    ? `${own}\nCaused by: ${stackOf(error.cause, depth + 1)}`
    : own;
}
