import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isDriverPath, isRepositoryName, isTagName, isUploadId } from '../../src/layout/names.ts';
import { oneOf, repositories, tags } from './arbitraries.ts';

describe('a repository name', () => {
  it.each([
    'a',
    'library/alpine',
    'a.b',
    'a_b',
    'a__b',
    'a-b',
    'a---b/c',
    '0/1/2',
    '127.0.0.1/x',
    'a'.repeat(255),
    // The grammar lets the first of several components be a host; 2.8.2 takes each of these.
    'Foo/bar',
    'Foo.com/bar',
    'Foo-Bar/x',
    'foo.Bar/y',
    // Distribution 3 leaves what looks like a host out of the count.
    `a/${'b'.repeat(255)}`,
  ])('may be %s', (name) => {
    expect(isRepositoryName(name)).toBe(true);
  });

  it.each([
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    'a..b',
    'a___b',
    'a.-b',
    'a_.b',
    '-a',
    'a-',
    '.a',
    'a.',
    '_a',
    'a/_b',
    'Foo',
    'foo/Bar',
    'foo/Bar/baz',
    'host:5000/x',
    'a b',
    'é',
    'a\n',
    'Foo-/x',
    'Foo..com/x',
    'Foo_Bar/x',
    'Foo/',
    'a'.repeat(256),
    `a/${'b'.repeat(256)}`,
    `a_b/${'c'.repeat(252)}`,
    `${'A'.repeat(256)}/b`,
  ])('is not %j', (name) => {
    expect(isRepositoryName(name)).toBe(false);
  });

  it('never has a component that begins with an underscore', () => {
    fc.assert(
      fc.property(repositories, repositories, (first, second) => {
        expect(isRepositoryName(first)).toBe(true);
        expect(isRepositoryName(`${first}/_${second}`)).toBe(false);
      }),
    );
  });
});

describe('a tag name', () => {
  it.each(['latest', 'v1.0', 'V1', '_', '_.-', '1', 'a..b', `sha256-${'0'.repeat(64)}.sig`, 'x'.repeat(128)])(
    'may be %s',
    (tag) => {
      expect(isTagName(tag)).toBe(true);
    },
  );

  it.each(['', '.', '..', '.a', '-a', 'a+b', 'a/b', 'a:b', 'a b', 'ä', 'a\n', 'x'.repeat(129)])(
    'is not %j',
    (tag) => {
      expect(isTagName(tag)).toBe(false);
    },
  );

  it('is up to 128 of its characters', () => {
    fc.assert(
      fc.property(tags, (tag) => {
        expect(isTagName(tag)).toBe(true);
      }),
    );
  });
});

describe('an upload id', () => {
  it.each([
    ['0f0a7c0e-5b0f-4b0e-8c0d-0a0b0c0d0e0f', true],
    ['0190c0de-5b0f-7b0e-8c0d-0a0b0c0d0e0f', true],
    ['0F0A7C0E-5B0F-4B0E-8C0D-0A0B0C0D0E0F', false],
    ['0f0a7c0e5b0f4b0e8c0d0a0b0c0d0e0f', false],
    ['', false],
  ])('%j: %s', (id, expected) => {
    expect(isUploadId(id)).toBe(expected);
  });
});

describe('a path that a storage driver takes', () => {
  it.each([
    ['docker/registry/v2/blobs', true],
    ['a', true],
    ['A._-9/..', true],
    ['', false],
    ['/a', false],
    ['a/', false],
    ['a//b', false],
    ['a b', false],
    ['a:b', false],
    ['a+b', false],
    ['ü', false],
    ['a\n', false],
  ])('%j: %s', (key, expected) => {
    expect(isDriverPath(key)).toBe(expected);
  });

  it('agrees with the expression of the registry', () => {
    const units = oneOf('aZ0._-/ :');
    fc.assert(
      fc.property(fc.string({ unit: units, maxLength: 12 }), (key) => {
        expect(isDriverPath(key)).toBe(/^(\/[A-Za-z0-9._-]+)+$/.test(`/${key}`));
      }),
    );
  });

  it('is told of a key of any length', () => {
    expect(isDriverPath('a/'.repeat(1_000_000))).toBe(false);
    expect(isRepositoryName('a/'.repeat(1_000_000))).toBe(false);
  });
});
