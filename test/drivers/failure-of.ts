import { DriverError } from '../../src/drivers/errors.ts';

/** The error of a driver that a call ends with. @throws when it ends well, or with another. */
export async function failureOf(call: Promise<unknown> | undefined): Promise<DriverError> {
  const outcome: unknown = await Promise.resolve(call).then(
    () => 'no error',
    (error: unknown) => error,
  );
  if (outcome instanceof DriverError) {
    return outcome;
  }
  throw new Error(`Expected a DriverError, got ${String(outcome)}`);
}
