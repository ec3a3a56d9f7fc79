import type { Driver } from '../../drivers/driver.ts';
import { compareKeys } from '../../drivers/keys.ts';
import { formatLink } from '../../layout/digest.ts';
import { describeFinding, type Finding } from '../../layout/findings.ts';
import type { LockfileName } from '../../layout/paths.ts';
import { check, type CheckOptions, type CheckResult, type FindingTally } from '../check.ts';
import { forEachConcurrently } from '../concurrency.ts';
import { isObjectFailure } from '../object-failure.ts';
import type { Observer } from '../observer.ts';
import { ProvedBlobs } from './blobs.ts';
import { addNeeding, addRepository } from './needing.ts';
import { concernsLinks, decide, isMendable, leave } from './decide.ts';
import { decideLeftovers, isLeftover } from './leftovers.ts';
import { Overlay } from './overlay.ts';
import { inPhases } from './phases.ts';
import type { LeftFinding, RepairStep } from './steps.ts';
import type { Deciding, Decision, RepairChoices } from './write-link.ts';

export interface RepairPlan {
  /** In the order of their doing. */
  steps: RepairStep[];
  /** What can be mended in principle, and is not. */
  left: LeftFinding[];
  /** What is beyond this command, by kind: as many, and what helps. */
  beyond: FindingTally[];
  /** What could not be read, so that nothing is known of it. */
  unreadCount: number;
  unreads: CheckResult['unreads'];
  lockfiles: LockfileName[];
  /** Tags before, and as they will be. Undefined where GitLab's database has them. */
  tagsBefore: CheckResult['tags'];
  tagsAfter: CheckResult['tags'];
}

export interface PlanOptions {
  choices: RepairChoices;
  /** Has what is missing or corrupt. */
  other?: Driver | undefined;
  readData?: CheckOptions['readData'];
  olderThanMs: number;
  nowMs: number;
  concurrency: number;
  signal?: AbortSignal | undefined;
  observer: Omit<Observer, 'record'>;
}

/** Each round mends what the one before uncovered: a revision link, then the layers of its manifest. */
const ROUNDS_MAX = 12;

/**
 * Finds out what to do, and changes nothing: checks the store, decides what mends each finding, then checks the store
 * as it would be after that, until nothing more can be mended.
 */
export async function planRepair(store: Driver, options: PlanOptions): Promise<RepairPlan> {
  const { choices, other, signal, concurrency } = options;
  const overlay = new Overlay(store);
  const deciding: Deciding = {
    store: overlay.driver,
    blobs: new ProvedBlobs(overlay.driver, signal),
    other: other && { store: other, blobs: new ProvedBlobs(other, signal) },
    choices,
    signal,
  };
  const steps = new Map<string, RepairStep>();
  let checked = await findAll(store, options);
  const first = checked;
  let left: LeftFinding[] = [];
  const unreads = new UnreadParts();
  unreads.take(first.result);
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const decided = await decideAll(checked, deciding, concurrency);
    left = [];
    let hasNew = false;
    for (const { found, decision } of decided) {
      if ('left' in decision) {
        left.push(leave(found, decision.left));
        if (decision.unread !== undefined) {
          unreads.add({ key: found.paths[0] ?? '', message: decision.unread });
        }
      } else if (steps.has(decision.step.key)) {
        addRepository(steps.get(decision.step.key), found);
        const isOfThisRound = decided.some(
          (other) => 'step' in other.decision && steps.get(decision.step.key) === other.decision.step,
        );
        left.push(...(isOfThisRound ? [] : [leave(found, 'what was planned does not mend it')]));
      } else {
        steps.set(decision.step.key, decision.step);
        apply(decision.step, overlay, deciding);
        hasNew = true;
      }
    }
    if (!hasNew) {
      break;
    }
    checked = await findAll(overlay.driver, options, hasCorrupt(left) ? undefined : 'without-data');
    // What it could not read may be broken, and is not known to be mended.
    unreads.take(checked.result);
  }
  await addNeeding([...steps.values()], deciding.blobs);
  const leftovers = await decideLeftovers(store, first.found, options);
  leftovers.unreads.forEach((part) => {
    unreads.add(part);
  });
  return {
    steps: inPhases([...steps.values(), ...leftovers.steps]).flat(),
    left: [...left, ...leftovers.left],
    beyond: checked.result.findings.filter(
      ({ code, severity }) => severity !== 'hint' && !isMendable(code) && !isLeftover(code),
    ),
    unreadCount: unreads.count,
    unreads: unreads.all,
    lockfiles: first.result.lockfiles,
    tagsBefore: first.result.tags,
    tagsAfter: checked.result.tags,
  };
}

