import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, it, test } from 'vitest';
import { openTunnel } from '../../src/drivers/proxy/tunnel.ts';
import { proxyFailure } from '../../src/drivers/proxy/error.ts';
import type { Proxy } from '../../src/drivers/proxy.ts';

const servers: net.Server[] = [];
const sockets = new Set<Socket>();
afterEach(async () => {
  sockets.forEach((socket) => socket.destroy());
  sockets.clear();
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

/** A proxy that gives these bytes for whatever it is asked, and keeps what it was asked. */
async function proxyThatSays(answer: string | undefined): Promise<{ proxy: Proxy; asked: () => string }> {
  let asked = '';
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      asked += chunk.toString();
      if (answer !== undefined) {
        socket.write(answer);
      }
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { proxy: { address, authorization: 'Basic aGlkZGVu', variable: 'HTTPS_PROXY' }, asked: () => asked };
}

const target = { hostname: 'store.example', port: 443 };

async function failureOf(opening: Promise<unknown>) {
  const error: unknown = await opening.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return error instanceof Error ? proxyFailure(error) : undefined;
}

describe('a tunnel', () => {
  it('is asked for by host and port, with the credentials of the proxy', async () => {
    const { proxy, asked } = await proxyThatSays('HTTP/1.1 200 Yes\r\n\r\n');
    await openTunnel(proxy, target, 10_000);
    expect(asked()).toMatch(/^CONNECT store\.example:443 HTTP\/1\.1\r\nhost: store\.example:443\r\n/i);
    expect(asked()).toMatch(/\r\nproxy-authorization: Basic aGlkZGVu\r\n/i);
  });

  it('names an IPv6 address in brackets', async () => {
    const { proxy, asked } = await proxyThatSays('HTTP/1.1 200 Yes\r\n\r\n');
    await openTunnel(proxy, { hostname: '2001:db8::1', port: 9000 }, 10_000);
    expect(asked()).toMatch(/^CONNECT \[2001:db8::1\]:9000 HTTP/);
  });

  it('keeps what the host says first, although it came with the answer', async () => {
    const { proxy } = await proxyThatSays('HTTP/1.1 200 Yes\r\n\r\nhello');
    const socket = await openTunnel(proxy, target, 10_000);
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString()).toBe('hello');
  });

  test.each<[status: number, retryable: boolean]>([
    [302, false],
    [403, false],
    [407, false],
    [408, true],
    [429, true],
    [502, true],
    [503, true],
    [504, true],
  ])('that is answered with %i is worth another attempt: %s', async (status, retryable) => {
    const { proxy } = await proxyThatSays(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`);
    const failure = await failureOf(openTunnel(proxy, target, 10_000));
    expect(failure?.retryable).toBe(retryable);
    expect(failure?.message).toContain(proxy.address);
    expect(failure?.message).toContain(String(status));
    expect(failure?.message).not.toContain('aGlkZGVu');
    // Else it would keep the process waiting.
    await Promise.all([...sockets].filter((socket) => !socket.closed).map((socket) => once(socket, 'close')));
  });

  it('is given up when the proxy never answers', async () => {
    const { proxy } = await proxyThatSays(undefined);
    const failure = await failureOf(openTunnel(proxy, target, 50));
    expect(failure).toMatchObject({ retryable: true });
    expect(failure?.message).toContain(
      `The proxy ${proxy.address} that HTTPS_PROXY names did not answer in time`,
    );
  });

  it('is none at an address where something else than a proxy listens', async () => {
    const { proxy } = await proxyThatSays('220 mail.example ESMTP\r\n');
    const failure = await failureOf(openTunnel(proxy, target, 10_000));
    expect(failure?.message).toContain(`No connection to the proxy ${proxy.address}`);
  });
});
