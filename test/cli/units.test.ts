import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatBytes } from '../../src/operations/format-bytes.ts';
import {
  escapeForTerminal,
  escapeLines,
  formatCount,
  formatDuration,
  parseBytes,
  plural,
  terminalSafeJson,
} from '../../src/cli/units.ts';

describe('formatBytes', () => {
  test.each([
    [0, '0 B'],
    [1, '1 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1536, '1.5 KiB'],
    [1024 * 1024 - 1, '1.0 MiB'],
    [1_288_490_189, '1.2 GiB'],
    [5 * 1024 ** 4, '5.0 TiB'],
    [2 ** 70, '1024.0 EiB'],
  ])('%d is %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

test.each([
  [0, '0'],
  [999, '999'],
  [1_234_567, '1,234,567'],
])('formatCount: %d is %s', (count, text) => {
  expect(formatCount(count)).toBe(text);
});

test('formatCount says what Intl says', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 2 ** 53, noNaN: true }), (count) => {
      expect(formatCount(count)).toBe(count.toLocaleString('en-US', { maximumFractionDigits: 0 }));
    }),
  );
});

test.each([
  [0, '0.0 s'],
  [420, '0.4 s'],
  [9949, '9.9 s'],
  [9950, '10 s'],
  [59_400, '59 s'],
  [59_600, '1 min 00 s'],
  [187_000, '3 min 07 s'],
  [3_600_000, '1 h 00 min'],
  [7_500_000, '2 h 05 min'],
  [24 * 3_600_000, '1 d 00 h'],
  [76 * 3_600_000, '3 d 04 h'],
])('formatDuration: %d ms is %s', (durationMs, text) => {
  expect(formatDuration(durationMs)).toBe(text);
});

test.each([
  ['tag', 1, '1 tag'],
  ['tag', 0, '0 tags'],
  ['tag', 3000, '3,000 tags'],
  ['repository', 2, '2 repositories'],
  ['repository', 1, '1 repository'],
  ['key', 2, '2 keys'],
  ['index', 2, '2 indexes'],
  ['digest', 2, '2 digests'],
])('plural: %s, %d is %s', (noun, count, text) => {
  expect(plural(noun, count)).toBe(text);
});

test('plural takes a plural that follows no rule', () => {
  expect(plural('child', 2, 'children')).toBe('2 children');
});

describe('parseBytes', () => {
  test.each([
    ['1024', 1024],
    ['0', 0],
    ['50M', 52_428_800],
    ['50MiB', 52_428_800],
    ['50 MiB/s', 52_428_800],
    ['50MB', 50_000_000],
    ['1.5GiB', 1_610_612_736],
    ['10k', 10_240],
    ['2t', 2_199_023_255_552],
    ['7B', 7],
  ])('%s is %d bytes', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  test.each(['', 'M', '-5', '5 apples', '1e9', '5MiBs', '1,5G', '50M/min', 'Infinity', '99999999T', '5con'])(
    '%j is no amount',
    (text) => {
      expect(parseBytes(text)).toBeUndefined();
    },
  );
});

describe('escapeForTerminal', () => {
  test.each([
    ['library/alpine', 'library/alpine'],
    ['größe 日本 😀', 'größe 日本 😀'],
    ['\x1b[2J', '\\x1b[2J'],
    ['a\nb\tc\x7f\x9b', 'a\\x0ab\\x09c\\x7f\\x9b'],
    ['\u202Egnp.exe', '\\u202egnp.exe'],
    ['a\u200Bb\u2066', 'a\\u200bb\\u2066'],
    ['\uD800x', '\\ud800x'],
    ['\u{E0041}', '\\u{e0041}'],
    ['\u2028', '\\u2028'],
  ])('shows %j as %s', (text, shown) => {
    expect(escapeForTerminal(text)).toBe(shown);
  });

  test('leaves nothing that a terminal acts on', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.nat(0xffff).map((unit) => String.fromCharCode(unit)) }), (text) => {
        for (const character of escapeForTerminal(text)) {
          const code = character.codePointAt(0) ?? 0;
          expect(code < 0x20 || (code >= 0x7f && code <= 0x9f)).toBe(false);
          expect(code >= 0xd800 && code <= 0xdfff).toBe(false);
          expect((code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e)).toBe(false);
          expect(code >= 0x2066 && code <= 0x2069).toBe(false);
        }
      }),
    );
  });

  test('escapeLines keeps line ends and nothing else', () => {
    expect(escapeLines('one\ntwo\r\x1b')).toBe('one\ntwo\\x0d\\x1b');
  });
});

describe('terminalSafeJson', () => {
  test('writes the same value with nothing that a terminal acts on', () => {
    const anyText = fc.string({ unit: fc.nat(0xffff).map((unit) => String.fromCharCode(unit)) });
    fc.assert(
      fc.property(fc.dictionary(anyText, anyText), (value) => {
        const json = terminalSafeJson(value);
        expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(escapeForTerminal(json)).toBe(json);
      }),
    );
  });
});
