import { codeOfUnknown, DriverError, type DriverErrorCode, type DriverErrorDetails } from '../errors.ts';
import { parseRetryAfter } from '../refused-answer.ts';
import { explain } from './explain.ts';

/** Where a call went, for messages. Holds no secret. */
export interface AzurePlace {
  /** The account's host (and path, for Azurite): `account.blob.core.windows.net`. */
  host: string;
  container: string;
  /** The store as the user wrote it. */
  location: string;
}

/** The call that failed. */
export interface AzureCall {
  operation: string;
  key?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** What is known of a failed request, whichever HTTP client made it. */
export interface AzureFailure {
  status?: number | undefined;
  /** The service's error code (`x-ms-error-code`), or the code of a network or TLS error. */
  code?: string | undefined;
  name: string;
  /** The first line of the message, without query strings. */
  message: string;
  retryAfterMs?: number | undefined;
  /** What it is if nothing of the above explains it. */
  unknownAs?: DriverErrorCode | undefined;
}

/** What the service answered instead of doing what it was asked, by the hot path. Holds nothing of the request. */
export class AzureRefusal extends Error {
  override readonly name = 'AzureRefusal';
  readonly failure: AzureFailure;

  constructor(answer: {
    status: number;
    code: string | undefined;
    message: string;
    header: (name: string) => string | undefined;
  }) {
    const message = withoutSecrets(answer.message);
    super(message);
    const { status, code } = answer;
    this.failure = { status, code, name: this.name, message, retryAfterMs: retryAfterMs(answer.header) };
  }
}

/**
 * Turns whatever a request threw into a `DriverError` whose message an operator can act on.
 * A `DriverError` goes through unchanged. The original error is not kept: it holds the request with its
 * Authorization header and its signed URL.
 * Codes: Azure's "Common REST API error codes" and "Blob Storage error codes".
 */
export function azureError(error: unknown, place: AzurePlace, call: AzureCall): DriverError {
  if (error instanceof DriverError) {
    return error;
  }
  if (call.signal?.aborted === true) {
    return new DriverError('ABORTED', 'Interrupted.', details(call));
  }
  return azureFailureError(azureFailure(error), place, call);
}

/** The same for a failure that came as plain values, such as one part of a batch. */
export function azureFailureError(failure: AzureFailure, place: AzurePlace, call: AzureCall): DriverError {
  const { code, sentence, retryable } = explain(failure, place, call);
  const cause = Object.assign(new Error(failure.message), {
    name: failure.name,
    ...(failure.code === undefined ? {} : { code: failure.code }),
    ...(failure.status === undefined ? {} : { status: failure.status }),
  });
  return new DriverError(code, sentence, {
    ...details(call),
    cause,
    ...(retryable === undefined ? {} : { retryable }),
    ...(failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs }),
  });
}

/** What the service itself said, of an error made here. */
export function serviceCodeOf(error: unknown): string | undefined {
  const code = error instanceof DriverError ? read(error.cause, 'code') : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** The HTTP status of an error made here. */
export function statusOf(error: unknown): number | undefined {
  const status = error instanceof DriverError ? read(error.cause, 'status') : undefined;
  return typeof status === 'number' ? status : undefined;
}

/** Reads an SDK error (a `RestError`), an error of Node or undici, or an `@azure/identity` error as plain values. */
function azureFailure(error: unknown): AzureFailure {
  if (error instanceof AzureRefusal) {
    return error.failure;
  }
  const response = read(error, 'response');
  const codes = [
    header(response, 'x-ms-error-code'),
    read(read(error, 'details'), 'errorCode'),
    read(error, 'code'),
  ];
  const status = read(error, 'statusCode');
  return {
    status: typeof status === 'number' ? status : undefined,
    code: codes.find((code): code is string => typeof code === 'string' && code !== ''),
    name: error instanceof Error ? error.name : 'Error',
    message: withoutSecrets(error instanceof Error ? error.message : String(error)),
    retryAfterMs: retryAfterMs((name) => header(response, name)),
    unknownAs: codeOfUnknown(error),
  };
}

/** First line only, query strings and signatures cut out. */
export function withoutSecrets(message: string): string {
  const [firstLine = ''] = message.split(/\r?\n/u, 1);
  return firstLine
    .replaceAll(/(https?:\/\/[^\s?"'<>]*)\?[^\s"'<>]*/giu, '$1')
    .replaceAll(/\b(sig|AccountKey|SharedAccessSignature|client_secret)=[^\s;&"']*/giu, '$1=***');
}

function details({ operation, key }: AzureCall): DriverErrorDetails {
  return key === undefined ? { driver: 'azure', operation } : { driver: 'azure', operation, key };
}

function read(value: unknown, property: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)[property]
    : undefined;
}

function header(response: unknown, name: string): string | undefined {
  const headers = read(response, 'headers');
  const get = read(headers, 'get');
  const value: unknown = typeof get === 'function' ? get.call(headers, name) : undefined;
  return typeof value === 'string' ? value : undefined;
}

/** Azure's services also send milliseconds. */
function retryAfterMs(headerOf: (name: string) => string | undefined): number | undefined {
  const milliseconds = Number(headerOf('x-ms-retry-after-ms') ?? headerOf('retry-after-ms'));
  if (milliseconds > 0) {
    return milliseconds;
  }
  return parseRetryAfter(headerOf('retry-after')) || undefined;
}
