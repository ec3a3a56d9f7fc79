import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import net, { type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Certificate, readCertificate } from './tls-front.ts';

/** What a proxy was asked for. */
export interface Forwarded {
  /** `CONNECT`, or the method of a request that named its whole address. */
  method: string;
  /** Host and port as the client named them. */
  target: string;
}

export interface ForwardProxyOptions {
  /** Which address on 127.0.0.1 stands behind a name: `store.test:80` to `127.0.0.1:12345`. Others are refused with 502. */
  names: Readonly<Record<string, string>>;
  /** `user:password` that it wants; else it takes everybody. */
  credentials?: string;
  /** Is itself spoken to over TLS. */
  certificate?: Certificate;
  /** Refuses everything with this status. */
  refusesWith?: number;
}

export interface ForwardProxy {
  /** `127.0.0.1:PORT`. */
  host: string;
  /** Everything that was let through, in order. */
  passed: Forwarded[];
  /** How often it answered 407. */
  challenges(): number;
  stop(): Promise<void>;
}

/** An HTTP proxy as companies have it: tunnels by CONNECT, and forwards requests that name their whole address. */
export async function startForwardProxy(options: ForwardProxyOptions): Promise<ForwardProxy> {
  const { names, credentials, certificate, refusesWith } = options;
  const wanted = credentials === undefined ? undefined : `Basic ${btoa(credentials)}`;
  const passed: Forwarded[] = [];
  const tunnels = new Set<Duplex>();
  const agent = new http.Agent({ keepAlive: true });
  let challenges = 0;

  /** The status that keeps a request from passing, if any. */
  function refusal({ headers }: IncomingMessage, target: string): number | undefined {
    if (wanted !== undefined && headers['proxy-authorization'] !== wanted) {
      challenges += 1;
      return 407;
    }
    return refusesWith ?? (names[target] === undefined ? 502 : undefined);
  }

  function forward(request: IncomingMessage, response: ServerResponse): void {
    const { method = '', url = '' } = request;
    // As Squid does with requests that are for itself.
    if (!URL.canParse(url)) {
      response.writeHead(400).end();
      return;
    }
    const { host, port, pathname } = new URL(url);
    const target = port === '' ? `${host}:80` : host;
    const status = refusal(request, target);
    if (status !== undefined) {
      request.resume();
      response.writeHead(status, { 'proxy-authenticate': 'Basic realm="proxy"' }).end('<html>Refused</html>');
      return;
    }
    passed.push({ method, target });
    const [hostname, realPort] = addressOf(target);
    // Not as it was parsed: the path is signed as it stands.
    const path = url.slice(url.indexOf('/', 'http://'.length)) || pathname;
    const { 'proxy-authorization': _, 'proxy-connection': __, ...headers } = request.headers;
    const onward = http.request({ hostname, port: realPort, method, path, headers, agent }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  }

  function tunnel(request: IncomingMessage, client: Duplex, head: Buffer): void {
    const target = request.url ?? '';
    const status = refusal(request, target);
    client.on('error', () => client.destroy());
    if (status !== undefined) {
      client.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    passed.push({ method: 'CONNECT', target });
    const [hostname, port] = addressOf(target);
    const store: Socket = net.connect(Number(port), hostname, () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      store.write(head);
      store.pipe(client).pipe(store);
    });
    store.on('error', () => client.destroy());
    client.on('close', () => store.destroy());
    tunnels.add(client);
  }

  function addressOf(target: string): [string, string] {
    const [hostname = '', port = ''] = (names[target] ?? '').split(':');
    return [hostname, port];
  }

  const server =
    certificate === undefined
      ? http.createServer(forward)
      : https.createServer(readCertificate(certificate), forward);
  server.on('connect', tunnel);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    passed,
    challenges: () => challenges,
    async stop() {
      agent.destroy();
      tunnels.forEach((client) => client.destroy());
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
