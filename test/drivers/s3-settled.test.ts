import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { settledAddress, settledCredentials, type Surroundings } from '../../src/drivers/s3/settled.ts';

function around(env: Surroundings['env'] = {}, files = ''): Surroundings {
  return { env, sharedFiles: () => files };
}

const options = { bucket: 'registry', root: '', location: 's3://registry' };

/** What the SDK itself makes of the same: scheme, host, port and path in front of a key. */
async function addressBySdk(
  bucket: string,
  region: string,
  endpoint: string | undefined,
): Promise<{ url: string; region: unknown }> {
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  const { S3Client } = await import('@aws-sdk/client-s3');
  const client = new S3Client({ region, credentials: { accessKeyId: 'a', secretAccessKey: 'b' } });
  try {
    const { url, properties } = client.config.endpointProvider({
      Bucket: bucket,
      Region: region,
      UseFIPS: false,
      UseDualStack: false,
      Accelerate: false,
      ForcePathStyle: endpoint !== undefined,
      ...(endpoint === undefined ? {} : { Endpoint: endpoint }),
    });
    const schemes = properties?.['authSchemes'] as { signingRegion?: string }[] | undefined;
    return { url: url.href.replace(/\/$/, ''), region: schemes?.[0]?.signingRegion };
  } finally {
    client.destroy();
  }
}

describe('where a bucket is, without the SDK, is what the SDK says', () => {
  const awsRegions = [
    'us-east-1',
    'us-west-2',
    'eu-central-1',
    'ap-southeast-2',
    'ca-central-1',
    'il-central-1',
  ];
  const oddRegions = [
    'us-gov-west-1',
    'cn-north-1',
    'us-iso-east-1',
    'aws-global',
    'fips-us-east-1',
    'garage',
    '*',
  ];
  const bucket = fc.oneof(
    fc.constantFrom('registry', 'a.b', 'Capital_1', 'name--x-s3', 'name-s3alias', 'abc', '192.168.1.1', 'a-'),
    fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$/),
    fc.stringMatching(/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/),
  );
  const endpoint = fc.option(
    fc.constantFrom(
      'http://127.0.0.1:9000',
      'https://storage.example.com',
      'HTTP://Store:80',
      'https://[::1]:7480',
      'http://gateway/with/path',
      'https://s3.eu-central-1.amazonaws.com',
    ),
    { nil: undefined },
  );

  test('for any bucket, region and endpoint of which it is said', async () => {
    let said = 0;
    await fc.assert(
      fc.asyncProperty(
        bucket,
        fc.constantFrom(...awsRegions, ...oddRegions),
        endpoint,
        async (name, region, at) => {
          const settled = settledAddress({ ...options, bucket: name, region, endpoint: at }, around());
          if (settled !== undefined) {
            said += 1;
            const expected = await addressBySdk(name, region, at);
            expect(settled.origin + settled.basePath).toBe(expected.url);
            expect(settled.signingRegion).toBe(expected.region);
          }
        },
      ),
      { numRuns: 2000 },
    );
    // Else it would prove nothing.
    expect(said).toBeGreaterThan(200);
  });

  test.each([
    ['a host name at AWS', { region: 'eu-central-1' }, {}, 'https://registry.s3.eu-central-1.amazonaws.com'],
    ['AWS_REGION', {}, { AWS_REGION: 'us-west-2' }, 'https://registry.s3.us-west-2.amazonaws.com'],
    ['a path at an endpoint', { region: 'eu-1', endpoint: 'http://h:1' }, {}, 'http://h:1/registry'],
    ['an endpoint without a region', { endpoint: 'http://h:1' }, {}, 'http://h:1/registry'],
    ['an endpoint without a scheme', { endpoint: 'h:1', secure: false }, {}, 'http://h:1/registry'],
  ])('%s', (_, given, env, expected) => {
    const settled = settledAddress({ ...options, ...given }, around(env));
    expect(`${settled?.origin}${settled?.basePath}`).toBe(expected);
  });
});

