import type { Driver } from '../../src/drivers/driver.ts';
import type { Retry } from '../../src/drivers/retrier.ts';
import { withRetry } from '../../src/drivers/with-retry.ts';
import { createBucket, createContainer, type SharedServers } from '../servers/index.ts';
import { type Fault, type FaultingProxy, type ProxiedRequest, startFaultingProxy } from './faulting-proxy.ts';
import { openBucket, openContainer } from './own-stores.ts';

/** What a request is about, as faults choose it. */
export interface Asked {
  what: 'list' | 'read' | 'stat' | 'write' | 'part' | 'complete' | 'copy' | 'delete' | 'other';
  /** The key; of a listing its prefix; '' where it is about several or none. */
  key: string;
  /** Where a listing is to go on. */
  token: string | undefined;
}

/** A real store with a proxy in its way. */
export interface WireStore {
  /** Not through the proxy: for judging and for setting up. */
  direct: Driver;
  /** Through the proxy, with retries as commands have them, but without their pauses. */
  driver: Driver;
  /** The pauses that would have been made, in milliseconds. */
  pausesMs: number[];
  proxy: FaultingProxy;
  ask(request: ProxiedRequest): Asked;
  close(): Promise<void>;
}

/** How a kind of store says things. */
export interface WireKind {
  name: 'S3' | 'Azure';
  /** @param shared a proxy that is in the way of another store, so that one can copy from the other by itself. */
  open(servers: SharedServers, attempts?: number, shared?: FaultingProxy): Promise<WireStore>;
  /** An error as this store gives it. */
  refusal(status: number, code: string, headers?: Record<string, string>): Fault;
  /** Codes of the store for the same things. */
  codes: {
    busy: string;
    internal: string;
    expired: [number, string];
    skewed: [number, string];
    denied: string;
    missing: string;
  };
}

/** Much longer than a store takes on a busy machine. */
const IDLE_MS = 3000;
const SHORT = { idleMs: IDLE_MS, serverSideMs: IDLE_MS };
/** Above this both stores are written in parts here, the least that S3 allows. */
export const PART_BYTES = 5 * 2 ** 20;

export const s3Kind: WireKind = {
  name: 'S3',
  async open({ rgw }, attempts = 4, shared) {
    const bucket = await createBucket(rgw);
    const { endpoint } = rgw;
    const proxy = await proxyBefore(endpoint, shared);
    const openAt = (at: string, timeouts?: typeof SHORT): Promise<Driver> =>
      openBucket(rgw, bucket, {
        endpoint: at,
        singlePutMaxBytes: PART_BYTES,
        partSizeBytes: PART_BYTES,
        timeouts,
      });
    return finish(await openAt(endpoint), await openAt(proxy.endpoint, SHORT), proxy, attempts, (request) =>
      askS3(request, bucket),
    );
  },
  refusal: (status, code, headers = {}) => ({
    kind: 'answer',
    status,
    headers: { 'content-type': 'application/xml', ...headers },
    body: `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message></Message></Error>`,
  }),
  codes: {
    busy: 'SlowDown',
    internal: 'InternalError',
    expired: [400, 'ExpiredToken'],
    skewed: [403, 'RequestTimeTooSkewed'],
    denied: 'AccessDenied',
    missing: 'NoSuchKey',
  },
};

export const azureKind: WireKind = {
  name: 'Azure',
  async open({ azurite }, attempts = 4, shared) {
    const container = await createContainer(azurite);
    const service = new URL(azurite.serviceUrl);
    const proxy = await proxyBefore(service.origin, shared);
    const openAt = (origin: string, timeouts?: typeof SHORT): Promise<Driver> =>
      openContainer(azurite, container, {
        serviceUrl: `${origin}${service.pathname}`,
        singlePutMaxBytes: PART_BYTES,
        partSizeBytes: PART_BYTES,
        timeouts,
      });
    return finish(
      await openAt(service.origin),
      await openAt(proxy.endpoint, SHORT),
      proxy,
      attempts,
      (request) => askAzure(request, `${service.pathname}/${container}`),
    );
  },
  refusal: (status, code, headers = {}) => ({
    kind: 'answer',
    status,
    headers: { 'content-type': 'application/xml', 'x-ms-error-code': code, ...headers },
    body: `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>Made up.</Message></Error>`,
  }),
  codes: {
    busy: 'ServerBusy',
    internal: 'InternalError',
    expired: [401, 'InvalidAuthenticationInfo'],
    skewed: [403, 'AuthenticationFailed'],
    denied: 'AuthorizationPermissionMismatch',
    missing: 'BlobNotFound',
  },
};

/** Of a shared one the other store takes care. */
async function proxyBefore(endpoint: string, shared: FaultingProxy | undefined): Promise<FaultingProxy> {
  return shared === undefined ? startFaultingProxy(endpoint) : { ...shared, stop: async () => {} };
}

async function finish(
  direct: Driver,
  faulty: Driver,
  proxy: FaultingProxy,
  attempts: number,
  ask: WireStore['ask'],
): Promise<WireStore> {
  const pausesMs: number[] = [];
  const onRetry = ({ delayMs }: Retry): void => {
    pausesMs.push(delayMs);
  };
  return {
    direct,
    driver: withRetry(faulty, { attempts, onRetry, sleep: async () => {} }),
    pausesMs,
    proxy,
    ask,
    async close() {
      await direct.close();
      await faulty.close();
      await proxy.stop();
    },
  };
}

function askS3({ method, url, headers }: ProxiedRequest, bucket: string): Asked {
  const { pathname, searchParams } = new URL(url, 'http://store');
  const path = decodeURIComponent(pathname).slice(`/${bucket}`.length).replace(/^\//, '');
  const asked = (what: Asked['what'], key = path): Asked => ({
    what,
    key,
    token: searchParams.get('continuation-token') ?? undefined,
  });
  if (path === '') {
    if (searchParams.has('delete')) {
      return asked('delete');
    }
    return searchParams.has('list-type') ? asked('list', searchParams.get('prefix') ?? '') : asked('other');
  }
  if (searchParams.has('uploadId') || searchParams.has('uploads')) {
    const isComplete = method === 'POST' && searchParams.has('uploadId');
    return asked(isComplete ? 'complete' : method === 'PUT' ? 'part' : 'other');
  }
  if (method === 'PUT') {
    return asked('x-amz-copy-source' in headers ? 'copy' : 'write');
  }
  return asked(method === 'HEAD' ? 'stat' : method === 'DELETE' ? 'delete' : 'read');
}

function askAzure({ method, url, headers }: ProxiedRequest, base: string): Asked {
  const { pathname, searchParams } = new URL(url, 'http://store');
  const path = decodeURIComponent(pathname).slice(base.length).replace(/^\//, '');
  const asked = (what: Asked['what'], key = path): Asked => ({
    what,
    key,
    token: searchParams.get('marker') ?? undefined,
  });
  switch (searchParams.get('comp')) {
    case 'list':
      return asked('list', searchParams.get('prefix') ?? '');
    case 'batch':
      return asked('delete', '');
    case 'block':
      return asked('part');
    case 'blocklist':
      return asked(method === 'PUT' ? 'complete' : 'other');
    default:
  }
  if (path === '') {
    return asked('other');
  }
  if (method === 'PUT') {
    return asked('x-ms-copy-source' in headers ? 'copy' : 'write');
  }
  return asked(method === 'HEAD' ? 'stat' : method === 'DELETE' ? 'delete' : 'read');
}
