import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AnonymousCredential, ContainerClient, newPipeline } from '@azure/storage-blob';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ListingPageError, scanListingPage as scanBytes } from '../../src/drivers/azure/listing-page.ts';

const scan = (xml: string) => scanBytes(Buffer.from(xml));
const namesOf = (xml: string): string[] => scan(xml).blobs.map(({ name }) => name);

function problemOf(xml: string): ListingPageError {
  try {
    scan(xml);
  } catch (error) {
    if (error instanceof ListingPageError) {
      return error;
    }
    throw error;
  }
  throw new Error('There was no error.');
}

/** As .NET's XmlWriter escapes text, which the service uses. */
const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('\r', '&#xD;');

const properties =
  '<Properties><Creation-Time>Mon, 06 May 2024 07:08:08 GMT</Creation-Time>' +
  '<Last-Modified>Mon, 06 May 2024 07:08:09 GMT</Last-Modified><Etag>0x8DC6D9B7C6F6A4B</Etag>' +
  '<Content-Length>71</Content-Length><Content-Type>application/octet-stream</Content-Type><Content-Encoding />' +
  '<Content-Language /><Content-CRC64 /><Content-MD5>AAECAwQFBgcICQoLDA0ODw==</Content-MD5><Cache-Control />' +
  '<Content-Disposition /><BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier>' +
  '<AccessTierInferred>true</AccessTierInferred><LeaseStatus>unlocked</LeaseStatus>' +
  '<LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted></Properties>';
const blob = (name: string, rest = `${properties}<Metadata /><OrMetadata />`): string =>
  `<Blob>${name}${rest}</Blob>`;
const named = (name: string): string => `<Name>${escapeXml(name)}</Name>`;
/** As the service writes it: with a byte order mark, all in one line. */
const page = (blobs: string, marker = '<NextMarker />'): string =>
  '\uFEFF<?xml version="1.0" encoding="utf-8"?><EnumerationResults ' +
  'ServiceEndpoint="https://account.blob.core.windows.net/" ContainerName="registry"><Prefix>docker/</Prefix>' +
  `<MaxResults>5000</MaxResults><Delimiter>/</Delimiter><Blobs>${blobs}</Blobs>${marker}</EnumerationResults>`;

/** Whatever XML 1.0 holds (its section 2.2). */
const anyName = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 40 })
  .filter((name) => !/[\p{Cs}\uFFFE\uFFFF]|(?![\t\n\r])\p{Cc}/u.test(name));

