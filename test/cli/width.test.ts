import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sampleRegistry } from '../../fixtures/sample-registry.ts';
import { fillLines, fitLines } from '../../src/cli/fill.ts';
import { presentDoctor } from '../../src/cli/present-doctor.ts';
import { presentPlan, presentResult } from '../../src/cli/present-migrate.ts';
import { presentUsage } from '../../src/cli/present-usage.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import type { MigrateEnd } from '../../src/operations/migrate.ts';
import { memoryOf, runMigrate } from '../support/migrating.ts';

function tooWide(lines: readonly string[]): string[] {
  return lines.filter((line) => line.length > 80);
}

describe('lines that are filled', () => {
  const words = fc.array(fc.stringMatching(/^[a-z,.]{1,90}$/), { minLength: 1 });

  test('lose no word, and are wider than a terminal only for one that is wider itself', () => {
    fc.assert(
      fc.property(words, fc.constantFrom('', '  ', '  ok       put   '), (parts, first) => {
        const lines = fillLines(parts, first, '    ');
        expect(lines.join(' ').slice(first.length).split(/ +/)).toEqual(parts);
        for (const line of tooWide(lines)) {
          expect(line.replace(first, '').trim()).not.toContain(' ');
        }
      }),
    );
  });

  test('are no more than are needed', () => {
    expect(fillLines(['a', 'b'], '- ')).toEqual(['- a b']);
    expect(fillLines(['a'.repeat(40), 'b'.repeat(39)])).toHaveLength(1);
    expect(fillLines(['a'.repeat(40), 'b'.repeat(40)])).toEqual(['a'.repeat(40), `  ${'b'.repeat(40)}`]);
  });
});

describe('lines that are fitted', () => {
  const digest = `sha256:${'a'.repeat(64)}`;

  test('stay as they are where they fit, and where they hold a key or a digest', () => {
    const lines = [
      '',
      'a'.repeat(60),
      `  ${'word '.repeat(15).trim()}`,
      `  ${digest}: ${'word '.repeat(10)}`,
    ];
    expect(fitLines(lines)).toEqual(lines);
  });

  test('go on indented, and in a table under their last column', () => {
    expect(fitLines([`  ${'x'.repeat(40)} ${'y'.repeat(40)}`])).toEqual([
      `  ${'x'.repeat(40)}`,
      `    ${'y'.repeat(40)}`,
    ]);
    expect(fitLines([`blobs    12     3  ${'x'.repeat(40)} ${'y'.repeat(40)}`])).toEqual([
      `blobs    12     3  ${'x'.repeat(40)}`,
      `${' '.repeat(19)}${'y'.repeat(40)}`,
    ]);
  });

  test('lose no word', () => {
    const words = fc.array(fc.stringMatching(/^[a-z,.]{1,70}$/), { minLength: 1 });
    fc.assert(
      fc.property(words, fc.constantFrom('', '  ', 'a   7  '), (parts, first) => {
        const fitted = fitLines([first + parts.join(' ')]);
        expect(fitted.join(' ').trim().split(/ +/)).toEqual((first + parts.join(' ')).trim().split(/ +/));
      }),
    );
  });
});

describe('80 columns are enough', () => {
  const huge = { objects: 123_456_789, bytes: 987_654_321_987 };
  const interruptedOrNot: MigrateEnd[] = [{ kind: 'done' }, { kind: 'interrupted' }, { kind: 'declined' }];

  test.each(interruptedOrNot.flatMap((end) => [true, false].map((dryRun) => ({ end, dryRun }))))(
    'for what a migration of a huge registry says: %j',
    async ({ end, dryRun }) => {
      const source = memoryOf(sampleRegistry({ largeLayerBytes: 20_000 }).registry.objects);
      const target = openMemory();
      const result = await runMigrate(source, target);
      const many = {
        ...result,
        end,
        deletesWithheld: true,
        tally: {
          ...result.tally,
          copied: { 'blob-data': huge },
          deleted: { 'layer-link': huge },
          heldBack: huge.objects,
          vanished: huge.objects,
          dangling: huge.objects,
          reappeared: huge.objects,
        },
      };
      const facts = { durationMs: 123_456_789, retries: huge.objects, dryRun };
      const lines = presentResult(many, facts);
      // It was worth wrapping.
      expect(lines.length).toBeGreaterThan(6);
      expect(tooWide(lines)).toEqual([]);
      const plan = {
        ...result.plan,
        keptAtTarget: huge.objects,
        toCopy: { 'blob-data': huge, 'tag-current': huge },
      };
      // The first line is the two locations, whole, so that they can be copied.
      const [, ...rest] = presentPlan(plan, source, { ...target, name: 'azure' });
      expect(tooWide(rest)).toEqual([]);
    },
  );

  test('a failure keeps its own words on one line, so that they can be looked for', async () => {
    const store = memoryOf(sampleRegistry({ largeLayerBytes: 20_000 }).registry.objects);
    const result = await runMigrate(store, openMemory());
    const error = new DriverError('STORE_FULL', `The disk of ${'x'.repeat(80)} is full.`, {
      driver: 'filesystem',
      operation: 'write',
    });
    const [first] = presentResult(
      { ...result, end: { kind: 'stopped', error } },
      { durationMs: 1, retries: 0, dryRun: false },
    );
    expect(first).toContain(error.message);
  });

  test('for what takes the space in a huge registry', () => {
    const sum = { blobs: 123_456_789, bytes: 2 ** 52 };
    const repositories = Array.from({ length: 3 }, (_, number) => ({
      repository: `group/project-${number}`,
      tags: 1_234_567,
      manifests: 1_234_567,
      layers: 12_345_678,
      linkedBytes: 2 ** 51,
      onlyHereBytes: 2 ** 50 - 1,
      dangling: 1_234_567,
      uploads: huge,
    }));
    const result = {
      repositories,
      counts: { 'blob-data': huge, upload: huge },
      blobs: { unlinked: sum, linkedOnce: sum, shared: sum },
      isInDatabase: false,
      foreignFolders: ['docker/registry/old/'],
      unread: [{ key: 'docker/registry/v2/repositories/a/', message: 'may not be listed' }],
      tooManyBlobs: true,
    };
    const facts = {
      location: 's3://registry-of-a-company/root',
      durationMs: 12_345_678,
      retries: 1234,
      order: 'size',
      limit: 2,
    } as const;
    expect(tooWide(fitLines(presentUsage(result, facts)))).toEqual([]);
    expect(
      tooWide(fitLines(presentUsage({ ...result, repositories: [], isInDatabase: true, unread: [] }, facts))),
    ).toEqual([]);
  });

  test('for what doctor finds, and what to do is below it', () => {
    const sentence =
      'A finding with so many words that no line of a terminal would hold all of them at once.';
    const lines = presentDoctor({
      verdict: 'healthy',
      stores: [
        {
          role: 'store',
          location: '/srv/registry',
          isReachable: true,
          isRegistry: true,
          content: {
            blobs: 123_456_789,
            blobBytes: 1e15,
            links: 987_654_321,
            isExact: false,
            isAtLeast: true,
          },
          checks: [
            { name: 'delete-dialect', status: 'warning', finding: sentence, advice: sentence },
            { name: 'put', status: 'ok', finding: 'objects can be written' },
          ],
        },
      ],
      pair: [],
      passes: undefined,
    });
    expect(tooWide(lines)).toEqual([]);
    expect(lines.join(' ').replaceAll(/ +/g, ' ')).toContain(`${sentence} ${sentence}`);
    expect(lines).toContain('  ok       put             objects can be written');
  });
});
