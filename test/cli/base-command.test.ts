import { Args, Flags } from '@oclif/core';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { BaseCommand } from '../../src/cli/base-command.ts';
import { type ExitCode, exitCodes } from '../../src/cli/exit-codes.ts';
import {
  bandwidthFlag,
  concurrencyFlag,
  dryRunFlag,
  maxRequestsPerSecondFlag,
  reportFlag,
  repositoryFlag,
  storeArgument,
  yesFlag,
} from '../../src/cli/flags.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { SafetyRefusal } from '../../src/operations/errors.ts';
import { runClass } from './run-class.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

/** Does what `perform` says. */
function commandThat(perform: (command: Performer) => Promise<object> | object) {
  return class Performs extends Performer {
    override async run(): Promise<object> {
      await this.parse(Performs);
      return perform(this);
    }
  };
}

abstract class Performer extends BaseCommand {
  static override args = { name: Args.string({ ignoreStdin: true }) };
  static override flags = { number: Flags.integer({ min: 1 }) };

  end(exitCode: ExitCode, result: object): object {
    return this.finish(exitCode, result);
  }

  get interrupted(): AbortSignal {
    return this.signal;
  }

  begin(): void {
    this.openProgress({ 'no-progress': false }).start('blobs');
  }
}

function fails(error: unknown) {
  return commandThat(() => {
    throw error;
  });
}

describe('the --json envelope', () => {
  test('holds the result of a command that ran to its end', async () => {
    const run = await runClass(
      commandThat((command) => {
        command.log('for people');
        return command.end(exitCodes.done, { tags: 3 });
      }),
      ['--json'],
    );
    expect(run.json).toEqual({
      schema: 1,
      ok: true,
      command: 'test',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
      exitCode: 0,
      result: { tags: 3 },
    });
    expect(run.exitCode).toBe(0);
  });

  test('is not ok when something was found', async () => {
    const run = await runClass(
      commandThat((command) => command.end(exitCodes.findings, { broken: 1 })),
      ['--json'],
    );
    expect(run.json).toMatchObject({ ok: false, exitCode: 3, result: { broken: 1 } });
    expect(run.exitCode).toBe(3);
  });

  test('holds the error of one that did not, and the process ends with its code', async () => {
    const error = new SafetyRefusal('SOURCE_EMPTY', 'The source is empty.', { reasons: ['no blobs'] });
    const run = await runClass(fails(error), ['--json']);
    expect(run.json).toMatchObject({
      ok: false,
      exitCode: 6,
      error: { code: 'SOURCE_EMPTY', message: 'The source is empty.', exitCode: 6, reasons: ['no blobs'] },
    });
    expect(run.json).not.toHaveProperty('result');
    expect(run.exitCode).toBe(6);
  });

  test('tells nothing of the arguments or the configuration when they were wrong', async () => {
    const run = await runClass(fails(new Error('never reached')), [
      '--json',
      '--number=0',
      's3://key:hush-hush@bucket',
    ]);
    expect(run.exitCode).toBe(2);
    expect(run.json).toMatchObject({ error: { code: 'USAGE', exitCode: 2 } });
    expect(Object.keys((run.json as { error: object }).error).sort()).toEqual([
      'code',
      'exitCode',
      'message',
      'reasons',
    ]);
    expect(run.stdout).not.toContain('hush');
    expect(run.stdout).not.toContain('argv');
  });

  test('holds nothing that a terminal acts on', async () => {
    const run = await runClass(
      commandThat((command) => command.end(exitCodes.done, { name: '\u202E\x9b' })),
      ['--json'],
    );
    expect(run.stdout).toContain('\\u202e\\u009b');
  });
});

describe('errors for people', () => {
  test.each([
    [new DriverError('UNAVAILABLE', 'The store is down.', { driver: 's3', operation: 'list' }), 5],
    [new SafetyRefusal('NOT_A_REGISTRY', 'There is no registry.'), 6],
  ])('%s is one sentence on stderr', async (error, exitCode) => {
    const run = await runClass(fails(error));
    expect(run.stderr).toBe(`Error: ${error.message}\n`);
    expect(run.stdout).toBe('');
    expect(run.exitCode).toBe(exitCode);
    expect(run.error).toMatchObject({ oclif: { exit: exitCode }, skipOclifErrorHandling: true });
  });

  test('the reasons of a refusal stand below it', async () => {
    const run = await runClass(fails(new SafetyRefusal('SOURCE_EMPTY', 'No.', { reasons: ['a', 'b\x1b'] })));
    expect(run.stderr).toBe('Error: No.\n  - a\n  - b\\x1b\n');
  });

  test.each([
    [['--number', 'x']],
    [['--number', '0']],
    [['--nonsense']],
    [['one', 'two']],
    [['--number', '1', '--number', '2']],
  ])('wrong arguments %j end with 2', async (argv) => {
    const run = await runClass(fails(new Error('never reached')), argv);
    expect(run.exitCode).toBe(2);
    expect(run.error).toMatchObject({ oclif: { exit: 2 } });
    expect(run.stderr).toMatch(/^Error: /);
  });

  test.each([[[]], [['--json']]])('a bug, with %j, shows its stack and asks for a report', async (argv) => {
    const run = await runClass(fails(new TypeError('undefined is not a function')), argv);
    expect(run.exitCode).toBe(1);
    expect(run.stderr).toContain('TypeError: undefined is not a function\n    at ');
    expect(run.stderr).toContain('This is a bug in regtool');
    expect(run.stdout).not.toContain(' at ');
  });
});

