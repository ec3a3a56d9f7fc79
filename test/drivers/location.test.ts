import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatLocation,
  LocationError,
  parseLocation,
  type StoreLocation,
} from '../../src/drivers/location.ts';

describe('parseLocation', () => {
  test.each<[string, StoreLocation]>([
    ['/var/lib/registry', { driver: 'filesystem', path: '/var/lib/registry' }],
    ['registry', { driver: 'filesystem', path: 'registry' }],
    ['../a folder/', { driver: 'filesystem', path: '../a folder/' }],
    ['./~backup', { driver: 'filesystem', path: './~backup' }],
    ['/etc/docker/registry/config.yml', { driver: 'filesystem', path: '/etc/docker/registry/config.yml' }],
    ['/odd/100%?x=1', { driver: 'filesystem', path: '/odd/100%?x=1' }],
    ['file:///srv/reg%20istry', { driver: 'filesystem', path: '/srv/reg istry' }],
    ['FILE://localhost/srv', { driver: 'filesystem', path: '/srv' }],
    ['s3://my-bucket', { driver: 's3', bucket: 'my-bucket', rootdirectory: '' }],
    ['S3://my-bucket/', { driver: 's3', bucket: 'my-bucket', rootdirectory: '' }],
    ['s3://my-bucket/a/b/', { driver: 's3', bucket: 'my-bucket', rootdirectory: 'a/b' }],
    ['s3://my-bucket/a%20b%3F+c', { driver: 's3', bucket: 'my-bucket', rootdirectory: 'a b?+c' }],
    ['s3://my-bucket?rootdirectory=/a/b', { driver: 's3', bucket: 'my-bucket', rootdirectory: 'a/b' }],
    ['s3://my-bucket/a?rootdirectory=/a/', { driver: 's3', bucket: 'my-bucket', rootdirectory: 'a' }],
    ['azure://registry', { driver: 'azure', container: 'registry', rootdirectory: '' }],
    ['azure://$root', { driver: 'azure', container: '$root', rootdirectory: '' }],
    ['azure://$web', { driver: 'azure', container: '$web', rootdirectory: '' }],
  ])('reads %s', (text, location) => {
    expect(parseLocation(text)).toEqual(location);
  });

  test('reads every parameter of an S3 store', () => {
    const text =
      's3://bucket/root?region=eu-central-1&endpoint=http://localhost:9000&pathstyle=true&encrypt=true&keyid=k1' +
      '&storageclass=STANDARD_IA&secure=false&skipverify=true&chunksize=5242880&maxrequestspersecond=100' +
      '&objectacl=bucket-owner-full-control&usedualstack=true&accelerate=false&usefipsendpoint=true&profile=ops';
    expect(parseLocation(text)).toEqual({
      driver: 's3',
      bucket: 'bucket',
      rootdirectory: 'root',
      region: 'eu-central-1',
      endpoint: 'http://localhost:9000',
      pathstyle: true,
      encrypt: true,
      keyid: 'k1',
      storageclass: 'STANDARD_IA',
      secure: false,
      skipverify: true,
      chunksize: 5_242_880,
      maxrequestspersecond: 100,
      objectacl: 'bucket-owner-full-control',
      usedualstack: true,
      accelerate: false,
      usefipsendpoint: true,
      profile: 'ops',
    });
  });

  test('reads every parameter of an Azure store', () => {
    const text =
      'azure://registry/root?account=mystorage&serviceurl=http://127.0.0.1:10000/devstoreaccount1&realm=core.chinacloudapi.cn' +
      '&trimlegacyrootprefix=false&legacyrootprefix=true&chunksize=1048576&maxrequestspersecond=0';
    expect(parseLocation(text)).toEqual({
      driver: 'azure',
      container: 'registry',
      rootdirectory: 'root',
      account: 'mystorage',
      serviceurl: 'http://127.0.0.1:10000/devstoreaccount1',
      realm: 'core.chinacloudapi.cn',
      trimlegacyrootprefix: false,
      legacyrootprefix: true,
      chunksize: 1_048_576,
      maxrequestspersecond: 0,
    });
  });

  test.each([
    ['s3://bucket?regionendpoint=rgw:7480', 's3://bucket?endpoint=rgw:7480'],
    ['s3://bucket?forcepathstyle=false', 's3://bucket?pathstyle=false'],
    ['azure://registry?accountname=abc', 'azure://registry?account=abc'],
    ['s3://bucket?region=a&region=a&', 's3://bucket?region=a'],
  ])('%s means %s', (alias, plain) => {
    expect(parseLocation(alias)).toEqual(parseLocation(plain));
  });

  test.each([
    ['', /is empty/],
    ['  ', /is empty/],
    ['a\0b', /NUL/],
    ['file:///a%00b', /NUL/],
    ['s3:/bucket', /not with "s3:\/\/"/],
    ['azure:registry', /not with "azure:\/\/"/],
    ['s3:///bucket', /names no bucket/],
    ['s3://', /names no bucket/],
    ['azure:///registry', /names no container/],
    ['~/registry', /only a shell expands/],
    ['~git/registry', /only a shell expands/],
    ['file://server/share', /three slashes/],
    ['file:///srv?x=1', /takes no parameters/],
    ['file:///srv%2Fx', /cannot be decoded/],
    ['s3://ab', /3 to 63/],
    [`s3://${'b'.repeat(64)}`, /3 to 63/],
    ['s3://-bucket', /3 to 63/],
    ['s3://bucket%2Fsub', /holds no "\/"/],
    ['s3://bucket/%zz', /%25/],
    ['s3://localhost:9000/bucket', /endpoint/],
    ['azure://Registry', /lower-case/],
    ['azure://my--registry', /single hyphens/],
    ['azure://re', /3 to 63/],
    ['s3://bucket/a?rootdirectory=b', /two root directories/],
    ['gs://bucket', /Google Cloud Storage/],
    ['swift://container', /Swift/],
    ['https://bucket.s3.amazonaws.com', /not a web address/],
    ['s3a://bucket', /write s3:\/\/bucket/],
    ['wasbs://c@a.blob.core.windows.net', /write azure:\/\/container/],
    ['ftp://host/x', /no driver ftp:\/\//],
    [
      's3://bucket?pathStyle=true',
      /unknown parameter "pathStyle". Did you mean pathstyle\?.*Known are .*region/,
    ],
    ['s3://bucket?regoin=a', /Did you mean region\?/],
    ['s3://bucket?regionendpont=a', /Did you mean regionendpoint\?/],
    ['azure://registry?zzzzzz=1', /unknown parameter "zzzzzz"\. Known are/],
    ['azure://registry?region=a', /azure:\/\/ location has an unknown parameter/],
    ['s3://bucket?constructor=1', /unknown parameter "constructor"/],
    ['s3://bucket?pathstyle=yes', /pathstyle of the location must be true or false/],
    ['s3://bucket?encrypt', /encrypt of the location must be true or false/],
    ['s3://bucket?region=a&region=b', /region .* twice/],
    ['s3://bucket?endpoint=a&regionendpoint=b', /endpoint .* twice/],
    ['s3://bucket?chunksize=5242879', /chunksize of the location must be .* from 5242880 to 2684354560/],
    ['s3://bucket?chunksize=2684354561', /chunksize/],
    ['s3://bucket?chunksize=10M', /chunksize/],
    ['azure://registry?chunksize=4194304001', /chunksize/],
    ['azure://registry?account=', /account of the location is no account name/],
    ['s3://bucket?maxrequestspersecond=-1', /maxrequestspersecond/],
    ['s3://bucket?endpoint=ftp://x', /endpoint of the location must be a web address/],
    ['s3://bucket?storageclass=GLACIER', /cannot serve/],
    ['s3://bucket?objectacl=mine', /objectacl of the location must be one of private, /],
    ['s3://bucket?keyid=abc', /keyid of the location needs encrypt=true/],
    ['azure://registry?trimlegacyrootprefix=true&legacyrootprefix=true', /contradict each other/],
    ['azure://registry?realm=https://x', /realm/],
  ])('refuses %j', (text, sentence) => {
    expect(() => parseLocation(text)).toThrow(LocationError);
    expect(() => parseLocation(text)).toThrow(sentence);
  });

  const secret = 'wJalrXUtnFEMI';
  test.each([
    [`s3://AKIAEXAMPLE:${secret}@bucket/root`, 'AWS_SECRET_ACCESS_KEY'],
    [`s3://AKIAEXAMPLE:a/${secret}@bucket`, 'AWS_SECRET_ACCESS_KEY'],
    [`s3://${secret}@bucket`, 'AWS_SECRET_ACCESS_KEY'],
    [`s3://bucket?accesskey=${secret}`, 'AWS_ACCESS_KEY_ID'],
    [`s3://bucket?region=a&secretkey=${secret}`, 'AWS_SECRET_ACCESS_KEY'],
    [`s3://bucket?Secret_Access_Key=${secret}`, 'AWS_SECRET_ACCESS_KEY'],
    [`s3://bucket?bogus=1&sessiontoken=${secret}`, 'AWS_SESSION_TOKEN'],
    [`s3://bucket?X-Amz-Credential=${secret}`, 'AWS_ACCESS_KEY_ID'],
    [`azure://registry?accountkey=${secret}`, 'AZURE_STORAGE_KEY'],
    [`azure://registry?sas=${secret}`, 'AZURE_STORAGE_SAS_TOKEN'],
    [`azure://registry?sv=2024-01-01&ss=b&sig=${secret}`, 'AZURE_STORAGE_SAS_TOKEN'],
    [`azure://account:${secret}@registry`, 'AZURE_STORAGE_KEY'],
    [`azure://registry?connectionstring=${secret}`, 'AZURE_STORAGE_CONNECTION_STRING'],
    [
      `DefaultEndpointsProtocol=https;AccountName=a;AccountKey=${secret}==`,
      'AZURE_STORAGE_CONNECTION_STRING',
    ],
  ])('refuses the credential in %j and names the variable to use', (text, variable) => {
    const error = failureOf(text);
    expect(error.code).toBe('LOCATION_CREDENTIAL');
    expect(error.message).toContain(variable);
    expect(error.message).not.toContain(secret);
  });

  test.each([
    `https://key:${secret}@host/bucket`,
    `https://account.blob.core.windows.net/c?sig=${secret}`,
    `s3://AKIAEXAMPLE:${secret}/bucket`,
    `s3://bucket?endpoint=https://key:${secret}@host`,
    `azure://registry?serviceurl=https://host/?x${secret}`,
    `s3://bucket?acesskey=${secret}`,
    `s3://bucket?${secret}/${secret}/${secret}`,
    `file://key:${secret}@host/x`,
    `gs://${secret}`,
  ])('shows nothing of the secret in %j', (text) => {
    expect(failureOf(text).message).not.toContain(secret);
  });
});

describe('formatLocation', () => {
  test('writes what a user would type', () => {
    const location = parseLocation(
      'S3://bucket?rootdirectory=/a b/&regionendpoint=http://localhost:9000&forcepathstyle=true',
    );
    expect(formatLocation(location)).toBe('s3://bucket/a%20b?endpoint=http://localhost:9000&pathstyle=true');
  });

  test('gives back every location that it is given', () => {
    fc.assert(
      fc.property(storeLocations(), (location) => {
        expect(parseLocation(formatLocation(location))).toEqual(location);
      }),
    );
  });

  test('any text either is a location that survives formatting, or a LocationError', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc
        .tuple(fc.constantFrom('s3://', 'azure://', 'file:///', 's3://bucket?'), fc.string())
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const location = parseOrError(text);
        if (!(location instanceof LocationError)) {
          expect(parseLocation(formatLocation(location))).toEqual(location);
        }
      }),
    );
  });
});

