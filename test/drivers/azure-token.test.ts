import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { azureError } from '../../src/drivers/azure/errors.ts';
import { openAzureHttp } from '../../src/drivers/azure/http.ts';
import { openRequests, type AzureRequests } from '../../src/drivers/azure/requests.ts';
import { openTokenSource } from '../../src/drivers/azure/token.ts';

const minuteMs = 60_000;
const startMs = Date.UTC(2026, 0, 1);
const tenantId = '01234567-89ab-cdef-0123-456789abcdef';

/** An identity that numbers its tokens, each good for an hour unless it is told otherwise. */
class Identity {
  asked: { scope: string | string[]; tenantId: string | undefined }[] = [];
  lifetimeMs = 60 * minuteMs;
  refreshAfterMs: number | undefined;
  failure: Error | undefined;
  /** Gives this token again and again, as a cache would. */
  stuckAt: string | undefined;
  #release: (() => void)[] | undefined;

  getToken(scope: string | string[], options?: { tenantId?: string }) {
    this.asked.push({ scope, tenantId: options?.tenantId });
    const { failure } = this;
    const token = {
      token: this.stuckAt ?? `token-${this.asked.length}`,
      expiresOnTimestamp: Date.now() + this.lifetimeMs,
      ...(this.refreshAfterMs === undefined
        ? {}
        : { refreshAfterTimestamp: Date.now() + this.refreshAfterMs }),
    };
    return new Promise<typeof token>((resolve, reject) => {
      const settle = (): void => (failure === undefined ? resolve(token) : reject(failure));
      if (this.#release === undefined) {
        settle();
      } else {
        this.#release.push(settle);
      }
    });
  }

  /** From now on answers wait for `release`. */
  hold(): void {
    this.#release = [];
  }

  release(): void {
    const waiting = this.#release ?? [];
    this.#release = undefined;
    waiting.forEach((settle) => settle());
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: startMs });
});
afterEach(() => {
  vi.useRealTimers();
});

async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe('a source of tokens', () => {
  it('takes one for storage, once for all who ask, and without a promise from then on', async () => {
    const identity = new Identity();
    identity.hold();
    const tokens = openTokenSource(identity);
    const first = [tokens.current(), tokens.current()].map(async (token) => token);
    identity.release();
    expect(await Promise.all(first)).toEqual(['token-1', 'token-1']);
    expect(tokens.current()).toBe('token-1');
    expect(identity.asked).toEqual([{ scope: 'https://storage.azure.com/.default', tenantId: undefined }]);
  });

  it('renews it before it expires, and gives the old one meanwhile', async () => {
    const identity = new Identity();
    const tokens = openTokenSource(identity);
    await tokens.current();
    vi.setSystemTime(startMs + 54 * minuteMs);
    expect(tokens.current()).toBe('token-1');
    expect(identity.asked.length).toBe(1);
    identity.hold();
    vi.setSystemTime(startMs + 56 * minuteMs);
    expect([tokens.current(), tokens.current()]).toEqual(['token-1', 'token-1']);
    expect(identity.asked.length).toBe(2);
    identity.release();
    await settled();
    expect(tokens.current()).toBe('token-2');
  });

  it('renews it when the identity says that it should', async () => {
    const identity = new Identity();
    identity.refreshAfterMs = 30 * minuteMs;
    const tokens = openTokenSource(identity);
    await tokens.current();
    vi.setSystemTime(startMs + 31 * minuteMs);
    expect(tokens.current()).toBe('token-1');
    await settled();
    expect(tokens.current()).toBe('token-2');
  });

  it('waits for another one when it has expired', async () => {
    const identity = new Identity();
    const tokens = openTokenSource(identity);
    await tokens.current();
    vi.setSystemTime(startMs + 60 * minuteMs);
    expect(await tokens.current()).toBe('token-2');
  });

  it('goes on with the old one while renewing fails, and fails when that expires', async () => {
    const identity = new Identity();
    const tokens = openTokenSource(identity);
    await tokens.current();
    identity.failure = new Error('the identity is away');
    vi.setSystemTime(startMs + 56 * minuteMs);
    expect(tokens.current()).toBe('token-1');
    await settled();
    expect(tokens.current()).toBe('token-1');
    expect(identity.asked.length).toBe(2);
    vi.setSystemTime(startMs + 57 * minuteMs);
    expect(tokens.current()).toBe('token-1');
    expect(identity.asked.length).toBe(3);
    await settled();
    vi.setSystemTime(startMs + 60 * minuteMs);
    await expect(tokens.current()).rejects.toThrow('the identity is away');
    identity.failure = undefined;
    expect(await tokens.current()).toBe('token-5');
  });

  it('says how to sign in when the identity gives none', async () => {
    const tokens = openTokenSource({ getToken: () => Promise.resolve(null) });
    const place = { host: 'h', container: 'c', location: 'azure://c' };
    const failure = azureError(
      await Promise.resolve(tokens.current()).catch((error: unknown) => error),
      place,
      { operation: 'list' },
    );
    expect(failure).toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
    expect(failure.message).toContain('az login');
  });
});

