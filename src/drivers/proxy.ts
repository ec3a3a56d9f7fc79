import { LocationError } from './location-error.ts';
import { isExcepted } from './proxy/exceptions.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** An HTTP proxy that the environment names. */
export interface Proxy {
  /** Scheme, host and port, and nothing of the credentials: for messages, and for connecting. */
  address: string;
  /** What Proxy-Authorization says; undefined where the address holds no credentials. */
  authorization: string | undefined;
  /** The variable that names it, as it is written there. */
  variable: string;
}

/**
 * The proxy through which requests to an address go, or undefined where they go directly.
 *
 * The rules are those of Go's `http.ProxyFromEnvironment` (package golang.org/x/net/http/httpproxy), by which the
 * registry itself and rclone go: `HTTPS_PROXY` for https, `HTTP_PROXY` for http, `NO_PROXY` for what is excepted, names
 * in upper case first. Beyond them, link-local addresses are never asked for through a proxy: there machines and
 * containers get the credentials of their role, and a proxy would get its own.
 * @throws LocationError PROXY_INVALID when a proxy is named in a way that cannot be understood.
 */
export function proxyFor(url: URL, env: Environment = process.env): Proxy | undefined {
  const named = nonEmpty(env, url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
  if (named === undefined || isExcepted(url, nonEmpty(env, 'NO_PROXY')?.value)) {
    return undefined;
  }
  return parseProxy(named);
}

/** Whether the environment names any proxy. Where it does not, nothing of this needs to be looked at. */
export function namesProxy(env: Environment = process.env): boolean {
  return nonEmpty(env, 'HTTPS_PROXY') !== undefined || nonEmpty(env, 'HTTP_PROXY') !== undefined;
}

/** What may be shown of a proxy. */
export function withoutCredentials(
  proxy: Proxy | undefined,
): Pick<Proxy, 'address' | 'variable'> | undefined {
  return proxy && { address: proxy.address, variable: proxy.variable };
}

interface Variable {
  name: string;
  value: string;
}

/** A variable that is set to nothing counts as not set. */
function nonEmpty(env: Environment, upperName: string): Variable | undefined {
  const name = [upperName, upperName.toLowerCase()].find((candidate) => (env[candidate] ?? '') !== '');
  return name === undefined ? undefined : { name, value: env[name] ?? '' };
}

/** `http://user:password@host:port`; the scheme may be left out. */
function parseProxy({ name, value }: Variable): Proxy {
  const text = value.trim();
  const url = parsed(/^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  if (url === undefined) {
    throw invalid(name, 'is not the address of a proxy');
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw invalid(name, `names a proxy that speaks ${url.protocol.slice(0, -1)}, which regtool does not`);
  }
  // What stands behind the host may be the rest of a password, and what stands before it would then be shown.
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    throw invalid(name, 'has more than the address of a proxy');
  }
  return { address: url.origin, authorization: authorizationOf(name, url), variable: name };
}

function parsed(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

function authorizationOf(name: string, { username, password }: URL): string | undefined {
  if (username === '' && password === '') {
    return undefined;
  }
  let credentials: string;
  try {
    credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  } catch {
    throw invalid(name, 'has a % that encodes nothing in its credentials');
  }
  return `Basic ${Buffer.from(credentials).toString('base64')}`;
}

/** Nothing of the value is repeated: it may hold a password. */
function invalid(name: string, what: string): LocationError {
  return new LocationError(
    'PROXY_INVALID',
    `${name} ${what}: write it as http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT with / ? # @ : and % in the password percent-encoded.`,
  );
}
