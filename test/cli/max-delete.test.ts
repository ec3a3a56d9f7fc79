import * as Flags from '@oclif/core/flags';
import { afterEach, expect, test, vi } from 'vitest';
import { BaseCommand } from '../../src/cli/base-command.ts';
import { maxDeleteFlag } from '../../src/cli/max-delete.ts';
import { runClass } from './run-class.ts';

class Deletes extends BaseCommand {
  static override flags = { delete: Flags.boolean(), 'max-delete': maxDeleteFlag() };

  override async run(): Promise<object> {
    const { flags } = await this.parse(Deletes);
    return { max: flags['max-delete'] };
  }
}

afterEach(() => {
  vi.unstubAllEnvs();
});

async function ran(...argv: string[]) {
  const { json } = await runClass(Deletes, ['--json', ...argv]);
  return json;
}

test.each([
  ['500', { objects: 500 }],
  ['20%', { percent: 20 }],
  ['0', { objects: 0 }],
])('understands %s', async (text, max) => {
  expect(await ran('--delete', `--max-delete=${text}`)).toMatchObject({ result: { max } });
});

test.each(['101%', '0.5%', 'x', '', '-1'])('refuses %j, and says what it takes', async (text) => {
  expect(await ran('--delete', `--max-delete=${text}`)).toMatchObject({
    exitCode: 2,
    error: {
      message: expect.stringMatching(/^--max-delete takes .* a whole percentage from 0% to 100%, not/),
    },
  });
});

test('demands --delete beside it', async () => {
  expect(await ran('--max-delete=5')).toMatchObject({
    exitCode: 2,
    error: { message: '--max-delete needs --delete.\nSee more help with --help' },
  });
});

test.each(['5', 'nonsense'])('a variable %s counts for nothing without --delete', async (value) => {
  vi.stubEnv('REGTOOL_MAX_DELETE', value);
  expect(await ran()).toMatchObject({ exitCode: 0, result: {} });
});

test('a variable counts with --delete', async () => {
  vi.stubEnv('REGTOOL_MAX_DELETE', '5');
  expect(await ran('--delete')).toMatchObject({ result: { max: { objects: 5 } } });
  vi.stubEnv('REGTOOL_MAX_DELETE', '5.5%');
  expect(await ran('--delete')).toMatchObject({
    error: { message: expect.stringMatching(/^REGTOOL_MAX_DELETE takes/) },
  });
});
