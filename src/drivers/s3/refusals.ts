import { decodeXmlText, elementText } from '../xml.ts';
import { parseRetryAfter } from '../refused-answer.ts';
import { DriverError, type DriverErrorCode, type DriverErrorDetails } from '../errors.ts';

/** Where a request went, in the words of messages. */
export interface S3Place {
  bucket: string;
  /** Scheme and host, without path. */
  endpoint: string;
  region: string;
}

/** What a store answered instead of doing what it was asked. */
export interface Refusal {
  status: number;
  /** The `<Code>` of the error document; after HEAD, which has no body, what the store's own 404 means. */
  code?: string | undefined;
  /** The `<Message>`; Ceph RGW leaves it empty. */
  message?: string | undefined;
  /** The region that the bucket is in, where the store names it. */
  region?: string | undefined;
  retryAfterMs?: number | undefined;
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Reads a refusal from an answer; `body` may be empty or not XML at all. */
export function parseRefusal(status: number, headers: Headers, body: string): Refusal {
  return {
    status,
    code: errorElement(body, 'Code'),
    message: errorElement(body, 'Message'),
    region: headerText(headers, 'x-amz-bucket-region') ?? errorElement(body, 'Region'),
    retryAfterMs: parseRetryAfter(headerText(headers, 'retry-after')),
  };
}

/**
 * The same of an answer to HEAD, which has no body: a 404 is `NotFound`, as the SDK names it, where the answer bears the
 * number that every S3 gives its requests. A 404 without it may come from what stands between.
 */
export function parseHeadRefusal(status: number, headers: Headers): Refusal {
  const refusal = parseRefusal(status, headers, '');
  return status === 404 && isOfStore(headers) ? { ...refusal, code: 'NotFound' } : refusal;
}

/** Whether an answer bears a number that S3 gives its requests (S3 API reference, "Common response headers"). */
export function isOfStore(headers: Headers): boolean {
  return headers['x-amz-request-id'] !== undefined || headers['x-amz-id-2'] !== undefined;
}

/** Whether a document is an error, whatever the status that it came with. */
export function isErrorDocument(xml: string): boolean {
  return /^\s*(?:<\?xml[^>]*\?>)?\s*<Error[\s>]/.test(xml);
}

/** The error for a refusal: its code for programs, and a sentence that names the way out for people. */
export function refusalError(place: S3Place, refusal: Refusal, details: DriverErrorDetails): DriverError {
  const rule = ruleFor(refusal, details.operation);
  const { key } = details;
  const subject = key === undefined ? `s3://${place.bucket}` : `${key} in s3://${place.bucket}`;
  const rights = RIGHTS[details.operation] ?? ALL_RIGHTS;
  return new DriverError(rule.becomes, rule.say({ place, refusal, subject, rights }), {
    ...details,
    cause: new S3RefusedError(refusal),
    ...(rule.retryable === undefined ? {} : { retryable: rule.retryable }),
    ...(refusal.retryAfterMs === undefined ? {} : { retryAfterMs: refusal.retryAfterMs }),
  });
}

/** The refusal itself, as the cause of a DriverError. Holds nothing of the request, whose headers are secrets. */
export class S3RefusedError extends Error {
  override readonly name = 'S3RefusedError';
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(named(refusal));
    this.refusal = refusal;
  }
}

/** The refusal behind a DriverError, if a refusal it was. */
export function refusalBehind(error: unknown): Refusal | undefined {
  return error instanceof DriverError && error.cause instanceof S3RefusedError
    ? error.cause.refusal
    : undefined;
}

interface Situation {
  place: S3Place;
  refusal: Refusal;
  /** The bucket, or the key in it. */
  subject: string;
  /** The actions of a policy that allow what was refused. */
  rights: string;
}

/** By operation of the driver, as docs/security.md has them by command. */
const RIGHTS: Readonly<Record<string, string>> = {
  list: 's3:ListBucket',
  listFolder: 's3:ListBucket',
  stat: 's3:GetObject',
  read: 's3:GetObject',
  readSmall: 's3:GetObject',
  write: 's3:PutObject',
  copyFrom: 's3:GetObject and s3:PutObject',
  delete: 's3:DeleteObject',
  listUploads: 's3:ListBucketMultipartUploads',
  abortUpload: 's3:AbortMultipartUpload',
};

const ALL_RIGHTS =
  's3:ListBucket, s3:GetObject, s3:PutObject, s3:DeleteObject and those for multipart uploads';

interface Rule {
  codes: readonly string[];
  becomes: DriverErrorCode;
  retryable?: boolean;
  say(situation: Situation): string;
}

export const NO_SUCH_UPLOAD = 'NoSuchUpload';

/** No code of any store: a 404 without one is the word of a load balancer or a proxy, and no absence. */
const NOBODYS_404 = '404 without a code';

