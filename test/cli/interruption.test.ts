import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { watchInterruption } from '../../src/cli/interruption.ts';

function watched() {
  const source = new EventEmitter();
  const seen: Array<string | number> = [];
  const interruption = watchInterruption({
    source,
    onFirst: () => seen.push('first'),
    onSecond: (exitCode) => seen.push(exitCode),
  });
  return { source, seen, interruption };
}

test.each(['SIGINT', 'SIGTERM'])('the first %s aborts the signal, and says so before', (name) => {
  const { source, seen, interruption } = watched();
  interruption.signal.addEventListener('abort', () => seen.push('aborted'));
  source.emit(name, name);
  expect(seen).toEqual(['first', 'aborted']);
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
])('a second signal, %s, ends the process with %d', (name, exitCode) => {
  const { source, seen } = watched();
  source.emit('SIGINT', 'SIGINT');
  source.emit(name, name);
  expect(seen).toEqual(['first', exitCode]);
});

test('after stop, signals are left to Node', () => {
  const { source, interruption } = watched();
  interruption.stop();
  expect(source.listenerCount('SIGINT') + source.listenerCount('SIGTERM')).toBe(0);
  expect(interruption.signal.aborted).toBe(false);
});
