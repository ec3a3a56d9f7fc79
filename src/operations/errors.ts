/** Why an operation refused to start or to go on. Stable between releases. */
export type SafetyRefusalCode =
  /** The store has no `docker/registry/v2` below its root. */
  | 'NOT_A_REGISTRY'
  /** A registry lies elsewhere in the same container than where the settings lead, and they may be wrong. */
  | 'OTHER_ROOT'
  /** `--repository` matches no repository. */
  | 'NOTHING_SELECTED'
  /** The source is a registry root with nothing in it. */
  | 'SOURCE_EMPTY'
  /** A listing ended with an error, so that an absence proves nothing. */
  | 'LISTING_INCOMPLETE'
  /** The plan removes more than `--max-delete` allows. */
  | 'TOO_MANY_DELETES'
  /** Source and target share objects, or look as if they were swapped. */
  | 'STORES_OVERLAP'
  | 'STORES_SWAPPED'
  /** Another run on this machine writes to the store that this one would write to. */
  | 'TARGET_IN_USE'
  /** Something is removed or rewritten, and nobody agreed to it. */
  | 'NOT_CONFIRMED';

export interface SafetyRefusalDetails {
  /** What was seen, one sentence each. */
  reasons?: readonly string[];
  cause?: unknown;
}

/** Refused for safety: nothing was touched, exit code 6. `message` is a sentence for an operator. */
export class SafetyRefusal extends Error {
  override readonly name = 'SafetyRefusal';
  readonly code: SafetyRefusalCode;
  readonly reasons: readonly string[];

  constructor(code: SafetyRefusalCode, message: string, { reasons = [], cause }: SafetyRefusalDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.reasons = reasons;
  }
}

/**
 * The temporary file of a plan cannot be written or read: the folder of `TMPDIR`, not a store, is full, missing or
 * read-only. A plan is written before anything is changed.
 */
export class TemporaryFileError extends Error {
  override readonly name = 'TemporaryFileError';
  readonly code = 'TEMPORARY_FILE';
}
