import type { Command } from '@oclif/core/command';
import { execute } from '@oclif/core/execute';
import type { Manifest, PJSON, Plugin } from '@oclif/core/interfaces';
import { settings } from '@oclif/core/settings';
import { exitCodes } from './exit-codes.ts';

/** Command classes by the ids under which oclif's manifest has them, each loaded when it is asked for. */
export type CommandLoaders = Readonly<Record<string, () => Promise<{ default: Command.Class }>>>;

/** What oclif by itself would read from files, and look for in folders, at each start. */
export interface Program {
  /** The folder with package.json. */
  root: string;
  pjson: PJSON;
  manifest: Manifest;
  /** Is called when a command is to run, and not for `--help`. */
  loadCommands: () => CommandLoaders;
}

/**
 * Runs one command line with commands that are given: this is what `scripts/bundle.mjs` puts before all commands.
 *
 * oclif gets a plugin that is ready, for its own would sort the commands by the rules of a language, and what Node
 * reads for that (`String.localeCompare`) takes a quarter of the CPU time of a bare start.
 */
export async function start(program: Program, argv: string[]): Promise<void> {
  // What runs is what was built, also where NODE_ENV says "development" or "test".
  settings.enableAutoTranspile = false;
  const plugin = pluginOf(program);
  const { root, pjson } = program;
  // A command puts its own in the place of this.
  process.stdout.on('error', tellOfLostHelp);
  const args = withHelpAsFlag(argv);
  if (!namesKnownCommand(args, plugin.commandIDs)) {
    const { refuseCommand } = await import('./unknown-command.ts');
    const exitCode = exitCodes.usage;
    refuseCommand(args, { names: plugin.commandIDs, version: pjson.version, exitCode });
    process.exitCode = exitCode;
    return;
  }
  process.once('beforeExit', tellOfUnended);
  await execute({ args, loadOptions: { root, plugins: new Map([[plugin.name, plugin]]) } });
  process.off('beforeExit', tellOfUnended);
}

/** `regtool help migrate` is `regtool migrate --help`. */
function withHelpAsFlag(argv: string[]): string[] {
  const [first, ...rest] = argv;
  return first === 'help' ? [...rest, '--help'] : argv;
}

/** oclif answers what stands alone itself: nothing at all, `--help` and `--version`. */
function namesKnownCommand(argv: readonly string[], names: readonly string[]): boolean {
  const [first] = argv;
  if (first === undefined || first === '--version') {
    return true;
  }
  return first.startsWith('-') ? argv.includes('--help') : names.includes(first);
}

function tellOfLostHelp({ code }: NodeJS.ErrnoException): void {
  if (code !== 'EPIPE') {
    process.exitCode = exitCodes.usage;
    process.stderr.write(`Error: The output cannot be written (${code}).\n`);
  }
}

/**
 * Node ends with 0 as soon as nothing is left to wait for, also where a command waits for what can no longer come: of
 * that a script would read that all is done.
 */
function tellOfUnended(): void {
  process.exitCode = exitCodes.bug;
  process.stderr.write(
    'Error: the command stopped before its end. This is a bug; nothing says how far it came.\n',
  );
}

function pluginOf({ root, pjson, manifest, loadCommands }: Program): Plugin {
  const findCommand = async (id: string): Promise<Command.Class> => {
    const loader = loadCommands()[id];
    if (loader === undefined) {
      throw new TypeError(`The manifest names a command that was not built: ${id}.`);
    }
    const { default: CommandClass } = await loader();
    CommandClass.id = id;
    CommandClass.plugin = plugin;
    return CommandClass;
  };
  const commandIDs = Object.keys(manifest.commands);
  const plugin: Plugin = {
    _base: '',
    alias: pjson.name,
    commandIDs,
    commands: Object.values(manifest.commands).map((command) => ({
      ...command,
      load: async () => findCommand(command.id),
    })),
    commandsDir: undefined,
    findCommand,
    hasManifest: true,
    hooks: {},
    isRoot: true,
    load: async () => {},
    moduleType: 'module',
    name: pjson.name,
    options: { root },
    pjson,
    root,
    topics: [],
    type: 'core',
    valid: true,
    version: pjson.version,
  };
  return plugin;
}
