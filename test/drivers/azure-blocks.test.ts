import { createHash, randomBytes } from 'node:crypto';
import { request as forward, type RequestListener } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { blockIds, fittingBlockBytes } from '../../src/drivers/azure/blocks.ts';
import type { ContentDigest, StreamBody } from '../../src/drivers/driver.ts';
import { partMemory } from '../../src/drivers/part-memory.ts';
import { createContainer, describeWithServers } from '../servers/index.ts';
import { listAll, readAll } from './contract.ts';
import { azureLocalServers } from './azure-local-servers.ts';
import { failureOf } from './failure-of.ts';

const { serve, openAt } = azureLocalServers({ partSizeBytes: 10, singlePutMaxBytes: 10 });

const MEBIBYTE = 2 ** 20;

afterEach(() => {
  vi.restoreAllMocks();
});

const md5Of = (content: Uint8Array): string => createHash('md5').update(content).digest('base64');
const sha256Of = (content: Uint8Array): ContentDigest => ({
  algorithm: 'sha256',
  hex: createHash('sha256').update(content).digest('hex'),
});

/** A body that is `content`, whatever length it says, in chunks of 7 bytes. */
function bodyOf(content: Uint8Array, sizeBytes = content.byteLength): StreamBody {
  return {
    sizeBytes,
    async *open() {
      for (let start = 0; start < content.byteLength; start += 7) {
        yield content.subarray(start, start + 7);
      }
    },
  };
}

interface Asked {
  what: string;
  /** Of a block; null otherwise. */
  id: string | null;
  headers: NodeJS.Dict<string | string[]>;
  body: Buffer;
}

interface Answer {
  status: number;
  headers?: Record<string, string>;
}

/** A service that takes everything, but what `refuse` or a wrong MD5 speaks against. */
function service(refuse: (asked: Asked, seen: Asked[]) => Answer | undefined = () => undefined) {
  const seen: Asked[] = [];
  const listener: RequestListener = (request, response) => {
    void (async () => {
      const { searchParams } = new URL(request.url ?? '', 'http://service');
      const asked: Asked = {
        what: `${request.method} ${searchParams.get('comp')}`,
        id: searchParams.get('blockid'),
        headers: request.headers,
        body: await buffer(request),
      };
      const { status, headers } = refuse(asked, seen) ?? { status: 201 };
      seen.push(asked);
      response.writeHead(status, headers).end();
    })();
  };
  return { seen, listener };
}

const content = randomBytes(35);

