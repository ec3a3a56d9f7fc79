import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LeafFolders } from '../../src/drivers/driver.ts';
import { isDriverError } from '../../src/drivers/errors.ts';
import { walkFiles, type WalkOptions } from '../../src/drivers/filesystem/walk.ts';

/** Short names, so that random trees often hit them. */
const LEAVES: readonly LeafFolders[] = [
  { parent: /^l\/$/, name: /^[0-9a-f]{2}\/$/, file: 'link', unless: [] },
  { parent: /^r\/$/, name: /^[0-9a-f]{2}\/$/, file: 'link', unless: ['signatures'] },
  { parent: /^t\/$/, name: /^[0-9a-f]{2}\/$/, file: 'now/link', unless: [], folder: 'past/' },
];

/** What stands at a path: a file, a folder, or something that hides or misleads. */
type Kind =
  | 'file'
  | 'empty file'
  | 'folder'
  | 'to a file'
  | 'to a folder'
  | 'dangling'
  | 'circle'
  | 'sibling';
interface Thing {
  parts: string[];
  kind: Kind;
}

const top = fc.constantFrom('l', 'r', 't', 'l', 'r', 't', 't', 'x');
const digest = fc.constantFrom('00', '0a', '00', '0a', 'ff', 'zz', 'link', '0a-b', 'A0');
const child = fc.constantFrom('link', 'link', 'link', 'data', 'signatures', 'link.tmp', 'Grüße-😀');
/** What a folder such as a tag's may hold. */
const tagChild = fc.constantFrom(
  ['now', 'link'],
  ['now', 'link'],
  ['now', 'link'],
  ['past'],
  ['past', 'link'],
  ['past', 'link'],
  ['past', 'link'],
  ['past', 'sha256', 'data'],
  ['now'],
  ['now', 'data'],
  ['data'],
);
const ordinary: fc.Arbitrary<Kind> = fc.constantFrom('file', 'file', 'file', 'empty file', 'folder');
const damage: fc.Arbitrary<Kind> = fc.constantFrom('to a file', 'to a folder', 'sibling');
const trap: fc.Arbitrary<Kind> = fc.constantFrom('dangling', 'circle');

const things = (kinds: fc.Arbitrary<Kind>) =>
  fc.array(
    fc.record({
      parts: fc.oneof(
        { weight: 1, arbitrary: fc.tuple(top, digest) },
        { weight: 6, arbitrary: fc.tuple(top, digest, child) },
        { weight: 2, arbitrary: fc.tuple(top, digest, child, child) },
        {
          weight: 4,
          arbitrary: fc.tuple(digest, tagChild).map(([name, rest]) => ['t', name, ...rest]),
        },
      ),
      kind: kinds,
    }),
    { maxLength: 14 },
  );

