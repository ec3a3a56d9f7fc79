import type { Socket } from 'node:net';
import { buildConnector, Pool, type Dispatcher } from 'undici';
import type { Proxy } from '../proxy.ts';
import { proxyRefused, proxyUnreachable } from './error.ts';

export interface DispatcherSettings {
  connections: number;
  /** To connect, and with a proxy for each step of that. */
  connectMs: number;
  /** Without a single byte while one is expected. */
  idleMs: number;
  /** Whether a store's certificate has to be trusted, whatever NODE_TLS_REJECT_UNAUTHORIZED says. Not that of a proxy. */
  rejectUnauthorized?: boolean;
}

/**
 * Connections of the hot path to a store, directly or through a proxy. Nothing is connected before the first request.
 *
 * What is encrypted goes through a tunnel, of which the proxy sees the host's name and nothing more. What is not is
 * asked of the proxy with the whole address (RFC 9112, 3.2.2), for most proxies tunnel to port 443 only.
 * @param origin of the store: scheme, host and port.
 */
export function openDispatcher(
  origin: string,
  proxy: Proxy | undefined,
  { connections, connectMs, idleMs, ...trust }: DispatcherSettings,
): Dispatcher {
  const settings = { connections, pipelining: 1, headersTimeout: idleMs, bodyTimeout: idleMs };
  const connect = { timeout: connectMs, ...trust };
  if (proxy === undefined) {
    return new Pool(origin, { ...settings, connect });
  }
  if (origin.startsWith('https:')) {
    return new Pool(origin, {
      ...settings,
      connect: throughTunnel(proxy, buildConnector(connect), connectMs),
    });
  }
  return new Pool(proxy.address, {
    ...settings,
    connect: toProxy(proxy, buildConnector({ timeout: connectMs })),
  }).compose((dispatch) => (request, handler) => {
    const given = request.headers as readonly string[];
    return dispatch(
      {
        ...request,
        path: `${origin}${request.path}`,
        headers: [...given, ...ownHeaders(origin, proxy, given)],
      },
      withoutChallenge(handler, proxy, new URL(origin).host),
    );
  });
}

/** TLS with the store, in a tunnel through the proxy. */
function throughTunnel(
  proxy: Proxy,
  encrypt: buildConnector.connector,
  timeoutMs: number,
): buildConnector.connector {
  async function connect(...[options, callback]: Parameters<buildConnector.connector>): Promise<void> {
    let httpSocket: Socket;
    try {
      // Loaded only here: a run without a proxy needs neither it nor Node's own client.
      const { openTunnel } = await import('./tunnel.ts');
      const { hostname, port } = options;
      httpSocket = await openTunnel(proxy, { hostname, port: Number(port || 443) }, timeoutMs);
    } catch (error) {
      callback(error as Error, null);
      return;
    }
    encrypt({ ...options, httpSocket }, callback);
  }
  return (options, callback) => {
    void connect(options, callback);
  };
}

/** A connection to the proxy itself: when there is none, that says nothing of the store. */
function toProxy(proxy: Proxy, connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) => {
    connect(options, (...[error, socket]: Parameters<buildConnector.Callback>) => {
      if (error === null) {
        callback(null, socket);
      } else {
        callback(proxyUnreachable(proxy, error), null);
      }
    });
  };
}

/** undici would name the proxy in Host, as it is connected to that. */
function ownHeaders(origin: string, { authorization }: Proxy, given: readonly string[]): string[] {
  const hasHost = given.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'host');
  return [
    ...(hasHost ? [] : ['host', new URL(origin).host]),
    ...(authorization === undefined ? [] : ['proxy-authorization', authorization]),
  ];
}

/** 407 is always the proxy's (RFC 9110, 15.5.8), and is not given to who waits for an answer of the store. */
function withoutChallenge(
  handler: Dispatcher.DispatchHandler,
  proxy: Proxy,
  target: string,
): Dispatcher.DispatchHandler {
  return {
    onRequestStart: (controller, context) => handler.onRequestStart?.(controller, context),
    onResponseStart(controller, statusCode, headers, statusMessage) {
      if (statusCode === 407) {
        controller.abort(proxyRefused(proxy, statusCode, target));
        return;
      }
      handler.onResponseStart?.(controller, statusCode, headers, statusMessage);
    },
    onResponseData: (controller, chunk) => handler.onResponseData?.(controller, chunk),
    onResponseEnd: (controller, trailers) => handler.onResponseEnd?.(controller, trailers),
    onResponseError: (controller, error) => handler.onResponseError?.(controller, error),
  };
}
