import type { MigrateResult } from '../operations/migrate.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { describeFailure } from './failure.ts';

/** 0 only when everything that was planned is done, and the source lacked nothing. */
export function exitCodeOf({ end, tally }: MigrateResult): ExitCode {
  switch (end.kind) {
    case 'interrupted':
      return exitCodes.interrupted;
    case 'stopped':
      return describeFailure(end.error).exitCode;
    case 'declined':
      return exitCodes.refused;
    case 'done':
      break;
  }
  if (tally.failed + tally.heldBack > 0) {
    return exitCodes.partial;
  }
  return tally.incomplete > 0 ? exitCodes.findings : exitCodes.done;
}
