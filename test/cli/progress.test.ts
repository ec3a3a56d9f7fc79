import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Progress } from '../../src/cli/progress.ts';
import { progressLine } from '../../src/cli/progress-line.ts';

const mebibyte = 1024 ** 2;

describe('progressLine', () => {
  const state = {
    phase: 'blobs',
    objects: 250,
    bytes: 50 * mebibyte,
    totalObjects: 1000,
    totalBytes: 200 * mebibyte,
    elapsedMs: 10_000,
  };
  const bar = () => '[==--]';

  test('tells phase, part, objects, bytes, rate and time left', () => {
    expect(progressLine(state, 200, bar)).toBe(
      'blobs  25%  [==--]  250 of 1,000 objects  50.0 MiB of 200.0 MiB  5.0 MiB/s  30 s left',
    );
  });

  test('without totals there is neither a part nor a time left', () => {
    expect(progressLine({ phase: 'check', objects: 1, bytes: 0, elapsedMs: 500 })).toBe('check  1 object');
    expect(progressLine({ phase: 'check', objects: 4000, bytes: 0, elapsedMs: 2000 })).toBe(
      'check  4,000 objects  2,000 objects/s',
    );
  });

  test('objects tell the part where there are no bytes', () => {
    const line = progressLine({
      phase: 'tags',
      objects: 3,
      bytes: 0,
      totalObjects: 4,
      totalBytes: 0,
      elapsedMs: 9000,
    });
    expect(line).toContain('75%');
    expect(line).toContain('3.0 s left');
  });

  test('what is more than was expected is all of it', () => {
    expect(progressLine({ ...state, bytes: 300 * mebibyte })).toContain('100%');
  });

  test.each([10, 20, 40, 60, 80])('in %d columns it takes no more, and keeps the phase', (width) => {
    const line = progressLine(state, width, bar);
    expect(line.length).toBeLessThanOrEqual(width);
    expect(line).toContain('blobs');
  });
});

interface FakeTerminal extends PassThrough {
  isTTY: boolean;
  columns: number;
}

function stream(isTTY: boolean, columns = 100): FakeTerminal {
  return Object.assign(new PassThrough(), { isTTY, columns });
}

function written(output: PassThrough): string {
  return String(output.read() ?? '');
}

describe('Progress', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  test('without a terminal it writes a plain line every ten seconds, and one at the end', () => {
    const output = stream(false);
    const progress = new Progress({ stream: output });
    progress.start('blobs', { totalObjects: 4 });
    progress.add({ objects: 1 });
    vi.advanceTimersByTime(9999);
    expect(written(output)).toBe('');
    vi.advanceTimersByTime(1);
    expect(written(output)).toBe('blobs  25%  1 of 4 objects  0 objects/s  30 s left\n');
    progress.add({ objects: 3 });
    vi.advanceTimersByTime(5000);
    progress.stop();
    expect(written(output)).toBe('blobs  100%  4 of 4 objects  0 objects/s\n');
    vi.advanceTimersByTime(60_000);
    expect(written(output)).toBe('');
  });

  test('the last line of a phase that broke off tells of no time left', () => {
    const output = stream(false);
    const progress = new Progress({ stream: output });
    progress.start('blobs', { totalObjects: 4 });
    progress.add({ objects: 1 });
    vi.advanceTimersByTime(9000);
    progress.stop();
    expect(written(output)).toBe('blobs  25%  1 of 4 objects  0 objects/s\n');
  });

  test('on a terminal it redraws one line within the width', () => {
    const output = stream(true, 40);
    const progress = new Progress({ stream: output });
    progress.start('blobs', { totalObjects: 4 });
    progress.add({ objects: 2 });
    vi.advanceTimersByTime(5000);
    const drawn = written(output);
    expect(drawn).toContain('2 of 4 objects');
    expect(drawn).not.toContain('\n');
    // eslint-disable-next-line no-control-regex
    for (const line of drawn.split(/\x1b\[1G|\x1b\[0K|\x1b7/)) {
      expect(line.length).toBeLessThan(40);
    }
    progress.stop();
  });

  test('it never hides the cursor, changes line wrapping, or uses colour', () => {
    const output = stream(true);
    const progress = new Progress({ stream: output });
    progress.start('blobs');
    progress.log('a line');
    vi.advanceTimersByTime(1000);
    progress.stop();
    // eslint-disable-next-line no-control-regex
    expect(written(output)).not.toMatch(/\x1b\[\?|\x1b\[\d*m/);
  });

  test('after stop nothing is drawn, and no timer is left', () => {
    const output = stream(true);
    const progress = new Progress({ stream: output });
    progress.start('blobs');
    progress.log('a line');
    progress.stop();
    progress.stop();
    expect(vi.getTimerCount()).toBe(0);
    expect(written(output)).toMatch(/blobs {2}0 objects\n$/);
  });

  test('a line goes above the bar, which is drawn again below', () => {
    const output = stream(true);
    const progress = new Progress({ stream: output });
    progress.start('blobs');
    written(output);
    progress.log('copied \x1b[31mred');
    const after = written(output);
    expect(after).toMatch(/copied \\x1b\[31mred\n.*blobs/s);
    progress.stop();
  });

  test('a new phase ends the one before', () => {
    const output = stream(false);
    const progress = new Progress({ stream: output });
    progress.start('blobs');
    progress.start('tags');
    progress.stop();
    expect(written(output)).toBe('blobs  0 objects\ntags  0 objects\n');
  });

  test('totals may be learned on the way', () => {
    const output = stream(false);
    const progress = new Progress({ stream: output });
    progress.start('blobs');
    progress.expect({ totalObjects: 10 });
    progress.add({ objects: 5 });
    progress.stop();
    expect(written(output)).toBe('blobs  50%  5 of 10 objects\n');
  });

  test('silent shows lines only', () => {
    const output = stream(true);
    const progress = new Progress({ stream: output, silent: true });
    progress.start('blobs');
    progress.add({ objects: 1 });
    progress.log('a warning');
    progress.stop();
    expect(written(output)).toBe('a warning\n');
  });

  test('the clock can be another one', () => {
    let time = 0;
    const output = stream(false);
    const progress = new Progress({ stream: output, now: () => time });
    progress.start('blobs');
    progress.add({ objects: 10, bytes: 10 * mebibyte });
    time = 2000;
    progress.stop();
    expect(written(output)).toBe('blobs  10 objects  10.0 MiB  5.0 MiB/s\n');
  });
});