/** Codes of the S3 API reference ("Error responses") and those that compatible stores add. */
const rules: readonly Rule[] = [
  {
    codes: ['NoSuchBucket', 'InvalidBucketName'],
    becomes: 'STORE_NOT_FOUND',
    say: ({ place }) =>
      `There is no bucket ${place.bucket} at ${place.endpoint}; check its name, the region and the endpoint.`,
  },
  {
    codes: ['NoSuchKey', 'NoSuchVersion', 'NotFound'],
    becomes: 'NOT_FOUND',
    say: ({ subject }) => `There is no ${subject}.`,
  },
  {
    // Says nothing of any object: neither of the one that is written nor of the one that is copied.
    codes: [NO_SUCH_UPLOAD],
    becomes: 'UNAVAILABLE',
    say: ({ subject }) =>
      `The multipart upload of ${subject} is no longer at the store, as another program or a lifecycle rule ended it; run again.`,
  },
  {
    codes: ['PreconditionFailed', 'ConditionalRequestConflict'],
    becomes: 'PRECONDITION_FAILED',
    say: ({ subject }) => `Another request changed ${subject} in between; run again.`,
  },
  {
    codes: ['OperationAborted', 'ConcurrentModification'],
    becomes: 'UNAVAILABLE',
    say: ({ place, refusal, subject }) =>
      `${place.endpoint} is busy with another request for ${subject} (${named(refusal)}); run again.`,
  },
  {
    codes: ['InvalidAccessKeyId'],
    becomes: 'UNAUTHENTICATED',
    say: ({ place }) =>
      `${place.endpoint} does not know the access key; check that the credentials belong to this service.`,
  },
  {
    codes: ['SignatureDoesNotMatch'],
    becomes: 'UNAUTHENTICATED',
    say: ({ place }) =>
      `${place.endpoint} does not accept the signature: the secret key is wrong, or a proxy changes requests on their way.`,
  },
  {
    // Of no store: 407 comes from a proxy.
    codes: ['ProxyAuthenticationRequired'],
    becomes: 'UNAVAILABLE',
    retryable: false,
    say: ({ place }) =>
      `A proxy before ${place.endpoint} wants credentials, or other ones (407): correct HTTP_PROXY or HTTPS_PROXY.`,
  },
  {
    codes: ['ExpiredToken', 'TokenRefreshRequired', 'ExpiredTokenException'],
    becomes: 'UNAUTHENTICATED',
    say: ({ place }) =>
      `The session token for ${place.endpoint} has expired; get new credentials and run again.`,
  },
  {
    codes: ['InvalidToken', 'InvalidSecurity', 'CredentialsNotSupported'],
    becomes: 'UNAUTHENTICATED',
    say: ({ place }) =>
      `${place.endpoint} does not accept the session token; give the whole set of access key, secret key and token.`,
  },
  {
    codes: ['RequestTimeTooSkewed', 'RequestExpired'],
    becomes: 'UNAUTHENTICATED',
    say: ({ place }) =>
      `The clock of this machine differs too much from that of ${place.endpoint}; set it right, for example with NTP.`,
  },
  {
    codes: ['AuthorizationHeaderMalformed', 'PermanentRedirect', 'IllegalLocationConstraintException'],
    becomes: 'STORE_NOT_FOUND',
    say: ({ place, refusal }) =>
      refusal.region !== undefined && refusal.region !== place.region
        ? `Bucket ${place.bucket} is in region ${refusal.region}, not ${place.region}; set region=${refusal.region}.`
        : `Bucket ${place.bucket} is not served at ${place.endpoint} in region ${place.region}; set the bucket's own region and endpoint.`,
  },
  {
    codes: ['TemporaryRedirect'],
    becomes: 'UNAVAILABLE',
    say: ({ place }) =>
      `${place.endpoint} sends requests for bucket ${place.bucket} elsewhere for now, as after its creation; run again later.`,
  },
  {
    codes: [
      'SlowDown',
      'Throttling',
      'ThrottlingException',
      'RequestLimitExceeded',
      'TooManyRequests',
      'TooManyRequestsException',
      'SlowDownRead',
      'SlowDownWrite',
      'BandwidthLimitExceeded',
    ],
    becomes: 'RATE_LIMITED',
    say: ({ place }) => `${place.endpoint} asks for fewer requests; run again more slowly.`,
  },
  {
    codes: ['RequestTimeout', 'IncompleteBody', 'InternalError', 'ServiceUnavailable', 'ServerBusy', 'Busy'],
    becomes: 'UNAVAILABLE',
    say: ({ place, refusal, subject }) =>
      `${place.endpoint} could not serve ${subject} for now (${named(refusal)}); run again later.`,
  },
  {
    codes: [NOBODYS_404],
    becomes: 'UNAVAILABLE',
    say: ({ place, subject }) =>
      `${place.endpoint} answered 404 for ${subject}, but not as S3 says that something is absent; check the endpoint and what stands between, and run again.`,
  },
  {
    codes: ['XAmzContentSHA256Mismatch', 'XAmzContentChecksumMismatch', 'BadDigest', 'InvalidDigest'],
    becomes: 'CORRUPT',
    say: ({ subject, refusal }) =>
      `The store received other bytes for ${subject} than their digest says (${named(refusal)}); nothing was written.`,
  },
  {
    codes: ['InvalidObjectState'],
    becomes: 'UNSUPPORTED',
    say: ({ subject }) => `To be read, ${subject} must first be restored from its archive storage class.`,
  },
  {
    codes: ['NotImplemented', 'MethodNotAllowed', 'UnsupportedOperation'],
    becomes: 'UNSUPPORTED',
    say: ({ place, refusal }) =>
      `${place.endpoint} cannot do what was asked (${named(refusal)}); check the storage class, encryption and ACL settings.`,
  },
  {
    codes: ['EntityTooLarge', 'MaxMessageLengthExceeded'],
    becomes: 'UNSUPPORTED',
    say: ({ place, subject }) =>
      `${place.endpoint} does not take ${subject} in one request; set a smaller chunksize.`,
  },
  {
    codes: ['EntityTooSmall'],
    becomes: 'UNSUPPORTED',
    say: ({ place, subject }) =>
      `${place.endpoint} finds the parts of ${subject} too small; set a larger chunksize.`,
  },
  {
    codes: ['QuotaExceeded', 'XMinioStorageFull', 'InsufficientCapacity', 'InsufficientStorage'],
    becomes: 'STORE_FULL',
    say: ({ place, refusal }) =>
      `No space or quota is left for bucket ${place.bucket} at ${place.endpoint} (${named(refusal)}); make room and run again.`,
  },
  {
    codes: ['KeyTooLongError', 'InvalidURI', 'InvalidObjectName', 'XMinioInvalidObjectName'],
    becomes: 'INVALID_KEY',
    say: ({ subject, refusal }) => `The store cannot hold ${subject} (${named(refusal)}).`,
  },
  {
    codes: ['AccessDenied', 'AllAccessDisabled', 'AccountProblem', 'AccessControlListNotSupported'],
    becomes: 'PERMISSION_DENIED',
    say: ({ place, refusal, subject, rights }) =>
      `The credentials may not do this with ${subject} at ${place.endpoint} (${named(refusal)}); grant ${rights}.`,
  },
];

