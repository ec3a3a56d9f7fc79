import { describe, expect, test } from 'vitest';
import { applyEnvironment } from '../../../src/drivers/configuration/environment.ts';

const apply = (storage: unknown, env: Record<string, string>) =>
  applyEnvironment({ storage, where: () => 'config.yml' }, env);

/** What docker-registry 2.8 and the parsers of distribution 3 and GitLab do; seen with the first. */
describe('environment variables', () => {
  test.each<[string, unknown, Record<string, string>, unknown]>([
    [
      'set a parameter',
      { s3: { bucket: 'a' } },
      { REGISTRY_STORAGE_S3_BUCKET: 'b' },
      { s3: { bucket: 'b' } },
    ],
    [
      'are YAML',
      { s3: {} },
      { REGISTRY_STORAGE_S3_ENCRYPT: 'yes', REGISTRY_STORAGE_S3_CHUNKSIZE: '5242880' },
      { s3: { encrypt: true, chunksize: 5_242_880 } },
    ],
    [
      'that are empty are null',
      { s3: { bucket: 'a' } },
      { REGISTRY_STORAGE_S3_BUCKET: '' },
      { s3: { bucket: null } },
    ],
    [
      'add a second driver',
      { filesystem: null },
      { REGISTRY_STORAGE_S3_BUCKET: 'b' },
      { filesystem: null, s3: { bucket: 'b' } },
    ],
    [
      'fill a driver without parameters',
      { filesystem: null },
      { REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/r' },
      { filesystem: { rootdirectory: '/r' } },
    ],
    [
      'replace the section before its parts',
      { filesystem: {} },
      { REGISTRY_STORAGE_S3_BUCKET: 'b', REGISTRY_STORAGE: 's3' },
      { s3: { bucket: 'b' } },
    ],
    [
      'replace the section by a map',
      { filesystem: {} },
      { REGISTRY_STORAGE: '{s3: {bucket: b}}' },
      { s3: { bucket: 'b' } },
    ],
    ['make the section', undefined, { REGISTRY_STORAGE_S3_BUCKET: 'b' }, { s3: { bucket: 'b' } }],
    [
      'replace a helper',
      { s3: {}, delete: { enabled: true } },
      { REGISTRY_STORAGE_DELETE: '{}' },
      { s3: {}, delete: {} },
    ],
    [
      'do not reach into a nested map of the file',
      { maintenance: { readonly: { enabled: false } } },
      { REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED: 'true' },
      { maintenance: { readonly: { enabled: false } } },
    ],
    [
      'make a nested map and fill it',
      { azure: {} },
      {
        REGISTRY_STORAGE_AZURE_CREDENTIALS_TYPE: 'client_secret',
        REGISTRY_STORAGE_AZURE_CREDENTIALS_CLIENTID: 'c',
      },
      { azure: { credentials: { type: 'client_secret', clientid: 'c' } } },
    ],
    [
      'know the GitLab names with an underscore',
      { azure_v2: { accountname: 'a' } },
      {
        REGISTRY_STORAGE_AZURE_V2_ACCOUNTNAME: 'b',
        REGISTRY_STORAGE_AZURE_V2_CREDENTIALS_TYPE: 'default_credentials',
      },
      { azure_v2: { accountname: 'b', credentials_type: 'default_credentials' } },
    ],
    [
      'set parameters in lower case',
      { s3: { Bucket: 'a' } },
      { REGISTRY_STORAGE_S3_BUCKET: 'b' },
      { s3: { Bucket: 'a', bucket: 'b' } },
    ],
    [
      'with other names change nothing',
      { s3: { bucket: 'a' } },
      { REGISTRY_STORAGES: 'x', STORAGE_S3_BUCKET: 'x' },
      { s3: { bucket: 'a' } },
    ],
  ])('%s', (_, storage, env, expected) => {
    const before = structuredClone(storage);
    expect(apply(storage, env).storage).toEqual(expected);
    expect(storage).toEqual(before);
  });

  test('are named as the place of what they say', () => {
    const { where } = apply({ s3: {} }, { REGISTRY_STORAGE_S3_BUCKET: 'b' });
    expect(where(['s3', 'bucket'])).toBe('the environment variable REGISTRY_STORAGE_S3_BUCKET');
    expect(where(['s3', 'region'])).toBe('config.yml');
  });

  test('that are not YAML are refused without their value', () => {
    expect(() => apply({}, { REGISTRY_STORAGE_S3_SECRETKEY: '"wJalrXUtnFEMI' })).toThrow(
      /^The value of the environment variable REGISTRY_STORAGE_S3_SECRETKEY is not YAML \([A-Z_]+\)/,
    );
    expect(() => apply({}, { REGISTRY_STORAGE_S3_SECRETKEY: '*wJalrXUtnFEMI' })).not.toThrow(/wJalr/);
  });
});
