import type { DriverErrorCode } from '../errors.ts';
import { proxyFailure } from '../proxy/error.ts';
import type { AzureCall, AzureFailure, AzurePlace } from './errors.ts';

const tlsCodes =
  /^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_(VERIFY|GET)|ERR_TLS|ERR_SSL|EPROTO|HOSTNAME_MISMATCH)/u;
const networkCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'ENETUNREACH',
  'ENETDOWN',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENOTCONN',
  // Of this machine: sockets, ports or buffers that come free again.
  'EMFILE',
  'EADDRNOTAVAIL',
  'ENOBUFS',
  'ERR_STREAM_PREMATURE_CLOSE',
  // Of the SDK.
  'REQUEST_SEND_ERROR',
  'PARSE_ERROR',
  // Of undici (its documentation, "Errors").
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_SOCKET',
  'UND_ERR_INFO',
  'UND_ERR_ABORTED',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
]);

/** Of an answer that this driver itself does not believe: the store received other bytes than were sent. */
export const otherBytesReceived = 'OtherBytesReceived';

/** Of an answer with a status of success and a page that Azure does not send: something before the store gave it. */
export const notOfTheStore = 'NotOfTheStore';

/**
 * What Azure says of a blob that is not there (Azure, "Blob Storage error codes"), to HEAD in `x-ms-error-code`. A 404
 * without such a code comes from what stands between, which knows nothing of the blob.
 */
const absenceCodes: ReadonlySet<string | undefined> = new Set([
  'BlobNotFound',
  'ResourceNotFound',
  'PathNotFound',
  // Of a copy: the source.
  'CannotVerifyCopySource',
]);

export function isAbsence(status: number | undefined, code: string | undefined): boolean {
  return status === 404 && absenceCodes.has(code);
}

/** What a failure means to an operator. `retryable` is left out where the code decides. */
export interface Explanation {
  code: DriverErrorCode;
  sentence: string;
  retryable?: boolean;
}

/** Names what is wrong, where, and what to do next. */
export function explain(failure: AzureFailure, place: AzurePlace, call: AzureCall): Explanation {
  const byCode = failure.code === undefined ? undefined : explainCode(failure, place, call);
  return byCode ?? explainTransport(failure, place) ?? explainStatus(failure, place, call);
}

