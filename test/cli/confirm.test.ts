import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { confirm } from '../../src/cli/confirm.ts';

function terminal(isTTY = true) {
  return Object.assign(new PassThrough(), { isTTY });
}

test.each([
  ['yes\n', 'yes'],
  ['  yes \n', 'yes'],
  ['y\n', 'no'],
  ['YES\n', 'no'],
  ['\n', 'no'],
  ['no\nyes\n', 'no'],
])('the line %j means %s', async (line, answer) => {
  const input = terminal();
  input.write(line);
  expect(await confirm('Delete 3 tags?', { input, output: terminal() })).toBe(answer);
});

test('the end of the input is a no', async () => {
  const [input, output] = [terminal(), terminal()];
  input.end();
  expect(await confirm('Delete?', { input, output })).toBe('no');
  expect(String(output.read())).toMatch(/go on: \n$/);
});

test('an answer is followed by no further line end, as the terminal has shown that of the answer', async () => {
  const [input, output] = [terminal(), terminal()];
  input.write('yes\n');
  await confirm('Delete?', { input, output });
  expect(String(output.read())).toMatch(/go on: $/);
});

test('the question says what to type', async () => {
  const input = terminal();
  const output = terminal();
  input.write('yes\n');
  await confirm('Delete 3 tags?', { input, output });
  expect(String(output.read())).toContain('Delete 3 tags? Type "yes"');
});

test.each([
  [true, false],
  [false, true],
])('nothing is asked with a terminal at stdin %s and at stderr %s', async (atInput, atOutput) => {
  const output = terminal(atOutput);
  expect(await confirm('Delete?', { input: terminal(atInput), output })).toBe('no-terminal');
  expect(output.read()).toBeNull();
});

test('an interruption ends the question', async () => {
  const controller = new AbortController();
  const answer = confirm('Delete?', { input: terminal(), output: terminal(), signal: controller.signal });
  controller.abort();
  await expect(answer).rejects.toMatchObject({ name: 'AbortError' });
});