test('lines on stdout are escaped, also while progress is shown', async () => {
  const run = await runClass(
    commandThat((command) => {
      command.begin();
      command.log('tag \x1b[2J\nnext 100%d');
      return command.end(exitCodes.done, {});
    }),
  );
  expect(run.stdout).toBe('tag \\x1b[2J\nnext 100%d\n');
});

test('warnings reach stderr, also with --json, without secrets', async () => {
  const run = await runClass(
    commandThat((command) => {
      command.warn('slow s3://me:hush@bucket');
      return command.end(exitCodes.done, {});
    }),
    ['--json'],
  );
  expect(run.stderr).toBe('Warning: slow s3://***@bucket\n');
});

test('progress is ended when a command throws', async () => {
  const run = await runClass(
    commandThat((command) => {
      command.begin();
      throw new SafetyRefusal('SOURCE_EMPTY', 'No.');
    }),
  );
  expect(run.stderr).toMatch(/Error: No\.\n$/);
});

test('signal handlers are gone when a command has ended', async () => {
  const before = process.listenerCount('SIGINT');
  let during = 0;
  await runClass(
    commandThat((command) => {
      during = process.listenerCount('SIGINT');
      return command.end(exitCodes.done, {});
    }),
  );
  expect(during).toBe(before + 1);
  expect(process.listenerCount('SIGINT')).toBe(before);
});

test.each([[[]], [['--json']]])('an interruption, with %j, ends with 130', async (argv) => {
  const run = await runClass(
    commandThat((command) => {
      process.emit('SIGINT', 'SIGINT');
      command.interrupted.throwIfAborted();
      return {};
    }),
    argv,
  );
  expect(run.exitCode).toBe(130);
  expect(run.stderr).toMatch(/^interrupted: stopping cleanly; press again to stop at once\n/);
});

test('stores are opened within the limits of the flags, and what they tell is counted and printed', async () => {
  class Opens extends BaseCommand {
    static override flags = {
      concurrency: concurrencyFlag(),
      'max-requests-per-second': maxRequestsPerSecondFlag(),
    };

    override async run(): Promise<object> {
      const { flags } = await this.parse(Opens);
      const { concurrency, maxRequestsPerSecond, onNotice, onRetry } = this.storeOptions(flags);
      onNotice?.('The store is away.');
      onRetry?.();
      this.storeOptions(flags).onRetry?.();
      return this.finish(exitCodes.done, { concurrency, maxRequestsPerSecond, retries: this.retries });
    }
  }
  const run = await runClass(Opens, ['--json', '--concurrency=7', '--max-requests-per-second=70']);
  expect(run.stderr).toBe('The store is away.\n');
  expect(run.json).toMatchObject({ result: { concurrency: 7, maxRequestsPerSecond: 70, retries: 2 } });
});

