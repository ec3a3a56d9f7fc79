import type { IncomingMessage, RequestListener } from 'node:http';
import { describe, expect, it } from 'vitest';
import type { Driver } from '../../src/drivers/driver.ts';
import { listAll, readAll } from './contract.ts';
import { azureLocalServers } from './azure-local-servers.ts';
import { failureOf } from './failure-of.ts';

/** Answers that claim success and should not be believed, are too long, or never come. */
const { openWith } = azureLocalServers({ partSizeBytes: 10, singlePutMaxBytes: 10 });

const whole = (driver: Driver): Promise<void> => driver.write('key', Buffer.from('abc'));
const inBlocks = (driver: Driver): Promise<void> => driver.write('key', Buffer.alloc(15));

/** Answers a PUT like this when `matches` its query, and all others as the service does. */
function answering(
  comp: string | null,
  answer: (response: Parameters<RequestListener>[1]) => void,
): RequestListener {
  return (request, response) => {
    request.resume().on('end', () => {
      if (queryOf(request).get('comp') === comp) {
        answer(response);
      } else {
        response.writeHead(201).end();
      }
    });
  };
}

function queryOf({ url = '' }: IncomingMessage): URLSearchParams {
  return new URL(url, 'http://x').searchParams;
}

const puts: [string, string | null, (driver: Driver) => Promise<void>][] = [
  ['Put Blob', null, whole],
  ['Put Block', 'block', inBlocks],
  ['Put Block List', 'blocklist', inBlocks],
];

describe('a PUT to Azure that is answered with 201', () => {
  it.each(puts)('has failed when an error stands in the body: %s', async (_, comp, write) => {
    const driver = await openWith(
      answering(comp, (response) =>
        response
          .writeHead(201, { etag: '"0x1"' })
          .end('<?xml version="1.0"?><Error><Code>AuthorizationFailure</Code><Message>No.</Message></Error>'),
      ),
    );
    expect(await failureOf(write(driver))).toMatchObject({ code: 'PERMISSION_DENIED', key: 'key' });
  });

  it.each(puts)(
    'has failed when other bytes were received, and may be repeated: %s',
    async (_, comp, write) => {
      // The MD5 of nothing (RFC 1321, A.5), which is never sent here.
      const md5 = Buffer.from('d41d8cd98f00b204e9800998ecf8427e', 'hex').toString('base64');
      let puts = 0;
      const driver = await openWith(
        answering(comp, (response) => {
          puts += 1;
          response.writeHead(201, puts === 1 ? { 'content-md5': md5 } : {}).end();
        }),
      );
      // A block is sent again by the driver itself.
      if (comp === 'block') {
        await write(driver);
        expect(puts).toBe(3);
        return;
      }
      const failure = await failureOf(write(driver));
      expect(failure).toMatchObject({ code: 'UNAVAILABLE', retryable: true, key: 'key' });
      expect(failure.message).toContain('other bytes');
      // A run would go by its size, and leave it.
      expect(failure.message).toContain('remove it there');
    },
  );

  it.each(puts)('has failed when a page of something else came with it: %s', async (_, comp, write) => {
    let puts = 0;
    const driver = await openWith(
      answering(comp, (response) => {
        puts += 1;
        response.writeHead(201).end(comp === 'block' && puts > 2 ? '' : '<html>Welcome</html>');
      }),
    );
    // A block is sent again by the driver itself.
    if (comp === 'block') {
      await write(driver);
      expect(puts).toBe(4);
      return;
    }
    expect(await failureOf(write(driver))).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  });

  it.each(puts)('says no more than an answer does: %s', async (_, comp, write) => {
    let sentBytes = 0;
    const driver = await openWith(
      answering(comp, (response) => {
        response.writeHead(201);
        const more = (): void => {
          if (!response.destroyed) {
            sentBytes += 16_384;
            response.write('x'.repeat(16_384), more);
          }
        };
        more();
      }),
    );
    expect((await failureOf(write(driver))).code).toBe('UNEXPECTED');
    expect(sentBytes).toBeLessThan(64 * 1024 * 1024);
  });
});

describe('a 404 that Azure did not send', () => {
  const calls: [string, (driver: Driver) => Promise<unknown>][] = [
    ['a stat', (driver) => driver.stat('key')],
    ['a read', (driver) => readAll(driver, 'key')],
    ['a small read', (driver) => driver.readSmall('key', 100)],
  ];

  it.each(calls)('is no absence: %s', async (_, call) => {
    const driver = await openWith((__, response) => response.writeHead(404).end('default backend - 404'));
    expect(await failureOf(call(driver))).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  });

  it('deletes nothing', async () => {
    const driver = await openWith((request, response) => {
      request.resume().on('end', () => response.writeHead(404).end('default backend - 404'));
    });
    const failures = await driver.delete(['a']);
    expect(failures).toMatchObject([{ key: 'a', error: { code: 'UNAVAILABLE' } }]);
  });
});

describe('an answer of Azure that is too large', () => {
  it.each([
    ['that announces it', { 'content-length': String(97 * 1024 * 1024) }],
    ['that goes on and on', {}],
  ])('is no page of a listing: one %s', async (_, headers) => {
    const piece = Buffer.alloc(1024 * 1024, ' ');
    const driver = await openWith((__, response) => {
      response.writeHead(200, headers);
      const more = (): void => {
        if (!response.destroyed) {
          response.write(piece, more);
        }
      };
      more();
    });
    const failure = await failureOf(listAll(driver));
    expect(failure).toMatchObject({ code: 'BAD_LISTING', retryable: false });
    expect(failure.message).toMatch(/\d{9} bytes or more/);
  });

  it('is no small blob', async () => {
    const driver = await openWith((_, response) =>
      response.writeHead(200, { 'content-length': '1000' }).flushHeaders(),
    );
    expect(await failureOf(driver.readSmall('key', 999))).toMatchObject({ code: 'CHANGED', key: 'key' });
  });
});

describe('a connection to Azure that stalls', () => {
  const source = {
    identity: { service: 'azure:x', container: 'other', root: '' },
    key: 'docker/a',
    sizeBytes: 1,
    etag: '0x5',
  };
  const calls: [string, (driver: Driver) => Promise<unknown> | undefined][] = [
    ['a listing', (driver) => listAll(driver)],
    ['a stat', (driver) => driver.stat('key')],
    ['a read', (driver) => readAll(driver, 'key')],
    ['a small read', (driver) => driver.readSmall('key', 100)],
    ['a write', whole],
    ['a delete', (driver) => driver.delete(['a', 'b'])],
    ['a copy inside the service', (driver) => driver.copyFrom?.(source, 'key')],
  ];
  const timeouts = { idleMs: 50, serverSideMs: 50 };

  it.each(calls)('is given up before an answer began: %s', async (_, call) => {
    const driver = await openWith((request) => void request.resume(), { timeouts });
    expect(await failureOf(call(driver))).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  });

  it.each(calls.slice(0, 4).filter(([name]) => name !== 'a stat'))(
    'is given up in the middle of an answer: %s',
    async (_, call) => {
      const driver = await openWith(
        (request, response) => {
          request.resume();
          response.writeHead(200, { 'content-length': '50', etag: '"0x1"' });
          response.flushHeaders();
        },
        { timeouts },
      );
      expect(await failureOf(call(driver))).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    },
  );
});
