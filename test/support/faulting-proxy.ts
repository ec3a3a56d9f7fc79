import http, { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** A request as it reaches the proxy. */
export interface ProxiedRequest {
  method: string;
  /** Path and query, undecoded. */
  url: string;
  headers: IncomingHttpHeaders;
}

export interface ProxiedAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** What happens to a request on its way, or to its answer on the way back. */
export type Fault =
  /** The store never sees the request, and this is the answer. */
  | { kind: 'answer'; status: number; headers?: Record<string, string>; body?: string }
  /** The connection is reset before the store sees anything. */
  | { kind: 'reset' }
  /** The store has the request, and the connection is reset in the middle of its answer's body, or of its headers. */
  | { kind: 'cut' }
  /** The store has the request, and nothing is ever answered. */
  | { kind: 'stall' }
  /** The store's answer, as somebody on the way, or a store with a fault, would make it. */
  | {
      kind: 'rewrite';
      /** A header that is undefined is left out. */
      answer: (answer: ProxiedAnswer) => { body?: Buffer; headers?: Record<string, string | undefined> };
    };

export interface FaultingProxy {
  /** `http://127.0.0.1:PORT`, to be given in place of the store's own endpoint. */
  endpoint: string;
  /** Decides on each request from now on, undefined: it is passed on as it is. */
  faultWith(decide: (request: ProxiedRequest) => Fault | undefined): void;
  /** Every request since `faultWith` was called last. */
  seen: { request: ProxiedRequest; faulted: boolean }[];
  stop(): Promise<void>;
}

/** Stands before an HTTP store, and does to chosen requests what networks and stores do on a bad day. */
export async function startFaultingProxy(storeEndpoint: string): Promise<FaultingProxy> {
  const { hostname, port } = new URL(storeEndpoint);
  let decide: (request: ProxiedRequest) => Fault | undefined = () => undefined;
  const seen: FaultingProxy['seen'] = [];
  const agent = new http.Agent({ keepAlive: true });

  const server = http.createServer((incoming, response) => {
    const { method = '', url = '', headers } = incoming;
    const request = { method, url, headers };
    const fault = decide(request);
    seen.push({ request, faulted: fault !== undefined });
    // Either side may break at any time here, and the other then breaks, too.
    incoming.on('error', () => response.destroy());
    void carryOut(fault, incoming, response).catch(() => response.destroy());
  });

  async function carryOut(
    fault: Fault | undefined,
    incoming: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    switch (fault?.kind) {
      case 'answer':
        incoming.resume();
        await buffer(incoming);
        response.writeHead(fault.status, fault.headers).end(fault.body);
        return;
      case 'reset':
        incoming.socket.resetAndDestroy();
        return;
      case 'stall':
        await buffer(await passOn(incoming));
        return;
      case 'cut': {
        const answer = await passOn(incoming);
        const body = await buffer(answer);
        if (body.length === 0) {
          incoming.socket.resetAndDestroy();
          return;
        }
        const { 'transfer-encoding': _, ...kept } = answer.headers;
        response.writeHead(answer.statusCode ?? 502, { ...kept, 'content-length': String(body.length) });
        response.write(body.subarray(0, Math.floor(body.length / 2)), () =>
          incoming.socket.resetAndDestroy(),
        );
        return;
      }
      case 'rewrite': {
        const answer = await passOn(incoming);
        const body = await buffer(answer);
        const { 'transfer-encoding': _, 'content-length': length, ...kept } = answer.headers;
        const status = answer.statusCode ?? 502;
        const changed = fault.answer({ status, headers: answer.headers, body });
        const isHead = incoming.method === 'HEAD';
        const headers = {
          ...kept,
          'content-length': isHead ? (length ?? '0') : String((changed.body ?? body).length),
          ...changed.headers,
        };
        const given = Object.entries(headers).filter(([, value]) => value !== undefined);
        response.writeHead(status, Object.fromEntries(given));
        response.end(isHead ? undefined : (changed.body ?? body));
        return;
      }
      case undefined: {
        const answer = await passOn(incoming);
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.on('error', () => response.destroy());
        answer.pipe(response);
      }
    }
  }

  async function passOn(incoming: IncomingMessage): Promise<IncomingMessage> {
    const { method, url: path, headers } = incoming;
    return new Promise((resolve, reject) => {
      const outgoing = http.request({ hostname, port, method, path, headers, agent }, resolve);
      outgoing.on('error', reject);
      incoming.pipe(outgoing);
    });
  }

  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => {
    server.once('listening', resolve);
  });
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faultWith(next) {
      decide = next;
      seen.length = 0;
    },
    seen,
    async stop() {
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
