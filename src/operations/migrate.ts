import type { Driver } from '../drivers/driver.ts';
import { isDriverError } from '../drivers/errors.ts';
import { SCHEDULER_STATE_KEY } from '../layout/keys.ts';
import { parsePath } from '../layout/paths.ts';
import { forEachConcurrently, inOneRow } from './concurrency.ts';
import { totalOf } from './counts.ts';
import { readExactly } from './copy-blob.ts';
import type { RegistryRoot } from './find-registry-root.ts';
import { meteredBody, type OnBytes } from './metered-body.ts';
import { deletePlanned } from './migrate/delete.ts';
import { assertNoEmptiedFolders } from './migrate/emptied-folders.ts';
import {
  assertDeletesAllowed,
  assertSomethingSelected,
  assertStores,
  DATABASE_LOCKFILE,
  type MaxDelete,
} from './migrate/guards.ts';
import { deletionCount, disposePlan, doomedKeys, type Plan, type PlannedCopy } from './migrate/plan.ts';
import { removeGhostTags } from './migrate/ghost-tags.ts';
import { assertNothingNeeded } from './migrate/proof-of-need.ts';
import { publishingSteps } from './migrate/publish-repository.ts';
import type { Step } from './migrate/publish-tags.ts';
import { Run, type Tally } from './migrate/run.ts';
import { scan } from './migrate/scan.ts';
import { assertStillThere } from './registry-root.ts';
import type { Observer, PhaseTotals } from './observer.ts';
import type { OpenAbove } from './where-else.ts';

export interface MigrateOptions {
  /** Decide everything, write nothing. */
  dryRun: boolean;
  /** Remove from the target what the source does not have, within this limit. Undefined: never delete. */
  delete: { max: MaxDelete } | undefined;
  includeForeign: boolean;
  /** Copy also what is broken at the source already, as it is. */
  includeIncomplete: boolean;
  /** Only repositories for which this is true, and the blobs that they need. */
  selects?: ((repository: string) => boolean) | undefined;
  /** Opens what the source's root is in, to look for a registry that is not in the source. */
  openAboveSource?: OpenAbove | undefined;
  /** Listings, questions and deletes at once. */
  concurrency: number;
  /** Objects copied at once; as `concurrency` when left out. Large ones are fewer, see `Run`. */
  copyConcurrency?: number | undefined;
  signal?: AbortSignal | undefined;
  observer: Observer;
  /** Sees the plan before anything is written, and says whether to go on. */
  approve: (plan: Plan) => Promise<boolean>;
}

/** How far a run came. */
export type MigrateEnd =
  | { kind: 'done' }
  /** Not approved: nothing was touched. */
  | { kind: 'declined' }
  /** The caller's signal was aborted; a rerun goes on. */
  | { kind: 'interrupted' }
  /** The store can no longer be worked with; a rerun goes on. */
  | { kind: 'stopped'; error: Error };

export interface MigrateResult {
  end: MigrateEnd;
  plan: Plan;
  tally: Tally;
  /** Deletes were planned, and did not start because of failures before. */
  deletesWithheld: boolean;
}

/** Of the steps that are begun, some wait for others: with so many for each call, all calls are in use all the same. */
const STEPS_FOR_EACH_CALL = 2;

/**
 * Makes the target hold what the source holds. Plans first, then copies leaves first (blobs, lockfiles, then
 * each repository's links up to its tags), then deletes roots first, if all copying went well.
 * The caller disposes of `result.plan`.
 * @throws SafetyRefusal before anything is touched; DriverError when a store cannot be read at all.
 */
