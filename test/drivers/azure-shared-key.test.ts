import {
  BlockBlobClient,
  ContainerClient,
  newPipeline,
  StorageSharedKeyCredential,
  type Pipeline,
} from '@azure/storage-blob';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeName } from '../../src/drivers/azure/keys.ts';
import { openSharedKeySigner } from '../../src/drivers/azure/shared-key.ts';

/** A request as the SDK would have sent it. */
interface Signed {
  method: string;
  url: URL;
  /** Names in lower case. */
  headers: Record<string, string>;
}

/** Lets the SDK build and sign a request, and keeps it from being sent. */
async function signedBySdk(
  accountName: string,
  accountKey: string,
  call: (pipeline: Pipeline) => Promise<unknown>,
): Promise<Signed> {
  let signed: Signed | undefined;
  const credential = new StorageSharedKeyCredential(accountName, accountKey);
  const pipeline = newPipeline(credential, {
    retryOptions: { maxTries: 1 },
    httpClient: {
      sendRequest: ({ method, url, headers }) => {
        const entries = headers.headersArray().map(({ name, value }) => [name.toLowerCase(), value]);
        signed = { method, url: new URL(url), headers: Object.fromEntries(entries) };
        return Promise.reject(new Error('not sent'));
      },
    },
  });
  await expect(call(pipeline)).rejects.toThrow('not sent');
  if (signed === undefined) {
    throw new Error('The SDK signed nothing.');
  }
  return signed;
}

function signedHere(accountName: string, accountKey: string, { method, url, headers }: Signed): string {
  const { authorization: _, ...unsigned } = headers;
  const query = [...url.searchParams].map(([name, value]) => [name, value] as const);
  return openSharedKeySigner(
    accountName,
    accountKey,
  )({ method, path: url.pathname, query, headers: Object.entries(unsigned).flat() });
}

const anyAccount = fc.stringMatching(/^[a-z0-9]{3,24}$/u);
const anyKey = fc
  .uint8Array({ minLength: 1, maxLength: 64 })
  .map((bytes) => Buffer.from(bytes).toString('base64'));
const anyService = fc.constantFrom(
  (account: string) => `https://${account}.blob.core.windows.net`,
  (account: string) => `http://127.0.0.1:10000/${account}`,
);
const anyMd5 = fc.uint8Array({ minLength: 16, maxLength: 16 });
/** Without what the driver refuses, and what the SDK loses on its way: a URL folds dots away. */
const anyName = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 60 })
  .filter((name) => !/[\p{Cs}\p{Cc}\\]/u.test(name) && !name.endsWith('.') && !name.includes('./'));
const anyText = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 30 })
  .filter((text) => !/[\p{Cs}\p{Cc}]/u.test(text));

describe('signing a request to Azure with an account key', () => {
  it('gives the signature of the SDK for a Put Blob', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          account: anyAccount,
          key: anyKey,
          service: anyService,
          name: anyName,
          md5: anyMd5,
          content: fc.uint8Array({ maxLength: 200 }),
        }),
        async ({ account, key, service, name, md5, content }) => {
          const signed = await signedBySdk(account, key, async (pipeline) => {
            const blob = new ContainerClient(`${service(account)}/container`, pipeline).getBlockBlobClient(
              name,
            );
            await blob.upload(Buffer.from(content), content.byteLength, {
              blobHTTPHeaders: { blobContentMD5: md5 },
            });
          });
          expect(signed.headers['x-ms-blob-content-md5']).toBe(Buffer.from(md5).toString('base64'));
          expect(signedHere(account, key, signed)).toBe(signed.headers['authorization']);
        },
      ),
    );
  });

  it('gives the signature of the SDK for a Put Block, which bears Content-MD5', async () => {
    await fc.assert(
      fc.asyncProperty(anyKey, anyMd5, anyText, async (key, md5, id) => {
        const signed = await signedBySdk('account', key, async (pipeline) => {
          const blob = new BlockBlobClient('https://account.blob.core.windows.net/container/name', pipeline);
          const blockId = Buffer.from(id).toString('base64');
          await blob.stageBlock(blockId, 'abc', 3, { transactionalContentMD5: md5 });
        });
        expect(signed.headers['content-md5']).toBe(Buffer.from(md5).toString('base64'));
        expect(signedHere('account', key, signed)).toBe(signed.headers['authorization']);
      }),
    );
  });

  it('gives the signature of the SDK for a Get Blob from an offset on, if it is still the same', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyKey,
        anyName,
        fc.nat(),
        fc.stringMatching(/^0x[0-9A-F]*$/u),
        async (key, name, offset, etag) => {
          const signed = await signedBySdk('account', key, async (pipeline) => {
            const container = new ContainerClient('http://127.0.0.1:10000/account/container', pipeline);
            await container
              .getBlobClient(name)
              .download(offset, undefined, { conditions: { ifMatch: `"${etag}"` } });
          });
          expect(signed.headers['if-match']).toBe(`"${etag}"`);
          expect(signedHere('account', key, signed)).toBe(signed.headers['authorization']);
        },
      ),
    );
  });

  it('gives the signature of the SDK for a List Blobs, whatever is asked for', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          account: anyAccount,
          key: anyKey,
          service: anyService,
          prefix: anyText,
          marker: anyText,
        }),
        fc.integer({ min: 1, max: 5000 }),
        fc.boolean(),
        async ({ account, key, service, prefix, marker }, maxPageSize, isFlat) => {
          const signed = await signedBySdk(account, key, async (pipeline) => {
            const container = new ContainerClient(`${service(account)}/container`, pipeline);
            const options = { prefix, includeMetadata: true };
            const listing = isFlat
              ? container.listBlobsFlat(options)
              : container.listBlobsByHierarchy('/', options);
            await listing.byPage({ maxPageSize, continuationToken: marker }).next();
          });
          expect(signed.url.searchParams.get('include')).toBe('metadata');
          expect(signedHere(account, key, signed)).toBe(signed.headers['authorization']);
        },
      ),
    );
  });

  it('signs one request after another as if each were the first, whatever headers each has', () => {
    const anyHeaders = fc
      .subarray([
        'content-md5',
        'content-type',
        'content-length',
        'if-match',
        'x-ms-date',
        'x-ms-version',
        'x-ms-a',
      ])
      .chain((names) => fc.shuffledSubarray(names, { minLength: names.length }))
      .map((names) => names.flatMap((name, index) => [name, `${name} ${index}`]));
    const request = { method: 'PUT', path: '/container/name', query: [] };
    fc.assert(
      fc.property(fc.array(anyHeaders, { minLength: 2, maxLength: 8 }), (sequence) => {
        const sign = openSharedKeySigner('account', 'a2V5');
        for (const headers of sequence) {
          const alone = openSharedKeySigner('account', 'a2V5');
          expect(sign({ ...request, headers })).toBe(alone({ ...request, headers }));
        }
      }),
    );
  });

  it('encodes a name as the SDK does', async () => {
    await fc.assert(
      fc.asyncProperty(anyName, async (name) => {
        const { url } = await signedBySdk('account', 'a2V5', async (pipeline) => {
          const container = new ContainerClient('https://account.blob.core.windows.net/container', pipeline);
          await container.getBlobClient(name).getProperties();
        });
        expect(`/container/${encodeName(name)}`).toBe(url.pathname);
      }),
    );
  });
});
