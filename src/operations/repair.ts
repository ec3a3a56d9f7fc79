import { setMaxListeners } from 'node:events';
import type { CallOptions, Driver } from '../drivers/driver.ts';
import { overlap } from '../drivers/keys.ts';
import { SafetyRefusal } from './errors.ts';
import type { Observer } from './observer.ts';
import { assertRegistryRoot } from './registry-root.ts';
import { carryOut, type StepOutcome } from './repair/carry-out.ts';
import { type PlanOptions, planRepair, type RepairPlan } from './repair/plan.ts';
import type { LeftFinding, RepairStep } from './repair/steps.ts';
import type { UndoLog } from './repair/undo-log.ts';
import type { OpenAbove } from './where-else.ts';

export type { RepairPlan } from './repair/plan.ts';
export type { LeftFinding, RepairStep } from './repair/steps.ts';
export type { RepairChoices } from './repair/write-link.ts';

/** One line of the report. */
export interface RepairRecord {
  type: 'repair';
  /** What was, or would be, done; `leave` for a finding that stays. */
  action: RepairStep['kind'] | 'leave';
  outcome: StepOutcome | 'left';
  code: string;
  key: string;
  repository?: string | undefined;
  tags: readonly string[];
  /** What is done, or why nothing is, or what went wrong. */
  reason: string;
}

export interface RepairOptions extends Omit<PlanOptions, 'observer'> {
  /** Decide everything, change nothing. */
  dryRun: boolean;
  undo: UndoLog;
  /** Opens what the store's root is in, to look for a registry that is not in the store. */
  openAbove?: OpenAbove | undefined;
  /** The same for the other store. */
  openAboveOther?: OpenAbove | undefined;
  observer: Observer<RepairRecord>;
  /** Sees the plan before anything is changed, and says whether to go on. Not asked where nothing would be. */
  approve: (plan: RepairPlan) => Promise<boolean>;
}

export interface RepairProblem {
  key: string;
  message: string;
}

export interface RepairResult {
  /** The store, as the user would write it. */
  location: string;
  plan: RepairPlan;
  end: 'done' | 'declined' | 'interrupted';
  outcomes: Partial<Record<StepOutcome, number>>;
  /** The first of those that failed. */
  failures: RepairProblem[];
}

const FAILURES_KEPT = 1000;

/**
 * Mends what a check finds and what has exactly one right answer. Plans first; then writes blobs, layer links,
 * revisions, index entries and tags in this order, each after another look and after a note of what was there.
 * @throws SafetyRefusal NOT_A_REGISTRY, STORES_OVERLAP; DriverError when a store cannot be read at all.
 */
export async function repair(store: Driver, options: RepairOptions): Promise<RepairResult> {
  const { observer, signal, other, openAbove, openAboveOther } = options;
  if (signal !== undefined) {
    // Every call in flight listens to it: many at once is how it is meant, and no leak.
    setMaxListeners(0, signal);
  }
  await assertRegistryRoot(store, 'store', { openAbove, signal });
  if (other !== undefined) {
    await assertOther(store, other, { openAbove: openAboveOther, signal });
  }
  const plan = await planRepair(store, options);
  const result: RepairResult = { location: store.location, plan, end: 'done', outcomes: {}, failures: [] };
  for (const left of plan.left) {
    await observer.record(leftRecord(left));
  }
  if (plan.steps.length > 0 && !(await options.approve(plan))) {
    return { ...result, end: 'declined' };
  }
  if (!options.dryRun && plan.steps.length > 0) {
    observer.phase('repairing', { objects: plan.steps.length });
  }
  try {
    await carryOut(plan.steps, {
      store,
      other,
      undo: options.undo,
      dryRun: options.dryRun,
      concurrency: options.concurrency,
      signal,
      observer,
      async settled(step, outcome, message) {
        result.outcomes[outcome] = (result.outcomes[outcome] ?? 0) + 1;
        if (message !== undefined && result.failures.length < FAILURES_KEPT) {
          result.failures.push({ key: step.key, message });
        }
        await observer.record(stepRecord(step, outcome, message));
      },
    });
  } catch (error) {
    if (signal?.aborted !== true) {
      throw error;
    }
    result.end = 'interrupted';
  } finally {
    observer.phase('');
  }
  return result;
}

/** The other store must be a registry, and not the very one that is repaired: it would prove itself. */
async function assertOther(
  store: Driver,
  other: Driver,
  options: CallOptions & { openAbove: OpenAbove | undefined },
): Promise<void> {
  if (overlap(store.identity, other.identity) !== 'none') {
    throw new SafetyRefusal(
      'STORES_OVERLAP',
      `${other.location} is the store that is to be repaired, or a part of it: name another one that still has what is missing.`,
    );
  }
  await assertRegistryRoot(other, 'other store', options);
}

function leftRecord({ code, key, repository, tags, reason }: LeftFinding): RepairRecord {
  return { type: 'repair', action: 'leave', outcome: 'left', code, key, repository, tags, reason };
}

function stepRecord(step: RepairStep, outcome: StepOutcome, message: string | undefined): RepairRecord {
  const { kind, code, key, repository, tags, reason } = step;
  return { type: 'repair', action: kind, outcome, code, key, repository, tags, reason: message ?? reason };
}
