import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import type { Proxy } from '../proxy.ts';
import { withoutBrackets } from './exceptions.ts';
import { proxyRefused, proxyTimedOut, proxyUnreachable } from './error.ts';

/**
 * Connects to a host through a proxy, by CONNECT (RFC 9110, 9.3.6). What is written to the socket from then on reaches
 * the host; TLS with it is the caller's.
 *
 * undici's ProxyAgent has the same, and was not taken: it waits five minutes for an answer to CONNECT and tells the
 * status of a refusal only in words. Nor was https-proxy-agent, which gives that refusal out as the answer of the host.
 * @param timeoutMs for all of it.
 * @throws ProxyError
 */
export function openTunnel(
  proxy: Proxy,
  target: { hostname: string; port: number },
  timeoutMs: number,
): Promise<Socket> {
  const { protocol, hostname, port } = new URL(proxy.address);
  const host = target.hostname.includes(':') ? `[${target.hostname}]` : target.hostname;
  const authority = `${host}:${target.port}`;
  return new Promise((resolve, reject) => {
    const request = (protocol === 'https:' ? https : http).request({
      hostname: withoutBrackets(hostname),
      port: port === '' ? undefined : Number(port),
      method: 'CONNECT',
      path: authority,
      headers: {
        host: authority,
        connection: 'keep-alive',
        ...(proxy.authorization === undefined ? {} : { 'proxy-authorization': proxy.authorization }),
      },
      agent: false,
    });
    const timer = setTimeout(() => {
      request.destroy(proxyTimedOut(proxy));
    }, timeoutMs);
    request.once('connect', ({ statusCode = 0 }, socket: Socket, head: Buffer) => {
      clearTimeout(timer);
      if (statusCode < 200 || statusCode > 299) {
        socket.destroy();
        reject(proxyRefused(proxy, statusCode, authority));
        return;
      }
      if (head.byteLength > 0) {
        socket.unshift(head);
      }
      resolve(socket);
    });
    request.once('error', (error) => {
      clearTimeout(timer);
      reject(proxyUnreachable(proxy, error));
    });
    request.end();
  });
}
