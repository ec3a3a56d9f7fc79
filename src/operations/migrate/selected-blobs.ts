import type { Driver } from '../../drivers/driver.ts';
import type { Digest } from '../../layout/digest.ts';
import { blobDataKey } from '../../layout/paths.ts';
import { forEachConcurrently } from '../concurrency.ts';
import { addCount } from '../counts.ts';
import type { Plan } from './plan.ts';

/** The digests that the links of the selected repositories name. */
export type SelectedBlobs = Set<Digest>;

/**
 * Plans only the blobs that some repositories name, looking each up on both sides instead of listing all.
 * One that the source lacks is left to publishing, which finds what depends on it.
 */
export async function planSelectedBlobs(
  source: Driver,
  target: Driver,
  selected: SelectedBlobs,
  plan: Plan,
  { concurrency, signal }: { concurrency: number; signal: AbortSignal | undefined },
): Promise<void> {
  await forEachConcurrently(selected, concurrency, async (digest) => {
    const key = blobDataKey(digest);
    const [left, right] = await Promise.all([source.stat(key, { signal }), target.stat(key, { signal })]);
    if (left === undefined) {
      return;
    }
    plan.sourceObjects += 1;
    plan.targetObjects += right === undefined ? 0 : 1;
    if (left.sizeBytes === right?.sizeBytes) {
      plan.knownBlobs.add(digest);
      addCount(plan.equal, 'blob-data', left.sizeBytes);
      return;
    }
    addCount(plan.toCopy, 'blob-data', left.sizeBytes);
    await plan.blobs.append({
      key,
      sizeBytes: left.sizeBytes,
      reason: right === undefined ? 'missing' : 'size',
    });
  });
}
