import { describe, expect, test, vi } from 'vitest';
import type { Fault } from '../../support/faulting-proxy.ts';
import type { WireKind } from '../../support/wire-stores.ts';
import {
  always,
  describeOnWire,
  fromOn,
  isBlob,
  isChange,
  isNewLink,
  listsShard,
  onceEach,
  readsBlob,
  type Matches,
  type Pass,
} from './wire-run.ts';

vi.setConfig({ testTimeout: 120_000 });

interface Place {
  name: string;
  matches: Matches;
  /** How a pass ends that meets a fault here each time; undefined: it makes no such request. */
  first: number[] | undefined;
  update: number[] | undefined;
  whileDeleting?: true;
}

/** What the source still needs is read before an update touches anything: it may end there (5), with nothing done. */
const places: Record<'source' | 'target', Place[]> = {
  source: [
    { name: 'a listing', matches: ({ what }) => what === 'list', first: [4, 5], update: [5, 6] },
    { name: 'the listing of a shard', matches: listsShard, first: [4], update: [6] },
    { name: 'reading a blob', matches: readsBlob, first: [4], update: [4, 5] },
    {
      name: 'reading a link',
      matches: (asked) => asked.what === 'read' && isNewLink(asked),
      first: [4],
      update: [4, 5],
    },
    {
      name: 'looking up what is to be deleted',
      matches: (asked) => asked.what === 'stat' && isBlob(asked),
      first: undefined,
      update: [4],
      whileDeleting: true,
    },
  ],
  target: [
    { name: 'a listing', matches: ({ what }) => what === 'list', first: [4, 5], update: [5, 6] },
    {
      name: 'writing a blob',
      matches: (asked) => asked.what === 'write' && isBlob(asked),
      first: [4],
      update: [4],
    },
    {
      name: 'writing a link',
      matches: (asked) => asked.what === 'write' && isNewLink(asked),
      first: [4],
      update: [4],
    },
    {
      name: 'deleting',
      matches: ({ what }) => what === 'delete',
      first: undefined,
      update: [4, 5],
      whileDeleting: true,
    },
  ],
};

const RETRY_AFTER_MS = 2000;

function faultsOf({ refusal, codes }: WireKind): [string, Fault][] {
  return [
    ['503 and a request for fewer requests', refusal(503, codes.busy)],
    ['500', refusal(500, codes.internal)],
    ['a reset before it', { kind: 'reset' }],
    ['a reset in the middle of the answer', { kind: 'cut' }],
    // S3's SDK, which sends deletes, really waits as long as it is asked to.
    ['429 with Retry-After', refusal(429, codes.busy, { 'retry-after': String(RETRY_AFTER_MS / 1000) })],
  ];
}

describeOnWire('migrate, with faults on the way to', (kind, expectTrial) => {
  describe.each(['source', 'target'] as const)('as the %s', (side) => {
    const kinds = places[side].map(({ matches }) => matches);

    test.each(faultsOf(kind))(
      '%s, once for each kind of request: everything is copied',
      async (name, fault) => {
        const { pausesMs } = await expectTrial({
          side,
          pass: 'update',
          attempts: 4,
          faulted: onceEach(kinds, fault),
          metAtLeast: kinds.length,
          expected: [0],
        });
        // How long a store asks to be left alone is never cut short. The SDK that deletes in S3 counts for itself.
        const long = pausesMs.filter((pauseMs) => pauseMs >= RETRY_AFTER_MS);
        expect(long.length).toBeGreaterThanOrEqual(name.includes('Retry-After') ? kinds.length - 1 : 0);
      },
    );

    /** Each place with each pass, and each fault in some of them: what comes after the last attempt is the same for all. */
    const lasting = places[side].flatMap((place, index) =>
      (['first', 'update'] as const).flatMap((pass: Pass, number) => {
        const faults = faultsOf(kind);
        const expected = place[pass];
        const [name, fault] = faults[(2 * index + number) % faults.length] ?? ['', undefined];
        return fault === undefined || expected === undefined
          ? []
          : [[pass, place.name, name, { ...place, fault, expected }] as const];
      }),
    );
    test.each(lasting)(
      '%s pass: %s meets %s each time, which is named',
      async (pass, _where, _what, place) => {
        await expectTrial({
          side,
          pass,
          attempts: 2,
          faulted: always(place.matches, place.fault),
          metAtLeast: 2,
          expected: place.expected,
          whileDeleting: place.whileDeleting,
        });
      },
    );

    test.each([15, 40])('expired credentials from request %i on end the run', async (nth) => {
      const [status, code] = kind.codes.expired;
      await expectTrial({
        side,
        pass: 'update',
        attempts: 2,
        faulted: fromOn(nth, () => true, kind.refusal(status, code)),
        metAtLeast: 1,
        expected: [5],
        whileDeleting: true,
      });
    });

    test('a clock that is wrong from some request on ends the run', async () => {
      const [status, code] = kind.codes.skewed;
      await expectTrial({
        side,
        pass: 'first',
        attempts: 2,
        faulted: fromOn(12, () => true, kind.refusal(status, code)),
        metAtLeast: 1,
        expected: [5],
      });
    });
  });

  test.each([1, 20])('a target that is read-only from change %i on is named', async (nth) => {
    await expectTrial({
      side: 'target',
      pass: 'update',
      attempts: 2,
      faulted: fromOn(nth, isChange, kind.refusal(403, kind.codes.denied)),
      metAtLeast: 1,
      expected: [4, 5],
    });
  });

  test.each(['source', 'target'] as const)(
    'a connection to the %s that stalls once for each kind of request: everything is copied',
    async (side) => {
      const kinds = places[side].map(({ matches }) => matches);
      await expectTrial({
        side,
        pass: 'update',
        attempts: 4,
        faulted: onceEach(kinds, { kind: 'stall' }),
        metAtLeast: kinds.length,
        expected: [0],
      });
    },
  );

  const halved: Fault = {
    kind: 'rewrite',
    answer: ({ body }) => ({ body: body.subarray(0, body.length / 2) }),
  };
  const damaged: Fault = {
    kind: 'rewrite',
    answer: ({ body }) => ({ body: Buffer.from(body.map((byte, at) => (at === 0 ? byte ^ 1 : byte))) }),
  };
  const readsLink: Matches = (asked) => asked.what === 'read' && isNewLink(asked);
  test.each<[string, Matches, Fault, Pass, number[]]>([
    ['half of a blob, as if that were all,', readsBlob, halved, 'first', [4]],
    ['half of a blob, as if that were all,', readsBlob, halved, 'update', [4, 5]],
    ['a blob with other bytes', readsBlob, damaged, 'first', [4]],
    ['a blob with other bytes', readsBlob, damaged, 'update', [4, 5, 6]],
    // What a link says is all that anybody knows of it: it is broken at the source.
    ['half of a link, as if that were all,', readsLink, halved, 'first', [3]],
    ['a link with other bytes', readsLink, damaged, 'first', [3]],
  ])('%s is never published (%#)', async (_, matches, fault, pass, expected) => {
    await expectTrial({
      side: 'source',
      pass,
      attempts: 2,
      faulted: always(matches, fault),
      metAtLeast: 1,
      expected,
    });
  });
});
