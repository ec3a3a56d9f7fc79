import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  digestAt,
  digestFolders,
  digestParts,
  EMPTY_BLOB_DIGEST,
  formatLink,
  hexLength,
  isDigest,
  linkSizeBytes,
  MAX_LINK_BYTES,
  parseDigest,
  readLink,
} from '../../src/layout/digest.ts';
import { digestOf, digests } from './arbitraries.ts';

const HEX = '0123456789abcdef'.repeat(4);

describe('a digest', () => {
  it.each([
    ['sha256', `sha256:${HEX}`],
    ['sha384', `sha384:${HEX}${HEX.slice(0, 32)}`],
    ['sha512', `sha512:${HEX}${HEX}`],
  ])('of %s is an algorithm, a colon and its hex', (algorithm, text) => {
    expect(parseDigest(text)).toBe(text);
    expect(digestParts(digestOf(text))).toEqual({ algorithm, hex: text.slice(7) });
  });

  it.each([
    ['nothing', ''],
    ['an algorithm alone', 'sha256'],
    ['six letters and a colon', 'abcdef:'],
    ['no hex', 'sha256:'],
    ['hex that is too short', `sha256:${HEX.slice(1)}`],
    ['hex that is too long', `sha256:${HEX}0`],
    ['the hex of another algorithm', `sha512:${HEX}`],
    ['upper case', `sha256:${HEX.toUpperCase()}`],
    ['a letter that is not hex', `sha256:${HEX.slice(1)}g`],
    ['an algorithm that registries do not know', `sha224:${HEX}`],
    ['another separator', `sha256/${HEX}`],
    ['a newline at the end', `sha256:${HEX}\n`],
    ['a newline in place of hex', `sha256:${HEX.slice(1)}\n`],
    ['a space before it', ` sha256:${HEX}`],
  ])('is not %s', (_, text) => {
    expect(isDigest(text)).toBe(false);
    expect(parseDigest(text)).toBeUndefined();
  });

  it('is as long as its hash', () => {
    for (const algorithm of ['sha256', 'sha384', 'sha512'] as const) {
      const hex = createHash(algorithm).update('x').digest('hex');
      expect(hexLength(algorithm)).toBe(hex.length);
      expect(isDigest(`${algorithm}:${hex}`)).toBe(true);
    }
  });

  it('of nothing is the hash of no bytes', () => {
    expect(EMPTY_BLOB_DIGEST).toBe(`sha256:${createHash('sha256').digest('hex')}`);
  });

  it('is found in a key where its folders are', () => {
    fc.assert(
      fc.property(digests, fc.string(), fc.string(), (digest, before, after) => {
        expect(digestAt(`${before}${digestFolders(digest)}${after}`, before.length, 1)).toBe(digest);
      }),
    );
  });
});

describe('a link file', () => {
  const valid = `sha256:${HEX}`;
  const format = 'invalid checksum digest format';
  const length = 'invalid checksum digest length';
  const algorithm = 'unsupported digest algorithm';

  it('holds the digest and nothing else', () => {
    fc.assert(
      fc.property(digests, (digest) => {
        expect(readLink(formatLink(digest))).toEqual({ valid: true, digest });
        expect(readLink(Buffer.from(digest))).toEqual({ valid: true, digest });
        expect(Buffer.byteLength(formatLink(digest))).toBe(linkSizeBytes(digestParts(digest).algorithm));
      }),
    );
  });

  it('is of 71, 103 or 135 bytes', () => {
    expect([linkSizeBytes('sha256'), linkSizeBytes('sha384'), linkSizeBytes('sha512')]).toEqual([
      71, 103, 135,
    ]);
    expect(MAX_LINK_BYTES).toBeGreaterThan(135);
  });

  // The verdicts of go-digest 1.0.0, with which distribution 2.8.3 was seen to answer (A3).
  it.each([
    ['zero bytes', '', 'empty', format],
    ['a newline alone', '\n', 'format', format],
    ['a digest and a newline', `${valid}\n`, 'trailing-newline', length],
    ['a digest and a Windows newline', `${valid}\r\n`, 'trailing-newline', length],
    ['a digest and a space', `${valid} `, 'trailing-newline', length],
    ['truncated hex', valid.slice(0, 40), 'length', length],
    ['truncated hex and a newline', `${valid.slice(0, 40)}\n`, 'length', length],
    ['two digests', valid + valid, 'length', length],
    ['hex cut off whole', 'sha256:', 'format', format],
    ['an algorithm without a colon', 'sha256', 'format', format],
    ['no algorithm', `:${HEX}`, 'format', format],
    ['bare hex', HEX, 'format', format],
    ['upper case hex', `sha256:${HEX.toUpperCase()}`, 'format', format],
    ['an upper case algorithm', `SHA256:${HEX}`, 'format', format],
    ['a byte order mark', `\uFEFF${valid}`, 'format', format],
    ['a space before', ` ${valid}`, 'format', format],
    ['zeroed blocks', '\0'.repeat(71), 'format', format],
    ['md5', 'md5:d41d8cd98f00b204e9800998ecf8427e', 'algorithm', algorithm],
    ['a compound algorithm', `tarsum.v1+sha256:${HEX}`, 'algorithm', algorithm],
    ['an unknown algorithm and a newline', 'md5:d41d8cd98f00b204e9800998ecf8427e\n', 'format', format],
  ])('of %s is broken as the registry says', (_, content, problem, registryError) => {
    expect(readLink(content)).toMatchObject({ valid: false, problem, registryError });
    expect(readLink(Buffer.from(content))).toEqual(readLink(content));
  });

  it('counts bytes where the registry counts bytes', () => {
    // 62 characters and one of two bytes make the right length of the wrong stuff; 64 characters with it do not.
    expect(readLink(`sha256:${HEX.slice(2)}é`)).toMatchObject({ problem: 'format' });
    expect(readLink(`sha256:${HEX.slice(1)}é`)).toMatchObject({ problem: 'length' });
  });

  it('tells the digest that was meant before the newline', () => {
    expect(readLink(`${valid}\n`)).toHaveProperty('meant', valid);
    expect(readLink(valid.slice(0, 40))).not.toHaveProperty('meant');
  });

  it('may be any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const link = readLink(bytes);
        expect(link.valid).toBe(isDigest(Buffer.from(bytes).toString('latin1')));
      }),
    );
  });
});
