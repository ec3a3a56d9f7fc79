import { execFile } from 'node:child_process';
import type { IncomingMessage, RequestListener } from 'node:http';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { AnonymousCredential, ContainerClient, newPipeline } from '@azure/storage-blob';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Driver } from '../../src/drivers/driver.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { startForwardProxy } from '../support/forward-proxy.ts';
import { listAll, readAll } from './contract.ts';
import { azureLocalServers, byKey } from './azure-local-servers.ts';
import { failureOf } from './failure-of.ts';

const { serve, open } = azureLocalServers();

afterEach(() => {
  vi.unstubAllEnvs();
});

const emptyPage = '<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>';

/** Answers as Azure does where nothing goes wrong: to a PUT, and to everything else with an empty page. */
function kindAnswer(request: IncomingMessage, response: Parameters<RequestListener>[1]): void {
  request.resume().on('end', () => {
    const isPut = request.method === 'PUT';
    response.writeHead(isPut ? 201 : 200, { 'content-type': 'application/xml' });
    response.end(isPut ? '' : emptyPage);
  });
}

describe('a small request to Azure', () => {
  it('asks for the version of the service that the SDK asks for', async () => {
    const seen: unknown[] = [];
    const endpoint = await serve((request, response) => {
      seen.push(request.headers['x-ms-version']);
      kindAnswer(request, response);
    });
    const driver = await open({ serviceUrl: `${endpoint}/account`, ...byKey });
    await listAll(driver);
    await new ContainerClient(
      `${endpoint}/account/registry`,
      newPipeline(new AnonymousCredential()),
    ).getProperties();
    expect(seen.length).toBe(2);
    expect(seen[0]).toBe(seen[1]);
  });

  it('bears the MD5 of what it puts, twice: to be checked, and to be kept', async () => {
    const seen: IncomingMessage['headers'][] = [];
    const endpoint = await serve((request, response) => {
      seen.push(request.headers);
      kindAnswer(request, response);
    });
    const driver = await open({ serviceUrl: `${endpoint}/account`, ...byKey });
    await driver.write('x', Buffer.from('abc'));
    // RFC 1321, A.5: MD5 ("abc") = 900150983cd24fb0d6963f7d28e17f72
    const md5 = Buffer.from('900150983cd24fb0d6963f7d28e17f72', 'hex').toString('base64');
    expect(seen[0]).toMatchObject({
      'content-md5': md5,
      'x-ms-blob-content-md5': md5,
      'x-ms-blob-type': 'BlockBlob',
      'content-length': '3',
      'content-type': 'application/octet-stream',
    });
    expect(seen[0]).not.toHaveProperty('transfer-encoding');
  });

  it('asks for a page of so many blobs with their metadata, and for the next one by its marker', async () => {
    const seen: URL[] = [];
    const endpoint = await serve((request, response) => {
      const url = new URL(request.url ?? '', 'http://x');
      seen.push(url);
      const isFirst = !url.searchParams.has('marker');
      response
        .writeHead(200)
        .end(
          isFirst ? emptyPage.replace('<NextMarker />', '<NextMarker>2!8&amp;+/=</NextMarker>') : emptyPage,
        );
    });
    const driver = await open({ serviceUrl: `${endpoint}/account`, ...byKey, root: '/', listPageSize: 7 });
    await listAll(driver, 'a+b /');
    await driver.listFolder('');
    const asked = seen.map(({ searchParams }) => Object.fromEntries(searchParams));
    const always = { restype: 'container', comp: 'list', include: 'metadata', maxresults: '7' };
    expect(asked).toEqual([
      { ...always, prefix: '/a+b /' },
      { ...always, prefix: '/a+b /', marker: '2!8&+/=' },
      { ...always, prefix: '/', delimiter: '/' },
      { ...always, prefix: '/', delimiter: '/', marker: '2!8&+/=' },
    ]);
    expect(seen[0]?.pathname).toBe('/account/registry');
  });

  it('bears a SAS as it was given, and nothing that is signed', async () => {
    const seen: IncomingMessage[] = [];
    const endpoint = await serve((request, response) => {
      seen.push(request);
      kindAnswer(request, response);
    });
    const sasToken = 'sv=2024-11-04&sp=rwl&se=2999-01-01T00%3A00%3A00Z&sig=a%2Bb%2Fc%3D';
    const driver = await open({ serviceUrl: `${endpoint}/account`, sasToken: `?${sasToken}` });
    await driver.write('a b', Buffer.from('x'));
    await listAll(driver);
    expect(seen[0]?.url).toBe(`/account/registry/a%20b?${sasToken}`);
    expect(seen[1]?.url?.endsWith(`&${sasToken}`)).toBe(true);
    expect(seen.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
  });

  it.each([
    ['a PUT', (driver: Driver) => driver.write('x', Buffer.from('abc'))],
    ['a listing', (driver: Driver) => listAll(driver)],
  ])('of a page that asks to sign in makes no success of %s', async (_, call) => {
    const endpoint = await serve((request, response) => {
      request.resume().on('end', () => response.writeHead(200).end('<html>Please sign in</html>'));
    });
    const failure = await failureOf(call(await open({ serviceUrl: `${endpoint}/account`, ...byKey })));
    expect(['UNEXPECTED', 'BAD_LISTING']).toContain(failure.code);
  });

  it('follows no redirect, and tells nobody else its credentials', async () => {
    const strangers: IncomingMessage[] = [];
    const elsewhere = await serve((request, response) => {
      strangers.push(request);
      kindAnswer(request, response);
    });
    const endpoint = await serve((request, response) => {
      request
        .resume()
        .on('end', () => response.writeHead(307, { location: `${elsewhere}${request.url}` }).end());
    });
    const driver = await open({ serviceUrl: `${endpoint}/account`, ...byKey });
    const calls = [
      listAll(driver),
      driver.stat('x'),
      driver.write('x', Buffer.from('x')),
      readAll(driver, 'x'),
    ];
    for (const call of calls) {
      expect(await failureOf(call)).toMatchObject({ code: 'STORE_NOT_FOUND', retryable: false });
    }
    expect(strangers.length).toBe(0);
  });

  it.each([
    ['429 with seconds', 429, { 'retry-after': '3' }, 'RATE_LIMITED', 3000],
    ['503 with milliseconds', 503, { 'x-ms-retry-after-ms': '250' }, 'RATE_LIMITED', 250],
    ['500 without a word', 500, {}, 'UNAVAILABLE', undefined],
  ])('says when to try again after %s', async (_, status, headers, code, retryAfterMs) => {
    const endpoint = await serve((request, response) => {
      request.resume().on('end', () => response.writeHead(status, headers).end());
    });
    const driver = await open({ serviceUrl: `${endpoint}/account`, ...byKey });
    for (const call of [
      listAll(driver),
      driver.stat('x'),
      driver.readSmall('x', 10),
      driver.write('x', Buffer.from('x')),
    ]) {
      expect(await failureOf(call)).toMatchObject({ code, retryable: true, retryAfterMs });
    }
  });

  it('explains a refusal by the code in its body, where no header has it', async () => {
    const endpoint = await serve((request, response) => {
      const body =
        '\uFEFF<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the request.\nRequestId:1</Message><AuthenticationErrorDetail>Request date header too old</AuthenticationErrorDetail></Error>';
      request.resume().on('end', () => response.writeHead(403).end(body));
    });
    const failure = await failureOf(listAll(await open({ serviceUrl: `${endpoint}/account`, ...byKey })));
    expect(failure.code).toBe('UNAUTHENTICATED');
    expect(failure.message).toContain('clock');
  });

  it('refuses a prefix that no URL can hold', async () => {
    const driver = await open({ serviceUrl: 'http://127.0.0.1:1/account', ...byKey });
    expect((await failureOf(listAll(driver, 'a\ud83d'))).code).toBe('INVALID_KEY');
    expect((await failureOf(driver.listFolder('a\ud83d/'))).code).toBe('INVALID_KEY');
  });

  it('does not take an answer that says no length for an empty blob', async () => {
    const endpoint = await serve((request, response) => {
      response.writeHead(200, { 'transfer-encoding': 'chunked' });
      response.end(request.method === 'HEAD' ? undefined : 'abc');
    });
    const driver = await open({ serviceUrl: `${endpoint}/account`, ...byKey });
    expect((await failureOf(driver.stat('x'))).code).toBe('UNEXPECTED');
    expect((await failureOf(driver.readSmall('x', 10))).code).toBe('UNEXPECTED');
  });

  it.each<[string, (driver: Driver, signal: AbortSignal) => Promise<unknown>]>([
    ['a PUT', (driver, signal) => driver.write('x', Buffer.from('x'), { signal })],
    ['a stat', (driver, signal) => driver.stat('x', { signal })],
    ['a read', (driver, signal) => driver.readSmall('x', 10, { signal })],
    ['a listing', (driver, signal) => driver.listFolder('', { signal })],
  ])('is ended with %s that is interrupted while it waits', async (_, call) => {
    const controller = new AbortController();
    const endpoint = await serve(() => controller.abort());
    const driver = await open({ serviceUrl: `${endpoint}/account`, ...byKey });
    expect((await failureOf(call(driver, controller.signal))).code).toBe('ABORTED');
  });
});

it('goes through a proxy with all requests, those of the SDK and the others', async () => {
  const endpoint = await serve(kindAnswer);
  const proxy = await startForwardProxy({ names: { 'store.test:80': new URL(endpoint).host } });
  vi.stubEnv('HTTP_PROXY', `http://${proxy.host}`);
  vi.stubEnv('NO_PROXY', '');
  const driver = await open({ serviceUrl: 'http://store.test/account', ...byKey, singlePutMaxBytes: 10 });
  await driver.write('small', Buffer.from('x'));
  await driver.write('large', Buffer.alloc(20));
  const source = { identity: driver.identity, key: 'small', sizeBytes: 1, etag: '0x1' };
  await driver.copyFrom?.(source, 'copied');
  // One block and the list of blocks for the large one.
  expect(proxy.passed).toEqual(Array.from({ length: 4 }, () => ({ method: 'PUT', target: 'store.test:80' })));
  await proxy.stop();
});

describe("Azure's SDK", () => {
  it('is not loaded by a run that needs nothing of it', async () => {
    const endpoint = await serve((request, response) => {
      request.resume().on('end', () => {
        const url = new URL(request.url ?? '', 'http://x');
        if (request.method === 'PUT') {
          response.writeHead(201).end();
        } else if (url.searchParams.has('comp')) {
          response.writeHead(200).end(emptyPage);
        } else {
          response.writeHead(200, { 'content-length': '1', etag: '"0x1"' }).end('x');
        }
      });
    });
    const program = `
      import { register } from 'node:module';
      register('data:text/javascript,' + encodeURIComponent(
        "export async function resolve(specifier, context, next) {" +
        "  if (specifier.startsWith('@azure/')) process.stdout.write(specifier + ' ');" +
        "  return next(specifier, context); }"));
      const { openAzure } = await import(process.argv[2]);
      const key = Buffer.from('a key').toString('base64');
      const driver = await openAzure({ container: 'registry', root: '', location: 'azure://registry',
        serviceUrl: process.argv[3], accountName: 'account', accountKey: key, singlePutMaxBytes: 10 });
      await driver.write('x', Buffer.from('x'));
      for await (const page of driver.list('')) console.error(page);
      await driver.listFolder('');
      await driver.stat('x');
      await driver.readSmall('x', 10);
      await driver.write('x', Buffer.alloc(20));
      process.stdout.write('then: ');
      const source = { identity: driver.identity, key: 'x', sizeBytes: 1, etag: '0x1' };
      await driver.copyFrom(source, 'y');
      await driver.close();
    `;
    const built = path.resolve(import.meta.dirname, '../../dist/drivers/azure.js');
    // In a file, for the threads that hash could not be started with a program from the command line.
    const folder = createTemporaryFolder('regtool-sdk');
    const file = path.join(folder.path, 'program.mjs');
    await writeFile(file, program);
    const args = [file, built, `${endpoint}/account`];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args).finally(() =>
      folder.remove(),
    );
    expect(stderr).toBe('');
    const [before, after] = stdout.split('then: ');
    expect(before).toBe('');
    expect(after).toContain('@azure/storage-blob');
  });
});
