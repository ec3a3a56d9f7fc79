import { test, vi } from 'vitest';
import type { Fault } from '../../support/faulting-proxy.ts';
import { azureKind } from '../../support/wire-stores.ts';
import { always, describeOnWire, isBlob, isNewLink, onceEach, readsBlob, type Matches } from './wire-run.ts';

vi.setConfig({ testTimeout: 120_000 });

const writesBlob: Matches = (asked) => asked.what === 'write' && isBlob(asked);
const writesLink: Matches = (asked) => asked.what === 'write' && isNewLink(asked);

const error =
  '<?xml version="1.0" encoding="utf-8"?><Error><Code>InternalError</Code><Message>Made up.</Message></Error>';
/** The store has it, and says that it has not. */
const errorBehind201: Fault = {
  kind: 'rewrite',
  answer: () => ({ body: Buffer.from(error), headers: { 'content-type': 'application/xml' } }),
};
/** Nothing is stored, and the answer is one of success. */
const mereError: Fault = { kind: 'answer', status: 201, headers: { etag: '"0x1"' }, body: error };
/** The MD5 of nothing (RFC 1321, A.5). */
const otherMd5: Fault = {
  kind: 'rewrite',
  answer: () => ({ headers: { 'content-md5': '1B2M2Y8AsgTpgAmY7PhCfg==' } }),
};
const without = (...names: string[]): Fault => ({
  kind: 'rewrite',
  answer: () => ({ headers: Object.fromEntries(names.map((name) => [name, undefined])) }),
});
const longer: Fault = {
  kind: 'rewrite',
  answer: ({ body }) => ({ headers: { 'content-length': String(body.length + 10) } }),
};

describeOnWire(
  'migrate, with answers of success that should not be believed from',
  (_kind, expectTrial) => {
    test.each<[string, Fault]>([
      ['an error behind 201 is', errorBehind201],
      ['an error behind 201 in place of the object is', mereError],
      ['the MD5 of other bytes is', otherMd5],
    ])('the target: %s, once: everything is copied', async (_, fault) => {
      const kinds = [writesBlob, writesLink];
      await expectTrial({
        side: 'target',
        pass: 'first',
        attempts: 4,
        faulted: onceEach(kinds, fault),
        metAtLeast: kinds.length,
        expected: [0],
      });
    });

    test.each<[string, Matches, Fault]>([
      ['an error behind 201, for a blob,', writesBlob, errorBehind201],
      ['an error behind 201 in place of a blob', writesBlob, mereError],
      ['an error behind 201 in place of a link', writesLink, mereError],
      ['the MD5 of other bytes than those of a blob', writesBlob, otherMd5],
      ['the MD5 of other bytes than those of a link', writesLink, otherMd5],
    ])('the target: %s each time is named', async (_, matches, fault) => {
      await expectTrial({
        side: 'target',
        pass: 'first',
        attempts: 2,
        faulted: always(matches, fault),
        metAtLeast: 2,
        expected: [4],
      });
    });

    test.each<[string, 'source' | 'target', Matches, Fault]>([
      ['a blob that is written', 'target', writesBlob, without('content-md5', 'etag', 'last-modified')],
      ['a blob that is read', 'source', readsBlob, without('content-md5', 'etag', 'last-modified')],
    ])('no MD5, ETag or date for %s does no harm', async (_, side, matches, fault) => {
      await expectTrial({
        side,
        pass: 'first',
        attempts: 2,
        faulted: always(matches, fault),
        metAtLeast: 1,
        expected: [0],
      });
    });

    test('the source: a blob that is announced longer than it is is named', async () => {
      await expectTrial({
        side: 'source',
        pass: 'first',
        attempts: 2,
        faulted: always(readsBlob, longer),
        metAtLeast: 1,
        expected: [4],
      });
    });
  },
  [azureKind],
);
