import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Driver } from '../../src/drivers/driver.ts';
import { withRetry } from '../../src/drivers/with-retry.ts';
import { azureLocalServers } from './azure-local-servers.ts';
import { listAll } from './contract.ts';
import { failureOf } from './failure-of.ts';
import { errorReply, listPage, startLocalServer, type LocalServer } from './s3-local-server.ts';

interface Page {
  keys: string[];
  /** What the store answers each time that the page is asked for; it is the page itself for `ok`. */
  answers: ('ok' | 'busy' | 'unknown mark')[];
}

/** A listing of these pages, of which each time the next answer is given, and then the last one ever after. */
function listingOf(pages: readonly Page[]) {
  const asked: number[] = [];
  return {
    asked,
    /** @param mark of the page that is asked for, none for the first one. */
    answerFor(mark: string | null) {
      const number = mark === null ? 0 : Number(mark.slice('page'.length));
      const { keys = [], answers = [] } = pages[number] ?? {};
      const times = asked.filter((other) => other === number).length;
      asked.push(number);
      return {
        keys,
        next: number + 1 < pages.length ? `page${number + 1}` : undefined,
        answer: answers[times] ?? answers.at(-1) ?? 'ok',
      };
    },
  };
}

type Listing = ReturnType<typeof listingOf>;

const ways: [string, (driver: Driver) => Promise<string[]>][] = [
  ['a listing', async (driver) => (await listAll(driver)).map(({ key }) => key)],
  ['a folder', async (driver) => (await driver.listFolder('')).objects.map(({ key }) => key)],
];

const PAGES = Array.from({ length: 40 }, (_, index) => `key${String(index).padStart(2, '0')}`);

/** @param open a driver for a store that lists like this. */
function resumes(open: (listing: Listing) => Promise<Driver>): void {
  const openTwice = async (listing: Listing) =>
    withRetry(await open(listing), { attempts: 2, sleep: async () => {} });

  describe.each(ways)('%s', (_, names) => {
    it('goes on with the page that was refused', async () => {
      const listing = listingOf(PAGES.map((key) => ({ keys: [key], answers: ['busy', 'ok'] })));
      expect(await names(await openTwice(listing))).toEqual(PAGES);
      expect(listing.asked).toEqual(PAGES.flatMap((__, page) => [page, page]));
    });

    it('has all its attempts again after a page without a key', async () => {
      const pages: Page[] = [[], [], [], ['a']].map((keys) => ({ keys, answers: ['busy', 'ok'] }));
      expect(await names(await openTwice(listingOf(pages)))).toEqual(['a']);
    });

    it('fails when it gets no further', async () => {
      const listing = listingOf([
        { keys: ['a'], answers: ['busy', 'ok'] },
        { keys: ['b'], answers: ['busy'] },
      ]);
      expect((await failureOf(names(await openTwice(listing)))).code).toBe('RATE_LIMITED');
      expect(listing.asked).toEqual([0, 0, 1, 1]);
    });

    it('begins again, once, where the store knows its mark no more', async () => {
      const listing = listingOf([
        { keys: ['a'], answers: ['ok'] },
        { keys: ['b'], answers: ['busy', 'unknown mark', 'ok'] },
        { keys: ['c'], answers: ['ok'] },
      ]);
      expect(await names(await openTwice(listing))).toEqual(['a', 'b', 'c']);
      expect(listing.asked).toEqual([0, 1, 1, 0, 1, 2]);
    });

    it('does not begin again for ever', async () => {
      const listing = listingOf([
        { keys: ['a'], answers: ['ok'] },
        { keys: ['b'], answers: ['busy', 'unknown mark', 'busy', 'unknown mark', 'busy', 'unknown mark'] },
      ]);
      expect((await failureOf(names(await openTwice(listing)))).code).toBe('UNEXPECTED');
      expect(listing.asked).toEqual([0, 1, 1, 0, 1, 1]);
    });
  });

  it('is not believed out of order across a page that was refused', async () => {
    const listing = listingOf([
      { keys: ['a', 'c'], answers: ['ok'] },
      { keys: ['b', 'd'], answers: ['busy', 'ok'] },
    ]);
    expect((await failureOf(listAll(await openTwice(listing)))).code).toBe('BAD_LISTING');
  });
}

describe('with S3', () => {
  let server: LocalServer;
  beforeAll(async () => {
    server = await startLocalServer();
  });
  afterAll(async () => {
    await server.stop();
  });

  resumes(async (listing) => {
    server.answerWith(({ path }) => {
      const mark = new URL(path, 'http://x').searchParams.get('continuation-token');
      const { keys, next, answer } = listing.answerFor(mark);
      const replies = {
        ok: { body: listPage(keys, next) },
        busy: errorReply(503, 'SlowDown'),
        'unknown mark': errorReply(400, 'InvalidArgument'),
      };
      return replies[answer];
    });
    return server.open();
  });
});

describe('with Azure', () => {
  const { openWith } = azureLocalServers();

  resumes((listing) =>
    openWith((request, response) => {
      const mark = new URL(request.url ?? '', 'http://x').searchParams.get('marker');
      const { keys, next, answer } = listing.answerFor(mark);
      const refusal = (code: string) => `<Error><Code>${code}</Code></Error>`;
      const replies = {
        ok: { status: 200, body: azurePage(keys, next) },
        busy: { status: 503, body: refusal('ServerBusy') },
        'unknown mark': { status: 400, body: refusal('OutOfRangeQueryParameterValue') },
      };
      const { status, body } = replies[answer];
      response.writeHead(status, { 'content-type': 'application/xml' }).end(body);
    }),
  );
});

function azurePage(names: readonly string[], next = ''): string {
  const properties =
    '<Properties><Content-Length>1</Content-Length><BlobType>BlockBlob</BlobType></Properties>';
  const blobs = names.map((name) => `<Blob><Name>${name}</Name>${properties}</Blob>`);
  return `<EnumerationResults><Blobs>${blobs.join('')}</Blobs><NextMarker>${next}</NextMarker></EnumerationResults>`;
}
