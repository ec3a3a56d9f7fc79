/**
 * What went wrong, for code to act on. Codes are stable between releases; messages are not.
 * Each has a heading in docs/errors.md.
 */
export type DriverErrorCode =
  /** The object, bucket, container or folder is not there. */
  | 'NOT_FOUND'
  /** The bucket, container or root folder itself is not there. */
  | 'STORE_NOT_FOUND'
  /** The store refused a conditional request: the object changed in between. */
  | 'PRECONDITION_FAILED'
  /** The credentials are known and may not do this. */
  | 'PERMISSION_DENIED'
  /** No credentials, or the store does not accept them. */
  | 'UNAUTHENTICATED'
  /** 429, 503 SlowDown: too many requests. */
  | 'RATE_LIMITED'
  /** Connection refused or reset, time-out, 5xx. */
  | 'UNAVAILABLE'
  /** The store cannot hold this key, or a name in it cannot be read. */
  | 'INVALID_KEY'
  /** The bytes are not what their expected digest says. Nothing was made visible. */
  | 'CORRUPT'
  /** The object was shorter or longer than its size said, or changed while it was read. */
  | 'CHANGED'
  /** No space or quota left at the store. */
  | 'STORE_FULL'
  /** A listing was not in order, repeated itself or was not understood. */
  | 'BAD_LISTING'
  /** The store cannot do this at all. */
  | 'UNSUPPORTED'
  /** The caller's signal was aborted. */
  | 'ABORTED'
  /** The store, or what stands between, answered as nobody expects. */
  | 'UNEXPECTED'
  /** What failed was no answer of a store, but code: here, or in a library. */
  | 'BUG';

export interface DriverErrorDetails {
  /** Which driver raised it: `filesystem`, `s3`, `azure`, `memory`. */
  driver: string;
  /** The verb that failed: `list`, `read`, `write`, ... */
  operation: string;
  /** The key or prefix it was about, if any. */
  key?: string;
  /** Whether the same call may succeed when made again. */
  retryable?: boolean;
  /** How long the store asked to be left alone (Retry-After). */
  retryAfterMs?: number;
  cause?: unknown;
}

/** The one error that drivers throw. `message` is a sentence for an operator and holds no secret. */
export class DriverError extends Error {
  override readonly name = 'DriverError';
  readonly code: DriverErrorCode;
  readonly driver: string;
  readonly operation: string;
  readonly key: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(code: DriverErrorCode, message: string, details: DriverErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.driver = details.driver;
    this.operation = details.operation;
    this.key = details.key;
    this.retryable = details.retryable ?? (code === 'RATE_LIMITED' || code === 'UNAVAILABLE');
    this.retryAfterMs = details.retryAfterMs;
  }
}

/**
 * The code for what is in no list of known failures. Only code raises the language's own errors; fetch() does, too,
 * with what happened to its connection as their cause.
 */
export function codeOfUnknown(error: unknown): 'UNEXPECTED' | 'BUG' {
  const isOfLanguage =
    error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
  return isOfLanguage && error.cause === undefined ? 'BUG' : 'UNEXPECTED';
}

/** Narrows an unknown error to a `DriverError`, optionally with one of the given codes. */
export function isDriverError(error: unknown, ...codes: DriverErrorCode[]): error is DriverError {
  return error instanceof DriverError && (codes.length === 0 || codes.includes(error.code));
}
