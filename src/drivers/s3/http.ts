import type { Dispatcher } from 'undici';
import type { DriverErrorDetails } from '../errors.ts';
import type { S3Options } from '../s3.ts';
import { AnswerTooLarge, exchange, type WholeAnswer } from '../exchange.ts';
import { allowManyListeners } from '../interruptible.ts';
import { openDispatcher } from '../proxy/dispatcher.ts';
import { readErrorText } from '../refused-answer.ts';
import type { S3Connection, S3Credentials } from './connection.ts';
import { toDriverError } from './failures.ts';
import { encodeKey, encodeQueryValue } from './keys.ts';
import { parseHeadRefusal, parseRefusal, refusalError } from './refusals.ts';
import { openSigner } from './signing.ts';

export const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';

export interface S3Request {
  method: 'GET' | 'HEAD' | 'PUT' | 'DELETE';
  /** The key as the bucket has it; none for a request about the bucket. */
  storedKey?: string;
  query?: Readonly<Record<string, string>>;
  /** Names in lower case and values in turn. */
  headers?: readonly string[];
  body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** Length of the body; bytes are sent up to it and no further. */
  bodyBytes?: number;
  /** The body's SHA-256 in hex, or UNSIGNED_PAYLOAD; that of nothing when left out. */
  payloadSha256?: string;
  signal?: AbortSignal | undefined;
}

/** An answer whose body its reader consumes. */
type S3Stream = Dispatcher.ResponseData;

/**
 * The hot path: signed requests through undici, without the SDK, at a tenth of its cost.
 * Never retries; what wraps the driver does.
 */
export interface S3Http {
  /**
   * Sends one request and takes in the whole answer.
   * @param maxBytes how much a granted answer may hold.
   * @throws DriverError for everything but a 2xx answer; AnswerTooLarge.
   */
  send(request: S3Request, details: DriverErrorDetails, maxBytes?: number): Promise<WholeAnswer>;
  /**
   * Sends one request and returns the answer once its headers are there. The caller consumes the body.
   * @throws DriverError for everything but a 2xx answer.
   */
  open(request: S3Request, details: DriverErrorDetails): Promise<S3Stream>;
  /** Whether any request was granted so far, which proves that the bucket exists. */
  hasSucceeded(): boolean;
  close(): Promise<void>;
}

/** Opens a pool of connections to the bucket's endpoint, or to the proxy before it; nothing is connected before the first request. */
export function openS3Http(connection: S3Connection, options: S3Options): S3Http {
  const { place, origin, basePath, signingRegion } = connection;
  const { host } = new URL(origin);
  const pool = openDispatcher(origin, connection.proxy, {
    connections: options.connections ?? 64,
    connectMs: options.timeouts?.connectMs ?? 10_000,
    idleMs: options.timeouts?.idleMs ?? 60_000,
    rejectUnauthorized: options.skipVerify !== true,
  });

  const sign = openSigner(signingRegion);
  const credentials = askedOnceASecond(() => connection.credentials());
  let hasSucceeded = false;

  async function send(
    request: S3Request,
    details: DriverErrorDetails,
    maxBytes?: number,
  ): Promise<WholeAnswer> {
    const { signal } = request;
    throwIfEnded(request, details);
    const known = credentials();
    const sent = prepare(request, known instanceof Promise ? await known : known);
    let answer: WholeAnswer;
    try {
      answer = await exchange(pool, sent, { signal, maxBytes });
    } catch (error) {
      throw error instanceof AnswerTooLarge ? error : toDriverError(place, error, details, signal);
    }
    const { statusCode, headers, body } = answer;
    if (statusCode >= 200 && statusCode < 300) {
      hasSucceeded = true;
      return answer;
    }
    const refusal =
      request.method === 'HEAD'
        ? parseHeadRefusal(statusCode, headers)
        : parseRefusal(statusCode, headers, body.toString('utf8'));
    throw refusalError(place, refusal, details);
  }

  async function open(request: S3Request, details: DriverErrorDetails): Promise<S3Stream> {
    const { signal } = request;
    throwIfEnded(request, details);
    const sent = prepare(request, await credentials());
    if (signal !== undefined) {
      allowManyListeners(signal);
    }
    let answer: S3Stream;
    try {
      answer = await pool.request({ ...sent, ...(signal === undefined ? {} : { signal }) });
    } catch (error) {
      throw toDriverError(place, error, details, signal);
    }
    if (answer.statusCode >= 200 && answer.statusCode < 300) {
      hasSucceeded = true;
      return answer;
    }
    const text = await readErrorText(answer.body as AsyncIterable<Uint8Array>);
    throw refusalError(place, parseRefusal(answer.statusCode, answer.headers, text), details);
  }

  function throwIfEnded({ signal }: S3Request, details: DriverErrorDetails): void {
    if (signal?.aborted === true) {
      throw toDriverError(place, signal.reason, details, signal);
    }
  }

  /** A request as undici takes it, signed. */
  function prepare(request: S3Request, known: S3Credentials): Dispatcher.DispatchOptions {
    const { method, body, payloadSha256 = EMPTY_SHA256 } = request;
    const path = requestPath(basePath, request);
    const query = encodedQuery(request);
    const headers = sign(
      { method, path, query, headers: plainHeaders(request), payloadSha256 },
      amzDate(),
      known,
    );
    return {
      method,
      path: query.length === 0 ? path : `${path}?${query.map((pair) => pair.join('=')).join('&')}`,
      headers,
      // undici takes async iterables as well (its documentation of Dispatcher.dispatch); its types do not say so.
      body: (body ?? null) as Uint8Array | null,
      // undici closes a connection after HEAD, for servers that send a body all the same; S3 does not.
      ...(method === 'HEAD' ? { reset: false } : undefined),
    };
  }

  function plainHeaders({ headers = [], bodyBytes }: S3Request): string[] {
    return bodyBytes === undefined
      ? ['host', host, ...headers]
      : ['host', host, 'content-length', String(bodyBytes), ...headers];
  }

  return {
    send,
    open,
    hasSucceeded: () => hasSucceeded,
    async close() {
      await pool.destroy();
    },
  };
}

/** The SDK knows when credentials have to be renewed; asking it takes several turns of the event loop's queue. */
function askedOnceASecond<T extends object>(ask: () => Promise<T>): () => T | Promise<T> {
  let known: T | undefined;
  let knownSince = 0;
  return () => {
    const second = Math.floor(Date.now() / 1000);
    if (known !== undefined && knownSince === second) {
      return known;
    }
    return ask().then((answer) => {
      known = answer;
      knownSince = second;
      return answer;
    });
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
