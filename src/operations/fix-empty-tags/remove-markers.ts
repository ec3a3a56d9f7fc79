import type { Driver } from '../../drivers/driver.ts';
import { isDriverError } from '../../drivers/errors.ts';
import { confirmAbsent } from '../absence.ts';
import { forEachConcurrently } from '../concurrency.ts';
import type { FixEmptyTagsOptions, FixEmptyTagsResult, MarkerRecord } from '../fix-empty-tags.ts';
import { isObjectFailure } from '../object-failure.ts';
import type { Marker } from './find-markers.ts';

const BATCHES_AT_ONCE = 4;
const FAILURES_KEPT = 1000;

/**
 * Removes markers, each by its exact key and only if it still is an object of zero bytes: never by prefix, as that
 * would take what is in the folder with it. Counts into `result`, and ends early when it is interrupted.
 */
export async function removeMarkers(
  store: Driver,
  markers: AsyncIterable<Marker>,
  result: FixEmptyTagsResult,
  { dryRun, concurrency, signal, observer }: FixEmptyTagsOptions,
): Promise<void> {
  const settle = async (marker: Marker, outcome: MarkerRecord['outcome'], reason?: string): Promise<void> => {
    const action = outcome === 'changed' ? 'leave' : 'remove';
    observer.progress({ objects: 1 });
    await observer.record({
      type: 'marker',
      action,
      outcome,
      ...marker,
      ...(reason !== undefined && { reason }),
    });
  };
  const fail = async (marker: Marker, error: unknown): Promise<void> => {
    if (!isObjectFailure(error)) {
      throw error;
    }
    result.failed += 1;
    if (result.failures.length < FAILURES_KEPT) {
      result.failures.push({ key: marker.key, message: error.message });
    }
    await settle(marker, 'failed', error.message);
  };

  /** Those that are what they were when they were listed. */
  async function stillEmpty(batch: readonly Marker[]): Promise<Marker[]> {
    const empty = new Set<Marker>();
    await forEachConcurrently(
      batch,
      Math.max(1, Math.ceil(concurrency / BATCHES_AT_ONCE)),
      async (marker) => {
        try {
          const stat = await store.stat(marker.key, { signal });
          if (stat === undefined) {
            await confirmAbsent(store, marker.key, { signal });
            result.vanished += 1;
            await settle(marker, 'vanished');
          } else if (stat.sizeBytes > 0) {
            result.changed += 1;
            await settle(marker, 'changed', `it has ${stat.sizeBytes} bytes now`);
          } else {
            empty.add(marker);
          }
        } catch (error) {
          await fail(marker, error);
        }
      },
    );
    return batch.filter((marker) => empty.has(marker));
  }

  async function removeBatch(batch: readonly Marker[]): Promise<void> {
    if (dryRun) {
      for (const marker of batch) {
        await settle(marker, 'planned');
      }
      return;
    }
    const empty = await stillEmpty(batch);
    if (empty.length === 0) {
      return;
    }
    const errors = await removeExactly(empty);
    for (const marker of empty) {
      const error = errors.get(marker.key);
      if (error === undefined) {
        result.removed += 1;
        await settle(marker, 'done');
      } else {
        await fail(marker, error);
      }
    }
  }

  async function removeExactly(batch: readonly Marker[]): Promise<Map<string, Error>> {
    const keys = batch.map(({ key }) => key);
    try {
      const failures = await store.delete(keys, { signal });
      return new Map(failures.map(({ key, error }) => [key, error]));
    } catch (error) {
      // Refused as a whole: the same for each.
      if (isDriverError(error, 'PERMISSION_DENIED', 'UNAVAILABLE', 'RATE_LIMITED')) {
        return new Map(keys.map((key) => [key, error]));
      }
      throw error;
    }
  }

  if (!dryRun && result.plan.toRemove > 0) {
    observer.phase('removing folder markers', { objects: result.plan.toRemove });
  }
  try {
    const batches = inBatches(markers, store.supports.deleteBatchSize);
    await forEachConcurrently(batches, Math.min(BATCHES_AT_ONCE, concurrency), removeBatch);
  } catch (error) {
    if (signal?.aborted !== true) {
      throw error;
    }
    result.end = 'interrupted';
  }
}

async function* inBatches<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length === size) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) {
    yield batch;
  }
}
