import { describe, expect, it } from 'vitest';
import type { DriverErrorCode } from '../../src/drivers/errors.ts';
import { toDriverError } from '../../src/drivers/s3/failures.ts';
import { parseRetryAfter } from '../../src/drivers/refused-answer.ts';
import { parseRefusal, refusalError } from '../../src/drivers/s3/refusals.ts';

const place = { bucket: 'my-bucket', endpoint: 'https://store.example', region: 'us-east-1' };
const details = { driver: 's3', operation: 'write', key: 'a/key' };
const document = (code: string, rest = ''): string => `<Error><Code>${code}</Code>${rest}</Error>`;

describe('refusalError', () => {
  it.each<[number, string, DriverErrorCode, boolean, string]>([
    [404, 'NoSuchBucket', 'STORE_NOT_FOUND', false, 'no bucket my-bucket at https://store.example'],
    [404, 'NoSuchKey', 'NOT_FOUND', false, 'a/key'],
    [404, 'NoSuchUpload', 'UNAVAILABLE', true, 'multipart upload of a/key'],
    [412, 'PreconditionFailed', 'PRECONDITION_FAILED', false, 'a/key'],
    [403, 'AccessDenied', 'PERMISSION_DENIED', false, 's3:PutObject'],
    [403, 'InvalidAccessKeyId', 'UNAUTHENTICATED', false, 'access key'],
    [403, 'SignatureDoesNotMatch', 'UNAUTHENTICATED', false, 'secret key is wrong'],
    [400, 'ExpiredToken', 'UNAUTHENTICATED', false, 'expired'],
    [403, 'RequestTimeTooSkewed', 'UNAUTHENTICATED', false, 'clock'],
    [503, 'SlowDown', 'RATE_LIMITED', true, 'more slowly'],
    [429, 'TooManyRequests', 'RATE_LIMITED', true, 'more slowly'],
    [503, 'ServiceUnavailable', 'UNAVAILABLE', true, 'https://store.example'],
    [500, 'InternalError', 'UNAVAILABLE', true, 'https://store.example'],
    [409, 'ConcurrentModification', 'UNAVAILABLE', true, 'https://store.example'],
    [409, 'OperationAborted', 'UNAVAILABLE', true, 'https://store.example'],
    [400, 'RequestTimeout', 'UNAVAILABLE', true, 'https://store.example'],
    [400, 'XAmzContentSHA256Mismatch', 'CORRUPT', false, 'a/key'],
    [400, 'BadDigest', 'CORRUPT', false, 'a/key'],
    [403, 'InvalidObjectState', 'UNSUPPORTED', false, 'restored'],
    [501, 'NotImplemented', 'UNSUPPORTED', false, 'https://store.example'],
    [400, 'EntityTooLarge', 'UNSUPPORTED', false, 'chunksize'],
    [403, 'QuotaExceeded', 'STORE_FULL', false, 'make room'],
    [400, 'KeyTooLongError', 'INVALID_KEY', false, 'a/key'],
    [400, 'SomethingNew', 'UNEXPECTED', false, 'SomethingNew'],
  ])('%s %s becomes %s', (status, code, becomes, retryable, sentence) => {
    const error = refusalError(place, parseRefusal(status, {}, document(code)), details);
    expect(error).toMatchObject({ code: becomes, retryable, driver: 's3', operation: 'write', key: 'a/key' });
    expect(error.message).toContain(sentence);
    expect(error.message).toMatch(/^\S.*\.$/);
  });

  it.each<[number, DriverErrorCode]>([
    [301, 'STORE_NOT_FOUND'],
    [401, 'UNAUTHENTICATED'],
    [403, 'PERMISSION_DENIED'],
    [404, 'UNAVAILABLE'],
    [407, 'UNAVAILABLE'],
    [408, 'UNAVAILABLE'],
    [412, 'PRECONDITION_FAILED'],
    [429, 'RATE_LIMITED'],
    [500, 'UNAVAILABLE'],
    [501, 'UNSUPPORTED'],
    [502, 'UNAVAILABLE'],
    [507, 'STORE_FULL'],
    [418, 'UNEXPECTED'],
  ])('a bare status %s becomes %s', (status, becomes) => {
    expect(refusalError(place, parseRefusal(status, {}, ''), details).code).toBe(becomes);
    expect(refusalError(place, parseRefusal(status, {}, '<html>Bad gateway</html>'), details).code).toBe(
      becomes,
    );
  });

  it.each(['list', 'listFolder', 'listUploads'])(
    'takes a %s that is not found for no absence',
    (operation) => {
      const absent = parseRefusal(404, {}, document('NoSuchKey'));
      const error = refusalError(place, absent, { ...details, operation });
      expect(error.code).toBe('UNEXPECTED');
      expect(error.message).toContain('(404');
      const gone = parseRefusal(404, {}, document('NoSuchBucket'));
      expect(refusalError(place, gone, { ...details, operation }).code).toBe('STORE_NOT_FOUND');
    },
  );

  it('names the right region from the error document', () => {
    const body = document('AuthorizationHeaderMalformed', '<Region>eu-west-3</Region>');
    expect(refusalError(place, parseRefusal(400, {}, body), details).message).toContain('region=eu-west-3');
  });

  it('passes on what the store says, on one line', () => {
    const body = document('AccessDenied', '<Message>User\n &lt;me&gt; may   not</Message>');
    expect(refusalError(place, parseRefusal(403, {}, body), details).message).toContain('User <me> may not');
  });
});

