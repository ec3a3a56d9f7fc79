import { Pool, type Dispatcher } from 'undici';
import type { DriverErrorDetails } from '../errors.ts';
import type { S3Options } from '../s3.ts';
import type { S3Connection } from './connection.ts';
import { toDriverError } from './failures.ts';
import { allowManyListeners } from '../interruptible.ts';
import { readErrorText } from '../refused-answer.ts';
import { encodeKey, encodeQueryValue } from './keys.ts';
import { parseRefusal, refusalError } from './refusals.ts';
import { openSigner } from './signing.ts';

export const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';

export interface S3Request {
  method: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  /** The key as the bucket has it; none for a request about the bucket. */
  storedKey?: string;
  query?: Readonly<Record<string, string>>;
  headers?: Readonly<Record<string, string>>;
  body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** Length of the body; bytes are sent up to it and no further. */
  bodyBytes?: number;
  /** The body's SHA-256 in hex, or UNSIGNED_PAYLOAD; that of nothing when left out. */
  payloadSha256?: string;
  signal?: AbortSignal | undefined;
}

export type S3Answer = Dispatcher.ResponseData;

/**
 * The hot path: signed requests through undici, without the SDK, at a tenth of its cost.
 * Never retries; what wraps the driver does.
 */
export interface S3Http {
  /**
   * Sends one request and returns the answer once its headers are there. The caller consumes the body.
   * @throws DriverError for everything but a 2xx answer.
   */
  send(request: S3Request, details: DriverErrorDetails): Promise<S3Answer>;
  /** The whole body of an answer. @throws DriverError UNAVAILABLE when it breaks off. */
  readBody(answer: S3Answer, details: DriverErrorDetails, signal?: AbortSignal): Promise<Uint8Array>;
  /** Whether any request was granted so far, which proves that the bucket exists. */
  hasSucceeded(): boolean;
  close(): Promise<void>;
}

/** Opens a pool of connections to the bucket's endpoint; nothing is connected before the first request. */
export function openS3Http(connection: S3Connection, options: S3Options): S3Http {
  const { place, origin, basePath, signingRegion } = connection;
  const { host } = new URL(origin);
  const idleMs = options.timeouts?.idleMs ?? 60_000;
  const pool = new Pool(origin, {
    connections: options.connections ?? 64,
    pipelining: 1,
    headersTimeout: idleMs,
    bodyTimeout: idleMs,
    connect: {
      timeout: options.timeouts?.connectMs ?? 10_000,
      rejectUnauthorized: options.skipVerify !== true,
    },
  });

  const sign = openSigner(signingRegion);
  let hasSucceeded = false;

  async function send(request: S3Request, details: DriverErrorDetails): Promise<S3Answer> {
    const { method, body, signal } = request;
    if (signal?.aborted === true) {
      throw toDriverError(place, signal.reason, details, signal);
    }
    if (signal !== undefined) {
      allowManyListeners(signal);
    }
    const credentials = await connection.credentials();
    const path = requestPath(basePath, request);
    const query = encodedQuery(request);
    const { payloadSha256 = EMPTY_SHA256 } = request;
    const headers = sign(
      { method, path, query, headers: plainHeaders(request), payloadSha256 },
      amzDate(),
      credentials,
    );
    let answer: S3Answer;
    try {
      answer = await pool.request({
        method,
        path: query.length === 0 ? path : `${path}?${query.map((pair) => pair.join('=')).join('&')}`,
        headers,
        // undici takes async iterables as well (its documentation of Dispatcher.dispatch); its types do not say so.
        body: (body ?? null) as Uint8Array | null,
        ...(signal === undefined ? {} : { signal }),
        // undici closes a connection after HEAD, for servers that send a body all the same; S3 does not.
        ...(method === 'HEAD' ? { reset: false } : {}),
      });
    } catch (error) {
      throw toDriverError(place, error, details, signal);
    }
    if (answer.statusCode >= 200 && answer.statusCode < 300) {
      hasSucceeded = true;
      return answer;
    }
    const refusal = parseRefusal(
      answer.statusCode,
      answer.headers,
      await readErrorText(answer.body as AsyncIterable<Uint8Array>),
    );
    throw refusalError(place, refusal, details);
  }

  function plainHeaders({ headers, bodyBytes }: S3Request): Record<string, string> {
    return {
      host,
      ...(bodyBytes === undefined ? {} : { 'content-length': String(bodyBytes) }),
      ...headers,
    };
  }

  return {
    send,
    async readBody(answer, details, signal) {
      try {
        return await answer.body.bytes();
      } catch (error) {
        throw toDriverError(place, error, details, signal);
      }
    },
    hasSucceeded: () => hasSucceeded,
    async close() {
      await pool.destroy();
    },
  };
}

function requestPath(basePath: string, { storedKey }: S3Request): string {
  return storedKey === undefined ? basePath || '/' : `${basePath}/${encodeKey(storedKey)}`;
}

function encodedQuery({ query }: S3Request): [string, string][] {
  return query === undefined
    ? NO_QUERY
    : Object.entries(query).map(([name, value]) => [name, encodeQueryValue(value)]);
}

const NO_QUERY: [string, string][] = [];

let dateSecond = 0;
let dateText = '';

/** The time as Signature Version 4 writes it, `20240506T070809Z`, worked out once a second. */
function amzDate(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = new Date(second * 1000).toISOString().replaceAll(/[:-]|\.\d{3}/g, '');
  }
  return dateText;
}
