import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  errorReply,
  listPage,
  type LocalServer,
  type Reply,
  type SeenRequest,
  startLocalServer,
} from './s3-local-server.ts';

const samplePrefix = 'docker/';
const scratchPrefix = 'regtool-probe-test/';
const keys = ['docker/a/1', 'docker/b/1'];
let server: LocalServer;

beforeAll(async () => {
  server = await startLocalServer();
});
afterAll(async () => {
  await server.stop();
});

function queryOf({ path }: SeenRequest): URLSearchParams {
  return new URL(path, 'http://store').searchParams;
}

const v2 = (content: string): string =>
  `<ListBucketResult><KeyCount>1</KeyCount><EncodingType>url</EncodingType>${content}</ListBucketResult>`;
const contents = (...names: string[]): string =>
  names.map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`).join('');
const last = '<IsTruncated>false</IsTruncated>';
const more = '<IsTruncated>true</IsTruncated>';

/** Two objects, listed as ListObjectsV2 does; a test replaces what it is about. */
function listing(request: SeenRequest): string {
  const query = queryOf(request);
  if (query.has('delimiter')) {
    const folders = ['docker/a/', 'docker/b/'];
    return v2(
      last + folders.map((name) => `<CommonPrefixes><Prefix>${name}</Prefix></CommonPrefixes>`).join(''),
    );
  }
  if (query.get('max-keys') !== '1') {
    return v2(last + contents(...keys));
  }
  return query.has('continuation-token')
    ? v2(last + contents('docker/b/1'))
    : v2(`${more}<NextContinuationToken>T</NextContinuationToken>${contents('docker/a/1')}`);
}

async function listsOf(answer: (request: SeenRequest) => string): Promise<unknown> {
  server.answerWith((request) =>
    request.method === 'GET' && queryOf(request).has('max-keys')
      ? { body: answer(request) }
      : errorReply(501, 'NotImplemented'),
  );
  const driver = await server.open();
  return (await driver.probe?.({ samplePrefix }))?.lists;
}

const right = { speaks: 'ListObjectsV2', continues: true, encodesKeys: true, groups: true, ascends: true };

describe('how a store lists is told by its answers', () => {
  test('all as it should be', async () => {
    expect(await listsOf(listing)).toEqual({ value: right });
  });

  test('version 1, which repeats the marker and has no token', async () => {
    const lists = await listsOf(({ path }) => {
      const isShort = path.includes('max-keys=1&') || path.endsWith('max-keys=1');
      const content = isShort ? more + contents('docker/a/1') : last + contents(...keys);
      return `<ListBucketResult><Marker></Marker><EncodingType>url</EncodingType>${content}</ListBucketResult>`;
    });
    expect(lists).toEqual({
      value: { ...right, speaks: 'ListObjects, which is its version 1', continues: false, groups: false },
    });
  });

  test.each<[string, (request: SeenRequest) => string, object]>([
    [
      'a token that leads back',
      (request) =>
        queryOf(request).has('continuation-token') ? v2(last + contents('docker/a/1')) : listing(request),
      { continues: false },
    ],
    [
      'a delimiter that is ignored',
      (request) => (queryOf(request).has('delimiter') ? v2(last + contents(...keys)) : listing(request)),
      { groups: false },
    ],
    [
      'an order that is not that of the bytes',
      (request) =>
        queryOf(request).get('max-keys') === '1' || queryOf(request).has('delimiter')
          ? listing(request)
          : v2(last + contents('docker/b/1', 'docker/a/1')),
      { ascends: false },
    ],
    [
      'keys that are not encoded',
      (request) => listing(request).replace('<EncodingType>url</EncodingType>', ''),
      { encodesKeys: false },
    ],
  ])('%s', async (_, answer, difference) => {
    expect(await listsOf(answer)).toEqual({ value: { ...right, ...difference } });
  });
});

/** Keeps names only, and takes batches as a test says. */
function deletingStore(
  batch: (request: SeenRequest, names: string[]) => { reply: Reply; removed: string[] },
) {
  const there = new Set<string>();
  return (request: SeenRequest): Reply => {
    const name = decodeURIComponent(new URL(request.path, 'http://store').pathname.replace('/bucket/', ''));
    switch (request.method) {
      case 'PUT':
        there.add(name);
        return {};
      case 'HEAD':
        return there.has(name) ? {} : { status: 404 };
      case 'POST': {
        if (!queryOf(request).has('delete')) {
          return errorReply(501, 'NotImplemented');
        }
        const names = [...request.body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)].map(
          ([, key = '']) => key,
        );
        const { reply, removed } = batch(request, names);
        removed.forEach((key) => there.delete(key));
        return reply;
      }
      default:
        return queryOf(request).has('list-type') ? { body: listPage([]) } : errorReply(501, 'NotImplemented');
    }
  };
}

const isQuiet = ({ body }: SeenRequest): boolean => body.includes('<Quiet>true</Quiet>');
const hasMd5 = ({ headers }: SeenRequest): boolean => headers['content-md5'] !== undefined;
const deleted = (names: readonly string[]): Reply => ({
  body: `<DeleteResult>${names.map((key) => `<Deleted><Key>${key}</Key></Deleted>`).join('')}</DeleteResult>`,
});

describe('how a store deletes is told by what it does', () => {
  const all = {
    batchKeys: 1000,
    proofs: ['Content-MD5', 'x-amz-checksum'],
    keepsQuiet: true,
    tellsEach: true,
    removes: true,
  };

  test.each<[string, Parameters<typeof deletingStore>[0], object]>([
    [
      'all as it should be',
      (request, names) => ({ reply: deleted(isQuiet(request) ? [] : names), removed: names }),
      all,
    ],
    [
      'Content-MD5 alone',
      (request, names) =>
        hasMd5(request)
          ? { reply: deleted([]), removed: names }
          : { reply: errorReply(400, 'InvalidRequest'), removed: [] },
      { ...all, proofs: ['Content-MD5'], tellsEach: undefined },
    ],
    [
      'no batches',
      () => ({ reply: errorReply(501, 'NotImplemented'), removed: [] }),
      { batchKeys: 1, proofs: [], keepsQuiet: undefined, tellsEach: undefined, removes: undefined },
    ],
    ['not quiet', (_, names) => ({ reply: deleted(names), removed: names }), { ...all, keepsQuiet: false }],
    [
      'silent on each key',
      (_, names) => ({ reply: deleted([]), removed: names }),
      { ...all, tellsEach: false },
    ],
    [
      'a yes, and nothing done',
      (request, names) => ({ reply: deleted(isQuiet(request) ? [] : names), removed: [] }),
      { ...all, removes: false },
    ],
  ])('%s', async (_, batch, expected) => {
    server.answerWith(deletingStore(batch));
    const driver = await server.open();
    const probe = await driver.probe?.({ samplePrefix, scratchPrefix });
    expect(probe?.writes?.deletes).toEqual({ value: expected });
  });

  test('only what it wrote itself is deleted', async () => {
    const asked: string[] = [];
    server.answerWith(
      deletingStore((_, names) => {
        asked.push(...names);
        return { reply: deleted(names), removed: names };
      }),
    );
    const driver = await server.open({ root: 'some/root/' });
    await driver.probe?.({ samplePrefix, scratchPrefix });
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.filter((key) => !key.startsWith('some/root/regtool-probe-test/'))).toEqual([]);
  });
});