describe('parseRetryAfter', () => {
  const nowMs = Date.UTC(2024, 0, 1, 0, 0, 0);

  it.each<[string | undefined, number | undefined]>([
    ['7', 7000],
    ['0', 0],
    ['Mon, 01 Jan 2024 00:01:00 GMT', 60_000],
    ['Sun, 31 Dec 2023 00:00:00 GMT', 0],
    ['300', 300_000],
    ['86400', 300_000],
    ['3000000', 300_000],
    ['9'.repeat(400), 300_000],
    ['Tue, 02 Jan 2024 00:00:00 GMT', 300_000],
    ['soon', undefined],
    [undefined, undefined],
  ])('reads %j', (value, expected) => {
    expect(parseRetryAfter(value, nowMs)).toBe(expected);
  });
});

describe('toDriverError', () => {
  const failure = (code: string): Error => Object.assign(new Error('low-level text'), { code });

  it.each([
    ['ECONNREFUSED', true, 'Nothing listens'],
    ['ENOTFOUND', true, 'cannot be resolved'],
    ['ECONNRESET', true, 'was lost'],
    ['UND_ERR_SOCKET', true, 'was lost'],
    ['ETIMEDOUT', true, 'did not answer in time'],
    ['UND_ERR_HEADERS_TIMEOUT', true, 'did not answer in time'],
    ['SELF_SIGNED_CERT_IN_CHAIN', false, 'NODE_EXTRA_CA_CERTS'],
    ['EPROTO', false, 'does not speak TLS'],
    ['ENOTCONN', true, 'was lost'],
    ['ERR_STREAM_PREMATURE_CLOSE', true, 'was lost'],
    ['EMFILE', true, '--concurrency'],
    ['EADDRNOTAVAIL', true, '--concurrency'],
    ['ENOBUFS', true, '--concurrency'],
    ['ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', true, 'run again'],
    ['ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC', true, 'run again'],
    ['ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC', true, 'run again'],
    ['ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', false, 'cipher of TLS'],
    ['ERR_SSL_TLSV1_UNRECOGNIZED_NAME', false, 'no certificate for that host name'],
  ])('%s is a store that cannot be reached', (code, retryable, sentence) => {
    const wrapped = new Error('fetch failed', { cause: failure(code) });
    for (const error of [failure(code), wrapped]) {
      const result = toDriverError(place, error, details);
      expect(result).toMatchObject({ code: 'UNAVAILABLE', retryable });
      expect(result.message).toContain(sentence);
      expect(result.message).toContain('https://store.example');
    }
  });

  it.each([
    ['tlsv1 alert internal error', true],
    ['sslv3 alert handshake failure', false],
    ['tlsv1 unrecognized name', false],
  ])('finds the TLS alert in an EPROTO that says %s', (words, retryable) => {
    const error = Object.assign(
      new Error(`write EPROTO 00:error:0A0:SSL routines:ssl3_read_bytes:${words}:`),
      {
        code: 'EPROTO',
      },
    );
    const result = toDriverError(place, error, details);
    expect(result).toMatchObject({ code: 'UNAVAILABLE', retryable });
    expect(result.message).not.toContain('does not speak TLS');
  });

  it('takes every failure after an abort for its consequence', () => {
    expect(toDriverError(place, failure('ECONNRESET'), details, AbortSignal.abort()).code).toBe('ABORTED');
  });

  it('calls what it does not know unexpected, and never retryable', () => {
    expect(toDriverError(place, failure('EWHATEVER'), details)).toMatchObject({
      code: 'UNEXPECTED',
      retryable: false,
    });
  });

  it('says of what has no code what it was, for whoever is to report it', () => {
    const { code, message } = toDriverError(place, new TypeError('x.request is not a function'), details);
    expect(code).toBe('BUG');
    expect(message).toContain('(TypeError: x.request is not a function)');
  });
});
