import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AzureLocation, S3Location } from '../../src/drivers/location.ts';
import { parseLocation } from '../../src/drivers/location.ts';
import { azureOptions, openStore, s3Options } from '../../src/drivers/open.ts';

describe('a folder', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'regtool-open-')));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  test('that is relative lies in the working directory', async () => {
    await mkdir(join(folder, 'registry'));
    const driver = await openStore(parseLocation('registry'), { cwd: folder });
    expect(driver.location).toBe(join(folder, 'registry'));
    expect(driver.identity.root).toBe(`${folder}/registry/`);
    await driver.close();
  });

  test('that is a file, and no configuration, is no store', async () => {
    await writeFile(join(folder, 'config'), 'version: 0.1');
    await expect(openStore(parseLocation(join(folder, 'config')))).rejects.toMatchObject({
      name: 'LocationError',
      code: 'CONFIGURATION_INVALID',
    });
  });

  test('that is missing cannot be opened', async () => {
    await expect(openStore(parseLocation(join(folder, 'missing')))).rejects.toMatchObject({
      code: 'STORE_NOT_FOUND',
    });
  });

  test('that cannot even be looked at is told of in words', async () => {
    await expect(openStore(parseLocation(join(folder, 'x'.repeat(300))))).rejects.toMatchObject({
      name: 'DriverError',
    });
  });
});

test('an S3 store is opened with the prefix of its root', async () => {
  const driver = await openStore(parseLocation('s3://bucket/a/?endpoint=http://127.0.0.1:1&region=here'));
  expect(driver.name).toBe('s3');
  expect(driver.identity).toMatchObject({ container: 'bucket', root: 'a/' });
  expect(driver.location).toBe('s3://bucket/a?region=here&endpoint=http://127.0.0.1:1');
  await driver.close();
});

test('an Azure store is opened with the prefix of its root', async () => {
  const env = { AZURE_STORAGE_KEY: 'aGVsbG8=' };
  const driver = await openStore(parseLocation('azure://registry/opt?account=abc&legacyrootprefix=true'), {
    env,
  });
  expect(driver.name).toBe('azure');
  expect(driver.identity).toMatchObject({ container: 'registry', root: '/opt/' });
  await driver.close();
});

test('an S3 location says everything that the driver asks', () => {
  const location = parseLocation(
    's3://bucket/root?region=r&endpoint=rgw:7480&pathstyle=false&encrypt=true&keyid=k&storageclass=NONE&secure=false' +
      '&skipverify=true&chunksize=5242880&profile=ops',
  ) as S3Location;
  expect(s3Options(location, { connections: 7 })).toMatchObject({
    bucket: 'bucket',
    root: 'root/',
    region: 'r',
    endpoint: 'rgw:7480',
    pathStyle: false,
    encrypt: true,
    keyId: 'k',
    storageClass: 'NONE',
    secure: false,
    skipVerify: true,
    partSizeBytes: 5_242_880,
    profile: 'ops',
    connections: 7,
  });
});

describe('Azure credentials from the environment', () => {
  const connectionString = 'DefaultEndpointsProtocol=https;AccountName=one;AccountKey=aGVsbG8=';
  const sasString = (endpoint: string): string =>
    `BlobEndpoint=${endpoint};QueueEndpoint=https://x.example/;SharedAccessSignature=sv=1&sig=a`;
  const atOne = sasString('https://one.blob.core.windows.net/');
  const atEmulator = sasString('http://127.0.0.1:10000/one');
  const atOwnDomain = sasString('https://storage.example.com');
  const one = { AZURE_STORAGE_ACCOUNT: 'one', AZURE_STORAGE_KEY: 'a2V5' };

  test.each<[string, Record<string, string>, object]>([
    ['azure://registry', one, { accountName: 'one', accountKey: 'a2V5' }],
    ['azure://registry?account=one', one, { accountName: 'one', accountKey: 'a2V5' }],
    [
      'azure://registry?account=one',
      { AZURE_STORAGE_KEY: 'a2V5' },
      { accountName: 'one', accountKey: 'a2V5' },
    ],
    ['azure://registry?account=two', one, { accountName: 'two' }],
    ['azure://registry?account=two', {}, { accountName: 'two' }],
    [
      'azure://registry',
      { AZURE_STORAGE_ACCOUNT: 'one', AZURE_STORAGE_SAS_TOKEN: 'sv=1', AZURE_STORAGE_KEY: '' },
      { accountName: 'one', sasToken: 'sv=1' },
    ],
    [
      'azure://registry',
      { ...one, AZURE_STORAGE_CONNECTION_STRING: connectionString },
      { connectionString, accountName: 'one' },
    ],
    [
      'azure://registry?account=two',
      { AZURE_STORAGE_CONNECTION_STRING: connectionString },
      { accountName: 'two' },
    ],
    // Whose SAS it is stands in the address alone.
    ...[atOne, atEmulator, `AccountName=two;${atOne}`].flatMap(
      (connectionString): [string, Record<string, string>, object][] => {
        const env = { AZURE_STORAGE_CONNECTION_STRING: connectionString };
        return [
          ['azure://registry', env, { connectionString, accountName: 'one' }],
          ['azure://registry?account=one', env, { connectionString, accountName: 'one' }],
          ['azure://registry?account=two', env, { accountName: 'two' }],
        ];
      },
    ),
    ['azure://registry', { AZURE_STORAGE_CONNECTION_STRING: atOwnDomain }, { connectionString: atOwnDomain }],
    [
      'azure://registry?account=two',
      { AZURE_STORAGE_CONNECTION_STRING: atOwnDomain },
      { accountName: 'two' },
    ],
    [
      'azure://registry?account=two',
      { AZURE_STORAGE_CONNECTION_STRING: `AccountName=two;${atOwnDomain}` },
      { connectionString: `AccountName=two;${atOwnDomain}`, accountName: 'two' },
    ],
    [
      'azure://registry?serviceurl=http://127.0.0.1:10000/one',
      { ...one, AZURE_STORAGE_CONNECTION_STRING: connectionString },
      { accountName: 'one', accountKey: 'a2V5' },
    ],
  ])('%s with %j', (text, env, credentials) => {
    const names = new Set(['accountName', 'accountKey', 'sasToken', 'connectionString']);
    const options = Object.entries(azureOptions(parseLocation(text) as AzureLocation, { env }));
    const found = options.filter(([name, value]) => names.has(name) && value !== undefined);
    expect(Object.fromEntries(found)).toEqual(credentials);
  });

  test('without an account anywhere the location is not enough', () => {
    const location = parseLocation('azure://registry') as AzureLocation;
    expect(() => azureOptions(location, { env: { AZURE_STORAGE_KEY: 'a2V5' } })).toThrow(/\?account=NAME/);
  });
});
