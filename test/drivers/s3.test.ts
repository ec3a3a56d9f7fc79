import { createHash, randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ContentDigest, Driver, PendingUpload } from '../../src/drivers/driver.ts';
import type { S3Options } from '../../src/drivers/s3.ts';
import {
  createBucket,
  createRgwUser,
  describeWithServers,
  uniqueName,
  type RgwAccess,
} from '../servers/index.ts';
import { openBucket } from '../support/own-stores.ts';
import { describeDriver, listAll, readAll } from './contract.ts';
import { failureOf } from './failure-of.ts';

const MIB = 1024 * 1024;

async function newBucket(rgw: RgwAccess, options: Partial<S3Options> = {}): Promise<Driver> {
  return openBucket(rgw, options.bucket ?? (await createBucket(rgw)), options);
}

const sha256 = (content: Uint8Array): ContentDigest => ({
  algorithm: 'sha256',
  hex: createHash('sha256').update(content).digest('hex'),
});

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

async function uploadsOf(driver: Driver, prefix = ''): Promise<PendingUpload[]> {
  const found: PendingUpload[] = [];
  for await (const page of driver.listUploads?.(prefix) ?? []) {
    found.push(...page);
  }
  return found;
}

describeWithServers('S3 driver on Ceph RGW', ['rgw'], (servers) => {
  describeDriver('s3, one PUT for each object', {
    largeBytes: 3 * MIB,
    manyObjects: 1100,
    open: async () => ({ driver: await newBucket(servers.rgw), dispose: async () => {} }),
  });

  describeDriver('s3, below a root, large objects in parts', {
    largeBytes: 12 * MIB,
    open: async () => ({
      driver: await newBucket(servers.rgw, {
        root: 'some/prefix/',
        singlePutMaxBytes: 2 * MIB,
        partSizeBytes: 5 * MIB,
      }),
      dispose: async () => {},
    }),
  });

  describe('keys', () => {
    let driver: Driver;
    beforeAll(async () => {
      driver = await newBucket(servers.rgw);
    });

    it.each([
      'a/../b',
      './x',
      'a/./b',
      'a//../b',
      '..',
      'percent%2Fslash',
      '%',
      '%zz',
      'tab\tand\u0001',
      'end ',
    ])('are exact on the wire and under the signature: %j', async (key) => {
      const content = randomBytes(10);
      await driver.write(key, content);
      expect((await listAll(driver)).map((object) => object.key)).toEqual([key]);
      expect(Buffer.compare(await readAll(driver, key), content)).toBe(0);
      expect(await driver.delete([key, 'other'])).toEqual([]);
      expect(await listAll(driver)).toEqual([]);
    });

    it('below a root are apart from those beside it', async () => {
      const bucket = driver.identity.container;
      const below = await newBucket(servers.rgw, { bucket, root: 'root/' });
      await driver.write('rootless', randomBytes(1));
      await driver.write('root/in', randomBytes(1));
      expect((await listAll(below)).map((object) => object.key)).toEqual(['in']);
      await driver.delete(['rootless', 'root/in']);
      await below.close();
    });
  });

  describe('refusals', () => {
    it('names a bucket that does not exist, whatever is asked of it', async () => {
      const driver = await newBucket(servers.rgw, { bucket: uniqueName('absent') });
      const asked = [
        listAll(driver),
        driver.listFolder(''),
        driver.stat('x'),
        readAll(driver, 'x'),
        driver.write('x', randomBytes(10)),
        driver.delete(['x']),
        uploadsOf(driver),
      ];
      const failures = await Promise.all(asked.map(failureOf));
      expect(failures.map(({ code }) => code)).toEqual(asked.map(() => 'STORE_NOT_FOUND'));
      expect(failures[0]?.message).toContain(driver.identity.container);
      expect(failures[0]?.message).toContain(servers.rgw.endpoint);
    });

    it.each([
      ['an unknown access key', { accessKeyId: 'UNKNOWNKEY' }, 'does not know the access key'],
      ['a wrong secret key', { secretAccessKey: 'wrong-secret' }, 'the secret key is wrong'],
    ])('tells %s', async (_, options, sentence) => {
      const driver = await newBucket(servers.rgw, options);
      const asked = [
        listAll(driver),
        driver.stat('x'),
        driver.write('x', randomBytes(10)),
        driver.write('x', streamOf(randomBytes(10 * MIB))),
        driver.delete(['x']),
      ];
      for (const failure of await Promise.all(asked.map(failureOf))) {
        expect(failure).toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
        expect(failure.message).toContain(sentence);
        expect(failure.message).not.toContain('wrong-secret');
        expect(failure.message).not.toContain(servers.rgw.secretKey);
      }
    });

    it('tells credentials that may not enter the bucket', async () => {
      const bucket = await createBucket(servers.rgw);
      const { accessKey, secretKey } = await createRgwUser();
      const driver = await newBucket(servers.rgw, {
        bucket,
        accessKeyId: accessKey,
        secretAccessKey: secretKey,
      });
      expect((await failureOf(listAll(driver))).code).toBe('PERMISSION_DENIED');
      expect((await failureOf(driver.stat('x'))).code).toBe('PERMISSION_DENIED');
      expect((await failureOf(driver.write('x', randomBytes(5)))).code).toBe('PERMISSION_DENIED');
    });
  });

  it('leaves a streamed body to the store, which refuses another one than its digest says', async () => {
    const driver = await newBucket(servers.rgw, { trustStoreChecksum: true });
    const content = randomBytes(2 * MIB);
    const expectedDigest = sha256(randomBytes(1));
    const failure = await failureOf(driver.write('x', streamOf(content), { expectedDigest }));
    expect(failure).toMatchObject({ code: 'CORRUPT', retryable: false });
    expect(await listAll(driver)).toEqual([]);
    await driver.write('x', streamOf(content), { expectedDigest: sha256(content) });
    expect(sha256(await readAll(driver, 'x'))).toEqual(sha256(content));
  });

  it('takes the MD5 from the ETag only of what was put whole', async () => {
    const driver = await newBucket(servers.rgw, { singlePutMaxBytes: MIB, partSizeBytes: 5 * MIB });
    const small = randomBytes(71);
    await driver.write('small', small);
    await driver.write('parts', streamOf(randomBytes(6 * MIB)));
    const md5 = createHash('md5').update(small).digest('hex');
    expect((await listAll(driver)).map((object) => [object.key, object.md5])).toEqual([
      ['parts', undefined],
      ['small', md5],
    ]);
    expect(await driver.stat('small')).toMatchObject({ md5, sizeBytes: 71 });
    expect((await driver.stat('parts'))?.md5).toBeUndefined();
  });

  describe('a multipart upload', () => {
    let driver: Driver;
    beforeAll(async () => {
      driver = await newBucket(servers.rgw, { singlePutMaxBytes: MIB, partSizeBytes: 5 * MIB });
    });

    it('that is interrupted after its first parts is aborted', async () => {
      const controller = new AbortController();
      const pending: PendingUpload[] = [];
      const body = {
        sizeBytes: 40 * MIB,
        async *open() {
          for (let sent = 0; sent < 12; sent += 1) {
            yield randomBytes(MIB);
          }
          while (pending.length === 0) {
            pending.push(...(await uploadsOf(driver)));
          }
          controller.abort();
          yield randomBytes(28 * MIB);
        },
      };
      const failure = await failureOf(driver.write('interrupted', body, { signal: controller.signal }));
      expect(failure.code).toBe('ABORTED');
      expect(pending.map(({ key }) => key)).toEqual(['interrupted']);
      expect(await uploadsOf(driver)).toEqual([]);
      expect(await listAll(driver)).toEqual([]);
    });

    it('ends at once when it is interrupted while its source gives nothing', async () => {
      const controller = new AbortController();
      const body = {
        sizeBytes: 40 * MIB,
        async *open() {
          for (let sent = 0; sent < 12; sent += 1) {
            yield randomBytes(MIB);
          }
          setImmediate(() => controller.abort());
          await new Promise(() => {});
        },
      };
      const failure = await failureOf(driver.write('hanging', body, { signal: controller.signal }));
      expect(failure.code).toBe('ABORTED');
      expect(await uploadsOf(driver)).toEqual([]);
    });

    it('of somebody else is listed with its age and can be aborted, twice even', async () => {
      const { bucket, listed } = await begunUpload(servers.rgw, 'odd key+%41&é/x');
      const other = await newBucket(servers.rgw, { bucket });
      const uploads = await uploadsOf(other, 'odd key+');
      expect(uploads.map(({ key, uploadId }) => [key, uploadId])).toEqual([listed]);
      expect(Math.abs((uploads[0]?.startedAtMs ?? 0) - Date.now())).toBeLessThan(3_600_000);
      for (const upload of [...uploads, ...uploads]) {
        await other.abortUpload?.(upload);
      }
      expect(await uploadsOf(other)).toEqual([]);
    });
  });

  describe('a copy in parts', () => {
    it('has the same content, from another bucket and root', async () => {
      const source = await newBucket(servers.rgw, { root: 'from here/' });
      const target = await newBucket(servers.rgw, {
        root: 'to/',
        copyMaxBytes: MIB,
        copyPartBytes: 5 * MIB,
      });
      const content = randomBytes(12 * MIB);
      await source.write('blöb +', streamOf(content));
      const etag = (await source.stat('blöb +'))?.etag ?? '';
      const described = { identity: source.identity, key: 'blöb +', sizeBytes: content.byteLength, etag };
      await target.copyFrom?.(described, 'copied');
      expect(sha256(await readAll(target, 'copied'))).toEqual(sha256(content));

      await source.write('blöb +', streamOf(randomBytes(12 * MIB)));
      const stale = await failureOf(target.copyFrom?.(described, 'stale') ?? Promise.resolve());
      expect(stale.code).toBe('PRECONDITION_FAILED');
      expect((await listAll(target)).map(({ key }) => key)).toEqual(['copied']);
      expect(await uploadsOf(target)).toEqual([]);
    });
  });

  it('shares one signal among many requests without a warning', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    const driver = await newBucket(servers.rgw);
    const { signal } = new AbortController();
    await Promise.all(
      Array.from({ length: 50 }, (_, index) => driver.write(`k${index}`, randomBytes(9), { signal })),
    );
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });
});

/** Begins a multipart upload as another program would, and tells what a listing should say of it. */
async function begunUpload(rgw: RgwAccess, key: string) {
  const { CreateMultipartUploadCommand, S3Client } = await import('@aws-sdk/client-s3');
  const bucket = await createBucket(rgw);
  const client = new S3Client({
    endpoint: rgw.endpoint,
    region: rgw.region,
    forcePathStyle: true,
    credentials: { accessKeyId: rgw.accessKey, secretAccessKey: rgw.secretKey },
  });
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: key }));
  client.destroy();
  return { bucket, listed: [key, UploadId] };
}
