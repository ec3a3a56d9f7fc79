/** What is wrong with how a command was called. Stable between releases. */
export type UsageErrorCode = 'FLAG_INVALID' | 'REPORT_UNWRITABLE';

/** Wrong usage or configuration: exit code 2. `message` is a sentence for an operator. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code: UsageErrorCode;

  constructor(code: UsageErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