/** What could not be read, each part once, however often it was tried. */
class UnreadParts {
  readonly #messages = new Map<string, string>();
  /** Checks keep the first thousand, and count the rest. */
  #notKept = 0;

  get count(): number {
    return this.#messages.size + this.#notKept;
  }

  get all(): CheckResult['unreads'] {
    return [...this.#messages].map(([key, message]) => ({ key, message }));
  }

  add({ key, message }: CheckResult['unreads'][number]): void {
    this.#messages.set(key, message);
  }

  take({ unreads, unreadCount }: CheckResult): void {
    for (const part of unreads) {
      this.add(part);
    }
    this.#notKept = Math.max(this.#notKept, unreadCount - unreads.length);
  }
}

interface Checked {
  result: CheckResult;
  /** What can be mended, or left by a crash, by key. */
  found: Finding[];
}

/**
 * Blobs are read once. They are read again only where one stays corrupt, so that what needs it is not taken for
 * mended: the others are what they were, and those that are to be fetched are proved.
 */
async function findAll(
  store: Driver,
  { readData, olderThanMs, nowMs, concurrency, signal, observer }: PlanOptions,
  data?: 'without-data',
): Promise<Checked> {
  const found: Finding[] = [];
  const result = await check(store, {
    readData: data === undefined ? readData : undefined,
    abandonedAfterMs: olderThanMs,
    nowMs,
    concurrency,
    signal,
    observer: {
      ...observer,
      async finding(finding) {
        if (isMendable(finding.code) || isLeftover(finding.code)) {
          found.push(finding);
        }
      },
      async brokenTag() {},
      async unread() {},
    },
  });
  found.sort((left, right) => compareKeys(left.paths[0] ?? '', right.paths[0] ?? ''));
  return { result, found };
}

interface Decided {
  found: Finding;
  decision: Decision;
}

/** Decides on all findings of a round before any of its steps is taken for done. */
async function decideAll(
  { found, result }: Checked,
  deciding: Deciding,
  concurrency: number,
): Promise<Decided[]> {
  const isStale = result.lockfiles.includes('database-in-use');
  const mendable = found.filter((finding) => isMendable(finding.code) && !isHealedByCache(finding));
  const decisions = new Map<Finding, Decision>();
  await forEachConcurrently(mendable, concurrency, async (finding) => {
    const decision =
      isStale && concernsLinks(finding.code)
        ? {
            left: "GitLab's metadata database has taken the place of the links, so they are left as they are",
          }
        : await decideSafely(finding, deciding);
    decisions.set(finding, decision);
  });
  return mendable.flatMap((finding) => {
    const decision = decisions.get(finding);
    return decision === undefined ? [] : [{ found: finding, decision }];
  });
}

async function decideSafely(finding: Finding, deciding: Deciding): Promise<Decision> {
  try {
    return await decide(finding, deciding);
  } catch (error) {
    if (isObjectFailure(error)) {
      return { left: `it could not be looked into: ${error.message}`, unread: error.message };
    }
    throw error;
  }
}

/** A pull-through cache fetches what it lacks from upstream: what a check gives as a hint there heals by itself. */
function isHealedByCache({ code, severity }: Finding): boolean {
  return severity === 'hint' && describeFinding(code).severity !== 'hint';
}

function hasCorrupt(left: readonly LeftFinding[]): boolean {
  return left.some(({ code }) => code === 'blob-corrupt');
}

/** Makes the next check see a step as done. */
function apply(step: RepairStep, overlay: Overlay, { blobs, other }: Deciding): void {
  switch (step.kind) {
    case 'link':
      overlay.put(step.key, new TextEncoder().encode(formatLink(step.content)));
      break;
    case 'fetch':
      if (other !== undefined) {
        overlay.take(step.key, other.store, step.sizeBytes);
        blobs.forget(step.digest);
      }
      break;
    case 'quarantine':
      overlay.hide(step.key);
      blobs.forget(step.digest);
      break;
    case 'remove':
    case 'abort':
  }
}