describe('flags that commands share', () => {
  class Shares extends BaseCommand {
    static override args = { source: storeArgument('From.'), target: storeArgument('To.') };
    static override flags = {
      bandwidth: bandwidthFlag('copied'),
      concurrency: concurrencyFlag(),
      'dry-run': dryRunFlag(),
      'max-requests-per-second': maxRequestsPerSecondFlag(),
      report: reportFlag(),
      repository: repositoryFlag(),
      yes: yesFlag('removing anything'),
    };

    override async run(): Promise<object> {
      const { args, flags } = await this.parse(Shares);
      return this.finish(exitCodes.done, { args, flags });
    }
  }

  test('have values of their kind', async () => {
    const run = await runClass(Shares, [
      '--bandwidth=1.5MiB',
      '--repository',
      'group/*',
      '/source',
      's3://bucket/root',
      '--repository=other',
      '--dry-run',
      '--quiet',
      '--json',
    ]);
    expect(run.json).toMatchObject({
      result: {
        args: {
          source: { driver: 'filesystem', path: '/source' },
          target: { driver: 's3', bucket: 'bucket', rootdirectory: 'root' },
        },
        flags: {
          bandwidth: 1_572_864,
          concurrency: 32,
          'dry-run': true,
          'no-progress': true,
          repository: ['group/*', 'other'],
        },
      },
    });
  });

  test.each([
    ['--bandwidth=fast', /^Error: --bandwidth takes .* such as 50MiB.* not "fast"\.\n$/],
    ['--bandwidth=0', /^Error: --bandwidth takes .* not "0"\.\n$/],
    ['--concurrency=0', /^Error: --concurrency takes a whole number from 1 to 512, not "0"\.\n$/],
    ['--concurrency=513', /^Error: --concurrency takes a whole number from 1 to 512, not "513"\.\n$/],
    ['--concurrency=x', /^Error: --concurrency takes a whole number from 1 to 512, not "x"\.\n$/],
    ['--concurrency=-1', /^Error: --concurrency takes a whole number from 1 to 512, not "-1"\.\n$/],
    ['--max-requests-per-second=0', /^Error: \S+ takes a whole number of 1 or more, not "0"\.\n$/],
    [
      '--repository=',
      /^Error: --repository takes a pattern such as group\/\*, and none is given: leave .*\n$/,
    ],
    [`--repository=${'a'.repeat(70_000)}`, /^Error: --repository takes a pattern .*, not "a{80}\.\.\."\.\n$/],
    ['--report=', /^Error: --report takes the name of a file, and none is given\.\n$/],
    ['--report=-', /^Error: --report takes the name of a file, and stdout and stdin are none: .*\n$/],
  ])('%s is refused', async (flag, sentence) => {
    const run = await runClass(Shares, ['/a', '/b', flag]);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toMatch(sentence);
  });

  test.each([
    [
      'REGTOOL_DRY_RUN',
      'on',
      /^Error: REGTOOL_DRY_RUN takes 1, true, yes or y for --dry-run, .*, not "on"\.\n$/,
    ],
    [
      'REGTOOL_NO_PROGRESS',
      't',
      /^Error: REGTOOL_NO_PROGRESS takes 1, .* for --no-progress, .*, not "t"\.\n$/,
    ],
    ['REGTOOL_CONCURRENCY', 'x', /^Error: REGTOOL_CONCURRENCY takes a whole number .*, not "x"\.\n$/],
    ['REGTOOL_REPORT', '-', /^Error: REGTOOL_REPORT takes the name of a file, .*\n$/],
  ])('a variable %s=%s is refused by its name', async (name, value, sentence) => {
    vi.stubEnv(name, value);
    const run = await runClass(Shares, ['/a', '/b']);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toMatch(sentence);
  });

  test.each([
    ['1', true],
    ['YES', true],
    ['y', true],
    ['true', true],
    ['', false],
    ['0', false],
    ['No', false],
    ['n', false],
    ['false', false],
  ])('a variable %j of a flag without a value is understood', async (value, isOn) => {
    vi.stubEnv('REGTOOL_DRY_RUN', value);
    const { json } = await runClass(Shares, ['/a', '/b', '--json']);
    expect((json as { result: { flags: object } }).result.flags).toMatchObject(
      isOn ? { 'dry-run': true } : { concurrency: 32 },
    );
    expect(JSON.stringify(json).includes('"dry-run":true')).toBe(isOn);
  });

  test.each([
    [
      ['/a', '/b', '--dryrun'],
      /^Error: Nonexistent flag: --dryrun \(did you mean --dry-run\?\)\nSee more help with --help\n$/,
    ],
    [
      ['/a', '/b', '--xyzzy', '--quite', '--bandwith=1'],
      /^Error: Nonexistent flags: --xyzzy, --quite \(did you mean --quiet\?\), --bandwith=1 \(did you mean --bandwidth\?\)\n/,
    ],
    [['/only-one'], /^Error: Missing 1 required arg:\ntarget .*\nSee more help with --help\n$/],
    [['/a', '~/b'], /only a shell expands/],
    [['/a', 's3://bucket?accesskey=hush'], /AWS_ACCESS_KEY_ID/],
  ])('the arguments %j are refused', async (argv, sentence) => {
    const run = await runClass(Shares, argv);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toMatch(sentence);
    expect(run.stderr).not.toContain('hush');
  });

  test('each names its environment variable and has a summary, but none answers questions', () => {
    const { yes, json, ...flags } = { ...Shares.flags, ...BaseCommand.baseFlags };
    expect([yes.env, json.env]).toEqual([undefined, undefined]);
    for (const [name, flag] of Object.entries(flags)) {
      expect(flag.env).toBe(`REGTOOL_${name.toUpperCase().replaceAll('-', '_')}`);
      expect(flag.summary).toMatch(/\.$/);
    }
  });
});
