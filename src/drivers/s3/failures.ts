import { codeOfUnknown, DriverError, type DriverErrorDetails } from '../errors.ts';
import { proxyFailure } from '../proxy/error.ts';
import { parseRetryAfter } from '../refused-answer.ts';
import { isOfStore, refusalError, type Refusal, type S3Place } from './refusals.ts';

/**
 * Turns whatever undici or the SDK threw into a DriverError. One that is a DriverError already stays what it is.
 * @param signal the caller's signal: once it is aborted, every failure is taken for its consequence.
 */
export function toDriverError(
  place: S3Place,
  error: unknown,
  details: DriverErrorDetails,
  signal?: AbortSignal,
): DriverError {
  if (error instanceof DriverError) {
    return error;
  }
  if (signal?.aborted === true) {
    return new DriverError('ABORTED', 'Interrupted.', { ...details, cause: signal.reason });
  }
  const refusal = refusalOfSdkError(error);
  return refusal === undefined
    ? connectionError(place, error, { ...details, cause: error })
    : refusalError(place, refusal, details);
}

/** Whether the SDK, or a provider below it, says that it found no credentials that it can use. */
export function credentialsError(place: S3Place, error: unknown, details: DriverErrorDetails): DriverError {
  if (error instanceof Error && proxyFailure(error) !== undefined) {
    return connectionError(place, error, { ...details, cause: error });
  }
  const isExpiredSso = error instanceof Error && /sso/i.test(error.message);
  return new DriverError(
    'UNAUTHENTICATED',
    isExpiredSso
      ? `The single sign-on session for s3://${place.bucket} cannot be used; run "aws sso login" and start again.`
      : `No credentials were found for s3://${place.bucket}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, set AWS_PROFILE, or run where a role provides them.`,
    { ...details, cause: error },
  );
}

/** The parts of the SDK's ServiceException that are read here. */
interface SdkError extends Error {
  $metadata: { httpStatusCode?: number };
  $response?: { headers?: Record<string, string> };
  Region?: string;
}

function refusalOfSdkError(error: unknown): Refusal | undefined {
  if (!isSdkError(error) || error.$metadata.httpStatusCode === undefined) {
    return undefined;
  }
  const headers = error.$response?.headers ?? {};
  const isNamed =
    error.name !== 'UnknownError' &&
    error.name !== 'Error' &&
    // The SDK's name for every 404 without a code, whoever answered.
    (error.name !== 'NotFound' || isOfStore(headers));
  return {
    status: error.$metadata.httpStatusCode,
    code: isNamed ? error.name : undefined,
    message: error.message === 'UnknownError' ? undefined : error.message,
    region: headers['x-amz-bucket-region'] ?? error.Region,
    retryAfterMs: parseRetryAfter(headers['retry-after']),
  };
}

function isSdkError(error: unknown): error is SdkError {
  return error instanceof Error && typeof (error as Partial<SdkError>).$metadata === 'object';
}

function connectionError(place: S3Place, error: unknown, details: DriverErrorDetails): DriverError {
  const code = codeOf(error);
  const { endpoint } = place;
  const unavailable = (message: string, retryable = true): DriverError =>
    new DriverError('UNAVAILABLE', message, { ...details, retryable });
  const ofProxy = error instanceof Error ? proxyFailure(error) : undefined;
  if (ofProxy !== undefined) {
    return unavailable(ofProxy.message, ofProxy.retryable);
  }
  if (UNTRUSTED_CERTIFICATE.has(code)) {
    return unavailable(
      `The certificate of ${endpoint} is not trusted (${code}); name its authority's file in NODE_EXTRA_CA_CERTS.`,
      false,
    );
  }
  const alert = tlsAlertOf(error, code);
  if (alert !== undefined) {
    return unavailable(alert.say(endpoint), alert.retryable);
  }
  if (OUT_OF_SOCKETS.has(code)) {
    return unavailable(
      `This machine has no more sockets or files for connections to ${endpoint} (${code}); allow more of them, or run again with a smaller --concurrency.`,
    );
  }
  switch (code) {
    case 'ECONNREFUSED':
      return unavailable(`Nothing listens at ${endpoint}; check the endpoint and that the service runs.`);
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return unavailable(
        `The host name of ${endpoint} cannot be resolved; check the endpoint and the region.`,
      );
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
      return unavailable(`${endpoint} does not speak TLS; write the endpoint with http://.`, false);
    case 'ETIMEDOUT':
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
    case 'TimeoutError':
      return unavailable(`${endpoint} did not answer in time (${code}); check the network and run again.`);
    default:
  }
  if (CONNECTION_LOST.has(code) || code.startsWith('HPE_')) {
    return unavailable(`The connection to ${endpoint} was lost (${code}); run again.`);
  }
  const what = code === '' && error instanceof Error ? `${error.name}: ${error.message}` : code;
  return new DriverError(
    codeOfUnknown(error),
    `A request to ${endpoint} failed in a way that is not understood (${what}).`,
    details,
  );
}

const CONNECTION_LOST = new Set([
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'EHOSTDOWN',
  'ENOTCONN',
  'ERR_STREAM_PREMATURE_CLOSE',
  'UND_ERR_SOCKET',
  'UND_ERR_INFO',
  'UND_ERR_ABORTED',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
]);

const OUT_OF_SOCKETS = new Set(['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS']);

interface TlsAlert {
  /** In OpenSSL's words, which Node makes a code of, or leaves in the message of an EPROTO. */
  words: RegExp;
  retryable: boolean;
  say(endpoint: string): string;
}

const tlsAlerts: readonly TlsAlert[] = [
  {
    words: /alert internal error|bad record mac/,
    retryable: true,
    say: (endpoint) =>
      `The TLS connection to ${endpoint} was ended by an error on its way or there; run again.`,
  },
  {
    words: /alert handshake failure/,
    retryable: false,
    say: (endpoint) =>
      `${endpoint} and this machine have no version or cipher of TLS in common, or it wants a client certificate; check the endpoint and what it demands.`,
  },
  {
    words: /unrecognized name/,
    retryable: false,
    say: (endpoint) =>
      `What listens at ${endpoint} has no certificate for that host name; check the endpoint, and whether the bucket belongs in the path rather than in the host.`,
  },
];

function tlsAlertOf(error: unknown, code: string): TlsAlert | undefined {
  if (code !== 'EPROTO' && !code.startsWith('ERR_SSL_')) {
    return undefined;
  }
  const words = `${code} ${messagesOf(error)}`.toLowerCase().replaceAll('_', ' ');
  return tlsAlerts.find((alert) => alert.words.test(words));
}

/** What an error and those that caused it say. */
function messagesOf(error: unknown): string {
  return error instanceof Error ? `${error.message} ${messagesOf(error.cause)}` : '';
}

const UNTRUSTED_CERTIFICATE = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Node's error code, or the SDK's error name, of an error or of what caused it. */
function codeOf(error: unknown): string {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    if (typeof code === 'string') {
      return code;
    }
    if (at.name === 'TimeoutError') {
      return at.name;
    }
  }
  return '';
}
