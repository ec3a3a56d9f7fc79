import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeBlob, parseHttpDate } from '../../src/drivers/azure/blob.ts';

describe('a date of Azure', () => {
  it('is the instant that its writer meant', () => {
    const anyDate = fc.date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true });
    fc.assert(
      fc.property(anyDate, (date) => {
        expect(parseHttpDate(date.toUTCString())).toBe(Math.floor(date.getTime() / 1000) * 1000);
      }),
    );
  });

  it.each([
    ['2024-05-06T07:08:09Z', Date.UTC(2024, 4, 6, 7, 8, 9)],
    ['Monday, 06-May-24 07:08:09 GMT', Date.UTC(2024, 4, 6, 7, 8, 9)],
    ['Mon, 06 anF 2024 07:08:09 GMT', undefined],
    ['Mon, 06 May 20x4 07:08:09 GMT', undefined],
    ['', undefined],
  ])('%j is %s', (text, expected) => {
    expect(parseHttpDate(text)).toBe(expected);
  });
});

describe("a blob's MD5", () => {
  const blob = { name: 'a', sizeBytes: 0, lastModified: undefined, etag: undefined };
  const md5Of = (contentMd5: string): string | undefined =>
    describeBlob({ ...blob, contentMd5, blobType: 'BlockBlob', isMarkedFolder: false }).contentMd5;

  it.each([
    // RFC 1321, A.5: of nothing.
    ['1B2M2Y8AsgTpgAmY7PhCfg==', 'd41d8cd98f00b204e9800998ecf8427e'],
    ['', undefined],
    ['1B2M2Y8AsgTpgAmY7PhC', undefined],
    ['1B2M2Y8AsgTpgAmY7PhCfgAA', undefined],
    ['1B2M2Y8AsgTpgAmY7PhCfg==AAAA', undefined],
    ['!!!!!!!!!!!!!!!!!!!!!!==', undefined],
  ])('%j is %s', (text, expected) => {
    expect(md5Of(text)).toBe(expected);
  });
});