// One case for each code is clearer than a table of functions; it is the table.
// oxlint-disable-next-line eslint/max-lines-per-function, eslint/complexity
function explainCode(failure: AzureFailure, place: AzurePlace, call: AzureCall): Explanation | undefined {
  const { host, container, location } = place;
  const object = describeObject(place, call);
  const answer = `(${failure.status ?? 'no status'} ${failure.code ?? ''})`;
  switch (failure.code) {
    case 'ContainerNotFound':
      return {
        code: 'STORE_NOT_FOUND',
        sentence: `There is no container ${container} in the storage account at ${host}: create it, or correct ${location}.`,
      };
    case 'ContainerBeingDeleted':
    case 'ContainerDisabled':
      return {
        code: 'STORE_NOT_FOUND',
        sentence: `The container ${container} at ${host} is being deleted or is disabled ${answer}: wait until that is over and create it again, or correct ${location}.`,
      };
    case 'AuthenticationFailed':
    case 'InvalidAuthenticationInfo':
    case 'NoAuthenticationInformation':
      return wrongCredentials(place, answer);
    case 'PublicAccessNotPermitted':
      return {
        code: 'UNAUTHENTICATED',
        sentence: `${host} allows no anonymous access to ${location}: give an account key, a SAS or an identity.`,
      };
    case 'AuthorizationPermissionMismatch':
      return {
        code: 'PERMISSION_DENIED',
        sentence: `The credentials for ${location} may not ${verbOf(call)} ${object}: assign the role "Storage Blob Data Contributor" ("Storage Blob Data Reader" suffices for a source) on the container, or use a SAS with read, add, create, write, delete and list permission.`,
      };
    case 'AuthorizationFailure':
      // Azurite answers a wrong key with this code, and says so only in the message.
      return /failed to authenticate/iu.test(failure.message)
        ? wrongCredentials(place, answer)
        : {
            code: 'PERMISSION_DENIED',
            sentence: `${host} refused to ${verbOf(call)} ${object} ${answer}: the account's firewall may not admit this machine's address, or the SAS lacks the permission.`,
          };
    case 'KeyBasedAuthenticationNotPermitted':
      return {
        code: 'PERMISSION_DENIED',
        sentence: `The storage account at ${host} does not allow account keys: sign in with an identity instead, or allow shared key access on the account.`,
      };
    case 'AccountIsDisabled':
      return {
        code: 'PERMISSION_DENIED',
        sentence: `The storage account at ${host} is disabled: enable it, or check the subscription.`,
      };
    case 'LeaseIdMissing':
    case 'BlobImmutableDueToPolicy':
    case 'BlobImmutableDueToLegalHold':
      return {
        code: 'PERMISSION_DENIED',
        sentence: `${object} is locked by a lease, an immutability policy or a legal hold ${answer}: lift it and run again.`,
      };
    case 'BlobArchived':
    case 'BlobBeingRehydrated':
    case 'InvalidBlobTier':
      return {
        code: 'UNSUPPORTED',
        sentence: `${object} is in the archive tier ${answer}: move it to the hot, cool or cold tier, wait until it is there, and run again.`,
      };
    case 'InvalidBlobType':
      return {
        code: 'UNSUPPORTED',
        sentence: `${object} is there as another type of blob than this request needs ${answer}.`,
      };
    case 'InvalidBlobOrBlock':
      return {
        code: 'UNSUPPORTED',
        sentence: `${host} holds unfinished blocks of another tool for ${object} and refuses further ones ${answer}: they vanish a week after they were sent, or when a blob is put under that name.`,
      };
    case 'PathConflict':
    case 'ResourceTypeMismatch':
    case 'DirectoryIsNotEmpty':
      return {
        code: 'INVALID_KEY',
        sentence: `${object} is both a file and a folder, which an account with a hierarchical namespace cannot hold ${answer}: use an account without it.`,
      };
    case 'InvalidResourceName':
    case 'OutOfRangeInput':
    case 'InvalidUri':
      return {
        code: 'INVALID_KEY',
        sentence: `${host} does not take the name of ${object} ${answer}: check the container's name and the key.`,
      };
    case 'Md5Mismatch':
      return damagedInTransit(object, answer);
    case otherBytesReceived:
      return {
        code: 'UNAVAILABLE',
        // A run compares blobs by name and size alone: by itself, the next one would leave this as it is.
        sentence: `${host} received other bytes of ${object} than were sent, and took them ${answer}: what is there now may be wrong, and the next run would take it for copied. Check what stands between, remove it there, and run again.`,
      };
    case notOfTheStore:
      return {
        code: 'UNAVAILABLE',
        sentence: `${host} answered with a page of something else when asked to ${verbOf(call)} ${object}, so that nobody knows whether it is stored: check the service URL of ${location}, and what stands between.`,
      };
    case 'InvalidOperation':
      // Azurite's answer to a wrong Content-MD5.
      return /md5/iu.test(failure.message) ? damagedInTransit(object, answer) : undefined;
    case 'InvalidHeaderValue':
      return /API version/iu.test(failure.message)
        ? {
            code: 'UNSUPPORTED',
            sentence: `The blob service at ${host} is too old for this version of regtool ${answer}: update it; Azurite needs --skipApiVersionCheck.`,
          }
        : undefined;
    case 'CannotVerifyCopySource':
      return failure.status === 401 || failure.status === 403
        ? {
            code: 'PERMISSION_DENIED',
            sentence: `${host} may not read the source of the copy to ${object} ${answer}: the credentials must cover both containers.`,
          }
        : undefined;
    case 'ServerBusy':
      return rateLimited(place);
    default:
      return undefined;
  }
}

function explainTransport(failure: AzureFailure, { host, location }: AzurePlace): Explanation | undefined {
  const { code = '', name, status, message } = failure;
  const ofProxy = proxyFailure(failure);
  if (ofProxy !== undefined) {
    return { code: 'UNAVAILABLE', retryable: ofProxy.retryable, sentence: ofProxy.message };
  }
  // An answer that broke off can have a status, and even a good one.
  if (status !== undefined && code !== 'PARSE_ERROR') {
    return undefined;
  }
  if (code === 'ENOTFOUND') {
    // Name servers say so in passing, too. A slip costs little: before the first answer only a few attempts are made.
    return {
      code: 'UNAVAILABLE',
      sentence: `There is no host ${host}: check the account name and the realm of ${location}, and this machine's name resolution.`,
    };
  }
  if (tlsCodes.test(code)) {
    return {
      code: 'UNAVAILABLE',
      retryable: false,
      sentence: `No secure connection to ${host} (${code}): if a private authority signed its certificate, name that authority's file in NODE_EXTRA_CA_CERTS.`,
    };
  }
  if (networkCodes.has(code) || code.startsWith('HPE_')) {
    return {
      code: 'UNAVAILABLE',
      sentence: `No answer from ${host} (${code}): check that it can be reached from this machine.`,
    };
  }
  if (name === 'AbortError' || name === 'TimeoutError') {
    return { code: 'UNAVAILABLE', sentence: `${host} did not answer in time, or cut the connection.` };
  }
  if (/Credential|Authentication/u.test(name) || /non-TLS/u.test(message)) {
    return {
      code: 'UNAUTHENTICATED',
      sentence: `No token for ${location}: ${message.replace(/\.+$/u, '')}; sign in (az login, environment variables or a managed identity), or give an account key or a SAS.`,
    };
  }
  return undefined;
}

