import type { Command } from '@oclif/core/command';
import { Config } from '@oclif/core/config';
import { execute } from '@oclif/core/execute';
import { settings } from '@oclif/core/settings';

/** Command classes by the ids under which oclif's manifest has them, each loaded when it is asked for. */
export type CommandLoaders = Readonly<Record<string, () => Promise<{ default: Command.Class }>>>;

/**
 * Runs one command line with commands that are given, where oclif by itself would look for each in a file of its own:
 * this is what `scripts/bundle.mjs` puts into one file with all commands.
 * @param root the folder with package.json and oclif.manifest.json.
 */
export async function start(root: string, loaders: CommandLoaders, argv: string[]): Promise<void> {
  // What runs is what was built, also where NODE_ENV says "development" or "test".
  settings.enableAutoTranspile = false;
  const config = await Config.load({ root });
  for (const command of config.commands) {
    command.load = async () => {
      const loader = loaders[command.id];
      if (loader === undefined) {
        throw new TypeError(`The manifest names a command that was not built: ${command.id}.`);
      }
      const { default: CommandClass } = await loader();
      CommandClass.id = command.id;
      CommandClass.plugin = config.plugins.get(config.name);
      return CommandClass;
    };
  }
  await execute({ args: argv, loadOptions: config });
}