describe('writing a blob to Azure in blocks', () => {
  it('sends each block with its MD5, and the list of them last, in the order of the body', async () => {
    const { seen, listener } = service();
    const driver = await openAt(await serve(listener));
    await driver.write('key', bodyOf(content), { expectedDigest: sha256Of(content) });

    const blocks = seen.slice(0, -1);
    const list = seen.at(-1);
    expect(blocks.map(({ what }) => what)).toEqual(Array.from({ length: 4 }, () => 'PUT block'));
    for (const { headers, body } of blocks) {
      expect(headers).toMatchObject({
        'content-md5': md5Of(body),
        'content-length': String(body.byteLength),
        'content-type': 'application/octet-stream',
      });
    }
    // REST reference, "Put Block": base64 of at most 64 bytes, equally long for all blocks of a blob.
    const ids = blocks.map(({ id }) => id ?? '');
    expect(new Set(ids).size).toBe(4);
    expect(new Set(ids.map((id) => id.length)).size).toBe(1);
    for (const id of ids) {
      expect(Buffer.from(id, 'base64').toString('base64')).toBe(id);
      expect(Buffer.from(id, 'base64').byteLength).toBeLessThanOrEqual(64);
    }
    expect(list?.what).toBe('PUT blocklist');
    expect(list?.headers['content-md5']).toBe(md5Of(list?.body ?? Buffer.alloc(0)));
    expect(list?.headers).not.toHaveProperty('x-ms-blob-content-md5');
    const listed = /^<\?xml version="1.0" encoding="utf-8"\?><BlockList>(.*)<\/BlockList>$/u.exec(
      list?.body.toString() ?? '',
    )?.[1];
    const listedIds = [...(listed ?? '').matchAll(/<Latest>([^<]*)<\/Latest>/gu)].map(([, id]) => id);
    const bytesOf = (id: string | undefined): Buffer =>
      blocks.find((block) => block.id === id)?.body ?? Buffer.alloc(0);
    expect(Buffer.concat(listedIds.map(bytesOf))).toEqual(content);
  });

  it.each([
    [50_000, 1, 1],
    [50_001, 1, 2],
    [400_000 * MEBIBYTE, 8 * MEBIBYTE, 8 * MEBIBYTE],
    [400_000 * MEBIBYTE + 1, 8 * MEBIBYTE, 8 * MEBIBYTE + 1],
  ])('never has more than 50,000 blocks: %i bytes by %i go by %i', (sizeBytes, wishedBytes, expected) => {
    expect(fittingBlockBytes(sizeBytes, wishedBytes)).toBe(expected);
  });

  it('names blocks equally long, and those of another write otherwise', () => {
    const [one, other] = [blockIds(), blockIds()];
    expect(one(49_999).length).toBe(one(0).length);
    expect(one(0)).toBe(one(0));
    expect(new Set([one(0), one(1), other(0), other(1)]).size).toBe(4);
  });

  it.each(['PUT block', 'PUT blocklist'])('makes no success of %s that a stranger answers', async (what) => {
    const { seen, listener } = service((asked) => (asked.what === what ? { status: 200 } : undefined));
    const driver = await openAt(await serve(listener));
    expect((await failureOf(driver.write('key', bodyOf(content)))).code).toBe('UNEXPECTED');
    expect(seen.some((asked) => asked.what === 'PUT blocklist')).toBe(what === 'PUT blocklist');
  });

  it('sends a block again that the service could not take, and no other', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    let retries = 0;
    const { seen, listener } = service((_, before) => (before.length === 1 ? { status: 500 } : undefined));
    const driver = await openAt(await serve(listener), { onRetry: () => (retries += 1) });
    await driver.write('key', bodyOf(content), { expectedDigest: sha256Of(content) });
    expect(seen.filter(({ what }) => what === 'PUT block').length).toBe(5);
    expect(new Set(seen.filter(({ id }) => id !== null).map(({ id }) => id)).size).toBe(4);
    expect(seen.filter(({ id }) => id === seen[1]?.id).map(({ body }) => body)).toEqual([
      seen[1]?.body,
      seen[1]?.body,
    ]);
    expect(retries).toBe(1);
  });

  it('gives a block up after six attempts, and shows nothing', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    let refused: string | null | undefined;
    const { seen, listener } = service(({ id }) => {
      refused ??= id;
      return id === refused ? { status: 503, headers: { 'retry-after': '0' } } : undefined;
    });
    const driver = await openAt(await serve(listener));
    const failure = await failureOf(driver.write('key', bodyOf(content)));
    expect(failure).toMatchObject({ code: 'RATE_LIMITED', retryable: true, key: 'key' });
    expect(seen.filter(({ id }) => id === refused).length).toBe(6);
    expect(seen.map(({ what }) => what)).not.toContain('PUT blocklist');
  });

  it('does not repeat the list of blocks, of which nobody knows what became', async () => {
    const { seen, listener } = service(({ what }) =>
      what === 'PUT blocklist' ? { status: 500 } : undefined,
    );
    const driver = await openAt(await serve(listener));
    expect(await failureOf(driver.write('key', bodyOf(content)))).toMatchObject({
      code: 'UNAVAILABLE',
      retryable: true,
    });
    expect(seen.filter(({ what }) => what === 'PUT blocklist').length).toBe(1);
  });

  it.each([
    ['shorter than it said', bodyOf(content, 36), sha256Of(content), 'CHANGED'],
    ['longer than it said', bodyOf(content, 34), sha256Of(content), 'CHANGED'],
    ['something else', bodyOf(content), sha256Of(Buffer.from('something else')), 'CORRUPT'],
  ] as const)('shows nothing of a body that is %s', async (_, body, expectedDigest, code) => {
    const { seen, listener } = service();
    const driver = await openAt(await serve(listener));
    expect((await failureOf(driver.write('key', body, { expectedDigest }))).code).toBe(code);
    // Nor has all of it been sent.
    expect(seen.filter(({ what }) => what === 'PUT block').length).toBeLessThan(4);
    expect(seen.map(({ what }) => what)).not.toContain('PUT blocklist');
  });

  it('shows nothing when it is interrupted while blocks are on their way', async () => {
    const controller = new AbortController();
    const asked: (string | null)[] = [];
    const origin = await serve((request) => {
      asked.push(new URL(request.url ?? '', 'http://service').searchParams.get('comp'));
      controller.abort();
    });
    const driver = await openAt(origin);
    const failure = await failureOf(driver.write('key', bodyOf(content), { signal: controller.signal }));
    expect(failure.code).toBe('ABORTED');
    expect(asked).not.toContain('blocklist');
  });

  it('takes its memory from what all uploads of the process share', async () => {
    const { seen, listener } = service();
    const origin = await serve(listener);
    const two = [await openAt(origin), await openAt(origin)];
    const details = { driver: 'made up', operation: 'write', key: 'key' };
    // All there is, and more: granted only when nothing else is out.
    const all = await partMemory.take(1000 * MEBIBYTE, new AbortController().signal, details);
    const writing = Promise.all(two.map((driver) => driver.write('key', bodyOf(content))));
    await sleep(200);
    expect(seen).toEqual([]);
    all.abandon();
    await writing;
    expect(seen.filter(({ what }) => what === 'PUT blocklist').length).toBe(2);
  });
});

