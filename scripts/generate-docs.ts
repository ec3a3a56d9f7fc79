/**
 * Writes docs/commands.md from what the command classes themselves say of their arguments, flags and examples.
 * With `--check` it writes nothing and ends with 1 when the file says something else: run in CI, the page cannot drift.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Command } from '@oclif/core';
import { exitCodeMeanings } from '../src/cli/exit-codes.ts';

const repositoryFolder = path.join(import.meta.dirname, '..');
const pagePath = path.join(repositoryFolder, 'docs', 'commands.md');
const bin = 'regtool';

/** A command as it is typed, and its class. */
export interface NamedCommand {
  /** `migrate`. */
  name: string;
  Class: typeof Command;
}

type Flag = (typeof Command.flags)[string];

/** Every class in src/commands, by name. Loaded from the sources, so that no build is needed. */
export async function loadCommands(): Promise<NamedCommand[]> {
  const folder = path.join(repositoryFolder, 'src', 'commands');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .sort();
  return Promise.all(
    files.map(async (file) => {
      const module = (await import(pathToFileURL(path.join(folder, file)).href)) as {
        default: typeof Command;
      };
      return { name: file.slice(0, -'.ts'.length).split(path.sep).join(' '), Class: module.default };
    }),
  );
}

/** A command's flags by name, those that all commands share included; not the hidden ones. */
export function flagsOf({ Class }: NamedCommand): [name: string, flag: Flag][] {
  return Object.entries({ ...Class.flags, ...Class.baseFlags }).filter(([, flag]) => flag.hidden !== true);
}

/** The whole of docs/commands.md. */
export function commandsPage(commands: readonly NamedCommand[]): string {
  const lines = [
    '# Commands',
    '',
    '<!-- Made by `npm run docs` from the commands themselves. Change their help in src/commands, then run it. -->',
    '',
    `\`${bin} COMMAND --help\` says the same in the terminal.`,
    '',
    ...commands.map(({ name, Class }) => `- [\`${bin} ${name}\`](#${anchorOf(name)}): ${summaryOf(Class)}`),
    '',
    '## What all commands share',
    '',
    "A location is a folder, `s3://...`, `azure://...` or the registry's own configuration (`config.yml` or `gitlab.rb`): see [the README](../README.md#store-locations). Quote one that holds a `?` or an `&`. A flag with a variable in its row takes its value from there when it is not given; one that takes no value is set by `1`, `true`, `yes` or `y` and left out by `0`, `false`, `no`, `n` or nothing, and anything else is refused. Results go to stdout, progress and errors to stderr. Every command ends with one of these codes (more in [exit-codes.md](exit-codes.md)):",
    '',
    ...table(
      ['code', 'meaning'],
      Object.entries(exitCodeMeanings).map(([code, meaning]) => [code, meaning]),
    ),
    ...commands.flatMap((command) => ['', ...section(command)]),
  ];
  return `${lines.join('\n')}\n`;
}

function section(command: NamedCommand): string[] {
  const { name, Class } = command;
  const args = Object.entries(Class.args);
  const shown = args.map(([arg, { required }]) =>
    required === true ? arg.toUpperCase() : `[${arg.toUpperCase()}]`,
  );
  return [
    `## ${bin} ${name}`,
    '',
    summaryOf(Class),
    '',
    '```',
    [bin, name, ...shown, '[FLAGS]'].join(' '),
    '```',
    ...(Class.description === undefined ? [] : ['', filled(Class.description, name)]),
    ...(args.length === 0
      ? []
      : [
          '',
          ...table(
            ['argument', 'what'],
            args.map(([arg, { description = '' }]) => [code(arg.toUpperCase()), description]),
          ),
        ]),
    ...flagTables(command),
    ...examples(Class, name),
  ];
}

function flagTables(command: NamedCommand): string[] {
  const groups = new Map<string, string[][]>();
  const add = (group: string, row: string[]) => groups.set(group, [...(groups.get(group) ?? []), row]);
  for (const [name, flag] of flagsOf(command)) {
    add(flag.helpGroup ?? 'OTHER', [
      spellings(name, flag),
      explain(flag),
      flag.env === undefined ? '' : code(flag.env),
    ]);
  }
  return [...groups].flatMap(([group, rows]) => [
    '',
    `### ${capitalized(group)} of ${command.name}`,
    '',
    ...table(['flag', 'what', 'variable'], rows),
  ]);
}

/** `--quiet`, `-q`, `--max-delete N|N%`. */
function spellings(name: string, flag: Flag): string {
  const long = [name, ...(flag.aliases ?? [])].map((alias) => `--${alias}`);
  const short = [flag.char, ...(flag.charAliases ?? [])].flatMap((char) =>
    char === undefined ? [] : [`-${char}`],
  );
  const value = flag.type === 'option' ? ` ${flag.helpValue?.toString() ?? 'VALUE'}` : '';
  return [...long, ...short].map((spelling) => code(spelling + value)).join(', ');
}

function explain(flag: Flag): string {
  const { summary, description, dependsOn = [], exclusive = [] } = flag;
  const names = (list: readonly unknown[]) => list.map((name) => code(`--${String(name)}`)).join(', ');
  const standard: unknown = flag.default;
  return [
    ...(summary === undefined ? [] : [summary]),
    ...(description === undefined ? [] : [description]),
    ...(typeof standard === 'string' || typeof standard === 'number' ? [`Default: ${standard}.`] : []),
    ...(dependsOn.length === 0 ? [] : [`Only with ${names(dependsOn)}.`]),
    ...(exclusive.length === 0 ? [] : [`Not with ${names(exclusive)}.`]),
  ].join(' ');
}

function examples(Class: typeof Command, name: string): string[] {
  // oclif's type leaves out that a command may have none.
  const given = (Class.examples as Command.Example[] | undefined) ?? [];
  if (given.length === 0) {
    return [];
  }
  const blocks = given.flatMap((example) => {
    const { description, command } =
      typeof example === 'string' ? { description: undefined, command: example } : example;
    const heading = description === undefined ? [] : ['', `${filled(description, name)}:`];
    return [...heading, '', '```sh', filled(command, name), '```'];
  });
  return ['', `### Examples of ${name}`, ...blocks];
}

/** Puts in what oclif's templates leave open. */
function filled(text: string, name: string): string {
  return text
    .replaceAll(/<%=\s*config\.bin\s*%>/g, bin)
    .replaceAll(/<%=\s*command\.id\s*%>/g, name)
    .trim();
}

function summaryOf(Class: typeof Command): string {
  return Class.summary ?? Class.description?.split('\n')[0] ?? '';
}

function table(header: string[], rows: readonly string[][]): string[] {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', String.raw`\|`).replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)];
}

function code(text: string): string {
  return `\`${text}\``;
}

function capitalized(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1).toLowerCase();
}

function anchorOf(name: string): string {
  return `${bin} ${name}`.replaceAll(' ', '-');
}

async function main(): Promise<number> {
  const page = commandsPage(await loadCommands());
  if (!process.argv.includes('--check')) {
    writeFileSync(pagePath, page);
    return 0;
  }
  if (readFileSync(pagePath, 'utf8') === page) {
    return 0;
  }
  console.error('docs/commands.md is not what the commands say: run "npm run docs" and commit it.');
  return 1;
}

if (path.resolve(process.argv[1] ?? '') === import.meta.filename) {
  process.exitCode = await main();
}