/** Runs a check on a tree. Things that do not fit onto those before them are left out. */
function inTree<T>(wanted: readonly Thing[], check: (root: string) => T): T {
  const base = mkdtempSync(path.join(tmpdir(), 'regtool-walk-'));
  try {
    const root = `${base}/root/`;
    mkdirSync(`${base}/away/link`, { recursive: true });
    writeFileSync(`${base}/away/link/deep`, 'deep');
    writeFileSync(`${base}/away/file`, 'a file elsewhere');
    mkdirSync(root);
    for (const { parts, kind } of wanted) {
      try {
        mkdirSync(root + parts.slice(0, -1).join('/'), { recursive: true });
        make(base, root + parts.join('/'), kind);
      } catch (error) {
        if (!(error instanceof Error && 'code' in error)) {
          throw error;
        }
      }
    }
    return check(root);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

function make(base: string, at: string, kind: Kind): void {
  switch (kind) {
    case 'file':
      writeFileSync(at, `content of ${path.basename(at)}`, { flag: 'wx' });
      return;
    case 'empty file':
      writeFileSync(at, '', { flag: 'wx' });
      return;
    case 'folder':
      mkdirSync(at);
      return;
    case 'to a file':
      symlinkSync(`${base}/away/file`, at);
      return;
    case 'to a folder':
      symlinkSync(`${base}/away`, at);
      return;
    case 'sibling':
      mkdirSync(path.join(path.dirname(at), '0a'), { recursive: true });
      symlinkSync('0a', at);
      return;
    case 'dangling':
      symlinkSync('/nowhere/at/all', at);
      return;
    case 'circle':
      symlinkSync('..', at);
  }
}

function listed(root: string, prefix: string, options: WalkOptions = {}, pageSize = 3) {
  const walk = walkFiles(root, prefix, options);
  const found: [string, number][] = [];
  for (let page = walk.nextPage(pageSize); page.length > 0; page = walk.nextPage(pageSize)) {
    found.push(...page.map(({ key, sizeBytes }): [string, number] => [key, sizeBytes]));
  }
  return found;
}

/** What the walk gives, or the code of the error that it ends with. */
function outcome(root: string, prefix: string, options: WalkOptions = {}) {
  try {
    return { listed: listed(root, prefix, options) };
  } catch (error) {
    return { code: isDriverError(error) ? error.code : String(error) };
  }
}

/** Whether a leaf folder that has its file lets this one be left out. */
function mayBeLeftOut(key: string, keys: ReadonlySet<string>): boolean {
  const [parent, name, ...rest] = key.split('/');
  const leaf = LEAVES.find(
    (candidate) => candidate.parent.test(`${parent}/`) && candidate.name.test(`${name}/`),
  );
  const folder = `${parent}/${name}/`;
  return (
    leaf !== undefined &&
    rest.join('/') !== leaf.file &&
    (leaf.folder === undefined || !rest.join('/').startsWith(leaf.folder)) &&
    keys.has(folder + leaf.file) &&
    !leaf.unless.some((other) => [...keys].some((found) => found.startsWith(`${folder}${other}`)))
  );
}

describe('a walk that knows which file a folder holds', () => {
  it('gives what the full walk gives but for what lies beside that file, whatever the tree', () => {
    fc.assert(
      fc.property(things(fc.oneof(ordinary, ordinary, damage)), (wanted) => {
        inTree(wanted, (root) => {
          const full = outcome(root, '');
          const short = outcome(root, '', { leaves: LEAVES });
          if (full.listed === undefined || short.listed === undefined) {
            // A link that leads in a circle by chance.
            expect(short).toEqual(full);
            return;
          }
          const all = new Map(full.listed);
          const keys = new Set(all.keys());
          const kept = new Set(short.listed.map(([key]) => key));
          expect(short.listed.filter(([key, size]) => all.get(key) !== size)).toEqual([]);
          expect([...keys].filter((key) => !kept.has(key) && !mayBeLeftOut(key, keys))).toEqual([]);
          expect(short.listed).toEqual(full.listed.filter(([key]) => kept.has(key)));
        });
      }),
      { numRuns: 150 },
    );
  });

  it('saves the reading: of a folder with its file it tells nothing else', () => {
    const wanted: Thing[] = ['link', 'data', 'link.tmp'].map((name) => ({
      parts: ['l', '0a', name],
      kind: 'file',
    }));
    inTree(wanted, (root) => {
      expect(listed(root, '', { leaves: LEAVES })).toEqual([['l/0a/link', 'content of link'.length]]);
    });
  });

  it('goes on in the folder that it knows to be there, without reading the one above', () => {
    const wanted: Thing[] = [['past', 'sha256', 'a'], ['now', 'link'], ['now', 'other'], ['beside']].map(
      (rest) => ({
        parts: ['t', '0a', ...rest],
        kind: 'file',
      }),
    );
    inTree(wanted, (root) => {
      expect(listed(root, '', { leaves: LEAVES }).map(([key]) => key)).toEqual([
        't/0a/now/link',
        't/0a/past/sha256/a',
      ]);
    });
  });

  it.each(['file', 'to a folder', 'circle', undefined] as const)(
    'reads the whole where that folder is a %s',
    (kind) => {
      const wanted: Thing[] = [
        { parts: ['t', '0a', 'now', 'link'], kind: 'file' },
        { parts: ['t', '0a', 'zz'], kind: 'file' },
        ...(kind === undefined ? [] : [{ parts: ['t', '0a', 'past'], kind }]),
      ];
      inTree(wanted, (root) => {
        expect(outcome(root, '', { leaves: LEAVES })).toEqual(outcome(root, ''));
      });
    },
  );

  it('fails wherever the full walk fails, unless the fault lies beside a file that is there', () => {
    fc.assert(
      fc.property(things(fc.oneof(ordinary, ordinary, damage, trap)), (wanted) => {
        inTree(wanted, (root) => {
          const full = outcome(root, '');
          const short = outcome(root, '', { leaves: LEAVES });
          if (short.code !== undefined) {
            expect(full.code).toBe(short.code);
          }
          if (full.code !== undefined && short.listed !== undefined) {
            // What it gave must be there: each key of it a real file.
            for (const [key, size] of short.listed) {
              const stats = statSync(root + key);
              expect([stats.isFile(), stats.size]).toEqual([true, size]);
            }
            const traps = wanted.filter(
              ({ kind }) => kind === 'dangling' || kind === 'circle' || kind === 'sibling',
            );
            expect(traps.some(({ parts }) => parts.length > 2)).toBe(true);
          }
        });
      }),
      { numRuns: 150 },
    );
  });

  it.each(['file', 'folder', 'to a folder', 'dangling'] as const)(
    'reads a folder with its file when a name is there, as a %s, that asks for it',
    (kind) => {
      const wanted: Thing[] = [
        { parts: ['r', '0a', 'link'], kind: 'file' },
        { parts: ['r', '0a', 'link.tmp'], kind: 'file' },
        { parts: ['r', '0a', 'signatures'], kind },
      ];
      inTree(wanted, (root) => {
        expect(outcome(root, '', { leaves: LEAVES })).toEqual(outcome(root, ''));
      });
      inTree(wanted.slice(0, 2), (root) => {
        expect(listed(root, '', { leaves: LEAVES }).map(([key]) => key)).toEqual(['r/0a/link']);
      });
    },
  );

  it('throws on a name that is not UTF-8 beside the folders it knows', () => {
    inTree([{ parts: ['l', '0a', 'link'], kind: 'file' }], (root) => {
      writeFileSync(Buffer.concat([Buffer.from(`${root}l/`), Buffer.from([0xff])]), 'x');
      expect(outcome(root, '', { leaves: LEAVES })).toEqual({ code: 'BAD_LISTING' });
    });
  });

  it('takes no folder, link or socket for the file', () => {
    const wanted: Thing[] = [
      { parts: ['l', '00', 'link', 'data'], kind: 'file' },
      { parts: ['l', '0a', 'link'], kind: 'to a file' },
      { parts: ['l', 'a0', 'link'], kind: 'to a folder' },
      { parts: ['l', 'ff'], kind: 'file' },
    ];
    inTree(wanted, (root) => {
      expect(listed(root, '', { leaves: LEAVES })).toEqual(listed(root, ''));
      expect(listed(root, '', { leaves: LEAVES }).map(([key]) => key)).toEqual([
        'l/00/link/data',
        'l/0a/link',
        'l/a0/link/file',
        'l/a0/link/link/deep',
        'l/ff',
      ]);
    });
  });
});