describe('a page of a listing of Azure', () => {
  it('tells of a blob what the service tells', () => {
    expect(scan(page(blob(named('docker/x'))))).toEqual({
      blobs: [
        {
          name: 'docker/x',
          sizeBytes: 71,
          modifiedAtMs: Date.UTC(2024, 4, 6, 7, 8, 9),
          etag: '0x8DC6D9B7C6F6A4B',
          contentMd5: '000102030405060708090a0b0c0d0e0f',
          blobType: 'BlockBlob',
          isFolderStub: false,
        },
      ],
      folders: [],
      nextMarker: undefined,
    });
  });

  it('gives back every name, that of a folder, too, and the marker', () => {
    fc.assert(
      fc.property(fc.array(anyName), fc.array(anyName), anyName, (names, folders, marker) => {
        const blobs = names.map((name) => blob(named(name))).join('');
        const prefixes = folders.map((name) => `<BlobPrefix>${named(name)}</BlobPrefix>`).join('');
        const found = scan(page(prefixes + blobs, `<NextMarker>${escapeXml(marker)}</NextMarker>`));
        expect(found.blobs.map(({ name }) => name)).toEqual(names);
        expect(found.folders).toEqual(folders);
        expect(found.nextMarker).toBe(marker);
      }),
    );
  });

  it('takes an element in any form that XML has for it', () => {
    const xml =
      '<EnumerationResults>\n  <Blobs>\r\n\t<Blob>\n<Name>a</Name>\n<Properties>\n <Content-Length>5</Content-Length>\n' +
      '<Content-MD5/><Etag></Etag></Properties><Metadata></Metadata>\n</Blob></Blobs>\n<NextMarker></NextMarker>\n</EnumerationResults>\n';
    expect(scan(xml)).toMatchObject({ blobs: [{ name: 'a', sizeBytes: 5, contentMd5: undefined }] });
    expect(scan('<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>').blobs).toEqual([]);
  });

  it('decodes the names that say that they are encoded, and no other', () => {
    const encoded = blob('<Name Encoded="true">a%EF%BF%BE%2F%20b</Name>');
    const plain = blob('<Name Encoded="false">%41</Name>') + blob('<Name>%42</Name>');
    expect(namesOf(page(encoded + plain))).toEqual(['a\uFFFE/ b', '%41', '%42']);
    const folder = '<BlobPrefix><Name Encoded="true">%EF%BF%BF/</Name></BlobPrefix>';
    expect(scan(page(folder)).folders).toEqual(['\uFFFF/']);
  });

  it('takes metadata for metadata, whatever their names', () => {
    const odd =
      '<Metadata><Blob>x</Blob><Name>other</Name><Properties>y</Properties><Content-Length>9</Content-Length>' +
      '<Metadata>z</Metadata><x-ms-invalid-name>bad name</x-ms-invalid-name><empty /></Metadata>';
    const [found, ...others] = scan(page(blob(named('a'), properties + odd))).blobs;
    expect(others).toEqual([]);
    expect(found).toMatchObject({ name: 'a', sizeBytes: 71, isFolderStub: false });
  });

  it.each([
    ['0', '<hdi_isfolder>true</hdi_isfolder>', true],
    ['0', '<Hdi_IsFolder>true</Hdi_IsFolder>', true],
    ['0', '<hdi_isfolder>false</hdi_isfolder>', false],
    ['1', '<hdi_isfolder>true</hdi_isfolder>', false],
  ])('of %s bytes with %s is a stub of a folder: %s', (size, entry, isFolderStub) => {
    const rest = `<Properties><Content-Length>${size}</Content-Length></Properties><Metadata>${entry}</Metadata>`;
    expect(scan(page(blob(named('a'), rest))).blobs[0]?.isFolderStub).toBe(isFolderStub);
  });

  it('takes folders as an account with a hierarchical namespace tells of them', () => {
    const folder = `<BlobPrefix>${named('a/')}${properties.replace('</Properties>', '<ResourceType>directory</ResourceType></Properties>')}</BlobPrefix>`;
    expect(scan(page(folder)).folders).toEqual(['a/']);
  });

  it.each<[string, string]>([
    ['a web page', '<html><body>Sign in</body></html>'],
    ['nothing', ''],
    ['an error', '<?xml version="1.0"?><Error><Code>ServerBusy</Code></Error>'],
    ['a listing of containers', page('').replaceAll('EnumerationResults', 'EnumerationResult')],
    ['one without blobs', '<EnumerationResults><NextMarker /></EnumerationResults>'],
    ['one without a marker', '<EnumerationResults><Blobs /></EnumerationResults>'],
    ['a blob without a name', page(blob(''))],
    ['a blob without a size', page(blob(named('a'), '<Properties><Etag>x</Etag></Properties>'))],
    ['a blob without properties', page(blob(named('a'), ''))],
    [
      'a size that is none',
      page(blob(named('a'), '<Properties><Content-Length>-1</Content-Length></Properties>')),
    ],
    ['a folder without a name', page('<BlobPrefix></BlobPrefix>')],
    ['a blob that does not end', page(`<Blob>${named('a')}${properties}`)],
    ['a name that does not end', page(`<Blob><Name>a${properties}</Blob>`)],
    ['a name in a name', page(blob('<Name><Name>a</Name></Name>'))],
    ['a wrong end tag', page(blob(named('a')).replace('</Properties>', '</Property>'))],
    ['text between blobs', page(`${blob(named('a'))}and so on${blob(named('b'))}`)],
    ['another element between blobs', page(`${blob(named('a'))}<More />`)],
    ['a comment', page(`<!-- ${blob(named('a'))} -->`)],
    ['CDATA', page(blob('<Name><![CDATA[a]]></Name>'))],
    ['an instruction', page(`<?skip ${blob(named('a'))}?>`)],
    ['a lone ampersand', page(blob('<Name>a&b</Name>'))],
    ['an unknown entity', page(blob('<Name>&unknown;</Name>'))],
    ['a broken encoding', page(blob('<Name Encoded="true">%FF</Name>'))],
    ['elements without end', page(`${'<a>'.repeat(50_000)}${'</a>'.repeat(50_000)}`)],
    ['deep elements', page(blob(named('a'), properties + '<a>'.repeat(50_000) + '</a>'.repeat(50_000)))],
  ])('is refused when it is or holds %s', (_, xml) => {
    expect(problemOf(xml).isCut).toBe(false);
  });

  it('says of one that ends midway that it does, wherever that is', () => {
    const whole = page(blob(named('a')) + blob(named('b')), '<NextMarker>next</NextMarker>');
    const begins = whole.indexOf('<Prefix>');
    for (let length = begins; length < whole.length; length += 1) {
      expect(problemOf(whole.slice(0, length)).isCut).toBe(true);
    }
  });

  it('expands no entity of its own', () => {
    const bomb =
      '<!DOCTYPE EnumerationResults [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">' +
      '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY file SYSTEM "file:///etc/passwd">]>';
    const refersTo = (entity: string): string => page(blob(`<Name>${entity}</Name>`));
    for (const entity of ['&a;', '&c;', '&file;']) {
      expect(problemOf(refersTo(entity).replace('<Enum', `${bomb}<Enum`)).message).toContain(
        'something else',
      );
      expect(problemOf(refersTo(entity)).message).toContain('not understood');
    }
  });
});

