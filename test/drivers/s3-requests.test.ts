import { createHash, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Driver, WriteOptions } from '../../src/drivers/driver.ts';
import { openS3, type S3Retry } from '../../src/drivers/s3.ts';
import { listAll, readAll } from './contract.ts';
import { failureOf } from './failure-of.ts';
import {
  errorReply,
  listPage,
  SECRET,
  startLocalServer,
  type LocalServer,
  type Reply,
  type SeenRequest,
} from './s3-local-server.ts';

const MIB = 1024 * 1024;
let server: LocalServer;

beforeAll(async () => {
  server = await startLocalServer();
});
afterEach(() => {
  vi.unstubAllEnvs();
});
afterAll(async () => {
  await server.stop();
});

const sha256 = (content: Uint8Array) =>
  ({ algorithm: 'sha256', hex: createHash('sha256').update(content).digest('hex') }) as const;

function streamOf(content: Uint8Array) {
  return {
    sizeBytes: content.byteLength,
    async *open() {
      for (let start = 0; start < content.byteLength; start += 100_000) {
        yield content.subarray(start, start + 100_000);
      }
    },
  };
}

/** Answers as a store with multipart uploads does; `override` may answer first. */
function multipartStore(override: (request: SeenRequest) => Reply | undefined = () => undefined) {
  return (request: SeenRequest): Reply => {
    const { method, path } = request;
    const replies: [boolean, Reply][] = [
      [
        method === 'POST' && path.includes('uploads'),
        { body: '<InitiateMultipartUploadResult><UploadId>U1</UploadId></InitiateMultipartUploadResult>' },
      ],
      [method === 'DELETE', { status: 204 }],
      [
        method === 'PUT' && request.headers['x-amz-copy-source'] !== undefined,
        { body: '<CopyPartResult><ETag>"p"</ETag></CopyPartResult>' },
      ],
      [method === 'PUT', { headers: { etag: '"p"' } }],
      [method === 'HEAD', { headers: { etag: '"e"' } }],
      [
        method === 'POST',
        { body: '<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>' },
      ],
    ];
    return override(request) ?? replies.find(([matches]) => matches)?.[1] ?? { status: 400 };
  };
}

const abortsSeen = () =>
  server.requests.filter(({ method, path }) => method === 'DELETE' && path.includes('uploadId=U1'));

