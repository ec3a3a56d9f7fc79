import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Driver } from '../../src/drivers/driver.ts';
import { withRetry } from '../../src/drivers/with-retry.ts';
import { azureLocalServers } from './azure-local-servers.ts';
import { listAll } from './contract.ts';
import { errorReply, listPage, startLocalServer, type LocalServer } from './s3-local-server.ts';

const PAGES = 40;
const keys = Array.from({ length: PAGES }, (_, page) => `key${String(page).padStart(2, '0')}`);

/** Gives `next` and says of it how often the page was asked for: the first time it is to be refused. */
function pageByPage() {
  const asked: string[] = [];
  return {
    asked,
    /** @param mark of the page that is asked for, none for the first one. */
    page(mark: string | null) {
      const number = mark === null ? 0 : Number(mark.slice('page'.length));
      const name = `page${number}`;
      asked.push(name);
      return {
        key: keys[number] ?? '',
        next: number + 1 < PAGES ? `page${number + 1}` : undefined,
        isRefused: asked.filter((other) => other === name).length === 1,
      };
    },
  };
}

/** Twice in a row, and none of them again after one that came later. */
const eachTwice = keys.flatMap((_, page) => [`page${page}`, `page${page}`]);

const ways: [string, (driver: Driver) => Promise<string[]>][] = [
  ['a listing', async (driver) => (await listAll(driver)).map(({ key }) => key)],
  ['a folder', async (driver) => (await driver.listFolder('')).objects.map(({ key }) => key)],
];

describe('with S3', () => {
  let server: LocalServer;
  beforeAll(async () => {
    server = await startLocalServer();
  });
  afterAll(async () => {
    await server.stop();
  });

  it.each(ways)('%s goes on with the page that was refused', async (_, names) => {
    const { asked, page } = pageByPage();
    server.answerWith(({ path }) => {
      const { key, next, isRefused } = page(new URL(path, 'http://x').searchParams.get('continuation-token'));
      return isRefused ? errorReply(503, 'SlowDown') : { body: listPage([key], next) };
    });
    const driver = withRetry(await server.open(), { attempts: 2, sleep: async () => {} });
    expect(await names(driver)).toEqual(keys);
    expect(asked).toEqual(eachTwice);
  });
});

describe('with Azure', () => {
  const { openWith } = azureLocalServers();

  it.each(ways)('%s goes on with the page that was refused', async (_, names) => {
    const { asked, page } = pageByPage();
    const driver = withRetry(
      await openWith((request, response) => {
        const { key, next, isRefused } = page(
          new URL(request.url ?? '', 'http://x').searchParams.get('marker'),
        );
        response.writeHead(isRefused ? 503 : 200, { 'content-type': 'application/xml' });
        response.end(isRefused ? '<Error><Code>ServerBusy</Code></Error>' : azurePage(key, next));
      }),
      { attempts: 2, sleep: async () => {} },
    );
    expect(await names(driver)).toEqual(keys);
    expect(asked).toEqual(eachTwice);
  });
});

function azurePage(name: string, next = ''): string {
  const properties =
    '<Properties><Content-Length>1</Content-Length><BlobType>BlockBlob</BlobType></Properties>';
  const blob = `<Blob><Name>${name}</Name>${properties}</Blob>`;
  return `<EnumerationResults><Blobs>${blob}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`;
}
