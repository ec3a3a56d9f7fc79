import type { CheckResult } from '../operations/check.ts';
import type { DoctorResult } from '../operations/doctor.ts';
import { type FixEmptyTagsResult, isHarmful } from '../operations/fix-empty-tags.ts';
import type { RepairResult } from '../operations/repair.ts';
import type { UndoResult } from '../operations/repair/undo.ts';
import type { UsageResult } from '../operations/usage.ts';
import type { Verdict } from '../operations/verify.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';

// How each command but migrate ends that came to an end. 0 only where nothing was left out.

export function verifyExitCode(verdict: Verdict): ExitCode {
  switch (verdict) {
    case 'verified':
      return exitCodes.done;
    case 'different':
      return exitCodes.findings;
    case 'incomplete':
      return exitCodes.partial;
  }
}

export function checkExitCode(verdict: CheckResult['verdict']): ExitCode {
  switch (verdict) {
    case 'healthy':
      return exitCodes.done;
    case 'warnings':
    case 'broken':
      return exitCodes.findings;
    case 'incomplete':
      return exitCodes.partial;
  }
}

export function repairExitCode({ end, plan, outcomes }: RepairResult, dryRun: boolean): ExitCode {
  if (end !== 'done') {
    return end === 'interrupted' ? exitCodes.interrupted : exitCodes.refused;
  }
  if ((outcomes.failed ?? 0) + (outcomes['held-back'] ?? 0) + plan.unreadCount > 0) {
    return exitCodes.partial;
  }
  const isSerious = ({ severity }: { severity: string }) => severity !== 'hint';
  const isLeft = plan.left.some(isSerious) || plan.beyond.some(isSerious) || (outcomes.changed ?? 0) > 0;
  return isLeft || (dryRun && plan.steps.length > 0) ? exitCodes.findings : exitCodes.done;
}

export function undoExitCode({ end, outcomes }: UndoResult): ExitCode {
  if (end !== 'done') {
    return end === 'interrupted' ? exitCodes.interrupted : exitCodes.refused;
  }
  if ((outcomes.failed ?? 0) > 0) {
    return exitCodes.partial;
  }
  return (outcomes.changed ?? 0) > 0 ? exitCodes.findings : exitCodes.done;
}

export function markersExitCode(
  { end, plan, failed, changed }: FixEmptyTagsResult,
  dryRun: boolean,
): ExitCode {
  if (end !== 'done') {
    return end === 'interrupted' ? exitCodes.interrupted : exitCodes.refused;
  }
  if (failed + plan.notListed.length > 0) {
    return exitCodes.partial;
  }
  const found = Object.keys(plan.found) as (keyof typeof plan.found)[];
  const isHarmLeft = dryRun && found.some(isHarmful);
  return isHarmLeft || plan.found['marker-with-content'] !== undefined || changed > 0
    ? exitCodes.findings
    : exitCodes.done;
}

/** Links to blobs that were not kept track of count as dangling, so that such numbers are wrong, too. */
export function usageExitCode({ unread, tooManyBlobs }: UsageResult): ExitCode {
  return unread.length > 0 || tooManyBlobs ? exitCodes.partial : exitCodes.done;
}

export function doctorExitCode({ verdict }: DoctorResult): ExitCode {
  switch (verdict) {
    case 'healthy':
      return exitCodes.done;
    case 'failed':
      return exitCodes.findings;
    case 'unreachable':
      return exitCodes.store;
    case 'not-a-registry':
      return exitCodes.refused;
  }
}
