import { type DriverError, isDriverError } from '../drivers/errors.ts';

/**
 * Whether an error is about one object, so that the work can go on with the others: not an interruption, a store that
 * is gone, or a bug.
 */
export function isObjectFailure(error: unknown): error is DriverError {
  return isDriverError(error) && !ENDS_THE_RUN.has(error.code);
}

const ENDS_THE_RUN: ReadonlySet<DriverError['code']> = new Set([
  'ABORTED',
  'STORE_NOT_FOUND',
  'UNAUTHENTICATED',
  'STORE_FULL',
]);