describeWithServers('azure, with a line that damages what passes', ['azurite'], (stores) => {
  it('is refused a damaged block by the service, and sends it again', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0);
    const { azurite } = stores;
    const container = await createContainer(azurite);
    const { hostname, port, pathname } = new URL(azurite.serviceUrl);
    const answers: (number | undefined)[] = [];
    let isDamaged = false;
    const line = await serve((request, response) => {
      void (async () => {
        const body = await buffer(request);
        const isBlock = request.url?.includes('comp=block&') === true;
        const { method, url, headers } = request;
        if (isBlock && !isDamaged) {
          isDamaged = true;
          body[body.length - 1] = (body.at(-1) ?? 0) ^ 1;
        }
        const onward = forward({ hostname, port, method, path: url, headers }, (answer) => {
          if (isBlock) {
            answers.push(answer.statusCode);
          }
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(response);
        });
        onward.end(body);
      })();
    });
    // Longer than what is handed to a connection at once, and not a multiple of it.
    const options = { container, ...azurite, partSizeBytes: 1_300_000, singlePutMaxBytes: 1_000_000 };
    const direct = await openAt('', options);
    await direct.write('key', Buffer.from('what was there before'));
    const driver = await openAt(line, { ...options, serviceUrl: `${line}${pathname}` });
    const large = randomBytes(3_000_000);
    await driver.write('key', large, { expectedDigest: sha256Of(large) });
    expect(answers.filter((status) => status === 400).length).toBe(1);
    expect(answers.filter((status) => status === 201).length).toBe(3);
    expect(Buffer.compare(await readAll(direct, 'key'), large)).toBe(0);
    expect((await listAll(direct)).map(({ key, sizeBytes }) => [key, sizeBytes])).toEqual([
      ['key', 3_000_000],
    ]);
  });
});
