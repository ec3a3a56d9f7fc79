import { describe, expect, it } from 'vitest';
import { azureError, azureFailureError, withoutSecrets } from '../../src/drivers/azure/errors.ts';
import type { DriverErrorCode } from '../../src/drivers/errors.ts';

const place = { host: 'account.blob.core.windows.net', container: 'registry', location: 'azure://registry' };
const call = { operation: 'write', key: 'docker/x' };

describe('errors of Azure', () => {
  it.each<[number | undefined, string | undefined, DriverErrorCode, boolean, string]>([
    [404, 'ContainerNotFound', 'STORE_NOT_FOUND', false, 'no container registry'],
    [409, 'ContainerBeingDeleted', 'STORE_NOT_FOUND', false, 'being deleted'],
    [404, 'BlobNotFound', 'NOT_FOUND', false, 'docker/x'],
    [404, 'ResourceNotFound', 'NOT_FOUND', false, 'docker/x'],
    [404, 'CannotVerifyCopySource', 'NOT_FOUND', false, 'docker/x'],
    [404, undefined, 'UNAVAILABLE', true, 'not as Azure says it'],
    [404, 'NoSuchRoute', 'UNAVAILABLE', true, 'NoSuchRoute'],
    [403, 'AuthenticationFailed', 'UNAUTHENTICATED', false, "this machine's clock"],
    [401, 'NoAuthenticationInformation', 'UNAUTHENTICATED', false, 'check the account key'],
    [409, 'PublicAccessNotPermitted', 'UNAUTHENTICATED', false, 'anonymous'],
    [403, 'AuthorizationPermissionMismatch', 'PERMISSION_DENIED', false, 'Storage Blob Data Contributor'],
    [403, 'AuthorizationFailure', 'PERMISSION_DENIED', false, 'firewall'],
    [403, 'KeyBasedAuthenticationNotPermitted', 'PERMISSION_DENIED', false, 'account keys'],
    [403, 'AccountIsDisabled', 'PERMISSION_DENIED', false, 'disabled'],
    [403, 'Unheard', 'PERMISSION_DENIED', false, '403 Unheard'],
    [407, undefined, 'UNAVAILABLE', false, 'proxy'],
    [412, 'LeaseIdMissing', 'PERMISSION_DENIED', false, 'lease'],
    [409, 'BlobImmutableDueToPolicy', 'PERMISSION_DENIED', false, 'immutability'],
    [409, 'BlobArchived', 'UNSUPPORTED', false, 'archive tier'],
    [409, 'BlobBeingRehydrated', 'UNSUPPORTED', false, 'archive tier'],
    [412, 'ConditionNotMet', 'PRECONDITION_FAILED', false, 'changed'],
    [412, undefined, 'PRECONDITION_FAILED', false, 'changed'],
    [400, 'Md5Mismatch', 'UNAVAILABLE', true, 'damaged'],
    [400, 'InvalidBlobOrBlock', 'UNSUPPORTED', false, 'unfinished blocks'],
    [409, 'PathConflict', 'INVALID_KEY', false, 'hierarchical namespace'],
    [400, 'OutOfRangeInput', 'INVALID_KEY', false, 'name'],
    [503, 'ServerBusy', 'RATE_LIMITED', true, 'fewer requests'],
    [429, undefined, 'RATE_LIMITED', true, 'fewer requests'],
    [500, 'OperationTimedOut', 'UNAVAILABLE', true, 'OperationTimedOut'],
    [502, undefined, 'UNAVAILABLE', true, '502'],
    [501, 'APINotImplemented', 'UNSUPPORTED', false, '501'],
    [507, undefined, 'STORE_FULL', false, 'full'],
    [301, undefined, 'STORE_NOT_FOUND', false, 'elsewhere'],
    [307, 'TemporaryRedirect', 'STORE_NOT_FOUND', false, 'elsewhere'],
    [418, 'Teapot', 'UNEXPECTED', false, '418 Teapot'],
    [undefined, 'ECONNREFUSED', 'UNAVAILABLE', true, 'ECONNREFUSED'],
    [undefined, 'ECONNRESET', 'UNAVAILABLE', true, 'ECONNRESET'],
    [undefined, 'UND_ERR_SOCKET', 'UNAVAILABLE', true, 'UND_ERR_SOCKET'],
    [undefined, 'UND_ERR_CONNECT_TIMEOUT', 'UNAVAILABLE', true, 'UND_ERR_CONNECT_TIMEOUT'],
    [undefined, 'UND_ERR_HEADERS_TIMEOUT', 'UNAVAILABLE', true, 'UND_ERR_HEADERS_TIMEOUT'],
    [undefined, 'UND_ERR_BODY_TIMEOUT', 'UNAVAILABLE', true, 'UND_ERR_BODY_TIMEOUT'],
    [undefined, 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'UNAVAILABLE', true, 'LENGTH'],
    [undefined, 'HPE_INVALID_CONSTANT', 'UNAVAILABLE', true, 'HPE_'],
    [undefined, 'EAI_AGAIN', 'UNAVAILABLE', true, 'EAI_AGAIN'],
    [undefined, 'ENOTFOUND', 'UNAVAILABLE', true, 'account name and the realm'],
    [undefined, 'EMFILE', 'UNAVAILABLE', true, 'EMFILE'],
    [undefined, 'EADDRNOTAVAIL', 'UNAVAILABLE', true, 'EADDRNOTAVAIL'],
    [undefined, 'ENOBUFS', 'UNAVAILABLE', true, 'ENOBUFS'],
    [undefined, 'ENOTCONN', 'UNAVAILABLE', true, 'ENOTCONN'],
    [undefined, 'ERR_STREAM_PREMATURE_CLOSE', 'UNAVAILABLE', true, 'PREMATURE'],
    [undefined, 'SELF_SIGNED_CERT_IN_CHAIN', 'UNAVAILABLE', false, 'NODE_EXTRA_CA_CERTS'],
    [undefined, 'CERT_HAS_EXPIRED', 'UNAVAILABLE', false, 'CERT_HAS_EXPIRED'],
    [undefined, 'ERR_TLS_CERT_ALTNAME_INVALID', 'UNAVAILABLE', false, 'certificate'],
  ])('%s %s is %s (retryable: %s)', (status, code, expected, retryable, words) => {
    const error = azureFailureError({ status, code, name: 'RestError', message: 'as said' }, place, call);
    expect(error).toMatchObject({ code: expected, retryable, key: 'docker/x', driver: 'azure' });
    expect(error.message).toContain(words);
    expect(error.message).toMatch(/\w{3}/u);
  });

  it.each(['CredentialUnavailableError', 'AggregateAuthenticationError', 'AuthenticationRequiredError'])(
    'a %s says how to sign in',
    (name) => {
      const error = azureError(Object.assign(new Error('No managed identity.\nMore'), { name }), place, call);
      expect(error).toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
      expect(error.message).toContain('No managed identity; sign in');
    },
  );

  it('a request that was cut off by nobody here may be retried, one that the caller aborted not', () => {
    const cut = Object.assign(new Error('The operation was aborted.'), { name: 'AbortError' });
    expect(azureError(cut, place, call)).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(azureError(cut, place, { ...call, signal: AbortSignal.abort() })).toMatchObject({
      code: 'ABORTED',
      retryable: false,
    });
  });

  it.each([
    ['7', 7000],
    ['nonsense', undefined],
  ])('reads Retry-After %j', (value, retryAfterMs) => {
    const headers = new Map([['retry-after', value]]);
    const error = Object.assign(new Error('busy'), { statusCode: 503, response: { headers } });
    expect(azureError(error, place, call).retryAfterMs).toBe(retryAfterMs);
  });

  it.each(['list', 'listFolder'])('takes a %s that is not found for no absence', (operation) => {
    const failure = { status: 404, name: 'RestError', message: 'as said' };
    expect(azureFailureError(failure, place, { operation, key: '' }).code).toBe('UNAVAILABLE');
    const absent = { ...failure, code: 'BlobNotFound' };
    expect(azureFailureError(absent, place, { operation, key: '' }).code).toBe('UNAVAILABLE');
    const gone = { ...failure, code: 'ContainerNotFound' };
    expect(azureFailureError(gone, place, { operation, key: '' }).code).toBe('STORE_NOT_FOUND');
  });

  it.each([
    ['listFolder', 'a/', 'may not list a/'],
    ['copyFrom', 'a/b', 'may not copy to a/b'],
    ['stat', 'a/b', 'may not look at a/b'],
    ['write', 'a/b', 'may not write a/b'],
  ])('tells of a %s that is forbidden in words of an operator', (operation, key, words) => {
    const failure = { status: 403, name: 'RestError', message: 'as said' };
    expect(azureFailureError(failure, place, { operation, key }).message).toContain(words);
  });

  it('calls an error of the language a bug, but not the one of fetch, which says what it is in its cause', () => {
    const ofCode = new TypeError('x.request is not a function');
    expect(azureError(ofCode, place, call).code).toBe('BUG');
    const ofFetch = new TypeError('fetch failed', { cause: new Error('the connection broke') });
    expect(azureError(ofFetch, place, call).code).toBe('UNEXPECTED');
  });

  it('takes the code of the header when the answer has no body', () => {
    const headers = new Map([['x-ms-error-code', 'ContainerNotFound']]);
    const error = Object.assign(new Error(''), { statusCode: 404, response: { headers } });
    expect(azureError(error, place, call).code).toBe('STORE_NOT_FOUND');
  });

  it('keeps nothing of the request, which holds the signature', () => {
    const original = Object.assign(new Error('GET https://a.example/c/b?sv=1&sig=SECRET failed'), {
      statusCode: 418,
      request: { url: 'https://a.example/c/b?sig=SECRET', headers: { authorization: 'SharedKey a:SECRET' } },
    });
    const error = azureError(original, place, call);
    expect(JSON.stringify([error, error.message, error.stack, error.cause])).not.toContain('SECRET');
    expect(String(error.cause)).not.toContain('SECRET');
  });

  it.each([
    ['PUT https://a.example/c/b?sv=1&sig=SECRET', 'PUT https://a.example/c/b'],
    ['"https://a.example/?sig=SECRET" failed', '"https://a.example/" failed'],
    ['AccountName=a;AccountKey=SECRET==;x', 'AccountName=a;AccountKey=***;x'],
    ['token sig=SECRET&se=1', 'token sig=***&se=1'],
    ['client_secret=SECRET', 'client_secret=***'],
    ['first line\nSECRET', 'first line'],
  ])('takes the secret out of %j', (message, clean) => {
    expect(withoutSecrets(message)).toBe(clean);
  });
});
