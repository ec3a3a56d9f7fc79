import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ListingPageError, scanListingPage as scanBytes } from '../../src/drivers/s3/listing-page.ts';

const scanListingPage = (xml: string) => scanBytes(Buffer.from(xml));

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** As AWS S3 and MinIO write it: form encoding, slashes kept. */
const formEncoding = (key: string): string =>
  new URLSearchParams([['', key]]).toString().slice(1).replaceAll('%2F', '/');

/** As Ceph RGW writes it. */
const percentEncoding = (key: string): string => encodeURIComponent(key).replaceAll('%2F', '/');

function page(keys: readonly string[], encode: (key: string) => string, isUrl: boolean): string {
  const contents = keys.map(
    (key, index) =>
      `<Contents><Key>${escapeXml(encode(key))}</Key><LastModified>2024-05-06T07:08:09.000Z</LastModified>` +
      `<ETag>&quot;etag-${index}&quot;</ETag><Size>${index}</Size><Owner><ID>me</ID></Owner></Contents>`,
  );
  return (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' +
    `<Name>b</Name><Prefix></Prefix>${isUrl ? '<EncodingType>url</EncodingType>' : ''}` +
    `<IsTruncated>false</IsTruncated>${contents.join('')}</ListBucketResult>`
  );
}

const anyKey = fc.string({ unit: 'binary', minLength: 1 }).filter((key) => !/\p{Surrogate}/u.test(key));

describe('scanListingPage', () => {
  it.each([
    ['form encoding', formEncoding, true],
    ['percent encoding', percentEncoding, true],
    ['no encoding but that of XML', (key: string) => key, false],
  ] as const)('gives back every key, under %s', (_, encode, isUrl) => {
    fc.assert(
      fc.property(fc.array(anyKey), (keys) => {
        const { objects } = scanListingPage(page(keys, encode, isUrl));
        expect(objects.map(({ key }) => key)).toEqual(keys);
      }),
    );
  });

  it.each([10, 150, 900, 100_000])(
    'gives back every key of a large page, with keys of %i characters',
    (length) => {
      const keys = Array.from({ length: 300 }, (_, index) => `${index} ${'ü'.repeat(length)} ${index}`);
      const { objects } = scanListingPage(page(keys, (key) => key, false));
      expect(objects.map(({ key, sizeBytes, etag }) => ({ key, sizeBytes, etag }))).toEqual(
        keys.map((key, index) => ({ key, sizeBytes: index, etag: `etag-${index}` })),
      );
    },
  );

  it('reads the objects and the folders of a large page, and what stands behind them', () => {
    const keys = Array.from({ length: 600 }, (_, index) => `key ${index} ${'x'.repeat(150)}`);
    const folders = keys.map((key) => `${key}/`);
    const xml = page(keys, percentEncoding, true).replace(
      '<IsTruncated>false</IsTruncated>',
      folders
        .slice(0, 300)
        .map((folder) => `<CommonPrefixes><Prefix>${percentEncoding(folder)}</Prefix></CommonPrefixes>`)
        .join(''),
    );
    const end =
      folders
        .slice(300)
        .map((folder) => `<CommonPrefixes><Prefix>${percentEncoding(folder)}</Prefix></CommonPrefixes>`)
        .join('') +
      '<IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b</NextContinuationToken></ListBucketResult>';
    const found = scanListingPage(xml.replace('</ListBucketResult>', end));
    expect({ ...found, objects: found.objects.map(({ key }) => key) }).toEqual({
      objects: keys,
      folders,
      nextToken: 'a&b',
    });
  });

  it('does not take a large page in which any object is cut, or has lost what it needs', () => {
    const keys = Array.from({ length: 300 }, (_, index) => `key ${index} ${'x'.repeat(150)}`);
    const xml = page(keys, percentEncoding, true);
    for (let index = 0; index < keys.length; index += 1) {
      const size = `<Size>${index}</Size>`;
      expect(xml.split(size).length).toBe(2);
      expect(() => scanListingPage(xml.replace(size, ''))).toThrow(ListingPageError);
    }
    expect(() =>
      scanListingPage(`${xml.slice(0, xml.lastIndexOf('</Contents>'))}</ListBucketResult>`),
    ).toThrow(ListingPageError);
  });

  it('reads size, ETag and time', () => {
    expect(scanListingPage(page(['a', 'b'], percentEncoding, true)).objects[1]).toEqual({
      key: 'b',
      sizeBytes: 1,
      etag: 'etag-1',
      modifiedAtMs: Date.UTC(2024, 4, 6, 7, 8, 9),
    });
  });

  it('reads common prefixes and the token, wherever they stand', () => {
    const xml =
      '<ListBucketResult><CommonPrefixes><Prefix>a%2Bb/</Prefix></CommonPrefixes><EncodingType>url</EncodingType>' +
      '<NextContinuationToken>a&amp;b</NextContinuationToken><IsTruncated>true</IsTruncated></ListBucketResult>\n';
    expect(scanListingPage(xml)).toEqual({ objects: [], folders: ['a+b/'], nextToken: 'a&b' });
  });

  it('understands character references', () => {
    const xml = page(['x'], () => 'x', false).replace('<Key>x<', '<Key>&#x41;&#66;&apos;&#x1F600;<');
    expect(scanListingPage(xml).objects[0]?.key).toBe("AB'😀");
  });

  it('does not take a page that was cut anywhere', () => {
    const xml = page(['a', 'b c', 'ü'], formEncoding, true);
    for (let length = 0; length < xml.length; length += 1) {
      expect(() => scanListingPage(xml.slice(0, length))).toThrow(ListingPageError);
    }
  });

  it.each([
    ['a size that is no number', '<Size>0</Size>', '<Size>0x1</Size>'],
    ['no size', '<Size>0</Size>', ''],
    ['no key', /<Key>.*<\/Key>/, ''],
    ['an entity that XML does not have', '<Key>a', '<Key>&nbsp;'],
    ['a lone ampersand', '<Key>a', '<Key>a&b'],
    ['an element with attributes', '<Contents>', '<Contents id="1">'],
    ['no word on whether it goes on', '<IsTruncated>false</IsTruncated>', ''],
    ['no token though it goes on', 'false</IsTruncated>', 'true</IsTruncated>'],
  ])('does not take a page with %s', (_, part, replacement) => {
    const xml = page(['a'], formEncoding, true);
    const damaged = xml.replace(part, replacement);
    expect(damaged).not.toBe(xml);
    expect(() => scanListingPage(damaged)).toThrow(ListingPageError);
  });

  it('says that a key which is not UTF-8 cannot be read', () => {
    const xml = page(['a'], () => 'a%FF', true);
    expect(() => scanListingPage(xml)).toThrow(expect.objectContaining({ code: 'INVALID_KEY' }));
  });
});