describe('the SDK is asked', () => {
  const known = { ...options, region: 'eu-central-1' };

  test.each<[string, object, Record<string, string>, string]>([
    ['for a dual-stack address', { ...known, useDualstack: true }, {}, ''],
    ['for a FIPS address', { ...known, useFipsEndpoint: true }, {}, ''],
    ['for an accelerated one', { ...known, accelerate: true }, {}, ''],
    ['when the environment wants FIPS', known, { AWS_USE_FIPS_ENDPOINT: 'true' }, ''],
    ['when the environment wants dual stack', known, { AWS_USE_DUALSTACK_ENDPOINT: 'true' }, ''],
    ['when a shared file speaks of FIPS', known, {}, '[default]\nuse_fips_endpoint = true'],
    ['when a shared file names an endpoint', known, {}, '[default]\nendpoint_url = http://h'],
    ['when the environment names an endpoint', known, { AWS_ENDPOINT_URL: 'http://h' }, ''],
    ['when the environment names one for S3', known, { AWS_ENDPOINT_URL_S3: 'http://h' }, ''],
    ['for the region at AWS', options, {}, ''],
    [
      'for the region that a file may hold',
      { ...options, endpoint: 'http://h' },
      {},
      '[default]\nregion = eu-1',
    ],
    ['for another partition', { ...options, region: 'cn-north-1' }, {}, ''],
    ['for a pseudo-region', { ...known, endpoint: 'http://h', region: 'aws-global' }, {}, ''],
    ['for a bucket in the host of an endpoint', { ...known, endpoint: 'http://h', pathStyle: false }, {}, ''],
    ['for a bucket in the path at AWS', { ...known, pathStyle: true }, {}, ''],
    ['for plain HTTP at AWS', { ...known, secure: false }, {}, ''],
    ['for a directory bucket', { ...known, bucket: 'name--euc1-az1--x-s3' }, {}, ''],
    ['for an endpoint with a path', { ...known, endpoint: 'http://h/path' }, {}, ''],
  ])('%s', (_, given, env, files) => {
    expect(settledAddress(given as typeof known, around(env, files))).toBeUndefined();
  });

  test('a region in the environment is used without looking for one in files', () => {
    const settled = settledAddress(
      options,
      around({ AWS_REGION: 'eu-central-1' }, '[default]\nregion = eu-1'),
    );
    expect(settled?.region).toBe('eu-central-1');
  });
});

describe('credentials without the SDK', () => {
  const keys = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' };

  test('those of the options come first', () => {
    const given = { ...options, accessKeyId: 'a', secretAccessKey: 'b', sessionToken: 'c', profile: 'ops' };
    expect(settledCredentials(given, around(keys))).toEqual({
      accessKeyId: 'a',
      secretAccessKey: 'b',
      sessionToken: 'c',
    });
  });

  test('those of the environment come next', () => {
    expect(settledCredentials(options, around(keys))).toEqual({
      accessKeyId: 'key',
      secretAccessKey: 'secret',
      source: 'environment',
    });
    expect(settledCredentials(options, around({ ...keys, AWS_SESSION_TOKEN: 't' }))).toMatchObject({
      sessionToken: 't',
    });
  });

  test.each<[string, object, Record<string, string>]>([
    ['a profile is named', { ...options, profile: 'ops' }, keys],
    ['the environment names a profile', options, { ...keys, AWS_PROFILE: 'ops' }],
    ['they run out', options, { ...keys, AWS_CREDENTIAL_EXPIRATION: '2030-01-01T00:00:00Z' }],
    ['there is no secret', options, { AWS_ACCESS_KEY_ID: 'key' }],
    ['the secret is empty', options, { ...keys, AWS_SECRET_ACCESS_KEY: '' }],
    ['there are none', options, {}],
  ])('the SDK is asked when %s', (_, given, env) => {
    expect(settledCredentials(given as typeof options, around(env))).toBeUndefined();
  });
});