describe('a request with a token', () => {
  let server: Server;
  let seen: IncomingMessage[] = [];
  let accepts: (token: string) => boolean = () => true;
  let challenge = 'Bearer error="invalid_token"';
  let identity = new Identity();
  let requests: AzureRequests;
  let close: () => void;

  beforeEach(async () => {
    seen = [];
    accepts = () => true;
    challenge = 'Bearer error="invalid_token"';
    identity = new Identity();
    server = createServer((request, response) => {
      request.resume().on('end', () => {
        seen.push(request);
        const token = /^Bearer (.*)$/u.exec(request.headers.authorization ?? '')?.[1] ?? '';
        if (accepts(token)) {
          response.writeHead(201).end();
        } else {
          const headers = { 'www-authenticate': challenge, 'x-ms-error-code': 'InvalidAuthenticationInfo' };
          response.writeHead(401, headers).end('<Error><Code>InvalidAuthenticationInfo</Code></Error>');
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const http = openAzureHttp({
      serviceUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/account`,
      container: 'registry',
      authorization: { kind: 'token', tokens: openTokenSource(identity) },
      connections: 4,
      timeouts: { connectMs: 10_000, idleMs: 10_000 },
    });
    requests = openRequests(http, 'registry');
    ({ close } = http);
  });
  afterEach(() => {
    close();
    server.closeAllConnections();
    server.close();
  });

  const put = (name = 'x'): Promise<void> =>
    requests.put(name, Buffer.from('abc'), 'kAFQmDzST7DWlj99KOF/cg==');
  const sent = (): (string | undefined)[] => seen.map(({ headers }) => headers.authorization);

  it('bears the same token until it is renewed, in the middle of a run', async () => {
    accepts = (token) => token === (Date.now() < startMs + 60 * minuteMs ? 'token-1' : 'token-2');
    await put();
    await put();
    vi.setSystemTime(startMs + 61 * minuteMs);
    await put();
    expect(sent()).toEqual(['Bearer token-1', 'Bearer token-1', 'Bearer token-2']);
  });

  it('is sent again with another token when the service refuses the first, whatever the clock says', async () => {
    await put();
    accepts = (token) => token !== 'token-1';
    await Promise.all([put('a'), put('b'), put('c')]);
    expect(identity.asked.length).toBe(2);
    expect(sent().filter((authorization) => authorization === 'Bearer token-2').length).toBe(3);
  });

  it('takes the token from the tenant that the service names, for storage and nothing else', async () => {
    challenge = `Bearer authorization_uri=https://login.microsoftonline.com/${tenantId}/oauth2/authorize resource_id=https://management.azure.com`;
    accepts = (token) => token !== 'token-1';
    await put();
    expect(identity.asked).toEqual([
      { scope: 'https://storage.azure.com/.default', tenantId: undefined },
      { scope: 'https://storage.azure.com/.default', tenantId },
    ]);
  });

  it.each([
    ['another one, which is refused as well', undefined, 2],
    ['no other', 'token-1', 1],
  ])('fails when the identity has %s', async (_, stuckAt, requestsSent) => {
    identity.stuckAt = stuckAt;
    accepts = () => false;
    const place = { host: 'h', container: 'c', location: 'azure://c' };
    const failure = azureError(await put().catch((error: unknown) => error), place, { operation: 'write' });
    expect(failure).toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
    expect(seen.length).toBe(requestsSent);
    expect(JSON.stringify([failure.message, failure.stack, failure.cause])).not.toContain('token-');
  });
});