export async function migrate(
  source: Driver,
  target: Driver,
  options: MigrateOptions,
): Promise<MigrateResult> {
  const { observer, signal, concurrency, openAboveSource } = options;
  const root = await assertStores(source, target, {
    includesForeign: options.includeForeign,
    openAboveSource,
    signal,
  });
  const plan = await scan(source, target, { ...options, deletes: options.delete !== undefined, signal });
  try {
    assertSomethingSelected(plan);
    const reason = reasonForGaps(root, plan);
    if (reason !== undefined) {
      observer.notice(
        `${reason}: so its links are copied as they are, and say nothing about what is needed.`,
      );
    }
    if (options.delete !== undefined) {
      assertDeletesAllowed(plan, options.delete.max);
      await assertNoEmptiedFolders(source, plan, { concurrency, signal });
      if (reason === undefined) {
        await assertNothingNeeded(source, target, plan, { concurrency, signal });
      }
      await assertStillThere(source, { signal });
    }
    const run = new Run({
      ...options,
      includeIncomplete: options.includeIncomplete || reason !== undefined,
      concurrency: options.copyConcurrency ?? concurrency,
      source,
      target,
      known: plan.knownBlobs,
      doomed: doomedKeys(plan),
      signal,
    });
    if (!(await options.approve(plan))) {
      return { end: { kind: 'declined' }, plan, tally: run.tally, deletesWithheld: false };
    }
    let allDeletesDone = false;
    const end = await settle(run, signal, async () => {
      allDeletesDone = await carryOut(run, plan, options);
    });
    return { end, plan, tally: run.tally, deletesWithheld: deletionCount(plan) > 0 && !allDeletesDone };
  } catch (error) {
    await disposePlan(plan);
    throw error;
  } finally {
    observer.phase('');
  }
}

/** Why a link of the source may well lead to what is not there, if that is so. */
function reasonForGaps({ isDatabaseManaged }: RegistryRoot, { toCopy, equal }: Plan): string | undefined {
  if (isDatabaseManaged) {
    return `The source keeps its tags in a database (${DATABASE_LOCKFILE}), which collects garbage and leaves the links to it`;
  }
  return (toCopy['scheduler-state'] ?? equal['scheduler-state']) === undefined
    ? undefined
    : `The source is a pull-through cache (${SCHEDULER_STATE_KEY}), which fetches again what it lacks`;
}

/** Returns whether all planned deletes were gone through. */
async function carryOut(run: Run, plan: Plan, options: MigrateOptions): Promise<boolean> {
  const { concurrency, copyConcurrency = concurrency, observer } = options;
  for (const { prefix, error } of plan.listingFailures) {
    await run.fail(prefix, error, { kind: 'prefix', action: 'list' });
  }
  await cleanUp(run, plan);
  const phase = (name: string, totals: PhaseTotals) => {
    if ((totals.objects ?? 0) > 0) {
      observer.phase(name, totals);
    }
  };
  phase(run.dryRun ? 'deciding on blobs' : 'copying blobs', blobTotals(plan));
  await forEachConcurrently(plan.blobs, copyConcurrency, (copy) => copyPlanned(run, copy));
  await forEachConcurrently(plan.others, copyConcurrency, (copy) => copyFile(run, copy));
  phase(run.dryRun ? 'deciding on repositories' : 'publishing repositories', { objects: linkCount(plan) });
  // All repositories in one row: while the last links of one wait for what they need, the first of the next are sent,
  // and only those few are held in memory whose steps are under way.
  const steps = inOneRow(stepsOf(run, plan));
  await forEachConcurrently(steps, copyConcurrency * STEPS_FOR_EACH_CALL, (step) => step());
  phase('copying foreign files', { objects: plan.foreign.length });
  await forEachConcurrently(plan.foreign, copyConcurrency, (copy) => copyFile(run, copy));
  if (run.tally.vanished > 0) {
    await assertStillThere(run.source, { signal: run.signal });
  }
  if (run.tally.failed + run.tally.heldBack > 0) {
    return false;
  }
  phase('deleting', { objects: deletionCount(plan) });
  const isDone = await deletePlanned(run, plan, concurrency);
  if (isDone && options.delete !== undefined) {
    await removeGhostTags(run, options.selects);
  }
  return isDone;
}

async function* stepsOf(run: Run, { repositories }: Plan): AsyncGenerator<Iterable<Step>> {
  for await (const repository of repositories) {
    yield publishingSteps(run, repository);
  }
}