// oxlint-disable-next-line eslint/complexity
function explainStatus(failure: AzureFailure, place: AzurePlace, call: AzureCall): Explanation {
  const { host, location } = place;
  const object = describeObject(place, call);
  const { status = 0, code, message, unknownAs = 'UNEXPECTED' } = failure;
  const answer = `(${[status === 0 ? '' : status, code ?? ''].filter((part) => part !== '').join(' ') || failure.name})`;
  switch (true) {
    case status >= 300 && status < 400:
      // Following it would hand the credentials to whoever it names.
      return {
        code: 'STORE_NOT_FOUND',
        sentence: `${host} sends requests elsewhere ${answer}: correct the account or the service URL of ${location}, and check whether a proxy stands between.`,
      };
    case isAbsence(status, code) && call.operation !== 'list' && call.operation !== 'listFolder':
      return { code: 'NOT_FOUND', sentence: `${object} is not in ${location}.` };
    case status === 404:
      return {
        code: 'UNAVAILABLE',
        sentence: `Asked to ${verbOf(call)} ${object}, ${host} says "not found" ${answer}, but not as Azure says it: check the service URL of ${location}, and what stands between.`,
      };
    case status === 401:
      return {
        code: 'UNAUTHENTICATED',
        sentence: `${host} wants other credentials for ${location} ${answer}.`,
      };
    case status === 403:
      return {
        code: 'PERMISSION_DENIED',
        sentence: `The credentials for ${location} may not ${verbOf(call)} ${object} ${answer}.`,
      };
    case status === 407:
      return {
        code: 'UNAVAILABLE',
        retryable: false,
        sentence: `A proxy before ${host} wants credentials, or other ones ${answer}: correct HTTP_PROXY or HTTPS_PROXY.`,
      };
    case status === 412:
      return { code: 'PRECONDITION_FAILED', sentence: `${object} changed in between ${answer}.` };
    case status === 429:
      return rateLimited(place);
    case status === 507:
      return { code: 'STORE_FULL', sentence: `The storage account at ${host} is full ${answer}.` };
    case status === 501 || status === 405:
      return { code: 'UNSUPPORTED', sentence: `${host} cannot ${verbOf(call)} this way ${answer}.` };
    case status === 503:
      return rateLimited(place);
    case status === 408 || status >= 500:
      return { code: 'UNAVAILABLE', sentence: `${host} failed to ${verbOf(call)} ${object} ${answer}.` };
    default:
      return {
        code: unknownAs,
        sentence: `${host} gave an answer that nobody expects when asked to ${verbOf(call)} ${object} ${answer}: ${message.replace(/\.+$/u, '')}; check the service URL and what stands between, and report it if they are right.`,
      };
  }
}

function wrongCredentials({ host, location }: AzurePlace, answer: string): Explanation {
  return {
    code: 'UNAUTHENTICATED',
    sentence: `${host} does not accept the credentials for ${location} ${answer}: check the account key, SAS or identity and its expiry, and that this machine's clock is right to within 15 minutes.`,
  };
}

function rateLimited({ host }: AzurePlace): Explanation {
  return { code: 'RATE_LIMITED', sentence: `${host} is busy and asks for fewer requests.` };
}

function damagedInTransit(object: string, answer: string): Explanation {
  return {
    code: 'UNAVAILABLE',
    sentence: `The bytes of ${object} were damaged on their way to the store, which refused them ${answer}.`,
  };
}

function describeObject({ container }: AzurePlace, { key }: AzureCall): string {
  return key === undefined || key === '' ? `the container ${container}` : key;
}

/** What was to be done, in words of an operator: a driver's calls have names of their own. */
function verbOf({ operation }: AzureCall): string {
  return VERBS.get(operation) ?? operation;
}

const VERBS: ReadonlyMap<string, string> = new Map([
  ['copyFrom', 'copy to'],
  ['describe', 'look at'],
  ['listFolder', 'list'],
  ['open', 'reach'],
  ['probe', 'examine'],
  ['stat', 'look at'],
]);
