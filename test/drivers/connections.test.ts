import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { buildConnector } from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import { Connections } from '../../src/drivers/connections.ts';
import { exchange } from '../../src/drivers/exchange.ts';

let server: Server | undefined;
let opened: Connections | undefined;

afterEach(async () => {
  await opened?.destroy();
  server?.closeAllConnections();
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = undefined;
});

/** A server, and who connected to it. */
async function serve(answer: RequestListener): Promise<{ origin: string; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const listening = createServer(answer).on('connection', (socket) => sockets.push(socket));
  server = listening;
  await new Promise<void>((resolve) => {
    listening.listen(0, '127.0.0.1', resolve);
  });
  return { origin: `http://127.0.0.1:${(listening.address() as AddressInfo).port}`, sockets };
}

function connectTo(origin: string, connections: number, connect = buildConnector({ timeout: 1000 })) {
  opened = new Connections(origin, { connections, connect, idleMs: 5000 });
  return opened;
}

function get(connections: Connections, path: string) {
  return exchange(connections, { method: 'GET', path });
}

describe('connections', () => {
  it('are opened when they are needed, and used again', async () => {
    const { origin, sockets } = await serve((_request, response) => void response.end());
    const connections = connectTo(origin, 4);
    expect(sockets).toHaveLength(0);
    for (let count = 0; count < 10; count += 1) {
      await get(connections, '/');
    }
    // One more than would do: undici waits for a turn of the event loop before it uses a connection again.
    expect(sockets.length).toBeLessThanOrEqual(2);
  });

  it('are no more than allowed, and each answer is for who asked', async () => {
    let atOnce = 0;
    let mostAtOnce = 0;
    const { origin, sockets } = await serve((request, response) => {
      atOnce += 1;
      mostAtOnce = Math.max(mostAtOnce, atOnce);
      setTimeout(
        () => {
          atOnce -= 1;
          response.end(request.url);
        },
        Number(request.url?.slice(1)) % 5,
      );
    });
    const connections = connectTo(origin, 3);
    const paths = Array.from({ length: 40 }, (_, index) => `/${index}`);
    const answers = await Promise.all(paths.map((path) => get(connections, path)));
    expect(answers.map(({ body }) => body.toString())).toEqual(paths);
    expect([mostAtOnce, sockets.length]).toEqual([3, 3]);
  });

  it('are given to requests in the order in which they came', async () => {
    const asked: (string | undefined)[] = [];
    const { origin } = await serve(({ url }, response) => {
      asked.push(url);
      response.end();
    });
    const connections = connectTo(origin, 1);
    await Promise.all(['/1', '/2', '/3', '/4'].map((path) => get(connections, path)));
    expect(asked).toEqual(['/1', '/2', '/3', '/4']);
  });

  it('that the server closed are opened anew', async () => {
    const { origin, sockets } = await serve((_request, response) => void response.end());
    const connections = connectTo(origin, 1);
    await get(connections, '/1');
    const [first] = sockets;
    const closed = new Promise((resolve) => first?.once('close', resolve));
    first?.destroy();
    await closed;
    await expect(get(connections, '/2')).resolves.toMatchObject({ statusCode: 200 });
    expect(sockets).toHaveLength(2);
  });

  it.each(['ECONNREFUSED', 'ERR_TLS_CERT_ALTNAME_INVALID'])(
    'that cannot be made (%s) fail their own requests only, and leave their place to others',
    async (code) => {
      const { origin } = await serve((request, response) => void response.end(request.url));
      const reach = buildConnector({ timeout: 1000 });
      let failures = 5;
      const connections = connectTo(origin, 2, (options, callback) => {
        failures -= 1;
        if (failures >= 0) {
          setImmediate(() => callback(Object.assign(new Error('no way there'), { code }), null));
        } else {
          reach(options, callback);
        }
      });
      const paths = Array.from({ length: 8 }, (_, index) => `/${index}`);
      const ends = await Promise.allSettled(paths.map((path) => get(connections, path)));
      const failed = ends.filter(({ status }) => status === 'rejected');
      expect(failed.map((end) => 'reason' in end && String(end.reason))).toEqual(
        Array.from({ length: 5 }, () => 'Error: no way there'),
      );
      for (const [index, end] of ends.entries()) {
        if (end.status === 'fulfilled') {
          expect(end.value.body.toString()).toBe(paths[index]);
        }
      }
    },
  );

  it('are not used up by requests that HTTP does not allow', async () => {
    const { origin } = await serve((_request, response) => void response.end());
    const connections = connectTo(origin, 2);
    const bad = { method: 'GET', path: '/', headers: ['x-some', 'line\nbreak'] } as const;
    for (let count = 0; count < 3; count += 1) {
      await expect(exchange(connections, { ...bad, headers: [...bad.headers] })).rejects.toMatchObject({
        code: 'UND_ERR_INVALID_ARG',
      });
    }
    await expect(get(connections, '/')).resolves.toMatchObject({ statusCode: 200 });
  });

  it('end with what is under way, what waits and what comes later', async () => {
    let arrive = (): void => undefined;
    const arrived = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const { origin } = await serve(() => arrive());
    const connections = connectTo(origin, 1);
    const asked = ['/silent', '/waiting'].map((path) => get(connections, path));
    const ends = Promise.allSettled(asked);
    await arrived;
    await connections.destroy();
    const later = await Promise.allSettled([get(connections, '/later')]);
    const reasons = [...(await ends), ...later].map((end) => 'reason' in end && end.reason.code);
    expect(reasons).toEqual(['UND_ERR_DESTROYED', 'UND_ERR_DESTROYED', 'UND_ERR_DESTROYED']);
  });
});
