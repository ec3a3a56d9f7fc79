import { expect, test, vi } from 'vitest';
import type { Fault } from '../../support/faulting-proxy.ts';
import type { WireKind } from '../../support/wire-stores.ts';
import { describeOnWire, type Faulted, listsShard } from './wire-run.ts';

vi.setConfig({ testTimeout: 120_000 });

/** What a store answers in place of a page, `token` being what it was asked to go on at; the first page has none. */
type Rewrite = (page: string, token: string | undefined, kind: WireKind) => string;

/** Rewrites each page of the first shard that has one, and invents the pages that the rewritten ones announce. */
function rewriting(kind: WireKind, rewrite: Rewrite): Faulted {
  return (store) => {
    let met = 0;
    let chosen: { prefix: string; page: string } | undefined;
    store.proxy.faultWith((request): Fault | undefined => {
      const asked = store.ask(request);
      if (!listsShard(asked) || (chosen !== undefined && chosen.prefix !== asked.key)) {
        return undefined;
      }
      if (chosen !== undefined && asked.token !== undefined) {
        met += 1;
        const body = rewrite(chosen.page, asked.token, kind);
        return { kind: 'answer', status: 200, headers: { 'content-type': 'application/xml' }, body };
      }
      return {
        kind: 'rewrite',
        answer: ({ body }) => {
          const page = body.toString();
          if (!/<(?:Contents|Blob)>/.test(page) || (chosen?.prefix ?? asked.key) !== asked.key) {
            return {};
          }
          chosen = { prefix: asked.key, page };
          met += 1;
          return { body: Buffer.from(rewrite(page, undefined, kind)) };
        },
      };
    });
    return () => met;
  };
}

const entries = /<Contents>.*<\/Contents>|(?<=<Blobs>).*(?=<\/Blobs>)/s;

/** A page that says there is more, at this token. */
function goingOn(page: string, token: string, kind: WireKind): string {
  const changed =
    kind.name === 'S3'
      ? page
          .replace('<IsTruncated>false</IsTruncated>', '<IsTruncated>true</IsTruncated>')
          .replace(
            '</ListBucketResult>',
            `<NextContinuationToken>${token}</NextContinuationToken></ListBucketResult>`,
          )
      : page.replace(/<NextMarker\s*\/>|<NextMarker><\/NextMarker>/, `<NextMarker>${token}</NextMarker>`);
  expect(changed).not.toBe(page);
  return changed;
}

/** Another text where the first name of an object stands. */
function naming(page: string, change: (name: string) => string): string {
  const changed = page.replace(
    /(<Contents>.*?<Key>|<Blob><Name>)([^<]*)/s,
    (_, before: string, name: string) => before + change(name),
  );
  expect(changed).not.toBe(page);
  return changed;
}

/** One more object at the end of the page, like the last one but for its name. */
function withLast(page: string, name: (last: string) => string): string {
  const last = [...page.matchAll(/<(Contents|Blob)>.*?<\/\1>/gs)].at(-1)?.[0] ?? '';
  const added = last.replace(/(?<=<Key>|<Name>)[^<]*/, name);
  const changed = page.replace(last, () => last + added);
  expect(changed).not.toBe(page);
  return changed;
}

const withDoctype = (page: string, declarations: string): string =>
  page.replace(/^(<\?xml[^>]*\?>)?/, (head) => `${head}<!DOCTYPE x [${declarations}]>`);

let pages = 0;
function newToken(): string {
  pages += 1;
  return `token-${pages}`;
}

/** Each hides objects, or invents some, or costs more than it may; and each has to be an error. */
const answers: [string, Rewrite][] = [
  ['half a page', (page) => page.slice(0, page.length / 2)],
  ['a page that lacks its last tag', (page) => page.replace(/<\/\w+>\s*$/, '')],
  ['nothing', () => ''],
  ['the document of a proxy', () => '<?xml version="1.0"?><html><body>Sign in</body></html>'],
  ['the same page with ever new tokens', (page, _, kind) => goingOn(page, newToken(), kind)],
  ['the same page with one token', (page, _, kind) => goingOn(page, 'token', kind)],
  ['empty pages without end', (page, _, kind) => goingOn(page.replace(entries, ''), newToken(), kind)],
  ['an object twice', (page) => withLast(page, (name) => name)],
  ['an object of another folder', (page) => naming(page, (name) => name.replace('sha256', 'sha512'))],
  [
    'names that grow to 10^30 letters',
    (page) => {
      const levels = Array.from({ length: 30 }, (_, level) => {
        const lower = level === 0 ? 'x' : `&l${level - 1};`;
        return `<!ENTITY l${level} "${lower.repeat(10)}">`;
      });
      return withDoctype(
        naming(page, (name) => `${name}&l29;`),
        levels.join(''),
      );
    },
  ],
  [
    'a file of this machine as a name',
    (page) =>
      withDoctype(
        naming(page, (name) => `${name}&file;`),
        '<!ENTITY file SYSTEM "file:///etc/hostname">',
      ),
  ],
];

describeOnWire('migrate --delete, with answers that are no listing from', (kind, expectTrial) => {
  test.each(answers)('the source: %s', async (_, rewrite) => {
    const { run } = await expectTrial({
      side: 'source',
      pass: 'update',
      attempts: 2,
      faulted: rewriting(kind, rewrite),
      metAtLeast: 1,
      expected: [6],
    });
    // No part of what was sent besides is told on.
    expect(run.named.join('\n')).not.toMatch(/xxxx/);
  });

  test('the source: an object that should have come before', async () => {
    await expectTrial({
      side: 'source',
      pass: 'update',
      attempts: 2,
      faulted: rewriting(kind, (page) => withLast(page, (name) => name.slice(0, -1))),
      metAtLeast: 1,
      // Azure's pages are sorted here, because Azurite does not sort them by bytes.
      expected: [kind.name === 'S3' ? 6 : 0],
    });
  });

  test.each(answers.slice(4, 6))('the target: %s', async (_, rewrite) => {
    await expectTrial({
      side: 'target',
      pass: 'update',
      attempts: 2,
      faulted: rewriting(kind, rewrite),
      metAtLeast: 2,
      expected: [6],
    });
  });
});
