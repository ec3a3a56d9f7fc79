import { describe, expect, it, test } from 'vitest';
import { LocationError } from '../../src/drivers/location-error.ts';
import { namesProxy, proxyFor } from '../../src/drivers/proxy.ts';

const proxy = 'http://proxy.example:3128';

/** Expected values: the documentation of Go's golang.org/x/net/http/httpproxy, type Config. */
describe('whether a proxy is taken', () => {
  const both = { HTTP_PROXY: 'http://plain.example:3128', HTTPS_PROXY: 'http://secure.example:3128' };

  test.each<[string, Record<string, string>, string | undefined]>([
    ['https://store.example', {}, undefined],
    ['https://store.example', both, 'http://secure.example:3128'],
    ['http://store.example', both, 'http://plain.example:3128'],
    ['https://store.example', { HTTP_PROXY: proxy }, undefined],
    ['http://store.example', { HTTPS_PROXY: proxy }, undefined],
    ['https://store.example', { ALL_PROXY: proxy }, undefined],
    ['https://store.example', { https_proxy: proxy }, proxy],
    ['http://store.example', { http_proxy: proxy }, proxy],
    ['https://store.example', { HTTPS_PROXY: proxy, https_proxy: 'http://other.example:1' }, proxy],
    ['https://store.example', { HTTPS_PROXY: '', https_proxy: proxy }, proxy],
    ['https://store.example', { HTTPS_PROXY: '' }, undefined],
  ])('for %s with %j: %s', (url, env, expected) => {
    expect(proxyFor(new URL(url), env)?.address).toBe(expected);
  });

  const direct = false;
  const proxied = true;

  test.each<[noProxy: string, url: string, isProxied: boolean]>([
    ['', 'https://store.example', proxied],
    ['*', 'https://store.example', direct],
    ['other.example,*', 'https://store.example', direct],
    // A name stands for itself and for what is below it.
    ['store.example', 'https://store.example', direct],
    ['store.example', 'https://bucket.store.example', direct],
    ['store.example', 'https://mystore.example', proxied],
    ['store.example', 'https://store.example.org', proxied],
    ['STORE.example', 'https://Store.EXAMPLE', direct],
    ['other.example, store.example ', 'https://store.example', direct],
    ['other.example,,', 'https://store.example', proxied],
    // With a leading dot, for what is below it only.
    ['.store.example', 'https://bucket.store.example', direct],
    ['.store.example', 'https://store.example', proxied],
    ['*.store.example', 'https://bucket.store.example', direct],
    ['*.store.example', 'https://store.example', proxied],
    ['.example', 'https://store.example', direct],
    // A port has to be the same.
    ['store.example:9000', 'https://store.example:9000', direct],
    ['store.example:9000', 'https://store.example', proxied],
    ['store.example:443', 'https://store.example', direct],
    ['store.example:80', 'http://store.example', direct],
    ['.store.example:9000', 'https://bucket.store.example:9000', direct],
    [':9000', 'https://store.example:9000', proxied],
    // Addresses and ranges of them.
    ['192.0.2.7', 'https://192.0.2.7', direct],
    ['192.0.2.7', 'https://192.0.2.70', proxied],
    ['192.0.2.7:9000', 'https://192.0.2.7:9000', direct],
    ['192.0.2.7:9000', 'https://192.0.2.7', proxied],
    ['192.0.2.0/24', 'https://192.0.2.200', direct],
    ['192.0.2.0/25', 'https://192.0.2.200', proxied],
    ['192.0.2.0/24', 'https://store.example', proxied],
    ['192.0.2.0/33', 'https://192.0.2.200', proxied],
    ['2001:db8::1', 'https://[2001:db8::1]', direct],
    ['[2001:db8::1]:9000', 'https://[2001:db8::1]:9000', direct],
    ['[2001:db8::1]:9000', 'https://[2001:db8::1]', proxied],
    ['2001:db8::/32', 'https://[2001:db8:1::1]', direct],
    ['2001:db8::/32', 'https://[2001:db9::1]', proxied],
    // This machine, never through a proxy.
    ['', 'https://localhost', direct],
    ['', 'https://localhost:9000', direct],
    ['', 'http://127.0.0.1:9000', direct],
    ['', 'http://127.8.9.10', direct],
    ['', 'http://[::1]:9000', direct],
    ['', 'http://[::ffff:127.0.0.1]', direct],
    ['', 'http://localhost.example', proxied],
    ['', 'http://128.0.0.1', proxied],
    // Where machines and containers get the credentials of their role.
    ['', 'http://169.254.169.254/latest/meta-data/', direct],
    ['', 'http://169.254.170.2/v2/credentials', direct],
    ['', 'http://[fd00:ec2::254]/latest/meta-data/', direct],
    ['', 'http://[fe80::a9fe:a9fe]', direct],
    ['', 'http://169.253.169.254', proxied],
  ])('with NO_PROXY=%s for %s: %s', (noProxy, url, isProxied) => {
    const named = { HTTP_PROXY: proxy, HTTPS_PROXY: proxy };
    expect(proxyFor(new URL(url), { ...named, NO_PROXY: noProxy }) !== undefined).toBe(isProxied);
    expect(proxyFor(new URL(url), { ...named, no_proxy: noProxy }) !== undefined).toBe(isProxied);
  });

  it('is looked at by name, upper case first', () => {
    const env = { HTTPS_PROXY: proxy, NO_PROXY: 'other.example', no_proxy: '*' };
    expect(proxyFor(new URL('https://store.example'), env)?.address).toBe(proxy);
  });

  test.each<[Record<string, string>, boolean]>([
    [{}, false],
    [{ NO_PROXY: '*', ALL_PROXY: proxy, HTTPS_PROXY: '' }, false],
    [{ http_proxy: proxy }, true],
    [{ HTTPS_PROXY: proxy }, true],
  ])('is a question at all with %j: %s', (env, expected) => {
    expect(namesProxy(env)).toBe(expected);
  });
});

