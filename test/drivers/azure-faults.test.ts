import type { IncomingMessage, RequestListener } from 'node:http';
import { describe, expect, it } from 'vitest';
import { isDriverError } from '../../src/drivers/errors.ts';
import { listAll, readAll } from './contract.ts';
import { azureLocalServers } from './azure-local-servers.ts';
import { failureOf } from './failure-of.ts';

const { openWith } = azureLocalServers();

describe('reading from Azure', () => {
  const content = 'abcdefghij';

  /** Cuts the connection after so many bytes, once for each number. */
  function breaking(limits: number[], seen: IncomingMessage[] = []): RequestListener {
    const left = [...limits];
    return (request, response) => {
      seen.push(request);
      const start = Number(/bytes=(\d+)-/u.exec(String(request.headers['x-ms-range'] ?? ''))?.[1] ?? 0);
      const rest = content.slice(start);
      response.writeHead(start === 0 ? 200 : 206, {
        'content-length': String(rest.length),
        etag: '"0x1"',
        'x-ms-blob-type': 'BlockBlob',
      });
      const limit = left.shift();
      if (limit === undefined) {
        response.end(rest);
      } else {
        response.write(rest.slice(0, limit), () => response.destroy());
        response.flushHeaders();
      }
    };
  }

  it('goes on where the connection broke off, with the same version of the blob, and says so', async () => {
    const seen: IncomingMessage[] = [];
    let retries = 0;
    const driver = await openWith(breaking([3, 2], seen), { onRetry: () => (retries += 1) });
    expect((await readAll(driver, 'key')).toString()).toBe(content);
    expect(seen.map(({ headers }) => [headers['x-ms-range'], headers['if-match']])).toEqual([
      [undefined, undefined],
      ['bytes=3-', '"0x1"'],
      ['bytes=5-', '"0x1"'],
    ]);
    expect(retries).toBe(2);
  });

  it('gives up when a connection brings nothing, with an error that may be retried', async () => {
    const seen: IncomingMessage[] = [];
    const driver = await openWith(breaking([3, 0, 0, 0, 0], seen));
    const failure = await failureOf(readAll(driver, 'key'));
    expect(failure).toMatchObject({ code: 'UNAVAILABLE', retryable: true, key: 'key' });
    expect(failure.message).toContain('after 3 of the 10 bytes of key');
    expect(seen.length).toBe(2);
  });

  it('says CHANGED when the blob was replaced in the meantime', async () => {
    const first = breaking([3]);
    let requests = 0;
    const driver = await openWith((request, response) => {
      requests += 1;
      if (requests === 1) {
        first(request, response);
        return;
      }
      response.writeHead(412, { 'x-ms-error-code': 'ConditionNotMet' }).end();
    });
    expect((await failureOf(readAll(driver, 'key'))).code).toBe('CHANGED');
  });

  it('may be retried when a small blob breaks off', async () => {
    const driver = await openWith(breaking([3]));
    expect(await failureOf(driver.readSmall('key', 100))).toMatchObject({
      code: 'UNAVAILABLE',
      retryable: true,
    });
  });

  it('ends the download when the consumer stops, and does not resume it', async () => {
    const seen: IncomingMessage[] = [];
    const driver = await openWith(breaking([], seen));
    for await (const chunk of driver.read('key')) {
      expect(chunk.byteLength).toBeGreaterThan(0);
      break;
    }
    expect(seen.length).toBe(1);
  });

  it('stops in mid-body when aborted', async () => {
    const controller = new AbortController();
    const driver = await openWith((_, response) => {
      response.writeHead(200, { 'content-length': '10', etag: '"0x1"' });
      response.write('abc');
    });
    const reading = async (): Promise<void> => {
      for await (const chunk of driver.read('key', { signal: controller.signal })) {
        expect(chunk.byteLength).toBe(3);
        controller.abort();
      }
    };
    expect((await failureOf(reading())).code).toBe('ABORTED');
  });
});

