import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { watchInterruption } from '../../src/cli/interruption.ts';

function watched(hadTerminal = true) {
  const source = new EventEmitter();
  const seen: Array<string | number> = [];
  const interruption = watchInterruption({
    source,
    hadTerminal,
    onFirst: () => seen.push('first'),
    onHangupWithoutTerminal: () => seen.push('goes on'),
    onSecond: (exitCode) => seen.push(exitCode),
  });
  return { source, seen, interruption };
}

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'])('the first %s aborts the signal, and says so before', (name) => {
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

test('one more SIGHUP ends nothing: the shell and the kernel both send it', () => {
  const { source, seen } = watched();
  source.emit('SIGHUP', 'SIGHUP');
  source.emit('SIGHUP', 'SIGHUP');
  expect(seen).toEqual(['first']);
});

test('without a terminal, as under nohup, SIGHUP interrupts nothing', () => {
  const { source, seen, interruption } = watched(false);
  source.emit('SIGHUP', 'SIGHUP');
  expect(seen).toEqual(['goes on']);
  expect(interruption.signal.aborted).toBe(false);
});

test('after stop, signals are left to Node', () => {
  const { source, interruption } = watched();
  interruption.stop();
  expect(['SIGINT', 'SIGTERM', 'SIGHUP'].reduce((sum, name) => sum + source.listenerCount(name), 0)).toBe(0);
  expect(interruption.signal.aborted).toBe(false);
});