describe('the address of a proxy', () => {
  const named = (value: string) => proxyFor(new URL('https://store.example'), { https_proxy: value });

  test.each<[value: string, address: string]>([
    ['http://proxy.example:3128', 'http://proxy.example:3128'],
    ['http://proxy.example:3128/', 'http://proxy.example:3128'],
    [' http://proxy.example ', 'http://proxy.example'],
    ['https://proxy.example', 'https://proxy.example'],
    ['proxy.example:3128', 'http://proxy.example:3128'],
    ['192.0.2.1:3128', 'http://192.0.2.1:3128'],
    ['[2001:db8::1]:3128', 'http://[2001:db8::1]:3128'],
  ])('%s is %s', (value, address) => {
    expect(named(value)).toEqual({ address, authorization: undefined, variable: 'https_proxy' });
  });

  // Worked out with: printf 'user:p@ss:word' | base64
  test.each<[value: string, authorization: string]>([
    ['http://user:p%40ss:word@proxy.example:3128', 'Basic dXNlcjpwQHNzOndvcmQ='],
    ['user:p%40ss%3Aword@proxy.example:3128', 'Basic dXNlcjpwQHNzOndvcmQ='],
    ['http://user@proxy.example:3128', 'Basic dXNlcjo='],
  ])('%s holds credentials, which are no part of it', (value, authorization) => {
    expect(named(value)).toEqual({
      address: 'http://proxy.example:3128',
      authorization,
      variable: 'https_proxy',
    });
  });

  test.each([
    'http://',
    'http://user:secret@',
    'http://proxy.example:port',
    'socks5://user:secret@proxy.example:1080',
    // What an unencoded character in a password makes of it: a host that is its beginning.
    'http://user:12/secret@proxy.example:3128',
    'http://user:12#secret@proxy.example:3128',
    'http://user:12?secret@proxy.example:3128',
    'http://user:secret%@proxy.example:3128',
  ])('%s is refused by the name of its variable, and nothing of it is repeated', (value) => {
    let refusal: unknown;
    try {
      named(value);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(LocationError);
    const { code, message } = refusal as LocationError;
    expect(code).toBe('PROXY_INVALID');
    expect(message).toMatch(/^https_proxy /);
    expect(message).not.toMatch(/secret|user:|12/);
  });

  it('does not matter for a host that is excepted', () => {
    const env = { HTTPS_PROXY: 'socks5://proxy.example', NO_PROXY: 'store.example' };
    expect(proxyFor(new URL('https://store.example'), env)).toBeUndefined();
  });
});
