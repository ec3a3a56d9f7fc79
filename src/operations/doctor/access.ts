import type { Driver, ObjectStat } from '../../drivers/driver.ts';
import { isDriverError } from '../../drivers/errors.ts';
import { lockfileKey, REGISTRY_ROOT } from '../../layout/paths.ts';
import { attempt, allowed, missingRight, refused } from './attempt.ts';
import { type DoctorCheck, failed, ok, unknown } from './check.ts';

/** Objects up to this size are read whole to see whether reading is allowed. */
const READ_MAX_BYTES = 64 * 1024;

export interface Access {
  isReachable: boolean;
  /** Listing is allowed: without it nothing can be said of the content. */
  mayList: boolean;
  checks: DoctorCheck[];
}

/** Whether a store answers at all, whom it takes the credentials for, and what they may read. Never writes. */
export async function examineAccess(
  store: Driver,
  signal: AbortSignal | undefined,
  now: () => number,
): Promise<Access> {
  const startedAtMs = now();
  let checks: DoctorCheck[];
  let mayList = true;
  try {
    await store.listFolder(REGISTRY_ROOT, { signal });
    checks = [ok('reach', `answers in ${Math.max(1, Math.round(now() - startedAtMs))} ms`), allowed('list')];
  } catch (error) {
    if (!isDriverError(error) || error.code === 'ABORTED') {
      throw error;
    }
    if (error.code !== 'PERMISSION_DENIED') {
      return { isReachable: false, mayList: false, checks: [unreachable(error)] };
    }
    mayList = false;
    const reach = store.name === 'filesystem' ? 'is there' : 'answers, and knows the credentials';
    checks = [ok('reach', reach), missingRight(store, 'list')];
  }
  return {
    isReachable: true,
    mayList,
    checks: [...checks, ...(await examineReading(store, mayList, signal))],
  };
}

/** The line for a store that cannot be worked with at all. */
export function unreachable(error: Error): DoctorCheck {
  return failed('reach', `cannot be used: ${error.message}`);
}

async function examineReading(
  store: Driver,
  mayList: boolean,
  signal: AbortSignal | undefined,
): Promise<DoctorCheck[]> {
  const known = mayList ? await smallObject(store, signal) : undefined;
  const keys = known === undefined ? lockfiles : [known.key];
  let isThere = false;
  for (const key of keys) {
    const head = await attempt(store, 'head', () => store.stat(key, { signal }));
    if (head.check.status === 'failed') {
      // Without the right to list, S3 answers 403 for what is not there, which says nothing of reading.
      return mayList
        ? [head.check]
        : [unknown('get', 'not tried, as nothing can be listed that could be read')];
    }
    isThere = head.value !== undefined;
    if (isThere) {
      const read = await attempt(store, 'get', () => store.readSmall(key, READ_MAX_BYTES, { signal }));
      return [head.check, read.check];
    }
  }
  return [allowed('head'), unknown('get', 'there is nothing to read yet')];
}

const lockfiles = [lockfileKey('filesystem-in-use'), lockfileKey('database-in-use')];

/** One of the first objects of the registry that is small enough to be read whole. */
async function smallObject(store: Driver, signal: AbortSignal | undefined): Promise<ObjectStat | undefined> {
  for (const prefix of [`${REGISTRY_ROOT}repositories/`, REGISTRY_ROOT]) {
    try {
      for await (const batch of store.list(prefix, { signal })) {
        const small = batch.find(({ sizeBytes }) => sizeBytes <= READ_MAX_BYTES);
        if (small !== undefined) {
          return small;
        }
        break;
      }
    } catch (error) {
      // An unreadable folder on the way is found by whoever lists in earnest.
      refused(store, 'list', error);
    }
  }
  return undefined;
}
