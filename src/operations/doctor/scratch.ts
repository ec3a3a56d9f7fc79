import { randomUUID } from 'node:crypto';
import type { Driver } from '../../drivers/driver.ts';
import { isDriverError } from '../../drivers/errors.ts';
import { type DoctorCheck, failed } from './check.ts';

/** How long removing what a probe wrote may take, also after an interruption. */
const CLEAN_UP_MS = 30_000;

/** A place for a probe's objects: outside `docker/`, with a name that nothing else has. */
export interface Scratch {
  /** Ends in `/`. */
  prefix: string;
  /** Gives a key below the prefix, and remembers it. */
  key(name: string): string;
}

/**
 * Gives an action a scratch prefix and removes what lies below it afterwards, also when the action fails or the
 * command is interrupted. What could not be removed is a failed check; where the action failed there is no check,
 * and it is told to `onLeftover`.
 */
export async function withScratch(
  store: Driver,
  action: (scratch: Scratch) => Promise<DoctorCheck[]>,
  onLeftover: (sentence: string) => void,
): Promise<DoctorCheck[]> {
  const prefix = `regtool-probe-${randomUUID()}/`;
  const keys = new Set<string>();
  const scratch: Scratch = {
    prefix,
    key(name) {
      keys.add(prefix + name);
      return prefix + name;
    },
  };
  let checks: DoctorCheck[];
  try {
    checks = await action(scratch);
  } catch (error) {
    const leftover = await clear(store, prefix, keys);
    if (leftover !== undefined) {
      onLeftover(`${leftover.finding} ${leftover.advice ?? ''}`);
    }
    throw error;
  }
  const leftover = await clear(store, prefix, keys);
  return leftover === undefined ? checks : [...checks, leftover];
}

/** With a signal of its own: an interruption must not keep it from tidying up. */
async function clear(
  store: Driver,
  prefix: string,
  keys: ReadonlySet<string>,
): Promise<DoctorCheck | undefined> {
  const signal = AbortSignal.timeout(CLEAN_UP_MS);
  try {
    const found = await keysBelow(store, prefix, signal);
    const failures = await store.delete([...new Set([...keys, ...found])], { signal });
    await abortUploads(store, prefix, signal);
    const [first] = failures;
    return first === undefined ? undefined : left(store, prefix, first.error);
  } catch (error) {
    if (!(error instanceof Error)) {
      throw error;
    }
    return left(store, prefix, error);
  }
}

/** What a probe inside the driver wrote; without the right to list, only what is known by name is removed. */
async function keysBelow(store: Driver, prefix: string, signal: AbortSignal): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const batch of store.list(prefix, { signal })) {
      found.push(...batch.map(({ key }) => key));
    }
  } catch (error) {
    if (!isDriverError(error, 'PERMISSION_DENIED')) {
      throw error;
    }
  }
  return found;
}

async function abortUploads(store: Driver, prefix: string, signal: AbortSignal): Promise<void> {
  try {
    for await (const uploads of store.listUploads?.(prefix, { signal }) ?? []) {
      for (const upload of uploads) {
        await store.abortUpload?.(upload, { signal });
      }
    }
  } catch (error) {
    // Whoever may not list or abort uploads has been told so by the checks for these rights.
    if (!isDriverError(error, 'PERMISSION_DENIED', 'UNSUPPORTED')) {
      throw error;
    }
  }
}

function left(store: Driver, prefix: string, error: Error): DoctorCheck {
  return failed(
    'clean-up',
    `what the probe wrote could not be removed: ${error.message}`,
    `Remove everything below ${JSON.stringify(prefix)} in ${store.location} by hand.`,
  );
}
