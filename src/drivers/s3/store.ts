import { codeOfUnknown, DriverError, isDriverError, type DriverErrorDetails } from '../errors.ts';
import type { S3Options } from '../s3.ts';
import type { S3Connection } from './connection.ts';
import { toDriverError } from './failures.ts';
import type { S3Http } from './http.ts';
import { allowManyListeners } from '../interruptible.ts';

/** What the parts of the S3 driver share: one opened bucket. */
export interface S3Store {
  connection: S3Connection;
  http: S3Http;
  options: S3Options;
  limits: S3Limits;
  /** What every PUT of an object says besides: encryption, storage class, ... Names and values in turn. */
  objectHeaders: readonly string[];
}

/** Sizes in bytes at which the driver changes its way of writing. */
export interface S3Limits {
  /** Larger bodies are uploaded in parts. */
  singlePutMaxBytes: number;
  /** Size of an uploaded part. */
  partSizeBytes: number;
  /** Larger objects are copied in parts. */
  copyMaxBytes: number;
  /** Size of a copied part. */
  copyPartBytes: number;
}

export const MIB = 1024 * 1024;

/** S3 User Guide, "Amazon S3 multipart upload limits". */
const MAX_PARTS = 10_000;
const MIN_PART_BYTES = 5 * MIB;

/** A part size, at least the one wished for, at which an object has no more parts than S3 allows. */
export function fittingPartBytes(objectBytes: number, wishedBytes: number): number {
  const neededBytes = Math.ceil(objectBytes / MAX_PARTS / MIB) * MIB;
  return Math.max(wishedBytes, neededBytes, MIN_PART_BYTES);
}

export function describeCall(operation: string, key?: string): DriverErrorDetails {
  return key === undefined ? { driver: 's3', operation } : { driver: 's3', operation, key };
}

/** Runs a call of the SDK and turns what it throws into a DriverError. */
export async function callSdk<Output>(
  store: S3Store,
  details: DriverErrorDetails,
  signal: AbortSignal | undefined,
  call: () => Promise<Output>,
): Promise<Output> {
  // The SDK would look for credentials on its own, and fail in its own words.
  await store.connection.credentials();
  if (signal !== undefined) {
    allowManyListeners(signal);
  }
  try {
    signal?.throwIfAborted();
    return await call();
  } catch (error) {
    throw toDriverError(store.connection.place, error, details, signal);
  }
}

/** The options of a command of the SDK, without the signal where there is none. */
export function abortable(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

/** The error for a write that failed and whose multipart upload could not be aborted either. */
export function leftoverError(
  error: unknown,
  abortError: unknown,
  uploadId: string | undefined,
  details: DriverErrorDetails,
): DriverError {
  const failed = isDriverError(error) ? error : undefined;
  const what = failed?.message ?? 'The upload failed.';
  const { retryable, retryAfterMs } = failed ?? {};
  return new DriverError(
    failed?.code ?? codeOfUnknown(error),
    `${what} Its multipart upload ${uploadId ?? ''} could not be aborted and stays at the store until it is.`,
    {
      ...details,
      ...(retryable === undefined ? {} : { retryable }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      cause: new AggregateError([error, abortError]),
    },
  );
}

/** A store that refuses bytes that were proved here received others: sent again, they may arrive as they are. */
export function damagedOnItsWay(refused: DriverError, details: DriverErrorDetails): DriverError {
  return new DriverError('CORRUPT', refused.message, { ...details, retryable: true, cause: refused });
}
