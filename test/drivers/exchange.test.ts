import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import { AnswerTooLarge, exchange } from '../../src/drivers/exchange.ts';

let server: Server | undefined;
let pool: Pool | undefined;

afterEach(async () => {
  await pool?.destroy();
  server?.closeAllConnections();
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
});

async function serve(answer: RequestListener, connections = 4): Promise<Pool> {
  const listening = createServer(answer);
  server = listening;
  await new Promise<void>((resolve) => {
    listening.listen(0, '127.0.0.1', resolve);
  });
  pool = new Pool(`http://127.0.0.1:${(listening.address() as AddressInfo).port}`, { connections });
  return pool;
}

const GET = { method: 'GET', path: '/' } as const;

describe('an exchange', () => {
  it('gives status, headers and the whole body, in however many pieces it comes', async () => {
    const dispatcher = await serve((_request, response) => {
      response.setHeader('x-some', 'thing');
      response.write('one ');
      setImmediate(() => response.end('two'));
    });
    const { statusCode, headers, body } = await exchange(dispatcher, GET);
    expect([statusCode, headers['x-some'], body.toString()]).toEqual([200, 'thing', 'one two']);
  });

  it('sends the body that it is given', async () => {
    const dispatcher = await serve((request, response) => void request.pipe(response));
    const { body } = await exchange(dispatcher, { method: 'PUT', path: '/', body: Buffer.from('content') });
    expect(body.toString()).toBe('content');
  });

  it('waits for the answer itself, where others come before', async () => {
    const dispatcher = await serve((_request, response) => {
      response.writeEarlyHints({ link: '</a>; rel=preload' });
      response.statusCode = 404;
      response.end('none');
    });
    const { statusCode, body } = await exchange(dispatcher, GET);
    expect([statusCode, body.toString()]).toEqual([404, 'none']);
  });

  it('takes no more of a success than it may', async () => {
    const dispatcher = await serve((_request, response) => {
      response.write('0123456789');
      response.end('0');
    });
    await expect(exchange(dispatcher, GET, { maxBytes: 11 })).resolves.toMatchObject({ statusCode: 200 });
    await expect(exchange(dispatcher, GET, { maxBytes: 10 })).rejects.toThrow(AnswerTooLarge);
  });

  it('does not wait for a success that is announced as too large', async () => {
    const dispatcher = await serve((_request, response) => {
      response.setHeader('content-length', 11);
      response.flushHeaders();
    });
    await expect(exchange(dispatcher, GET, { maxBytes: 10 })).rejects.toMatchObject({ sizeBytes: 11 });
  });

  it('fails when a success breaks off', async () => {
    const dispatcher = await serve((_request, response) => {
      response.setHeader('content-length', 100);
      response.write('half');
      setImmediate(() => response.destroy());
    });
    await expect(exchange(dispatcher, GET)).rejects.toMatchObject({ code: 'UND_ERR_SOCKET' });
  });

  it('keeps the status of a refusal that breaks off, and what came of its body', async () => {
    const dispatcher = await serve((_request, response) => {
      response.statusCode = 503;
      response.setHeader('content-length', 100);
      response.write('half');
      setTimeout(() => response.destroy(), 20);
    });
    const { statusCode, body } = await exchange(dispatcher, GET);
    expect([statusCode, body.toString()]).toEqual([503, 'half']);
  });

  it('does not wait for the end of a refusal that has none', async () => {
    const dispatcher = await serve((_request, response) => {
      response.statusCode = 500;
      const more = (): void => {
        if (!response.destroyed) {
          response.write('x'.repeat(16 * 1024), more);
        }
      };
      more();
    });
    const { statusCode } = await exchange(dispatcher, GET, { maxBytes: 5 });
    expect(statusCode).toBe(500);
  });

  it('ends with the reason of its signal, whether it is answered, waits for an answer, or for its turn', async () => {
    const asked: string[] = [];
    const dispatcher = await serve(({ url = '' }, response) => {
      asked.push(url);
      if (url !== '/silent') {
        response.end();
      }
    }, 1);
    const controller = new AbortController();
    const { signal } = controller;
    await exchange(dispatcher, { ...GET, path: '/first' }, { signal });
    const [silent, queued] = [
      exchange(dispatcher, { ...GET, path: '/silent' }, { signal }),
      exchange(dispatcher, { method: 'PUT', path: '/queued', body: 'never sent' }, { signal }),
    ];
    await expect.poll(() => asked).toEqual(['/first', '/silent']);
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(silent).rejects.toBe(reason);
    await expect(queued).rejects.toBe(reason);
    await expect(exchange(dispatcher, { ...GET, path: '/late' }, { signal })).rejects.toBe(reason);
    // The only connection has sent all that came before this.
    await exchange(dispatcher, { ...GET, path: '/last' });
    expect(asked).toEqual(['/first', '/silent', '/last']);
  });

  it('fails with a pool that is closed', async () => {
    const dispatcher = await serve((_request, response) => response.end());
    await dispatcher.destroy();
    await expect(exchange(dispatcher, GET)).rejects.toMatchObject({ code: 'UND_ERR_DESTROYED' });
  });
});
