import type { ObjectStat } from '../driver.ts';
import { DriverError, type DriverErrorCode } from '../errors.ts';
import type { AttachedFolder } from './attached-folders.ts';
import { systemCode } from './errors.ts';
import type { WalkWanted } from './walk.ts';

/** What a thread that walks is asked. Each walk has a number, and each page of it is a job. */
export type WalkRequest =
  /** The next page; of a walk that is not under way yet, the first. */
  | { kind: 'page'; job: number; walk: number; begin?: WalkBegin | undefined }
  /** Nobody will ask for more of it. */
  | { kind: 'end'; walk: number };

export interface WalkBegin {
  root: string;
  prefix: string;
  wanted: WalkWanted;
}

export type WalkReply =
  | {
      kind: 'page';
      job: number;
      page: PackedPage;
      isLast: boolean;
      /** How often the thread slept for it: see `countSleeps`. */
      sleeps: number;
      /** Those that the walk followed for it. */
      links: AttachedFolder[];
    }
  | { kind: 'failed'; job: number; error: PackedError };

/** A page of a listing by columns: an object for each file would take several times as long to hand over. */
export interface PackedPage {
  keys: string[];
  /** In bytes; of an empty folder -1. */
  sizes: Float64Array;
  /** Not a number where it was not asked for. */
  modifiedAtMs: Float64Array;
  /** Undefined where no file came with its content. */
  contents: (string | undefined)[] | undefined;
}

const EMPTY_FOLDER = -1;

export function packPage(page: readonly ObjectStat[]): PackedPage {
  const hasContents = page.some(({ content }) => content !== undefined);
  return {
    keys: page.map(({ key }) => key),
    sizes: Float64Array.from(page, ({ sizeBytes, isEmptyFolder }) =>
      isEmptyFolder === true ? EMPTY_FOLDER : sizeBytes,
    ),
    modifiedAtMs: Float64Array.from(page, ({ modifiedAtMs }) => modifiedAtMs ?? Number.NaN),
    contents: hasContents ? page.map(({ content }) => content) : undefined,
  };
}

export function unpackPage({ keys, sizes, modifiedAtMs, contents }: PackedPage): ObjectStat[] {
  return keys.map((key, index): ObjectStat => {
    const sizeBytes = sizes[index] ?? 0;
    const modified = modifiedAtMs[index] ?? Number.NaN;
    const content = contents?.[index];
    if (sizeBytes === EMPTY_FOLDER) {
      return { key, sizeBytes: 0, isEmptyFolder: true };
    }
    if (content !== undefined) {
      return { key, sizeBytes, content };
    }
    return Number.isNaN(modified) ? { key, sizeBytes } : { key, sizeBytes, modifiedAtMs: modified };
  });
}

/** An error as plain data: what goes from thread to thread loses its class and its codes. */
export interface PackedError {
  message: string;
  stack: string | undefined;
  /** Of a `DriverError`. */
  details:
    | {
        code: DriverErrorCode;
        operation: string;
        key: string | undefined;
        retryable: boolean;
        /** Of the system call that failed. */
        cause: { message: string; code: string | undefined } | undefined;
      }
    | undefined;
}

export function packError(thrown: unknown): PackedError {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const { message, stack } = error;
  if (!(error instanceof DriverError)) {
    return { message, stack, details: undefined };
  }
  const { code, operation, key, retryable, cause } = error;
  const packedCause =
    cause instanceof Error ? { message: cause.message, code: systemCode(cause) } : undefined;
  return { message, stack, details: { code, operation, key, retryable, cause: packedCause } };
}

export function unpackError({ message, stack, details }: PackedError): Error {
  if (details === undefined) {
    return new Error(message, { cause: stack });
  }
  const { code, operation, key, retryable, cause } = details;
  return new DriverError(code, message, {
    driver: 'filesystem',
    operation,
    retryable,
    ...(key === undefined ? {} : { key }),
    ...(cause === undefined ? {} : { cause: Object.assign(new Error(cause.message), { code: cause.code }) }),
  });
}
