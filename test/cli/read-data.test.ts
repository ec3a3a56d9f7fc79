import { Args } from '@oclif/core';
import { describe, expect, test } from 'vitest';
import { BaseCommand } from '../../src/cli/base-command.ts';
import {
  formatSubset,
  parseReadData,
  randomSeed,
  readDataFlag,
  seedFlag,
  withReadDataValue,
} from '../../src/cli/read-data.ts';
import { runClass } from './run-class.ts';

class Reads extends BaseCommand {
  static override args = { store: Args.string({ ignoreStdin: true }) };
  static override flags = { 'read-data': readDataFlag(), seed: seedFlag() };

  override async run(): Promise<object> {
    const { args, flags } = await this.parse(Reads, withReadDataValue(this.argv));
    return { store: args.store, subset: flags['read-data'], seed: flags.seed };
  }
}

async function parsed(...argv: string[]) {
  const { json } = await runClass(Reads, ['--json', ...argv]);
  return (json as { result?: unknown }).result ?? json;
}

describe('--read-data', () => {
  test.each([
    [['--read-data', '/store'], { percent: 100 }],
    [['/store', '--read-data'], { percent: 100 }],
    [['--read-data=5%', '/store'], { percent: 5 }],
    [['/store', '--read-data=10GiB'], { bytes: 10 * 2 ** 30 }],
    [['--read-data', '2.5%', '/store'], { percent: 2.5 }],
    [['--read-data', '10GiB', '/store'], { bytes: 10 * 2 ** 30 }],
    [['/store'], undefined],
  ])('understands %j', async (argv, subset) => {
    expect(await parsed(...argv)).toEqual({ store: '/store', ...(subset === undefined ? {} : { subset }) });
  });

  test('takes a bare number behind it for a store', async () => {
    expect(await parsed('--read-data', '17')).toEqual({ store: '17', subset: { percent: 100 } });
  });

  test('is no flag behind two dashes', async () => {
    expect(await parsed('--', '--read-data')).toEqual({ store: '--read-data' });
  });

  test.each(['0%', '101%', '-5%', '0', '5 percent', '', '%'])('refuses %j', async (text) => {
    expect(await parsed(`--read-data=${text}`, '/store')).toMatchObject({ exitCode: 2 });
    expect(() => parseReadData(text)).toThrow('takes a percentage');
  });

  test.each(['1', '0', 'true'])('refuses %s from the environment, and says what is all', async (value) => {
    process.env['REGTOOL_READ_DATA'] = value;
    try {
      expect(await parsed('/store')).toMatchObject({
        exitCode: 2,
        error: {
          message: expect.stringMatching(/^REGTOOL_READ_DATA takes .* 100%, which is all,/) as string,
        },
      });
    } finally {
      delete process.env['REGTOOL_READ_DATA'];
    }
  });

  test('takes its value from the environment', async () => {
    process.env['REGTOOL_READ_DATA'] = '5%';
    try {
      expect(await parsed('/store')).toMatchObject({ subset: { percent: 5 } });
    } finally {
      delete process.env['REGTOOL_READ_DATA'];
    }
  });
});

describe('--seed', () => {
  test('goes with --read-data only', async () => {
    expect(await parsed('--read-data', '--seed=17')).toMatchObject({ seed: 17 });
    expect(await parsed('--seed=17')).toMatchObject({ exitCode: 2 });
  });

  test('takes every seed that is chosen at random', async () => {
    const seed = randomSeed();
    expect(await parsed('--read-data', `--seed=${seed}`)).toMatchObject({ seed });
  });
});

test('a subset is shown as it is given', () => {
  expect(formatSubset({ percent: 5 })).toBe('5%');
  expect(parseReadData(formatSubset({ bytes: 10 * 2 ** 30 }))).toEqual({ bytes: 10 * 2 ** 30 });
});
