import type { Proxy } from '../proxy.ts';

/** `PROXY_REFUSED`: it would refuse again. `PROXY_UNAVAILABLE`: the same may succeed when it is tried again. */
type ProxyErrorCode = 'PROXY_REFUSED' | 'PROXY_UNAVAILABLE';

/** What went wrong between this machine and a proxy. The message is for an operator, and holds no secret. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError';
  readonly code: ProxyErrorCode;

  constructor(code: ProxyErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * What a failure says of a proxy; undefined where it is none of a proxy. Read by its code, as SDKs put errors of their
 * own around what they are given, with the same code and message.
 */
export function proxyFailure(failure: {
  code?: unknown;
  message: string;
}): { message: string; retryable: boolean } | undefined {
  const { code, message } = failure;
  return code === 'PROXY_REFUSED' || code === 'PROXY_UNAVAILABLE'
    ? { message, retryable: code === 'PROXY_UNAVAILABLE' }
    : undefined;
}

/** No connection to the proxy itself, or none over which it speaks as one. */
export function proxyUnreachable(proxy: Proxy, error: unknown): ProxyError {
  if (error instanceof ProxyError) {
    return error;
  }
  const code = codeOf(error);
  return /CERT|SIGNED|VERIFY_LEAF|^ERR_TLS/.test(code)
    ? new ProxyError(
        'PROXY_REFUSED',
        `The certificate of ${named(proxy)} is not trusted (${code}): name its authority's file in NODE_EXTRA_CA_CERTS.`,
      )
    : new ProxyError(
        'PROXY_UNAVAILABLE',
        `No connection to ${named(proxy)} (${code}): correct its address and check that it runs, or list the store in NO_PROXY if it can be reached without it.`,
      );
}

/** The proxy did not answer in time. */
export function proxyTimedOut(proxy: Proxy): ProxyError {
  return new ProxyError(
    'PROXY_UNAVAILABLE',
    `${sentenceStart(proxy)} did not answer in time: check that it runs, or list the store in NO_PROXY if it can be reached without it.`,
  );
}

/** The proxy answered, and with something else than what was asked for. */
export function proxyRefused(proxy: Proxy, status: number, target: string): ProxyError {
  if (status === 407) {
    return new ProxyError(
      'PROXY_REFUSED',
      proxy.authorization === undefined
        ? `${sentenceStart(proxy)} wants credentials (407): write ${proxy.variable} as http://USER:PASSWORD@HOST:PORT.`
        : `${sentenceStart(proxy)} does not accept the credentials in ${proxy.variable} (407): correct them there.`,
    );
  }
  return status >= 500 || status === 408 || status === 429
    ? new ProxyError('PROXY_UNAVAILABLE', `${sentenceStart(proxy)} does not reach ${target} (${status}).`)
    : new ProxyError(
        'PROXY_REFUSED',
        `${sentenceStart(proxy)} does not let requests to ${target} through (${status}): have them allowed there, or list the store in NO_PROXY if it can be reached without it.`,
      );
}

function named({ address, variable }: Proxy): string {
  return `the proxy ${address} that ${variable} names`;
}

function sentenceStart(proxy: Proxy): string {
  return `T${named(proxy).slice(1)}`;
}

function codeOf(error: unknown): string {
  const { code, message = String(error) } = error as Partial<NodeJS.ErrnoException>;
  return code ?? message;
}