const ruleByCode = new Map(rules.flatMap((rule) => rule.codes.map((code) => [code, rule] as const)));

const unexpected: Rule = {
  codes: [],
  becomes: 'UNEXPECTED',
  say: ({ place, refusal, subject }) =>
    `${place.endpoint} gave an answer for ${subject} that nobody expects (${named(refusal)}); check the endpoint, the region and what stands between, and report it if they are right.`,
};

/** What these ask for is there in every bucket, though it may be empty. */
const LISTINGS: ReadonlySet<string> = new Set(['list', 'listFolder', 'listUploads']);

function ruleFor(refusal: Refusal, operation: string): Rule {
  const rule = ruleByCode.get(refusal.code ?? '') ?? ruleByCode.get(codeOfStatus(refusal.status));
  return rule === undefined || (rule.becomes === 'NOT_FOUND' && LISTINGS.has(operation)) ? unexpected : rule;
}

/** What an answer without a known code most likely means. */
function codeOfStatus(status: number): string {
  const known: Record<number, string> = {
    301: 'PermanentRedirect',
    307: 'TemporaryRedirect',
    401: 'InvalidAccessKeyId',
    403: 'AccessDenied',
    404: NOBODYS_404,
    405: 'MethodNotAllowed',
    407: 'ProxyAuthenticationRequired',
    408: 'RequestTimeout',
    412: 'PreconditionFailed',
    413: 'EntityTooLarge',
    429: 'SlowDown',
    501: 'NotImplemented',
    507: 'InsufficientStorage',
  };
  return known[status] ?? (status >= 500 ? 'InternalError' : '');
}

/** `403 AccessDenied: User x is not authorized ...`: what the store said, short and on one line. */
function named({ status, code, message }: Refusal): string {
  const parts = [status === 200 ? undefined : String(status), code].filter((part) => part !== undefined);
  const text = (message ?? '').replaceAll(/\s+/g, ' ').trim().slice(0, 300);
  return text === '' ? parts.join(' ') : `${parts.join(' ')}: ${text}`;
}

function errorElement(body: string, name: string): string | undefined {
  const text = elementText(body, name);
  if (text === undefined || text === '') {
    return undefined;
  }
  return decodeXmlText(text) ?? text;
}

function headerText(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}
