import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, type RequestOptions } from 'node:https';
import { isIP, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { HttpProxyAgent } from 'http-proxy-agent';
import { proxyFor, type Proxy } from '../proxy.ts';
import { proxyUnreachable } from './error.ts';
import { withoutBrackets } from './exceptions.ts';
import { openTunnel } from './tunnel.ts';

export interface AgentSettings {
  /** At most, of each agent. */
  maxSockets: number;
  connectMs: number;
  /** Whether a store's certificate has to be trusted, whatever NODE_TLS_REJECT_UNAUTHORIZED says. Not that of a proxy. */
  rejectUnauthorized?: boolean;
}

/** Node's own agents, for the clients of SDKs. */
export interface SdkAgents {
  http: HttpAgent;
  https: HttpsAgent;
}

/**
 * Agents with which an SDK reaches a store, and whomever it asks for credentials, by the rules of `proxyFor`: over https
 * each host is looked at by itself, as the tokens for a store come from another; over http there is only the store.
 */
export function openSdkAgents(storeUrl: URL, settings: AgentSettings): SdkAgents {
  const { maxSockets, connectMs, ...trust } = settings;
  const options = { keepAlive: true, maxSockets };
  const proxy = storeUrl.protocol === 'http:' ? proxyFor(storeUrl) : undefined;
  return {
    http: proxy === undefined ? new HttpAgent(options) : new ForwardingAgent(proxy, options),
    https: new TunnellingAgent({ ...options, ...trust }, connectMs),
  };
}

/** Asks the proxy for what is not encrypted. */
class ForwardingAgent extends HttpProxyAgent<string> {
  readonly #proxy: Proxy;

  constructor(proxy: Proxy, options: { keepAlive: boolean; maxSockets: number }) {
    const headers: Record<string, string> =
      proxy.authorization === undefined ? {} : { 'Proxy-Authorization': proxy.authorization };
    const hostname = withoutBrackets(new URL(proxy.address).hostname);
    // Of a proxy over TLS, whose certificate is for a name; the library would not say it.
    super(proxy.address, { ...options, headers, ...(isIP(hostname) === 0 ? { servername: hostname } : {}) });
    this.#proxy = proxy;
  }

  override async connect(...parameters: Parameters<HttpProxyAgent<string>['connect']>) {
    try {
      return await super.connect(...parameters);
    } catch (error) {
      throw proxyUnreachable(this.#proxy, error);
    }
  }
}

/** Encrypts in a tunnel where a proxy is named for the host, and connects directly elsewhere. */
class TunnellingAgent extends HttpsAgent {
  readonly #timeoutMs: number;

  constructor(options: HttpsAgent['options'], timeoutMs: number) {
    super(options);
    this.#timeoutMs = timeoutMs;
  }

  override createConnection(options: RequestOptions, callback?: Connected): Duplex | null | undefined {
    const hostname = options.host ?? options.hostname ?? '';
    const port = Number(options.port ?? 443);
    const proxy = proxyFor(new URL(`https://${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}`));
    if (proxy === undefined) {
      return super.createConnection(options, callback);
    }
    void this.#connect(openTunnel(proxy, { hostname, port }, this.#timeoutMs), options, callback);
    return undefined;
  }

  async #connect(tunnel: Promise<Socket>, options: RequestOptions, callback?: Connected): Promise<void> {
    let socket: Socket;
    try {
      socket = await tunnel;
    } catch (error) {
      // With an error the agent looks at nothing else.
      callback?.(error as Error, new Socket());
      return;
    }
    const inTunnel: RequestOptions & { socket: Socket } = { ...options, socket };
    const encrypted = super.createConnection(inTunnel, callback);
    if (encrypted) {
      callback?.(null, encrypted);
    }
  }
}

type Connected = (error: Error | null, stream: Duplex) => void;
