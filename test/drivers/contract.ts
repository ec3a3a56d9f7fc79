import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ContentDigest, Driver, ObjectStat, ReadOptions } from '../../src/drivers/driver.ts';
import { isDriverError } from '../../src/drivers/errors.ts';

export interface ContractFactory {
  /** An empty store. Called once for each group of tests; `dispose` ends it. */
  open(): Promise<{ driver: Driver; dispose(): Promise<void> }>;
  /** Keys that this store cannot hold: a write must say INVALID_KEY. */
  refuses?: (key: string) => boolean;
  /** Size of the body that takes the path for large content (multipart, blocks). */
  largeBytes?: number;
  /** More objects than one page of a listing holds. */
  manyObjects?: number;
}

/** Keys that stores and tools are known to mangle (facts: peers.md section 4.7, test-servers.md sections 1 and 2). */
const awkwardKeys = [
  'plain',
  'a//b',
  '/leading',
  '//two-leading',
  'trailing/',
  'with space',
  'plus+and&and=and%41',
  'question?mark#hash',
  'quote"\'<>`',
  'Grüße/日本語',
  'emoji-😀',
  'a-b/x',
  'a/x',
  'a.b/x',
  'back\\slash',
  'semi;colon:comma,at@dollar$',
  '~tilde(paren)*star!',
  'dots/a..b/...c',
];

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const sha256 = (content: Uint8Array): ContentDigest => ({
  algorithm: 'sha256',
  hex: createHash('sha256').update(content).digest('hex'),
});

export async function listAll(driver: Driver, prefix = ''): Promise<ObjectStat[]> {
  const found: ObjectStat[] = [];
  for await (const page of driver.list(prefix)) {
    expect(page.length).toBeGreaterThan(0);
    found.push(...page);
  }
  return found;
}

export async function readAll(driver: Driver, key: string, options?: ReadOptions): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of driver.read(key, options)) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** A stream body in uneven chunks that counts how often it was opened. */
function streamOf(content: Uint8Array, chunkBytes = 50_000) {
  return {
    sizeBytes: content.byteLength,
    async *open() {
      for (let start = 0; start < content.byteLength; start += chunkBytes) {
        yield content.subarray(start, start + chunkBytes);
      }
    },
  };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'no error';
  } catch (error) {
    return isDriverError(error) ? error.code : `not a DriverError: ${String(error)}`;
  }
}