describe('a busy or broken Azure', () => {
  it('passes on how long the store asks to be left alone, after one attempt only', async () => {
    let requests = 0;
    const driver = await openWith((_, response) => {
      requests += 1;
      response.writeHead(503, { 'x-ms-error-code': 'ServerBusy', 'retry-after': '7' }).end();
    });
    expect(await failureOf(driver.write('key', Buffer.from('x')))).toMatchObject({
      code: 'RATE_LIMITED',
      retryable: true,
      retryAfterMs: 7000,
    });
    expect(requests).toBe(1);
  });

  it('may be retried when it resets the connection', async () => {
    const driver = await openWith((request) => request.socket.destroy());
    expect(await failureOf(driver.stat('key'))).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  });

  it('is not taken for an absence when it answers 500 to a stat', async () => {
    const driver = await openWith((_, response) => response.writeHead(500).end());
    expect(await failureOf(driver.stat('key'))).toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('commits nothing when a block failed', async () => {
    const operations: (string | null)[] = [];
    const driver = await openWith(
      (request, response) => {
        const query = new URL(request.url ?? '', 'http://x').searchParams;
        operations.push(query.get('comp'));
        request.resume().on('end', () => {
          const isSecond = operations.length === 2;
          response.writeHead(isSecond ? 403 : 201, isSecond ? {} : { etag: '"0x1"' }).end();
        });
      },
      { partSizeBytes: 10, singlePutMaxBytes: 10 },
    );
    expect((await failureOf(driver.write('key', Buffer.alloc(35)))).code).toBe('PERMISSION_DENIED');
    expect(new Set(operations)).toEqual(new Set(['block']));
  });
});

describe('a listing of Azure', () => {
  const page = (names: string[], marker = '', prefixes: string[] = []): string =>
    `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="container"><Blobs>${names
      .map(
        (name) =>
          `<Blob><Name>${name}</Name><Properties><Content-Length>1</Content-Length><Etag>0x1</Etag><BlobType>BlockBlob</BlobType></Properties></Blob>`,
      )
      .join(
        '',
      )}${prefixes.map((name) => `<BlobPrefix><Name>${name}</Name></BlobPrefix>`).join('')}</Blobs><NextMarker>${marker}</NextMarker></EnumerationResults>`;

  /** Each marker answers with its page; '' is the first. */
  function paged(pages: Record<string, string>): RequestListener {
    return (request, response) => {
      const marker = new URL(request.url ?? '', 'http://x').searchParams.get('marker') ?? '';
      response.writeHead(200, { 'content-type': 'application/xml' }).end(pages[marker]);
    };
  }

  it('goes over empty pages', async () => {
    const driver = await openWith(paged({ '': page([], 'm1'), m1: page(['a'], 'm2'), m2: page([]) }));
    expect((await listAll(driver)).map(({ key }) => key)).toEqual(['a']);
  });

  it('sorts within a page, as Azurite orders characters above U+FFFF differently', async () => {
    const driver = await openWith(paged({ '': page(['a', 'b😀', 'b￮']) }));
    expect((await listAll(driver)).map(({ key }) => key)).toEqual(['a', 'b￮', 'b😀']);
  });

  it.each([
    ['pages are out of order', { '': page(['b'], 'm1'), m1: page(['a']) }],
    ['a key comes twice', { '': page(['a', 'a']) }],
    ['a key comes again on the next page', { '': page(['a'], 'm1'), m1: page(['a', 'b']) }],
    ['a page comes again for ever', { '': page(['a'], 'm1'), m1: page(['b'], 'm1') }],
  ])('is an error when %s', async (_, pages) => {
    const driver = await openWith(paged(pages));
    expect((await failureOf(listAll(driver))).code).toBe('BAD_LISTING');
  });

  it('is an error when it names what nobody asked for', async () => {
    const driver = await openWith(paged({ '': page(['other/a']) }), { root: 'root/' });
    expect((await failureOf(listAll(driver))).code).toBe('BAD_LISTING');
  });

  it('is an error when it ends in the middle of a page', async () => {
    const driver = await openWith(paged({ '': page(['a'], 'm1'), m1: page(['b']).slice(0, 200) }));
    const failure = await failureOf(listAll(driver));
    expect(failure).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  });

  it.each([
    ['a web page', '<html><body>Please sign in</body></html>'],
    ['nothing', ''],
    [
      'a listing without its end',
      '<EnumerationResults ContainerName="container"><Blobs/></EnumerationResults>',
    ],
  ])('is an error, and not empty, when the answer is %s', async (_, body) => {
    const driver = await openWith(paged({ '': body }));
    expect((await failureOf(listAll(driver))).code).toBe('BAD_LISTING');
    expect((await failureOf(driver.listFolder(''))).code).toBe('BAD_LISTING');
  });

  it('gathers one level from all its pages', async () => {
    const driver = await openWith(
      paged({ '': page(['root/a/z'], 'm1', ['root/a/x/']), m1: page(['root/a/zz'], '', ['root/a/y/']) }),
      { root: 'root/' },
    );
    const level = await driver.listFolder('a/');
    expect(level.folders).toEqual(['a/x/', 'a/y/']);
    expect(level.objects.map(({ key }) => key)).toEqual(['a/z', 'a/zz']);
  });
});

describe('deleting where batches are refused', () => {
  it.each([
    ['for good', 501, 1],
    ['perhaps, twice', 500, 2],
  ])('sends one request for each blob: refused %s', async (_, status, batchesTried) => {
    const methods: string[] = [];
    const driver = await openWith((request, response) => {
      methods.push(request.method ?? '');
      request.resume().on('end', () => response.writeHead(request.method === 'POST' ? status : 202).end());
    });
    for (let round = 0; round < 4; round += 1) {
      expect(await driver.delete(['a', 'b'])).toEqual([]);
    }
    expect(methods.filter((method) => method === 'POST').length).toBe(batchesTried);
    expect(methods.filter((method) => method === 'DELETE').length).toBe(8);
  });

  it('tells of each blob that could not be removed', async () => {
    const driver = await openWith((request, response) => {
      request.resume().on('end', () => {
        if (request.method === 'POST') {
          response.writeHead(501).end();
          return;
        }
        const isLocked = request.url?.includes('locked') === true;
        response
          .writeHead(isLocked ? 409 : 404, {
            'x-ms-error-code': isLocked ? 'BlobImmutableDueToPolicy' : 'BlobNotFound',
          })
          .end();
      });
    });
    const failures = await driver.delete(['absent', 'locked']);
    expect(failures.map(({ key, error }) => [key, isDriverError(error) && error.code])).toEqual([
      ['locked', 'PERMISSION_DENIED'],
    ]);
  });

  it('throws when the store is busy, since nothing is known of any', async () => {
    const driver = await openWith((request, response) => {
      request.resume().on('end', () => response.writeHead(503).end());
    });
    expect((await failureOf(driver.delete(['a', 'b']))).code).toBe('RATE_LIMITED');
  });
});
