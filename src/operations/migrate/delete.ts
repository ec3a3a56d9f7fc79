import { DriverError, isDriverError } from '../../drivers/errors.ts';
import { MAX_LINK_BYTES, readLink } from '../../layout/digest.ts';
import { DELETE_ORDER, type RegistryPathKind } from '../../layout/order.ts';
import { parsePath, repositoryOf, revisionLinkKey, tagsPrefix } from '../../layout/paths.ts';
import { forEachConcurrently } from '../concurrency.ts';
import { addCount } from '../counts.ts';
import { assertStillThere } from '../registry-root.ts';
import type { Plan } from './plan.ts';
import type { Run } from './run.ts';

const BATCHES_AT_ONCE = 4;

/**
 * Deletes what the plan says, in the reverse of the copy order and with a barrier between kinds: a tag goes
 * before its revision, a revision before its layers, a link before its blob. Each key is looked up at the
 * source once more right before: one that is there again is kept, and so is one that something published in this
 * run needs. Stops after the first kind of which
 * something could not be deleted, since what comes next may be needed by it.
 * Returns whether everything was gone through.
 * @throws DriverError STORE_NOT_FOUND when the source is no longer the registry that it was.
 */
export async function deletePlanned(run: Run, plan: Plan, concurrency: number): Promise<boolean> {
  const failedBefore = run.tally.failed;
  // `tarsum` stands in two phases of the order; the first takes all.
  const kinds = [...new Set(DELETE_ORDER.flat())];
  for (const kind of kinds) {
    await deleteKind(run, kind, plan.deletions.get(kind) ?? [], concurrency);
    if (kind === 'tag-current' && !run.dryRun) {
      await assertTagsLetGo(run, plan, concurrency);
    }
    if (run.tally.failed > failedBefore) {
      return false;
    }
  }
  return true;
}

async function deleteKind(
  run: Run,
  kind: RegistryPathKind,
  keys: string[],
  concurrency: number,
): Promise<void> {
  const size = run.target.supports.deleteBatchSize;
  const batches = Array.from({ length: Math.ceil(keys.length / size) }, (_, index) =>
    keys.slice(index * size, (index + 1) * size),
  );
  await forEachConcurrently(batches, Math.min(BATCHES_AT_ONCE, concurrency), async (batch) => {
    const absent = await stillAbsent(run, batch, concurrency);
    await assertStillThere(run.source, { signal: run.signal });
    const failures = run.dryRun ? [] : await run.target.delete(absent, { signal: run.signal });
    const failed = new Set(failures.map(({ key }) => key));
    for (const { key, error } of failures) {
      await run.fail(key, error, { action: 'delete' });
    }
    for (const key of absent.filter((key) => !failed.has(key))) {
      addCount(run.tally.deleted, kind, 0);
      run.observer.progress({ objects: 1 });
      await run.record(key, { action: 'delete', outcome: run.dryRun ? 'planned' : 'done' });
    }
  });
}

async function stillAbsent(run: Run, keys: string[], concurrency: number): Promise<string[]> {
  const absent = new Set<string>();
  await forEachConcurrently(keys, concurrency, async (key) => {
    try {
      if (run.needed.has(key)) {
        run.tally.reappeared += 1;
        return;
      }
      if ((await run.source.stat(key, { signal: run.signal })) === undefined) {
        absent.add(key);
        return;
      }
      run.tally.reappeared += 1;
    } catch (error) {
      await run.fail(key, error, { action: 'delete' });
    }
  });
  return keys.filter((key) => absent.has(key));
}

/**
 * Looks at the tags that stay at the target, in the repositories that are to lose revisions. One may still stand
 * for such a revision: it moved at the source and was then deleted there, or it could not be published. That
 * counts as a failure, and nothing more is deleted.
 */
async function assertTagsLetGo(run: Run, plan: Plan, concurrency: number): Promise<void> {
  const { target, signal } = run;
  const doomed = new Set(plan.deletions.get('revision-link'));
  const repositories = new Set([...doomed].flatMap((key) => repositoryOf(key) ?? []));
  await forEachConcurrently(repositories, concurrency, async (repository) => {
    for await (const page of target.list(tagsPrefix(repository), { signal })) {
      for (const { key } of page.filter((object) => parsePath(object.key).kind === 'tag-current')) {
        await assertTagLetsGo(run, doomed, repository, key);
      }
    }
  });
}

async function assertTagLetsGo(
  run: Run,
  doomed: ReadonlySet<string>,
  repository: string,
  key: string,
): Promise<void> {
  try {
    const link = readLink(await run.target.readSmall(key, MAX_LINK_BYTES, { signal: run.signal }));
    const revision = link.valid ? revisionLinkKey(repository, link.digest) : '';
    const isBack =
      doomed.has(revision) && (await run.source.stat(revision, { signal: run.signal })) !== undefined;
    if (link.valid && doomed.has(revision) && !isBack) {
      throw new DriverError(
        'CHANGED',
        `The tag still stands for ${link.digest} at the target, which the plan deletes: it changed at the source since the plan. Run again.`,
        { driver: run.target.name, operation: 'delete', key },
      );
    }
  } catch (error) {
    if (!isDriverError(error, 'NOT_FOUND')) {
      await run.fail(key, error, { action: 'delete' });
    }
  }
}