/** What `src/drivers/driver.ts` promises, run against every driver and every wrapper. */
export function describeDriver(name: string, factory: ContractFactory): void {
  describe(`driver contract: ${name}`, () => {
    let driver: Driver;
    let dispose: () => Promise<void>;
    const refuses = factory.refuses ?? (() => false);
    const largeBytes = factory.largeBytes ?? 200_000;

    beforeAll(async () => {
      ({ driver, dispose } = await factory.open());
    });
    afterAll(async () => {
      await driver?.close();
      await dispose?.();
    });

    it('starts empty', async () => {
      expect(await listAll(driver, 'nothing-here/')).toEqual([]);
      expect(await driver.listFolder('nothing-here/')).toEqual({ folders: [], objects: [] });
    });

    it.each(awkwardKeys.filter((key) => !refuses(key)))('keeps the key %j exactly', async (key) => {
      const fullKey = `exact/${key}`;
      await driver.write(fullKey, bytes(key));
      expect((await readAll(driver, fullKey)).toString()).toBe(key);
      expect((await driver.stat(fullKey))?.key).toBe(fullKey);
      expect((await listAll(driver, fullKey)).map((object) => object.key)).toContain(fullKey);
      expect(await driver.delete([fullKey])).toEqual([]);
      expect(await driver.stat(fullKey)).toBeUndefined();
    });

    it.each(awkwardKeys.filter((key) => refuses(key)))(
      'refuses the key %j and writes nothing',
      async (key) => {
        expect(await codeOf(driver.write(key, bytes('x')))).toBe('INVALID_KEY');
        expect((await listAll(driver)).filter((object) => object.key.includes(key))).toEqual([]);
      },
    );

    it('keeps a key that starts with a slash apart from the one without', async () => {
      if (refuses('/apart')) {
        return;
      }
      await driver.write('apart', bytes('plain'));
      await driver.write('/apart', bytes('slash'));
      expect((await readAll(driver, 'apart')).toString()).toBe('plain');
      expect((await readAll(driver, '/apart')).toString()).toBe('slash');
      await driver.delete(['/apart']);
      expect((await readAll(driver, 'apart')).toString()).toBe('plain');
      await driver.delete(['apart']);
    });

    it('lists in the order of the key bytes, each key once, over more than one page', async () => {
      const count = factory.manyObjects ?? 30;
      const keys = Array.from({ length: count }, (_, index) => `many/${(index * 7919) % count}-${index % 3}`);
      keys.push(
        ...['a-b/x', 'a/x', 'a.b/x', 'a/x-y', 'a/x/y', 'a0/x', 'A/x', 'é/x', 'z']
          .filter((key) => key !== 'a/x' && !refuses(key))
          .map((key) => `many/${key}`),
      );
      await inParallel(keys, (key) => driver.write(key, bytes('x')));
      const listed = (await listAll(driver, 'many/')).map((object) => object.key);
      expect(listed).toEqual([...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
      const emptied: string[] = [];
      for await (const batch of driver.list('many/')) {
        emptied.push(...batch.map((object) => object.key));
        batch.length = 0;
      }
      expect(emptied).toEqual(listed);
      expect(await driver.delete(keys)).toEqual([]);
      expect(await listAll(driver, 'many/')).toEqual([]);
    });

    it('takes a prefix that is no folder as a plain prefix', async () => {
      const keys = ['prefix/ab1', 'prefix/ab2/x', 'prefix/ac', 'prefix/b'];
      await inParallel(keys, (key) => driver.write(key, bytes('x')));
      expect((await listAll(driver, 'prefix/ab')).map((object) => object.key)).toEqual([
        'prefix/ab1',
        'prefix/ab2/x',
      ]);
      expect((await listAll(driver, 'prefix/b')).map((object) => object.key)).toEqual(['prefix/b']);
      await driver.delete(keys);
    });

    it('lists one level with its folders and objects', async () => {
      const keys = ['level/a/1', 'level/a/2', 'level/a-b/1', 'level/file', 'level/z/y/x'];
      await inParallel(keys, (key) => driver.write(key, bytes('x')));
      const { folders, objects } = await driver.listFolder('level/');
      expect(folders).toEqual(['level/a-b/', 'level/a/', 'level/z/']);
      expect(objects.map((object) => object.key)).toEqual(['level/file']);
      expect((await driver.listFolder('')).folders).toContain('level/');
      await driver.delete(keys);
    });

    it('tells the size of objects in listing and stat', async () => {
      await driver.write('size/71', randomBytes(71));
      await driver.write('size/0', new Uint8Array());
      expect((await listAll(driver, 'size/')).map(({ key, sizeBytes }) => [key, sizeBytes])).toEqual([
        ['size/0', 0],
        ['size/71', 71],
      ]);
      expect((await driver.stat('size/71'))?.sizeBytes).toBe(71);
      expect((await driver.stat('size/0'))?.sizeBytes).toBe(0);
      await driver.delete(['size/0', 'size/71']);
    });

    it('only claims an MD5 that is the MD5 of the content', async () => {
      const content = randomBytes(71);
      await driver.write('md5', content);
      const expected = createHash('md5').update(content).digest('hex');
      const [listed] = await listAll(driver, 'md5');
      expect([undefined, expected]).toContain(listed?.md5);
      expect([undefined, expected]).toContain((await driver.stat('md5'))?.md5);
      await driver.delete(['md5']);
    });

    it('replaces an object whole, and says so in the ETag', async () => {
      await driver.write('replace', bytes('the first and longer content'));
      const before = await driver.stat('replace');
      await driver.write('replace', bytes('second'));
      const after = await driver.stat('replace');
      expect((await readAll(driver, 'replace')).toString()).toBe('second');
      expect(after?.sizeBytes).toBe(6);
      if (before?.etag !== undefined) {
        expect(after?.etag).not.toBe(before.etag);
      }
      await driver.delete(['replace']);
    });

    it.each([
      ['bytes', (content: Uint8Array) => content],
      ['a stream', (content: Uint8Array) => streamOf(content)],
    ])('writes %s that have the expected digest', async (_, body) => {
      const content = randomBytes(120_000);
      await driver.write('proof/right', body(content), { expectedDigest: sha256(content) });
      expect(Buffer.compare(await readAll(driver, 'proof/right'), content)).toBe(0);
      await driver.delete(['proof/right']);
    });

    it('takes an empty stream', async () => {
      await driver.write('empty', streamOf(new Uint8Array()), { expectedDigest: sha256(new Uint8Array()) });
      expect((await driver.stat('empty'))?.sizeBytes).toBe(0);
      await driver.delete(['empty']);
    });

    it('checks SHA-512 as well', async () => {
      const content = randomBytes(5000);
      const hex = createHash('sha512').update(content).digest('hex');
      await driver.write('proof/512', streamOf(content), { expectedDigest: { algorithm: 'sha512', hex } });
      expect((await driver.stat('proof/512'))?.sizeBytes).toBe(5000);
      const wrong = { algorithm: 'sha512', hex: hex.replace(/^./, hex.startsWith('0') ? '1' : '0') } as const;
      expect(
        await codeOf(driver.write('proof/512-wrong', streamOf(content), { expectedDigest: wrong })),
      ).toBe('CORRUPT');
      expect(await driver.stat('proof/512-wrong')).toBeUndefined();
      await driver.delete(['proof/512']);
    });

    describe.each([
      ['small', 1000],
      ['medium', 120_000],
      ['large', largeBytes],
    ])('a %s body that is not what it should be', (_, sizeBytes) => {
      it('is refused when its digest is another, and nothing is left', async () => {
        const content = randomBytes(sizeBytes);
        const expectedDigest = sha256(randomBytes(10));
        expect(await codeOf(driver.write('refused/stream', streamOf(content), { expectedDigest }))).toBe(
          'CORRUPT',
        );
        expect(await codeOf(driver.write('refused/bytes', content, { expectedDigest }))).toBe('CORRUPT');
        await expectNothingLeft('refused/');
      });

      it('leaves the former object alone', async () => {
        await driver.write('former', bytes('former'));
        const expectedDigest = sha256(randomBytes(10));
        expect(
          await codeOf(driver.write('former', streamOf(randomBytes(sizeBytes)), { expectedDigest })),
        ).toBe('CORRUPT');
        expect((await readAll(driver, 'former')).toString()).toBe('former');
        await driver.delete(['former']);
      });

      it.each([
        ['shorter', -1],
        ['longer', 1],
      ])('is refused when it is %s than it said', async (__, difference) => {
        const content = randomBytes(sizeBytes);
        const body = { ...streamOf(content), sizeBytes: sizeBytes - difference };
        expect(await codeOf(driver.write('length/x', body, { expectedDigest: sha256(content) }))).toBe(
          'CHANGED',
        );
        expect(await codeOf(driver.write('length/y', body))).toBe('CHANGED');
        await expectNothingLeft('length/');
      });

      it('is dropped when reading it fails', async () => {
        const body = {
          sizeBytes,
          async *open() {
            yield new Uint8Array(Math.floor(sizeBytes / 2));
            throw new Error('the disk is gone');
          },
        };
        await expect(driver.write('failing/x', body)).rejects.toThrow('the disk is gone');
        await expectNothingLeft('failing/');
      });
    });

    it('writes and reads large content', async () => {
      const content = randomBytes(largeBytes);
      await driver.write('large', streamOf(content), { expectedDigest: sha256(content) });
      expect(sha256(await readAll(driver, 'large'))).toEqual(sha256(content));
      expect((await driver.stat('large'))?.sizeBytes).toBe(largeBytes);
      await driver.delete(['large']);
    });

    it('reads into memory that it is given, or elsewhere', async () => {
      const content = randomBytes(150_000);
      await driver.write('into', content);
      const read: Buffer[] = [];
      const memory = Buffer.alloc(40_000);
      let given = 0;
      const into = (): Uint8Array | undefined => {
        given += 1;
        return given === 2 ? undefined : memory;
      };
      for await (const chunk of driver.read('into', { into })) {
        read.push(Buffer.from(chunk));
      }
      expect(Buffer.concat(read).equals(content)).toBe(true);
      await driver.delete(['into']);
    });

    it('hashes an object as it is now, where it offers to', async () => {
      const content = randomBytes(400_000);
      await driver.write('hashed', content);
      const seen: number[] = [];
      const onSeen = (seenBytes: number): void => {
        seen.push(seenBytes);
      };
      const expected = driver.hash === undefined ? undefined : sha256(content).hex;
      expect(await driver.hash?.('hashed', 'sha256', { onSeen })).toBe(expected);
      expect(seen.at(-1)).toBe(driver.hash === undefined ? undefined : content.byteLength);
      if (driver.hash !== undefined) {
        const signal = AbortSignal.abort();
        expect(await codeOf(driver.hash('hashed', 'sha256', { signal }))).toBe('ABORTED');
        expect(await codeOf(driver.hash('absent', 'sha256'))).toBe('NOT_FOUND');
      }
      await driver.delete(['hashed']);
    });

    it('says NOT_FOUND for what is not there', async () => {
      expect(await driver.stat('absent')).toBeUndefined();
      expect(await codeOf(readAll(driver, 'absent'))).toBe('NOT_FOUND');
      expect(await codeOf(driver.readSmall('absent', 100))).toBe('NOT_FOUND');
    });

    it('reads small objects whole, and refuses larger ones', async () => {
      await driver.write('small', bytes('sha256:abc'));
      expect(Buffer.from(await driver.readSmall('small', 100)).toString()).toBe('sha256:abc');
      expect(Buffer.from(await driver.readSmall('small', 10)).toString()).toBe('sha256:abc');
      expect(await codeOf(driver.readSmall('small', 9))).toBe('CHANGED');
      await driver.delete(['small']);
    });

    it('deletes exactly the named keys, and again without complaint', async () => {
      const keys = ['delete/a', 'delete/a/b', 'delete/ab'].filter(
        (key) => !refuses('k-and-k/child') || key !== 'delete/a/b',
      );
      await inParallel(keys, (key) => driver.write(key, bytes('x')));
      expect(await driver.delete(['delete/a', 'delete/never'])).toEqual([]);
      expect((await listAll(driver, 'delete/')).map((object) => object.key)).toEqual(
        keys.filter((key) => key !== 'delete/a'),
      );
      expect(await driver.delete(keys)).toEqual([]);
      expect(await driver.delete(keys)).toEqual([]);
      expect(await driver.delete([])).toEqual([]);
    });

    it('stops when the signal is aborted', async () => {
      const signal = AbortSignal.abort();
      await driver.write('abort', bytes('x'));
      expect(await codeOf(driver.stat('abort', { signal }))).toBe('ABORTED');
      expect(await codeOf(driver.readSmall('abort', 10, { signal }))).toBe('ABORTED');
      expect(await codeOf(driver.write('abort/y', bytes('x'), { signal }))).toBe('ABORTED');
      expect(await codeOf(driver.delete(['abort'], { signal }))).toBe('ABORTED');
      const listing = async () => {
        for await (const page of driver.list('', { signal })) {
          expect(page).toBeUndefined();
        }
      };
      expect(await codeOf(listing())).toBe('ABORTED');
      expect((await driver.stat('abort'))?.sizeBytes).toBe(1);
      await driver.delete(['abort']);
    });

    it('stops in the middle of a body, and leaves nothing', async () => {
      const controller = new AbortController();
      const body = {
        sizeBytes: largeBytes,
        async *open() {
          yield randomBytes(Math.floor(largeBytes / 2));
          controller.abort();
          yield randomBytes(largeBytes - Math.floor(largeBytes / 2));
        },
      };
      expect(await codeOf(driver.write('midway/x', body, { signal: controller.signal }))).toBe('ABORTED');
      await expectNothingLeft('midway/');
    });

    it('copies within the service, if the source is still what it was', async () => {
      if (driver.copyFrom === undefined) {
        expect(driver.supports.serverSideCopy).toBe(false);
        return;
      }
      const content = randomBytes(5000);
      for (const key of ['copy/source', 'copy/awkward +%41 Grüße']) {
        await driver.write(key, content);
        const etag = (await driver.stat(key))?.etag ?? '';
        const source = { identity: driver.identity, key, sizeBytes: content.byteLength, etag };
        await driver.copyFrom(source, 'copy/target');
        expect(Buffer.compare(await readAll(driver, 'copy/target'), content)).toBe(0);
        await driver.write(key, randomBytes(5000));
        expect(await codeOf(driver.copyFrom(source, 'copy/stale'))).toBe('PRECONDITION_FAILED');
        await driver.delete([key, 'copy/target']);
      }
      expect(await listAll(driver, 'copy/')).toEqual([]);
    });

    it('describes itself as plain data', () => {
      expect(structuredClone(driver.supports)).toEqual(driver.supports);
      expect(structuredClone(driver.identity)).toEqual(driver.identity);
      expect(driver.supports.multipartUploads).toBe(driver.listUploads !== undefined);
    });

    async function expectNothingLeft(prefix: string): Promise<void> {
      expect(await listAll(driver, prefix)).toEqual([]);
      if (driver.listUploads !== undefined) {
        for await (const uploads of driver.listUploads(prefix)) {
          expect(uploads).toEqual([]);
        }
      }
    }
  });
}

async function inParallel<T>(
  items: readonly T[],
  action: (item: T) => Promise<void>,
  width = 16,
): Promise<void> {
  const queue = [...items];
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
        await action(item);
      }
    }),
  );
}
