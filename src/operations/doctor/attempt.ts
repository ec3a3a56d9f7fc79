import type { Driver } from '../../drivers/driver.ts';
import { isDriverError } from '../../drivers/errors.ts';
import { type DoctorCheck, failed, ok } from './check.ts';
import { type Action, rightFor } from './rights.ts';

const means: Readonly<Record<Action, string>> = {
  list: 'objects can be listed',
  head: 'what is known of an object can be asked',
  get: 'objects can be read',
  put: 'objects can be written',
  delete: 'objects can be deleted',
  copy: 'the store copies objects by itself',
  multipart: 'large objects can be written in parts',
  abort: 'unfinished uploads can be given up',
  'list-uploads': 'unfinished uploads can be listed',
};

export interface Attempt<T> {
  check: DoctorCheck;
  /** Undefined when it failed. */
  value: T | undefined;
}

/**
 * Tries one action by itself. A refusal is a finding that names the right that is missing.
 * @throws DriverError ABORTED; anything that is no DriverError.
 */
export async function attempt<T>(store: Driver, action: Action, run: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { check: ok(action, means[action]), value: await run() };
  } catch (error) {
    return { check: refused(store, action, error), value: undefined };
  }
}

/** The line for an action that failed. @throws what is no answer of the store. */
export function refused(store: Driver, action: Action, error: unknown): DoctorCheck {
  if (!isDriverError(error) || error.code === 'ABORTED') {
    throw error;
  }
  return error.code === 'PERMISSION_DENIED'
    ? missingRight(store, action)
    : failed(action, `not possible: ${error.message}`);
}

/** A folder has no credentials: there it is the user of this process who may not. */
export function missingRight(store: Driver, action: Action): DoctorCheck {
  const right = rightFor(store.name, action);
  return store.name === 'filesystem'
    ? failed(action, `the user who runs regtool lacks ${right}`, 'Give it, or run regtool as root.')
    : failed(action, `the credentials may not do this (${means[action]}, if granted)`, `Grant ${right}.`);
}

/** The line for an action that succeeded. */
export function allowed(action: Action): DoctorCheck {
  return ok(action, means[action]);
}
