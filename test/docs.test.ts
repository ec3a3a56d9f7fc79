import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { commandsPage, flagsOf, loadCommands } from '../scripts/generate-docs.ts';
import { exitCodeMeanings } from '../src/cli/exit-codes.ts';

const root = path.join(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

const pages = [
  ...readdirSync(root).filter((file) => file.endsWith('.md')),
  ...readdirSync(path.join(root, 'docs'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
];

/** Codes that only the command line gives: what oclif's parser says, a signal, a bug. */
const codesOfCommandLine = ['USAGE', 'INTERRUPTED', 'TEMPORARY_FILE'];

/** The names in a union of literals, read from the source: types are gone when the program runs. */
function codesIn(file: string, type: string): string[] {
  const union = new RegExp(`export type ${type} =([^;]*);`).exec(read(file))?.[1] ?? '';
  return [...union.replaceAll(/\/\*[^]*?\*\//g, '').matchAll(/'([A-Z_]+)'/g)].map((match) => match[1] ?? '');
}

function headings(markdown: string): string[] {
  return [...withoutCodeBlocks(markdown).matchAll(/^#{1,6} +(.+)$/gm)].map((match) => match[1] ?? '');
}

function withoutCodeBlocks(markdown: string): string {
  return markdown.replaceAll(/^```[^]*?^```$/gm, '');
}

/** The cells of the rows of the table below a heading, without its header. */
function tableBelow(markdown: string, heading: string): string[][] {
  const section = markdown.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('|'));
  return rows.slice(2).map((row) =>
    row
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim()),
  );
}

/** As GitHub makes it. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, '')
    .replaceAll(' ', '-');
}

describe('docs/errors.md', () => {
  const codes = [
    ...codesIn('src/drivers/errors.ts', 'DriverErrorCode'),
    ...codesIn('src/operations/errors.ts', 'SafetyRefusalCode'),
    ...codesIn('src/drivers/location-error.ts', 'LocationErrorCode'),
    ...codesIn('src/cli/usage-error.ts', 'UsageErrorCode'),
    ...codesOfCommandLine,
  ];
  const given = headings(read('docs/errors.md')).filter((heading) => /^[A-Z_]+$/.test(heading));

  test('has a heading for each code, and for no other', () => {
    expect(codes).toEqual(expect.arrayContaining(['NOT_FOUND', 'NOT_A_REGISTRY', 'FLAG_INVALID']));
    expect(given.toSorted()).toEqual(codes.toSorted());
  });

  test.each(given)('says of %s what causes it and what to do', (code) => {
    const text = read('docs/errors.md').split(`### ${code}\n`)[1]?.split('\n#')[0];
    expect(text).toMatch(/^\s*\*\*Cause\.\*\* [^]+\n\n\*\*What to do\.\*\* |^\s*\*\*Cause\.\*\* .*Shown as /);
  });
});

describe('docs/commands.md', () => {
  test('is what the commands say of themselves: else run "npm run docs"', async () => {
    expect(read('docs/commands.md')).toBe(commandsPage(await loadCommands()));
  });

  test('names each flag and each environment variable of it', async () => {
    const page = read('docs/commands.md');
    for (const command of await loadCommands()) {
      const section = page.split(`\n## regtool ${command.name}\n`)[1]?.split('\n## ')[0] ?? '';
      for (const [name, { env }] of flagsOf(command)) {
        expect(section).toMatch(new RegExp(`\`--${name}[ \`]`));
        expect(section).toContain(env === undefined ? '' : `\`${env}\``);
      }
    }
  });
});

describe('README.md', () => {
  const readme = read('README.md');

  test('has the exit codes as the program has them', () => {
    expect(tableBelow(readme, 'Exit codes')).toEqual(Object.entries(exitCodeMeanings));
  });

  test('has a row for each command, and for no other', async () => {
    const commands = (await loadCommands()).map(({ name }) => name);
    const rows = tableBelow(readme, 'Commands').map(
      ([command = '']) => /`regtool ([a-z -]+?)(?: [A-Z[]|`)/.exec(command)?.[1] ?? '',
    );
    expect(rows.toSorted()).toEqual(commands.toSorted());
  });

  test('says why there is each dependency, and speaks of no other', () => {
    const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
    const rows = tableBelow(readme, 'Dependencies, and why').map(([name = '']) => name.replaceAll('`', ''));
    expect(rows.toSorted()).toEqual(Object.keys(dependencies).toSorted());
  });

  test('names each page of docs', () => {
    const missing = pages.filter((page) => page.startsWith('docs/') && !readme.includes(`](${page})`));
    expect(missing).toEqual([]);
  });
});

test.each(['docs/exit-codes.md'])('%s has all exit codes', (page) => {
  const codes = [...read(page).matchAll(/^\| (\d+) \| ([^|]+) \|/gm)].slice(
    0,
    Object.keys(exitCodeMeanings).length,
  );
  expect(codes.map(([, code, meaning]) => [code, meaning])).toEqual(Object.entries(exitCodeMeanings));
});

test.each(pages)('the links of %s lead somewhere', (page) => {
  const links = [...withoutCodeBlocks(read(page)).matchAll(/\]\(([^)\s]+)\)/g)].map(
    (match) => match[1] ?? '',
  );
  const broken = links.filter((link) => {
    if (/^https?:/.test(link)) {
      return false;
    }
    const [file = '', anchor] = link.split('#');
    const target = file === '' ? page : path.posix.join(path.posix.dirname(page), file);
    return (
      !existsSync(path.join(root, target)) ||
      (anchor !== undefined && !headings(read(target)).map(anchorOf).includes(anchor))
    );
  });
  expect(broken).toEqual([]);
});

test.each(['ARCHITECTURE.md', 'CONTRIBUTING.md'])('the files that %s names are there', (page) => {
  const named = [...read(page).matchAll(/`((?:src|test|scripts|fixtures|docs|bin|\.ci)\/[\w./-]*)`/g)];
  const files = named.map((match) => match[1] ?? '');
  expect(files.filter((file) => !existsSync(path.join(root, file)))).toEqual([]);
});

test('the tests that ARCHITECTURE.md names are there', () => {
  const named = [...read('ARCHITECTURE.md').matchAll(/`(test\/[\w./-]+\.ts)` \(((?:"[^"]+"(?:, )?)+)\)/g)];
  expect(named.length).toBeGreaterThan(5);
  const missing = named.flatMap(([, file = '', names = '']) =>
    [...names.matchAll(/"([^"]+)"/g)].filter(([, name = '']) => !read(file).includes(name)),
  );
  expect(missing).toEqual([]);
});

test('the npm scripts that the documents name are there', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const named = pages.flatMap((page) => [...read(page).matchAll(/npm run ([a-z][\w:]*)/g)]);
  const missing = named.map((match) => match[1] ?? '').filter((name) => !(name in scripts));
  expect(missing).toEqual([]);
});