function copyPlanned(run: Run, copy: PlannedCopy): Promise<unknown> {
  const path = parsePath(copy.key);
  return path.kind === 'blob-data'
    ? run.copyBlob(path.digest, copy.sizeBytes, copy.reason)
    : copyFile(run, copy);
}

/** Content whose name proves nothing: lockfiles, a cache's state, tarsum blobs, foreign files. */
async function copyFile(run: Run, { key, sizeBytes, reason }: PlannedCopy): Promise<void> {
  const { source, target, signal } = run;
  const copyOf = async (nowBytes: number, onBytes: OnBytes): Promise<void> => {
    const isSmall = nowBytes <= 64 * 1024;
    const body = isSmall
      ? await readExactly(source, key, nowBytes, signal)
      : meteredBody({ sizeBytes: nowBytes, open: () => source.read(key, { signal }) }, onBytes);
    await target.write(key, body, { signal });
  };
  await run.attempt(
    key,
    sizeBytes,
    async (onBytes) => {
      try {
        await copyOf(sizeBytes, onBytes);
      } catch (error) {
        // A cache rewrites its list every minute or so.
        const now = isDriverError(error, 'CHANGED') ? await source.stat(key, { signal }) : undefined;
        if (now === undefined || now.sizeBytes === sizeBytes) {
          throw error;
        }
        await copyOf(now.sizeBytes, onBytes);
      }
    },
    { reason, action: reason === 'missing' ? 'copy' : 'rewrite' },
  );
}

/** Removes what an interrupted run of regtool left at the target: temporary files and unfinished uploads of blobs. */
async function cleanUp(run: Run, plan: Plan): Promise<void> {
  const { target, signal, dryRun } = run;
  const failures =
    plan.leftovers.length === 0 || dryRun ? [] : await target.delete(plan.leftovers, { signal });
  const failed = new Set(failures.map(({ key }) => key));
  for (const { key, error } of failures) {
    await run.fail(key, error, { action: 'clean-up' });
  }
  for (const key of plan.leftovers.filter((leftover) => !failed.has(leftover))) {
    await run.record(key, { action: 'clean-up', outcome: dryRun ? 'planned' : 'done' });
  }
  if (target.listUploads === undefined || plan.blobs.length === 0) {
    return;
  }
  const planned = new Set<string>();
  const pending = [];
  for await (const page of target.listUploads('docker/registry/v2/blobs/', { signal })) {
    pending.push(...page);
  }
  if (pending.length > 0) {
    for await (const { key } of plan.blobs) {
      planned.add(key);
    }
  }
  // Only uploads of blobs that this run writes itself: others may belong to whoever uses the bucket.
  for (const upload of pending.filter(({ key }) => planned.has(key))) {
    if (!dryRun) {
      await target.abortUpload?.(upload, { signal });
    }
    await run.record(upload.key, {
      action: 'clean-up',
      outcome: dryRun ? 'planned' : 'done',
      reason: 'unfinished upload',
    });
  }
}

/** Tells an interruption and a hopeless store, which end a run early, from errors that nobody expected. */
async function settle(
  run: Run,
  signal: AbortSignal | undefined,
  action: () => Promise<void>,
): Promise<MigrateEnd> {
  try {
    await action();
    return { kind: 'done' };
  } catch (error) {
    if (signal?.aborted === true) {
      return { kind: 'interrupted' };
    }
    const cause = run.stoppedBy ?? error;
    if (isDriverError(cause)) {
      return { kind: 'stopped', error: cause };
    }
    throw cause;
  }
}

function blobTotals(plan: Plan) {
  const { objects, bytes } = totalOf({
    ...(plan.toCopy['blob-data'] === undefined ? {} : { 'blob-data': plan.toCopy['blob-data'] }),
    ...(plan.toCopy.tarsum === undefined ? {} : { tarsum: plan.toCopy.tarsum }),
  });
  return { objects: objects + plan.others.length, bytes };
}

function linkCount({ toCopy }: Plan): number {
  const kinds = ['layer-link', 'signature-link', 'revision-link', 'tag-index', 'tag-current'] as const;
  return kinds.reduce((sum, kind) => sum + (toCopy[kind]?.objects ?? 0), 0);
}
