import { handle, Args } from '@oclif/core';
import { fileURLToPath } from 'node:url';
import { BaseCommand } from '../../src/cli/base-command.ts';
import { exitCodes } from '../../src/cli/exit-codes.ts';

/** A command in a process of its own, for what can be seen only from outside: signals, pipes, exit codes. */
class Example extends BaseCommand {
  static override args = { behaviour: Args.string({ required: true, ignoreStdin: true }) };
  static override id = 'example';

  override async run(): Promise<object> {
    const { args, flags } = await this.parse(Example);
    this.openProgress(flags).start(args.behaviour);
    switch (args.behaviour) {
      case 'talkative':
        for (let line = 0; line < 20_000; line += 1) {
          this.log(`line ${line} ${'x'.repeat(80)}`);
        }
        break;
      case 'obedient':
        await this.untilInterrupted();
        this.signal.throwIfAborted();
        break;
      case 'stuck':
        await this.untilInterrupted();
        this.log('still working');
        await new Promise((resolve) => {
          setTimeout(resolve, 600_000);
        });
        break;
      default:
        return this.finish(exitCodes.findings, { behaviour: args.behaviour });
    }
    return this.finish(exitCodes.done, {});
  }

  private untilInterrupted(): Promise<void> {
    return new Promise((resolve) => {
      const alive = setInterval(() => undefined, 60_000);
      this.signal.addEventListener('abort', () => {
        clearInterval(alive);
        resolve();
      });
      this.log('started');
    });
  }
}

try {
  await Example.run(process.argv.slice(2), { root: fileURLToPath(new URL('../..', import.meta.url)) });
} catch (error) {
  await handle(error as Error);
}
