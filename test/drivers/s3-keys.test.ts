import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeKey, isXmlUnsafe, toStoredKey } from '../../src/drivers/s3/keys.ts';

const details = { driver: 's3', operation: 'write' };

describe('encodeKey', () => {
  it('keeps slashes and unreserved characters, and encodes every other byte', () => {
    expect(encodeKey('AZaz09-._~/')).toBe('AZaz09-._~/');
    expect(encodeKey("//a/../ +!'()*%?#&=:;,@$é😀")).toBe(
      '//a/../%20%2B%21%27%28%29%2A%25%3F%23%26%3D%3A%3B%2C%40%24%C3%A9%F0%9F%98%80',
    );
  });

  it('loses nothing', () => {
    const keys = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(keys, (key) => {
        const encoded = encodeKey(key);
        expect(encoded).toMatch(/^(?:[A-Za-z0-9\-._~/]|%[0-9A-F]{2})*$/);
        expect(decodeURIComponent(encoded)).toBe(key);
      }),
    );
  });
});

describe('toStoredKey', () => {
  it('puts the root before the key', () => {
    expect(toStoredKey('some//prefix/', '/a', details)).toBe('some//prefix//a');
  });

  it.each([
    ['', ''],
    ['', '\ud800'],
    ['', 'x'.repeat(1025)],
    ['root/', 'x'.repeat(1020)],
    ['', 'ü'.repeat(513)],
  ])('refuses what S3 cannot hold (root %j)', (root, key) => {
    expect(() => toStoredKey(root, key, details)).toThrow(expect.objectContaining({ code: 'INVALID_KEY' }));
  });

  it('takes a key of exactly 1024 bytes', () => {
    expect(toStoredKey('root/', 'x'.repeat(1019), details)).toHaveLength(1024);
    expect(toStoredKey('', 'ü'.repeat(512), details)).toHaveLength(512);
  });
});

describe('isXmlUnsafe', () => {
  it.each(['bell\u0007', 'line\nbreak', 'nul\u0000', 'next\u0085line', '\uffff'])('is true for %j', (key) => {
    expect(isXmlUnsafe(key)).toBe(true);
  });

  it.each(['plain', '<&>"\'', 'ü 日本 😀'])('is false for %j', (key) => {
    expect(isXmlUnsafe(key)).toBe(false);
  });
});
