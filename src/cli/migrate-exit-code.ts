import type { MigrateResult } from '../operations/migrate.ts';
import { hasLockfilesAtOdds } from '../operations/migrate/plan.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { describeFailure } from './failure.ts';

/** 0 only when everything that was planned is done, the source lacked nothing, and the target is one that a registry starts on. */
export function exitCodeOf({ end, plan, tally }: MigrateResult): ExitCode {
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
  return tally.incomplete > 0 || hasLockfilesAtOdds(plan) ? exitCodes.findings : exitCodes.done;
}