describe('what a PUT says', () => {
  it.each([
    ['bytes', randomBytes(71), (content: Uint8Array) => content],
    ['a small stream', randomBytes(200_000), streamOf],
    ['a long stream', randomBytes(2 * MIB), streamOf],
  ])('of %s: its length and its digest, in both headers that stores check', async (_, content, body) => {
    server.answerWith(() => ({}));
    const driver = await server.open();
    const digest = sha256(content);
    await driver.write('key', body(content), { expectedDigest: digest });
    expect(server.requests).toHaveLength(1);
    const { method, path, headers, body: sent } = server.requests[0] ?? {};
    expect({ method, path }).toEqual({ method: 'PUT', path: '/bucket/key' });
    expect(headers).toMatchObject({
      'content-length': String(content.byteLength),
      'x-amz-content-sha256': digest.hex,
      'x-amz-checksum-sha256': createHash('sha256').update(content).digest('base64'),
    });
    expect(sent?.equals(content)).toBe(true);
  });

  it('of a long stream without a digest: that its payload is not signed', async () => {
    server.answerWith(() => ({}));
    const driver = await server.open();
    await driver.write('key', streamOf(randomBytes(2 * MIB)));
    expect(server.requests[0]?.headers).toMatchObject({ 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' });
  });

  it.each([
    [{ encrypt: true }, { 'x-amz-server-side-encryption': 'AES256' }],
    [
      { encrypt: true, keyId: 'key-1' },
      {
        'x-amz-server-side-encryption': 'aws:kms',
        'x-amz-server-side-encryption-aws-kms-key-id': 'key-1',
      },
    ],
    [{ storageClass: 'STANDARD_IA' }, { 'x-amz-storage-class': 'STANDARD_IA' }],
    [{ objectAcl: 'bucket-owner-full-control' }, { 'x-amz-acl': 'bucket-owner-full-control' }],
  ])('%j: the same on PUT, CreateMultipartUpload and CopyObject', async (options, expected) => {
    const copied = { body: '<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>' };
    const isCopy = ({ headers }: SeenRequest) => headers['x-amz-copy-source'] !== undefined;
    server.answerWith(multipartStore((request) => (isCopy(request) ? copied : undefined)));
    const driver = await server.open({ ...options, singlePutMaxBytes: MIB, partSizeBytes: 5 * MIB });
    await driver.write('put', randomBytes(5));
    await driver.write('parts', streamOf(randomBytes(6 * MIB)));
    await driver.copyFrom?.({ identity: driver.identity, key: 'put', sizeBytes: 5, etag: 'e' }, 'copy');
    const bearing = server.requests.filter(
      (request) => request.path.includes('/put') || request.path.includes('?uploads') || isCopy(request),
    );
    expect(bearing).toHaveLength(3);
    for (const { headers } of bearing) {
      expect(headers).toMatchObject(expected);
    }
  });

  it('sends no settings where none are given, and none for the storage class NONE', async () => {
    server.answerWith(() => ({}));
    const driver = await server.open({ storageClass: 'NONE', keyId: 'unused without encrypt' });
    await driver.write('put', randomBytes(5));
    const names = Object.keys(server.requests[0]?.headers ?? {});
    expect(names.filter((name) => /encryption|storage-class|acl/.test(name))).toEqual([]);
  });

  it.each([
    ['another digest', { expectedDigest: sha256(new Uint8Array()) }, 'CORRUPT'],
    [
      'another SHA-512',
      { expectedDigest: { algorithm: 'sha512', hex: '00'.repeat(64) } } as const,
      'CORRUPT',
    ],
  ])('never sends the end of a stream that has %s', async (_, options: WriteOptions, code) => {
    server.answerWith(() => ({}));
    const driver = await server.open();
    expect((await failureOf(driver.write('key', streamOf(randomBytes(2 * MIB)), options))).code).toBe(code);
    await driver.close();
    expect(server.requests.filter(({ isComplete }) => isComplete)).toEqual([]);
  });
});

describe('a PUT that is answered with success', () => {
  const html = { 'content-type': 'text/html' };
  const bodies: [string, Uint8Array | ReturnType<typeof streamOf>][] = [
    ['bytes', randomBytes(71)],
    ['a small stream', streamOf(randomBytes(200_000))],
    ['a long stream', streamOf(randomBytes(2 * MIB))],
  ];
  const pages: [string, Reply][] = [
    ['a page that asks to sign in', { headers: html, body: '<html>session expired</html>', isForeign: true }],
    ['nothing', { isForeign: true }],
    ['an empty ETag', { headers: { etag: '' } }],
    ['an error document', { ...errorReply(200, 'InternalError'), status: 200 }],
  ];

  it.each(bodies.flatMap(([name, body]) => pages.map(([said, reply]) => [name, said, body, reply] as const)))(
    'has written %s only with an ETag, and not with %s',
    async (_, __, body, reply) => {
      server.answerWith(() => reply);
      const driver = await server.open();
      const failure = await failureOf(driver.write('key', body));
      expect(failure).toMatchObject({ code: 'UNAVAILABLE', retryable: true, key: 'key' });
      expect(failure.message).toContain(server.endpoint);
    },
  );

  it('and with an error document is that error', async () => {
    server.answerWith(() => ({ ...errorReply(200, 'AccessDenied'), status: 200 }));
    const driver = await server.open();
    expect((await failureOf(driver.write('key', randomBytes(3)))).code).toBe('PERMISSION_DENIED');
  });
});

describe('the wire', () => {
  it('carries every byte of a key that is not unreserved as %XX, and normalises nothing', async () => {
    server.answerWith(() => ({}));
    const driver = await server.open({ root: 'r//' });
    await driver.write("/a//b/../ü?#+&=%41 '()*!~", randomBytes(1));
    expect(server.requests[0]?.path).toBe(
      '/bucket/r///a//b/../%C3%BC%3F%23%2B%26%3D%2541%20%27%28%29%2A%21~',
    );
  });

  it('addresses the bucket in the host of AWS', async () => {
    const location = 's3://bucket';
    const base = { bucket: 'bucket', root: '', location, accessKeyId: 'A', secretAccessKey: SECRET };
    const frankfurt = await openS3({ ...base, region: 'eu-central-1' });
    const beijing = await openS3({ ...base, region: 'cn-north-1' });
    expect(frankfurt.identity).toEqual({ service: 's3:aws', container: 'bucket', root: '' });
    expect(beijing.identity.service).toBe('s3:aws-cn');
    expect((await server.open()).identity.service).toBe(`s3:${server.endpoint.replace('http://', '')}`);
    await expect(openS3({ ...base, bucket: 'x--use1-az4--x-s3', region: 'us-east-1' })).rejects.toMatchObject(
      {
        code: 'UNSUPPORTED',
      },
    );
  });
});

describe('refusals', () => {
  it('of too many requests carry the time to wait', async () => {
    server.answerWith(() => errorReply(503, 'SlowDown', { 'retry-after': '7' }));
    const driver = await server.open();
    const failure = await failureOf(driver.write('key', randomBytes(3)));
    expect(failure).toMatchObject({ code: 'RATE_LIMITED', retryable: true, retryAfterMs: 7000, key: 'key' });
    expect(server.requests).toHaveLength(1);
  });

  it('name the region that a bucket is in', async () => {
    server.answerWith(() => errorReply(301, 'PermanentRedirect', { 'x-amz-bucket-region': 'eu-north-1' }));
    const driver = await server.open();
    expect((await failureOf(listAll(driver))).message).toContain('region=eu-north-1');
    expect((await failureOf(driver.stat('key'))).message).toContain('region=eu-north-1');
  });

  it('of a HEAD are explained by a listing', async () => {
    const driver = await server.open();
    server.answerWith(({ method }) =>
      method === 'HEAD' ? { status: 404 } : errorReply(404, 'NoSuchBucket'),
    );
    expect((await failureOf(driver.stat('key'))).code).toBe('STORE_NOT_FOUND');
    server.answerWith(({ method }) =>
      method === 'HEAD' ? { status: 400 } : errorReply(400, 'ExpiredToken'),
    );
    expect((await failureOf(driver.stat('key'))).code).toBe('UNAUTHENTICATED');
    server.answerWith(({ method }) => (method === 'HEAD' ? { status: 403 } : { body: listPage([]) }));
    expect((await failureOf(driver.stat('key'))).code).toBe('PERMISSION_DENIED');
    server.answerWith(({ method }) => (method === 'HEAD' ? { status: 404 } : { body: listPage([]) }));
    expect(await driver.stat('key')).toBeUndefined();
  });

  it('of a digest that was proven before it was sent may be tried again', async () => {
    server.answerWith(() => errorReply(400, 'XAmzContentSHA256Mismatch'));
    const driver = await server.open();
    const content = randomBytes(10);
    const failure = await failureOf(driver.write('key', content, { expectedDigest: sha256(content) }));
    expect(failure).toMatchObject({ code: 'CORRUPT', retryable: true });
  });

  it('hold nothing of the request, whose headers are secrets', async () => {
    server.answerWith(() => errorReply(403, 'AccessDenied'));
    const driver = await server.open({ sessionToken: 'the-session-token' });
    const failures = await Promise.all(
      [listAll(driver), driver.delete(['x'])].map((promise) => failureOf(promise)),
    );
    for (const failure of failures) {
      const shown = inspect(failure, { depth: 20, showHidden: true });
      expect(failure.code).toBe('PERMISSION_DENIED');
      expect(shown).not.toMatch(/the-session-token|the-secret-key|Signature=/);
    }
  });
});

describe('a 404 that is not the word of a store', () => {
  const DEFAULT_BACKEND: Reply = {
    status: 404,
    headers: { 'content-type': 'text/plain' },
    body: 'default backend - 404',
    isForeign: true,
  };
  const unknown = { code: 'UNAVAILABLE', retryable: true };

  it('is no absence, whatever is asked', async () => {
    server.answerWith(() => DEFAULT_BACKEND);
    const driver = await server.open({ copyMaxBytes: MIB });
    const copy = (sizeBytes: number) =>
      driver.copyFrom?.({ identity: driver.identity, key: 'from', sizeBytes, etag: 'e' }, 'to');
    const asked: [string, () => Promise<unknown> | undefined][] = [
      ['stat', () => driver.stat('key')],
      ['read', () => readAll(driver, 'key')],
      ['readSmall', () => driver.readSmall('key', 100)],
      ['list', () => listAll(driver)],
      ['listFolder', () => driver.listFolder('')],
      ['write', () => driver.write('key', randomBytes(3))],
      ['delete', () => driver.delete(['key'])],
      ['abortUpload', () => driver.abortUpload?.({ key: 'key', uploadId: 'U', startedAtMs: 0 })],
      ['copyFrom', () => copy(5)],
      ['copyFrom in parts', () => copy(6 * MIB)],
    ];
    const failures = await Promise.all(asked.map(([, ask]) => failureOf(ask())));
    expect(failures.map(({ code, retryable }, index) => [asked[index]?.[0], code, retryable])).toEqual(
      asked.map(([name]) => [name, 'UNAVAILABLE', true]),
    );
    // Keys that are deleted one by one are named one by one.
    expect(await driver.delete(['bell\u0007'])).toMatchObject([{ key: 'bell\u0007', error: unknown }]);
  });

  it('is none of the source either, where a copy in parts looks at it once more', async () => {
    server.answerWith(multipartStore(({ method }) => (method === 'HEAD' ? DEFAULT_BACKEND : undefined)));
    const driver = await server.open({ copyMaxBytes: MIB });
    const source = { identity: driver.identity, key: 'from', sizeBytes: 6 * MIB, etag: 'e' };
    expect(await failureOf(driver.copyFrom?.(source, 'to'))).toMatchObject(unknown);
  });

  it('is no absence with an empty body, even where a GET is answered by the store', async () => {
    server.answerWith(() => ({ status: 404 }));
    const driver = await server.open();
    expect(await failureOf(driver.readSmall('key', 100))).toMatchObject(unknown);
  });

  const toHead = (listing: Reply) => {
    server.answerWith(({ method }) => (method === 'HEAD' ? DEFAULT_BACKEND : listing));
    return server.open({ root: 'r/' });
  };

  it('is looked into by a listing of that one key', async () => {
    const driver = await toHead({ body: listPage(['r/key-and-more']) });
    expect(await driver.stat('key')).toBeUndefined();
    const query = new URL(server.requests[1]?.path ?? '', 'http://x').searchParams;
    expect([query.get('prefix'), query.get('max-keys')]).toEqual(['r/key', '1']);
    expect(server.requests).toHaveLength(2);
  });

  it.each<[string, Reply, object]>([
    ['has the key', { body: listPage(['r/key']) }, unknown],
    ['is none', { body: '<html>Sign in</html>' }, { code: 'BAD_LISTING' }],
    ['is refused', errorReply(403, 'AccessDenied'), { code: 'PERMISSION_DENIED' }],
    ['has no bucket', errorReply(404, 'NoSuchBucket'), { code: 'STORE_NOT_FOUND' }],
  ])('is believed by no stat where that listing %s', async (_, listing, expected) => {
    const driver = await toHead(listing);
    expect(await failureOf(driver.stat('key'))).toMatchObject(expected);
  });

  it.each(['x-amz-request-id', 'x-amz-id-2'])('is believed at once with %s', async (name) => {
    server.answerWith(({ method }) =>
      method === 'HEAD'
        ? { status: 404, headers: { [name]: 'tx1' }, isForeign: true }
        : { body: listPage([]) },
    );
    const driver = await server.open();
    await listAll(driver);
    expect(await driver.stat('key')).toBeUndefined();
    expect(server.requests).toHaveLength(2);
  });

  it('leaves it open whether versions are kept', async () => {
    server.answerWith(() => DEFAULT_BACKEND);
    const driver = await server.open();
    expect(await driver.describe?.()).toEqual({});
  });
});

describe('connections', () => {
  it('that nobody accepts are told by the endpoint', async () => {
    const gone = await startLocalServer();
    await gone.stop();
    const driver = await server.open({ endpoint: gone.endpoint });
    const failure = await failureOf(driver.stat('key'));
    expect(failure).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(failure.message).toContain(gone.endpoint);
  });

  it('that break in the middle of a body are no end of it', async () => {
    const headers = { 'content-length': '1000' };
    server.answerWith(() => ({ headers, body: Buffer.alloc(500), thenReset: true }));
    const driver = await server.open();
    expect(await failureOf(readAll(driver, 'key'))).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(await failureOf(driver.readSmall('key', 1000))).toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('that say nothing are left when the signal is aborted', async () => {
    server.answerWith(() => ({ silent: true }));
    const driver = await server.open();
    const asked = [
      (signal: AbortSignal) => driver.stat('x', { signal }),
      (signal: AbortSignal) => driver.write('x', streamOf(randomBytes(2 * MIB)), { signal }),
      (signal: AbortSignal) => driver.delete(['x'], { signal }),
    ];
    for (const ask of asked) {
      const controller = new AbortController();
      server.answerWith(() => {
        controller.abort();
        return { silent: true };
      });
      expect((await failureOf(ask(controller.signal))).code).toBe('ABORTED');
    }
  });

  it('are made only when the driver is used, and want credentials then', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', '');
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nonexistent');
    vi.stubEnv('AWS_CONFIG_FILE', '/nonexistent');
    server.answerWith(() => ({}));
    const { endpoint } = server;
    const driver = await openS3({ bucket: 'bucket', root: '', location: 's3://bucket', endpoint });
    for (const promise of [driver.stat('x'), driver.delete(['x'])]) {
      const failure = await failureOf(promise);
      expect(failure).toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
      expect(failure.message).toContain('AWS_ACCESS_KEY_ID');
    }
    expect(server.requests).toEqual([]);
    await driver.close();
  });
});

describe('a listing', () => {
  const pages = (...bodies: string[]) => {
    let next = 0;
    return () => ({ body: bodies[Math.min(next++, bodies.length - 1)] ?? '' });
  };

  it('goes on with the token of the page before', async () => {
    server.answerWith(pages(listPage(['a'], 'to/ken+='), listPage([], 't2'), listPage(['b'])));
    const driver = await server.open();
    expect((await listAll(driver)).map(({ key }) => key)).toEqual(['a', 'b']);
    expect(server.requests[1]?.path).toContain('continuation-token=to%2Fken%2B%3D');
    expect(server.requests[2]?.path).toContain('continuation-token=t2');
  });

  it.each([
    ['out of order', pages(listPage(['b', 'a']))],
    ['with a key twice', pages(listPage(['a'], 't'), listPage(['a']))],
    ['that goes in circles', pages(listPage([], 't'), listPage([], 't'))],
    ['cut short', pages(listPage(['a', 'b']).slice(0, -10))],
    ['that is a web page', pages('<html><body>Sign in to the hotel</body></html>')],
    ['that is empty', pages('')],
  ])('%s is not believed', async (_, answer) => {
    server.answerWith(answer);
    const driver = await server.open();
    expect((await failureOf(listAll(driver))).code).toBe('BAD_LISTING');
  });

  it('of a page that is larger than any can be is not taken in', async () => {
    const page = listPage(['a']).replace('<Name>', `<Padding>${'x'.repeat(65 * 2 ** 20)}</Padding><Name>`);
    server.answerWith(() => ({ body: page }));
    const driver = await server.open();
    await expect(listAll(driver)).rejects.toMatchObject({ code: 'BAD_LISTING', retryable: false });
  });

  it('of keys under another prefix is not believed', async () => {
    server.answerWith(pages(listPage(['a', 'b'])));
    const driver = await server.open();
    expect((await failureOf(listAll(driver, 'a'))).code).toBe('BAD_LISTING');
  });

  it('that is an error in spite of its status is that error', async () => {
    server.answerWith(() => ({ ...errorReply(200, 'SlowDown'), status: 200 }));
    const driver = await server.open();
    expect((await failureOf(listAll(driver))).code).toBe('RATE_LIMITED');
  });
});

describe('stat', () => {
  const full = createHash('sha256').update('x').digest();

  it.each([
    [
      'a whole object',
      { etag: '"0123456789abcdef0123456789abcdef"', 'x-amz-checksum-sha256': full.toString('base64') },
      { md5: '0123456789abcdef0123456789abcdef', sha256: full.toString('hex') },
    ],
    [
      'one of parts',
      {
        etag: '"0123456789abcdef0123456789abcdef-3"',
        'x-amz-checksum-sha256': `${full.toString('base64')}-3`,
      },
      { md5: undefined, sha256: undefined },
    ],
    [
      'one with a composite checksum',
      { 'x-amz-checksum-sha256': full.toString('base64'), 'x-amz-checksum-type': 'COMPOSITE' },
      { sha256: undefined },
    ],
    [
      'one under a KMS key',
      { etag: '"0123456789abcdef0123456789abcdef"', 'x-amz-server-side-encryption': 'aws:kms' },
      { etag: '0123456789abcdef0123456789abcdef', md5: undefined },
    ],
  ])('claims of %s only what the store computed over all of it', async (_, headers, expected) => {
    server.answerWith(() => ({ headers: { ...headers, 'content-length': '1' } }));
    const driver = await server.open();
    const stat = await driver.stat('key');
    expect({ ...expected, ...stat }).toMatchObject(expected);
    expect(server.requests[0]?.headers).toMatchObject({ 'x-amz-checksum-mode': 'ENABLED' });
  });
});

describe('an object without a length', () => {
  const unknown = { code: 'UNAVAILABLE', retryable: true };

  it('has not the length 0', async () => {
    server.answerWith(() => ({ headers: { etag: '"e"' }, isForeign: true }));
    const driver = await server.open();
    expect(await failureOf(driver.stat('key'))).toMatchObject(unknown);
  });

  it('does not end where its connection does', async () => {
    server.answerWith(() => ({ body: 'perhaps not all', isEndless: true }));
    const driver = await server.open();
    expect(await failureOf(readAll(driver, 'key'))).toMatchObject(unknown);
    expect(await failureOf(driver.readSmall('key', 100))).toMatchObject(unknown);
  });

  it('ends where its last chunk says', async () => {
    server.answerWith(() => ({ body: 'all of it' }));
    const driver = await server.open();
    expect(Buffer.from(await readAll(driver, 'key')).toString()).toBe('all of it');
    expect(Buffer.from(await driver.readSmall('key', 100)).toString()).toBe('all of it');
  });
});

describe('a multipart upload', () => {
  const openSmall = (options = {}): Promise<Driver> =>
    server.open({ singlePutMaxBytes: MIB, partSizeBytes: 5 * MIB, ...options });
  const content = randomBytes(12 * MIB);

  it('whose completion is an error in spite of its status fails and is aborted', async () => {
    const completes = ({ method, path }: SeenRequest) => method === 'POST' && path.includes('uploadId=U1');
    server.answerWith(
      multipartStore((request) =>
        completes(request) ? { ...errorReply(200, 'AccessDenied'), status: 200 } : undefined,
      ),
    );
    const driver = await openSmall();
    expect((await failureOf(driver.write('key', streamOf(content)))).code).toBe('PERMISSION_DENIED');
    expect(abortsSeen()).toHaveLength(1);
  });

  it.each([
    ['without a name', '<InitiateMultipartUploadResult></InitiateMultipartUploadResult>'],
    [
      'with an empty name',
      '<InitiateMultipartUploadResult><UploadId></UploadId></InitiateMultipartUploadResult>',
    ],
    ['by a web page', '<html><body>Sign in</body></html>'],
  ])('that is begun %s is none, and nothing more is sent', async (_, body) => {
    const begins = ({ method, path }: SeenRequest) => method === 'POST' && path.includes('uploads');
    server.answerWith(multipartStore((request) => (begins(request) ? { body } : undefined)));
    const driver = await openSmall({ copyMaxBytes: MIB });
    const source = { identity: driver.identity, key: 'from', sizeBytes: 6 * MIB, etag: 'e' };
    for (const call of [
      () => driver.write('key', streamOf(content)),
      () => driver.copyFrom?.(source, 'to'),
    ]) {
      expect(await failureOf(call())).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    }
    expect(server.requests.map(({ path }) => path.replace(/\?.*$/, ''))).toEqual([
      '/bucket/key',
      '/bucket/to',
    ]);
  });

  it('that somebody else aborted says nothing of an object', async () => {
    const isPart = ({ path }: SeenRequest) => path.includes('partNumber=1');
    server.answerWith(
      multipartStore((request) =>
        isPart(request) || request.method === 'DELETE' ? errorReply(404, 'NoSuchUpload') : undefined,
      ),
    );
    const driver = await openSmall({ copyMaxBytes: MIB });
    const source = { identity: driver.identity, key: 'from', sizeBytes: 6 * MIB, etag: 'e' };
    for (const call of [
      () => driver.write('key', streamOf(content)),
      () => driver.copyFrom?.(source, 'to'),
    ]) {
      const failure = await failureOf(call());
      expect(failure).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
      // The upload is gone, so nothing of it is left that could not be aborted.
      expect(failure.message).not.toContain('could not be aborted');
    }
    await driver.abortUpload?.({ key: 'key', uploadId: 'U1', startedAtMs: 0 });
  });

  describe('whose completion was answered into nothing and is asked for again', () => {
    const answerToHead = (head: Reply) => {
      let completions = 0;
      const completes = ({ method, path }: SeenRequest) => method === 'POST' && path.includes('uploadId=U1');
      server.answerWith(
        multipartStore((request) => {
          if (request.method === 'HEAD') {
            return head;
          }
          if (request.method === 'DELETE') {
            return errorReply(404, 'NoSuchUpload');
          }
          completions += completes(request) ? 1 : 0;
          const first = { body: '<Comp', thenReset: true };
          return completes(request)
            ? completions === 1
              ? first
              : errorReply(404, 'NoSuchUpload')
            : undefined;
        }),
      );
      return openSmall();
    };
    const sizeBytes = String(content.byteLength);

    it('is done where the object is there, of the same size and number of parts', async () => {
      const driver = await answerToHead({ headers: { 'content-length': sizeBytes, etag: '"0a-3"' } });
      await driver.write('key', streamOf(content));
      expect(abortsSeen()).toEqual([]);
    });

    it.each<[string, Reply]>([
      ['is absent', { status: 404 }],
      ['has another size', { headers: { 'content-length': '1', etag: '"0a-3"' } }],
      ['has other parts', { headers: { 'content-length': sizeBytes, etag: '"0a-13"' } }],
      ['was put whole', { headers: { 'content-length': sizeBytes, etag: '"0a"' } }],
    ])('has to be made again where the object %s', async (_, head) => {
      const driver = await answerToHead(head);
      const failure = await failureOf(driver.write('key', streamOf(content)));
      expect(failure).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    });
  });

  it('whose completion is granted by a web page fails and is aborted', async () => {
    const completes = ({ method, path }: SeenRequest) => method === 'POST' && path.includes('uploadId=U1');
    const page = '<html><body>Sign in</body></html>';
    server.answerWith(multipartStore((request) => (completes(request) ? { body: page } : undefined)));
    const driver = await openSmall();
    const failure = await failureOf(driver.write('key', streamOf(content)));
    expect(failure).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    expect(abortsSeen()).toHaveLength(1);
  });

  it('is not completed with another digest, but aborted', async () => {
    server.answerWith(multipartStore());
    const driver = await openSmall();
    const expectedDigest = sha256(new Uint8Array());
    expect((await failureOf(driver.write('key', streamOf(content), { expectedDigest }))).code).toBe(
      'CORRUPT',
    );
    expect(
      server.requests.filter(({ path }) => /^[^?]*\?uploadId=/.test(path)).map(({ method }) => method),
    ).toEqual(['DELETE']);
  });

  it('tells of each retry of a part', async () => {
    let failures = 0;
    const isPart = ({ path }: SeenRequest) => path.includes('partNumber=2');
    server.answerWith(
      multipartStore((request) => {
        failures += isPart(request) ? 1 : 0;
        return isPart(request) && failures === 1 ? errorReply(503, 'SlowDown') : undefined;
      }),
    );
    const retries: S3Retry[] = [];
    const driver = await openSmall({ onRetry: (retry: S3Retry) => retries.push(retry) });
    await driver.write('key', streamOf(content), { expectedDigest: sha256(content) });
    expect(retries.map(({ operation, attempt, error }) => [operation, attempt, error.code])).toEqual([
      ['UploadPartCommand', 1, 'RATE_LIMITED'],
    ]);
    expect(abortsSeen()).toEqual([]);
  });

  it('signs what each part is, so that the store can refuse another', async () => {
    server.answerWith(multipartStore());
    const driver = await openSmall();
    await driver.write('key', streamOf(content), { expectedDigest: sha256(content) });
    const parts = server.requests.filter(({ path }) => path.includes('partNumber='));
    const inOrder = parts.toSorted((left, right) => (left.path < right.path ? -1 : 1));
    expect(Buffer.concat(inOrder.map(({ body }) => body)).equals(content)).toBe(true);
    for (const { headers, body } of parts) {
      expect(headers['x-amz-content-sha256']).toBe(sha256(body).hex);
      expect(headers['content-length']).toBe(String(body.byteLength));
    }
  });

  it('sends a part again that was damaged on its way', async () => {
    let refused = 0;
    server.answerWith(
      multipartStore(({ path }) => {
        const isFirst = path.includes('partNumber=1') && refused === 0;
        refused += isFirst ? 1 : 0;
        return isFirst ? errorReply(400, 'XAmzContentSHA256Mismatch') : undefined;
      }),
    );
    const driver = await openSmall();
    await driver.write('key', streamOf(content), { expectedDigest: sha256(content) });
    expect(server.requests.filter(({ path }) => path.includes('partNumber=1'))).toHaveLength(2);
    expect(abortsSeen()).toEqual([]);
  });

  it('gives a part up after six attempts, and is aborted', async () => {
    server.answerWith(
      multipartStore(({ path }) =>
        path.includes('partNumber=1') ? errorReply(503, 'SlowDown', { 'retry-after': '0' }) : undefined,
      ),
    );
    const driver = await openSmall();
    const failure = await failureOf(driver.write('key', streamOf(content)));
    expect(failure).toMatchObject({ code: 'RATE_LIMITED', retryable: true });
    expect(server.requests.filter(({ path }) => path.includes('partNumber=1'))).toHaveLength(6);
    expect(abortsSeen()).toHaveLength(1);
  });

  it('that is answered without the ETag of a part is not completed', async () => {
    server.answerWith(
      multipartStore(({ path }) => (path.includes('partNumber=') ? { isForeign: true } : undefined)),
    );
    const driver = await openSmall();
    expect(await failureOf(driver.write('key', streamOf(content)))).toMatchObject({
      code: 'UNAVAILABLE',
      retryable: true,
    });
    expect(abortsSeen()).toHaveLength(1);
  });

  it('that cannot even be aborted says that it stays', async () => {
    const refuse = ({ method, path }: SeenRequest) => method === 'DELETE' || path.includes('partNumber');
    server.answerWith(
      multipartStore((request) => (refuse(request) ? errorReply(403, 'AccessDenied') : undefined)),
    );
    const driver = await openSmall();
    const failure = await failureOf(driver.write('key', streamOf(content)));
    expect(failure.code).toBe('PERMISSION_DENIED');
    expect(failure.message).toContain('U1 could not be aborted');
  });
});

describe('a server-side copy', () => {
  it('that is an error in spite of its status fails', async () => {
    server.answerWith(() => ({ ...errorReply(200, 'AccessDenied'), status: 200 }));
    const driver = await server.open();
    const source = { identity: driver.identity, key: 'from', sizeBytes: 5, etag: 'e' };
    expect((await failureOf(driver.copyFrom?.(source, 'to'))).code).toBe('PERMISSION_DENIED');
  });

  it.each([6, 5 * MIB + 1])('of %i bytes that is granted by a web page fails', async (sizeBytes) => {
    const page = { body: '<html><body>Sign in</body></html>' };
    server.answerWith(
      multipartStore(({ headers }) => (headers['x-amz-copy-source'] === undefined ? undefined : page)),
    );
    const driver = await server.open({ copyMaxBytes: 5 * MIB });
    const source = { identity: driver.identity, key: 'from', sizeBytes, etag: 'e' };
    expect(await failureOf(driver.copyFrom?.(source, 'to'))).toMatchObject({
      code: 'UNAVAILABLE',
      retryable: true,
    });
  });

  it('names its source byte for byte, and the version that it wants', async () => {
    server.answerWith(() => ({ body: '<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>' }));
    const driver = await server.open();
    const identity = { ...driver.identity, container: 'other', root: 'röt/' };
    await driver.copyFrom?.({ identity, key: 'a b+%41', sizeBytes: 5, etag: 'e' }, 'to');
    expect(server.requests[0]?.headers).toMatchObject({
      'x-amz-copy-source': 'other/r%C3%B6t/a%20b%2B%2541',
      'x-amz-copy-source-if-match': '"e"',
    });
  });

  it('in parts covers every byte once, and is aborted when a part fails', async () => {
    server.answerWith(multipartStore());
    const driver = await server.open({ copyMaxBytes: MIB, copyPartBytes: 5 * MIB });
    const source = { identity: driver.identity, key: 'from', sizeBytes: 11 * MIB, etag: 'e' };
    await driver.copyFrom?.(source, 'to');
    const ranges = server.requests.flatMap(({ headers }) => headers['x-amz-copy-source-range'] ?? []);
    expect(ranges.sort()).toEqual(['bytes=0-5242879', 'bytes=10485760-11534335', 'bytes=5242880-10485759']);

    const isSecond = ({ path }: SeenRequest) => path.includes('partNumber=2');
    server.answerWith(
      multipartStore((request) => (isSecond(request) ? errorReply(412, 'PreconditionFailed') : undefined)),
    );
    expect((await failureOf(driver.copyFrom?.(source, 'to'))).code).toBe('PRECONDITION_FAILED');
    expect(abortsSeen()).toHaveLength(1);
  });
});

describe('delete', () => {
  it('proves its list of keys by Content-MD5 alone, a thousand keys at a time', async () => {
    server.answerWith(() => ({ body: '<DeleteResult></DeleteResult>' }));
    const driver = await server.open();
    expect(await driver.delete(Array.from({ length: 1001 }, (_, index) => `k${index}`))).toEqual([]);
    expect(server.requests.map(({ body }) => body.toString().split('<Key>').length - 1)).toEqual([1000, 1]);
    for (const { headers, body } of server.requests) {
      expect(headers['content-md5']).toBe(createHash('md5').update(body).digest('base64'));
      expect(Object.keys(headers).filter((name) => name.includes('checksum'))).toEqual([]);
    }
  });

  it('returns the keys that an answer of 200 names as failed, absent ones aside', async () => {
    const failed = (key: string, code: string) => `<Error><Key>${key}</Key><Code>${code}</Code></Error>`;
    server.answerWith(() => ({
      body: `<DeleteResult>${failed('r/kept&amp;', 'AccessDenied')}${failed('r/gone', 'NoSuchKey')}</DeleteResult>`,
    }));
    const driver = await server.open({ root: 'r/' });
    const failures = await driver.delete(['kept&', 'gone', 'deleted']);
    expect(failures).toMatchObject([{ key: 'kept&', error: { code: 'PERMISSION_DENIED' } }]);
  });

  it.each([
    ['a web page', '<html><body>Sign in</body></html>'],
    ['nothing', ''],
    ['an error', '<Error><Code>InternalError</Code></Error>'],
    ['a list that breaks off', '<DeleteResult><Error><Key>other</Key><Code>AccessDenied</Code></Error><Err'],
  ])('has deleted nothing where success comes with %s', async (_, body) => {
    server.answerWith(() => ({ body }));
    const driver = await server.open();
    expect(await failureOf(driver.delete(['key', 'other']))).toMatchObject({
      code: 'UNAVAILABLE',
      retryable: true,
    });
  });

  it.each([
    '<?xml version="1.0" encoding="UTF-8"?>\n<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>',
    '<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></DeleteResult>\n',
  ])('has deleted all where none is named in %s', async (body) => {
    server.answerWith(() => ({ body }));
    const driver = await server.open();
    expect(await driver.delete(['key'])).toEqual([]);
  });

  it('of a single key is not done where success comes with a web page', async () => {
    server.answerWith(() => ({ body: '<html><body>Sign in</body></html>' }));
    const driver = await server.open();
    expect(await driver.delete(['bell\u0007'])).toMatchObject([
      { error: { code: 'UNAVAILABLE', retryable: true } },
    ]);
  });

  it('goes key by key where XML cannot carry a key or the store has no batches', async () => {
    server.answerWith(({ method }) =>
      method === 'POST' ? errorReply(501, 'NotImplemented') : { status: 204 },
    );
    const driver = await server.open();
    expect(await driver.delete(['bell\u0007', 'plain'])).toEqual([]);
    const deleted = server.requests.filter(({ method }) => method === 'DELETE').map(({ path }) => path);
    expect(deleted.sort()).toEqual(['/bucket/bell%07', '/bucket/plain']);
  });
});

describe('a list of multipart uploads', () => {
  const upload = (key: string, id: string, more = '') =>
    `<Upload><Key>${key}</Key><UploadId>${id}</UploadId>${more}<Initiated>2024-05-06T07:08:09.000Z</Initiated></Upload>`;
  const page = (content: string) =>
    `<?xml version="1.0"?>\n<ListMultipartUploadsResult xmlns="x"><KeyMarker></KeyMarker>${content}</ListMultipartUploadsResult>`;
  const next = (key: string, id: string) =>
    `<IsTruncated>true</IsTruncated><NextKeyMarker>${key}</NextKeyMarker><NextUploadIdMarker>${id}</NextUploadIdMarker>`;
  const last = '<IsTruncated>false</IsTruncated>';
  const uploadsIn = async (body: (request: SeenRequest) => string) => {
    server.answerWith((request) => ({ body: body(request) }));
    const driver = await server.open({ root: 'root/' });
    const found = [];
    for await (const uploads of driver.listUploads?.('blobs/') ?? []) {
      found.push(...uploads);
    }
    return found;
  };

  it('goes on where the page before ended, and undoes what XML escapes', async () => {
    const pages: Record<string, string> = {
      none: page(
        next('root/blobs/a&amp;b', 'U+1') + upload('root/blobs/a&amp;b', 'U+1', '<Owner><ID>i</ID></Owner>'),
      ),
      'root/blobs/a&b U+1': page(last + upload('root/blobs/c', 'U2')),
    };
    const found = await uploadsIn(({ path }) => {
      const query = new URL(path, 'http://x').searchParams;
      expect([query.get('uploads'), query.get('prefix')]).toEqual(['', 'root/blobs/']);
      const at = query.get('key-marker');
      return pages[at === null ? 'none' : `${at} ${query.get('upload-id-marker')}`] ?? '';
    });
    const startedAtMs = Date.UTC(2024, 4, 6, 7, 8, 9);
    expect(found).toEqual([
      { key: 'blobs/a&b', uploadId: 'U+1', startedAtMs },
      { key: 'blobs/c', uploadId: 'U2', startedAtMs },
    ]);
  });

  it.each([
    ['goes in circles', page(next('root/blobs/a', 'U1') + upload('root/blobs/a', 'U1'))],
    ['does not say how it goes on', page('<IsTruncated>true</IsTruncated>')],
    ['does not say whether it goes on', page(upload('root/blobs/a', 'U1'))],
    [
      'only names where it would go on',
      page(`<NextKeyMarker>root/blobs/a</NextKeyMarker>${upload('root/blobs/a', 'U1')}`),
    ],
    ['holds another prefix', page(last + upload('root/other/a', 'U1'))],
    ['holds an upload without a name', page(last + upload('root/blobs/a', ''))],
    ['ends midway', page(last + upload('root/blobs/a', 'U1')).slice(0, -40)],
    ['is something else', '<html></html>'],
    ['has a key that is no XML text', page(last + upload('root/blobs/&bogus;', 'U1'))],
  ])('that %s is no list', async (_, body) => {
    expect(await failureOf(uploadsIn(() => body))).toMatchObject({ code: 'BAD_LISTING' });
  });

  it('that goes on and on without an upload is no list', async () => {
    let pages = 0;
    const endless = (): string => {
      pages += 1;
      return page(next(`root/blobs/${pages}`, 'U1'));
    };
    expect(await failureOf(uploadsIn(endless))).toMatchObject({ code: 'BAD_LISTING' });
  });

  it('that is larger than any can be is not taken in', async () => {
    const padded = page(`${last}<Padding>${'x'.repeat(65 * 2 ** 20)}</Padding>`);
    expect(await failureOf(uploadsIn(() => padded))).toMatchObject({ code: 'BAD_LISTING', retryable: false });
  });
});