function parseOrError(text: string): StoreLocation | LocationError {
  try {
    return parseLocation(text);
  } catch (error) {
    if (error instanceof LocationError) {
      return error;
    }
    throw error;
  }
}

function failureOf(text: string): LocationError {
  const result = parseOrError(text);
  if (result instanceof LocationError) {
    return result;
  }
  throw new Error('expected a LocationError');
}

function storeLocations(): fc.Arbitrary<StoreLocation> {
  const rootdirectory = fc
    .string({ unit: 'grapheme' })
    .map((text) => text.replace(/^\/+|\/+$|\0/g, ''))
    .filter((text) => !/^\/|\/$/.test(text));
  const flag = fc.boolean();
  const s3 = fc.record(
    {
      driver: fc.constant('s3' as const),
      bucket: fc.stringMatching(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/),
      rootdirectory,
      region: fc.stringMatching(/^[a-z0-9-]{1,20}$/),
      endpoint: fc.webUrl({ validSchemes: ['http', 'https'] }),
      pathstyle: flag,
      secure: flag,
      skipverify: flag,
      storageclass: fc.constantFrom('STANDARD', 'STANDARD_IA', 'NONE'),
      chunksize: fc.integer({ min: 5 * 1024 ** 2, max: 2560 * 1024 ** 2 }),
      maxrequestspersecond: fc.nat(10_000),
      profile: fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !text.includes('\0')),
    },
    { requiredKeys: ['driver', 'bucket', 'rootdirectory'] },
  );
  const azure = fc.record(
    {
      driver: fc.constant('azure' as const),
      container: fc.stringMatching(/^[a-z0-9]{3,63}$/),
      rootdirectory,
      account: fc.stringMatching(/^[a-z0-9]{3,24}$/),
      serviceurl: fc.webUrl({ validSchemes: ['http', 'https'] }),
      realm: fc.constantFrom('core.windows.net', 'core.usgovcloudapi.net'),
      legacyrootprefix: flag,
      chunksize: fc.integer({ min: 1, max: 4000 * 1024 ** 2 }),
    },
    { requiredKeys: ['driver', 'container', 'rootdirectory'] },
  );
  const filesystem = fc.record({
    driver: fc.constant('filesystem' as const),
    path: fc.stringMatching(/^\/[A-Za-z0-9 ._~?%&=:/-]*[a-z/]$/),
  });
  return fc.oneof(s3, azure, filesystem);
}
