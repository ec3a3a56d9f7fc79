import { resolve } from 'node:path';
import type { Driver } from '../drivers/driver.ts';
import { describeFinding, type FindingCode } from '../layout/findings.ts';
import type {
  LeftFinding,
  RepairPlan,
  RepairProblem,
  RepairResult,
  RepairStep,
} from '../operations/repair.ts';
import type { UndoResult } from '../operations/repair/undo.ts';
import { shellCommand } from '../operations/runbook/shell.ts';
import { formatTable } from './table.ts';
import { formatBytes } from '../operations/format-bytes.ts';
import { escapeForTerminal, formatCount, formatDuration, plural } from './units.ts';

const STEPS_SHOWN = 30;
const LEFT_SHOWN = 20;
const PROBLEMS_SHOWN = 20;

export interface RepairFacts {
  durationMs: number;
  retries: number;
  dryRun: boolean;
  undoFile: string | undefined;
}

const verbs: Readonly<Record<RepairStep['kind'], string>> = {
  link: 'links to write',
  fetch: 'blobs to copy from the other store',
  quarantine: 'corrupt blobs to move aside',
  remove: 'leftovers to remove',
  abort: 'multipart uploads to abort',
};
const kinds = Object.keys(verbs) as RepairStep['kind'][];

/** What is to be done and what is left, before anything happens; the same lines in a dry run and in a run. */
export function presentRepairPlan(plan: RepairPlan, store: Driver): string[] {
  const { steps, tagsBefore, tagsAfter } = plan;
  return [
    `Repair of ${store.location}: ${steps.length === 0 ? 'nothing to mend' : plural('change', steps.length)}`,
    ...(tagsBefore === undefined || tagsAfter === undefined
      ? []
      : [
          `  tags that can be pulled: ${formatCount(tagsBefore.pullable)} of ${formatCount(tagsBefore.total)} now, ${formatCount(tagsAfter.pullable)} of ${formatCount(tagsAfter.total)} afterwards`,
        ]),
    ...(steps.length === 0 ? [] : ['', ...stepTable(steps), '', ...stepLines(steps)]),
    ...leftLines(plan),
    ...unreadLines(plan),
  ];
}

function stepTable(steps: readonly RepairStep[]): string[] {
  const rows = kinds
    .map((kind) => ({ kind, all: steps.filter((step) => step.kind === kind) }))
    .filter(({ all }) => all.length > 0)
    .map(({ kind, all }) => [
      verbs[kind],
      formatCount(all.length),
      formatBytes(all.reduce((sum, step) => sum + bytesOf(step), 0)),
    ]);
  return formatTable(['what', 'count', 'bytes'], rows);
}

function bytesOf(step: RepairStep): number {
  switch (step.kind) {
    case 'link':
      return step.content.length;
    case 'fetch':
      return step.sizeBytes;
    case 'quarantine':
      return step.corrupt.sizeBytes;
    case 'remove':
      return step.objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    case 'abort':
      return step.upload.sizeBytes ?? 0;
  }
}

function stepLines(steps: readonly RepairStep[]): string[] {
  const more = steps.length - STEPS_SHOWN;
  return [
    ...steps
      .slice(0, STEPS_SHOWN)
      .map(({ key, reason, code }) => `  ${escapeForTerminal(key)}: ${escapeForTerminal(reason)} (${code})`),
    ...(more > 0 ? [`  and ${formatCount(more)} more; all are in --report`] : []),
  ];
}

/** What stays as it is, each with the reason, and what is not this command's to mend. */
function leftLines({ left, beyond }: RepairPlan): string[] {
  const serious = left.filter(({ code }) => !isLeftover(code));
  const leftovers = left.length - serious.length;
  const more = serious.length - LEFT_SHOWN;
  const lines = [
    ...serious.slice(0, LEFT_SHOWN).map(leftLine),
    ...(more > 0 ? [`  and ${formatCount(more)} more; all are in --report`] : []),
    ...(leftovers > 0
      ? [`  ${plural('leftover', leftovers)} of uploads or temporary files: --uploads removes what is old`]
      : []),
    ...beyond.map(
      ({ code, count }) =>
        `  ${formatCount(count)} x ${code} (${describeFinding(code).title}): ${describeFinding(code).remedy}`,
    ),
  ];
  return lines.length === 0 ? [] : ['', 'Left as it is:', ...lines];
}

function isLeftover(code: FindingCode): boolean {
  return code === 'temporary-file' || code.includes('upload');
}

function leftLine({ key, code, reason, repository, tags }: LeftFinding): string {
  const names = tags.map((tag) => `${repository ?? ''}:${tag}`).join(', ');
  return `  ${escapeForTerminal(key)} (${code}${names === '' ? '' : `, hurts ${escapeForTerminal(names)}`}): ${escapeForTerminal(reason)}`;
}

function unreadLines({ unreads, unreadCount }: RepairPlan): string[] {
  const problems = unreads.map(({ key, message }) => ({ key, message }));
  return problemLines('NOT READ, so that nothing is known of it', problems, unreadCount);
}