describe('beside the SDK', () => {
  let server: Server;
  let answer = '';
  let client: ContainerClient;
  beforeAll(async () => {
    server = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'application/xml' }).end(answer);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/account/registry`;
    client = new ContainerClient(url, newPipeline(new AnonymousCredential()));
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  it('a page means the same', async () => {
    // The SDK leaves character references as they are, and so misreads a name with a carriage return.
    const plainName = anyName.filter((name) => !name.includes('\r'));
    const anyBlob = fc.record({
      name: plainName,
      sizeBytes: fc.nat(),
      md5: fc.option(fc.uint8Array({ minLength: 16, maxLength: 16 })),
      value: fc.option(fc.constantFrom('true', 'false', 'a &amp; b')),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(anyBlob, { maxLength: 8 }), plainName, async (blobs, marker) => {
        const elements = blobs.map(({ name, sizeBytes, md5, value }) => {
          const md5Element =
            md5 === null
              ? '<Content-MD5 />'
              : `<Content-MD5>${Buffer.from(md5).toString('base64')}</Content-MD5>`;
          const metadata =
            value === null ? '<Metadata />' : `<Metadata><hdi_isfolder>${value}</hdi_isfolder></Metadata>`;
          return blob(
            named(name),
            `<Properties><Last-Modified>Mon, 06 May 2024 07:08:09 GMT</Last-Modified><Etag>0x1</Etag><Content-Length>${sizeBytes}</Content-Length>${md5Element}<BlobType>BlockBlob</BlobType></Properties>${metadata}`,
          );
        });
        answer = page(elements.join(''), `<NextMarker>${escapeXml(marker)}</NextMarker>`);
        const { value: expected } = await client.listBlobsFlat({ includeMetadata: true }).byPage().next();
        const found = scan(answer);
        expect(found.nextMarker).toBe(expected.continuationToken);
        expect(found.blobs).toEqual(
          expected.segment.blobItems.map(({ name, properties: told, metadata }: ContainerBlob) => ({
            name,
            sizeBytes: told.contentLength,
            modifiedAtMs: told.lastModified.getTime(),
            etag: told.etag,
            contentMd5:
              told.contentMD5?.byteLength === 16 ? Buffer.from(told.contentMD5).toString('hex') : undefined,
            blobType: told.blobType,
            isFolderStub: told.contentLength === 0 && metadata?.['hdi_isfolder'] === 'true',
          })),
        );
      }),
      { numRuns: 50 },
    );
  });
});

interface ContainerBlob {
  name: string;
  properties: {
    contentLength?: number;
    lastModified: Date;
    etag: string;
    contentMD5?: Uint8Array;
    blobType?: string;
  };
  metadata?: Record<string, string>;
}
