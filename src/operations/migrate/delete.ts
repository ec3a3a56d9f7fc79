import { isDriverError } from '../../drivers/errors.ts';
import { DELETE_ORDER, type RegistryPathKind } from '../../layout/order.ts';
import { forEachConcurrently } from '../concurrency.ts';
import { addCount, type Plan } from './plan.ts';
import type { Run } from './run.ts';

/**
 * Deletes what the plan says, in the reverse of the copy order and with a barrier between kinds: a tag goes
 * before its revision, a revision before its layers, a link before its blob. Each key is looked up at the
 * source once more right before: one that is there again is kept.
 */
export async function deletePlanned(run: Run, plan: Plan, concurrency: number): Promise<void> {
  for (const kinds of DELETE_ORDER) {
    for (const kind of kinds) {
      await deleteKind(run, kind, plan.deletions.get(kind) ?? [], concurrency);
      // `tarsum` stands in two phases of the order; the first takes all.
      plan.deletions.delete(kind);
    }
  }
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
  await forEachConcurrently(batches, Math.min(4, concurrency), async (batch) => {
    const absent = await stillAbsent(run, batch, concurrency);
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
      if ((await run.source.stat(key, { signal: run.signal })) === undefined) {
        absent.add(key);
        return;
      }
      run.tally.reappeared += 1;
    } catch (error) {
      if (!isDriverError(error)) {
        throw error;
      }
      await run.fail(key, error, { action: 'delete' });
    }
  });
  return keys.filter((key) => absent.has(key));
}