/** What happened. */
export function presentRepairResult(result: RepairResult, facts: RepairFacts): string[] {
  const { outcomes, plan, failures } = result;
  const counts = facts.dryRun
    ? `would make ${plural('change', plan.steps.length)}`
    : [
        `made ${plural('change', outcomes.done ?? 0)}`,
        ...(outcomes.already === undefined ? [] : [`${formatCount(outcomes.already)} were made already`]),
        ...(outcomes.changed === undefined
          ? []
          : [`left ${formatCount(outcomes.changed)} that changed meanwhile`]),
        ...(outcomes['held-back'] === undefined
          ? []
          : [`held back ${formatCount(outcomes['held-back'])} that need what failed`]),
        `failed ${formatCount(outcomes.failed ?? 0)}`,
      ].join(', ');
  const retried = facts.retries > 0 ? `; ${plural('request', facts.retries)} repeated` : '';
  return [
    `${headline(result, facts.dryRun)} ${counts}; ${formatDuration(facts.durationMs)}${retried}.`,
    ...(facts.undoFile === undefined
      ? []
      : [
          `What was there before is in ${escapeForTerminal(facts.undoFile)}. To put it back:`,
          `  ${escapeForTerminal(shellCommand('regtool', 'repair', result.location, '--undo', resolve(facts.undoFile)))}`,
        ]),
    ...((outcomes.done ?? 0) > 0
      ? ['Restart the registry, or flush its cache (redis), so that it forgets what it knew of blobs.']
      : []),
    ...problemLines('Failed', failures, (outcomes.failed ?? 0) + (outcomes['held-back'] ?? 0)),
  ];
}

function headline({ end, outcomes, plan }: RepairResult, dryRun: boolean): string {
  if (end === 'interrupted') {
    return 'INTERRUPTED; run the same command again to go on. So far:';
  }
  if (dryRun) {
    return 'Dry run, nothing was changed:';
  }
  const isPartial = (outcomes.failed ?? 0) + (outcomes['held-back'] ?? 0) + plan.unreadCount > 0;
  return isPartial ? 'DONE IN PART:' : 'Done:';
}

export function presentUndoResult(
  result: UndoResult,
  facts: Pick<RepairFacts, 'dryRun' | 'durationMs'>,
): string[] {
  const { outcomes, failures, planned, left, end } = result;
  const counts = [
    facts.dryRun
      ? `would put back ${plural('object', outcomes.planned ?? 0)}`
      : `put back ${plural('object', outcomes.done ?? 0)}`,
    ...(outcomes.already === undefined ? [] : [`${formatCount(outcomes.already)} were as before`]),
    ...(outcomes.changed === undefined ? [] : [`left ${formatCount(outcomes.changed)} as they are`]),
    ...(outcomes['not-kept'] === undefined
      ? []
      : [`${formatCount(outcomes['not-kept'])} leftovers of uploads were not kept`]),
    `failed ${formatCount(outcomes.failed ?? 0)}`,
  ].join(', ');
  const start =
    end === 'interrupted'
      ? 'INTERRUPTED; run the same command again to go on. So far:'
      : facts.dryRun
        ? 'Dry run, nothing was changed:'
        : 'Undone:';
  return [
    `${start} ${counts}; ${formatDuration(facts.durationMs)}.`,
    ...problemLines('Would be put back', planned, outcomes.planned ?? 0),
    ...problemLines('Left as it is', left, outcomes.changed ?? 0),
    ...problemLines('Failed', failures, outcomes.failed ?? 0),
  ];
}

function problemLines(title: string, list: readonly RepairProblem[], count: number): string[] {
  if (count === 0) {
    return [];
  }
  const shown = list.slice(0, PROBLEMS_SHOWN);
  const more = count - shown.length;
  return [
    '',
    `${title}: ${formatCount(count)}`,
    ...shown.map(({ key, message }) => `  ${escapeForTerminal(key)}: ${escapeForTerminal(message)}`),
    ...(more > 0 ? [`  and ${formatCount(more)} more; all are in --report`] : []),
  ];
}

/** The stable shape of `--json`. */
export function repairJson(result: RepairResult, store: Driver, facts: RepairFacts) {
  const { plan, end, outcomes, failures } = result;
  return {
    store: store.location,
    dryRun: facts.dryRun,
    end,
    tagsBefore: plan.tagsBefore ?? null,
    tagsAfter: plan.tagsAfter ?? null,
    changes: plan.steps.map(({ kind, key, code, repository, tags, reason }) => ({
      action: kind,
      key,
      code,
      repository: repository ?? null,
      tags,
      reason,
    })),
    left: plan.left,
    beyond: plan.beyond.map(({ code, severity, count }) => ({
      code,
      severity,
      count,
      remedy: describeFinding(code).remedy,
    })),
    notRead: plan.unreads,
    outcomes,
    failures,
    undoFile: facts.undoFile ?? null,
    retries: facts.retries,
    durationMs: Math.round(facts.durationMs),
  };
}

/** The stable shape of `--json` with `--undo`. */
export function undoJson(result: UndoResult, store: Driver, facts: RepairFacts) {
  return {
    store: store.location,
    dryRun: facts.dryRun,
    end: result.end,
    outcomes: result.outcomes,
    planned: result.planned,
    left: result.left,
    failures: result.failures,
    undoFile: facts.undoFile ?? null,
    retries: facts.retries,
    durationMs: Math.round(facts.durationMs),
  };
}
