import { describe, expect, test } from 'vitest';
import {
  type Configuration,
  parseConfiguration,
} from '../../../src/drivers/configuration/read-configuration.ts';
import { formatLocation, LocationError, parseLocation } from '../../../src/drivers/location.ts';

const path = '/etc/docker/registry/config.yml';

function read(storage: string, env: Record<string, string> = {}): Configuration {
  const indented = storage.replace(/^/gm, '  ');
  return parseConfiguration(`version: 0.1\nstorage:\n${indented}\n`, path, env);
}

function refusal(storage: string, env: Record<string, string> = {}): LocationError {
  try {
    read(storage, env);
  } catch (error) {
    if (error instanceof LocationError) {
      return error;
    }
    throw error;
  }
  throw new Error('expected a LocationError');
}

const minimalS3 = 's3: {bucket: my-bucket, region: eu-central-1}';

describe('a filesystem section', () => {
  test.each([
    ['filesystem:', '/var/lib/registry'],
    ['filesystem: {}', '/var/lib/registry'],
    ['filesystem: {rootdirectory: null, maxthreads: 100}', '/var/lib/registry'],
    ['filesystem: {rootdirectory: /srv/registry}', '/srv/registry'],
    ['"filesystem"', '/var/lib/registry'],
  ])('%s is the folder %s', (storage, folder) => {
    expect(read(storage).location).toEqual({ driver: 'filesystem', path: folder });
  });

  test('with a relative folder is refused, as nobody knows what it is relative to', () => {
    expect(refusal('filesystem: {rootdirectory: data}').message).toMatch(
      /config\.yml:3: storage\.filesystem\.rootdirectory is no full path/,
    );
  });
});

describe('an S3 section', () => {
  test.each(['s3', 's3aws', 's3_v2'])('%s gives every option through', (name) => {
    const { location, credentials, notices } = read(`${name}:
  accesskey: AKIAEXAMPLE
  secretkey: wJalrXUtnFEMI
  sessiontoken: FwoGZXIvYXdz
  region: eu-central-1
  regionendpoint: http://rgw.example:7480
  pathstyle: true
  bucket: my-bucket
  encrypt: true
  keyid: my-key
  secure: false
  skipverify: true
  chunksize: 26214400
  rootdirectory: /a/b/
  storageclass: standard_ia
  objectacl: bucket-owner-full-control
  usedualstack: false
  accelerate: false
  usefipsendpoint: true
  maxrequestspersecond: 0
  redirectendpoint: x
  v4auth: true
  multipartcopychunksize: 33554432
  multipartcopymaxconcurrency: 100
  multipartcopythresholdsize: 33554432
  useragent: x
  loglevel: off
  parallelwalk: false
  maxretries: 5
  objectownership: false
  checksum_disabled: true
  checksum_algorithm: CRC64NVME`);
    expect(location).toEqual({
      driver: 's3',
      bucket: 'my-bucket',
      rootdirectory: 'a/b',
      region: 'eu-central-1',
      endpoint: 'http://rgw.example:7480',
      pathstyle: true,
      encrypt: true,
      keyid: 'my-key',
      secure: false,
      skipverify: true,
      chunksize: 26_214_400,
      storageclass: 'STANDARD_IA',
      objectacl: 'bucket-owner-full-control',
      usedualstack: false,
      accelerate: false,
      usefipsendpoint: true,
      maxrequestspersecond: 0,
    });
    expect(parseLocation(formatLocation(location))).toEqual(location);
    expect(credentials).toMatchObject({ driver: 's3' });
    expect(credentials?.driver === 's3' && credentials.accessKeyId.reveal()).toBe('AKIAEXAMPLE');
    expect(credentials?.driver === 's3' && credentials.secretAccessKey.reveal()).toBe('wJalrXUtnFEMI');
    expect(credentials?.driver === 's3' && credentials.sessionToken?.reveal()).toBe('FwoGZXIvYXdz');
    expect(notices).toEqual([]);
  });

  test.each([
    ['true', true],
    ['yes', true],
    ['"1"', true],
    ['"False"', false],
    ['F', false],
  ])('takes %s for a boolean, as the registries do', (written, value) => {
    expect(read(`s3: {bucket: my-bucket, region: r, secure: ${written}}`).location).toMatchObject({
      secure: value,
    });
  });

  test('knows forcepathstyle, and leaves path style open where nothing is said', () => {
    expect(read('s3: {bucket: my-bucket, region: r, forcepathstyle: false}').location).toMatchObject({
      pathstyle: false,
    });
    expect(read(minimalS3).location).not.toHaveProperty('pathstyle');
  });

  test('takes numbers and what is null as the registry does', () => {
    expect(
      read('s3: {bucket: 12345, region: r, chunksize: "5242880", regionendpoint: null}').location,
    ).toEqual({
      driver: 's3',
      bucket: '12345',
      rootdirectory: '',
      region: 'r',
      chunksize: 5_242_880,
    });
  });

  test('without credentials leaves them to the environment', () => {
    expect(read(minimalS3).credentials).toBeUndefined();
    expect(
      read('s3: {bucket: my-bucket, region: r, accesskey: "", secretkey: ""}').credentials,
    ).toBeUndefined();
  });

  test('with half of the credentials says that they are not used', () => {
    const { credentials, notices } = read('s3:\n  bucket: my-bucket\n  region: r\n  accesskey: AKIAEXAMPLE');
    expect(credentials).toBeUndefined();
    expect(notices).toEqual([
      expect.stringMatching(/config\.yml:6: accesskey without secretkey is not used/),
    ]);
  });

  test('does not use a key without encryption, nor an ACL where the owner of the bucket owns all', () => {
    expect(
      read('s3: {bucket: my-bucket, region: r, keyid: k, objectownership: true, objectacl: private}')
        .location,
    ).toEqual({ driver: 's3', bucket: 'my-bucket', rootdirectory: '', region: 'r' });
  });

  test('with v4auth: false says that signatures are of version 4 all the same', () => {
    expect(read('s3: {bucket: my-bucket, region: r, v4auth: false}').notices).toEqual([
      expect.stringMatching(/v4auth: false is not followed/),
    ]);
  });

  test.each([
    ['s3:\n  region: r', /config\.yml:3: storage\.s3 has no bucket/],
    ['s3:\n  bucket: my-bucket', /config\.yml:3: storage\.s3 has no region/],
    [
      's3:\n  region: r\n  bucket: a/b',
      /config\.yml:5: storage\.s3\.bucket cannot be a bucket: .*rootdirectory/,
    ],
    [
      's3:\n  region: r\n  bucket: my-bucket\n  encrypt: maybe',
      /config\.yml:6: storage\.s3\.encrypt must be true or false\.$/,
    ],
    [
      's3:\n  region: r\n  bucket: my-bucket\n  encrypt: 1',
      /config\.yml:6: storage\.s3\.encrypt must be true or false/,
    ],
    [
      's3:\n  region: r\n  bucket: my-bucket\n  chunksize: 10M',
      /config\.yml:6: storage\.s3\.chunksize must be a whole number/,
    ],
    [
      's3:\n  region: r\n  bucket: my-bucket\n  chunksize: 1024',
      /config\.yml:6: storage\.s3\.chunksize must be .* from 5242880/,
    ],
    [
      's3:\n  region: r\n  bucket: my-bucket\n  storageclass: GLACIER',
      /config\.yml:6: storage\.s3\.storageclass .*cannot serve/,
    ],
    [
      's3:\n  region: r\n  bucket: my-bucket\n  regionendpoint: "http://a:b@c"',
      /config\.yml:6: storage\.s3\.regionendpoint must be an address alone/,
    ],
    [
      's3:\n  region: r\n  bucket: my-bucket\n  objectacl: mine',
      /config\.yml:6: storage\.s3\.objectacl must be one of/,
    ],
    [
      's3:\n  region: r\n  bucket: 1.5',
      /config\.yml:5: storage\.s3\.bucket must be text: put it into quotes/,
    ],
    ['s3: [a]', /config\.yml:3: storage\.s3 must be a map/],
  ])('%j is refused with its line', (storage, sentence) => {
    const failure = refusal(storage);
    expect(failure.code).toBe('CONFIGURATION_INVALID');
    expect(failure.message).toMatch(sentence);
  });

  test('with a parameter that no registry knows names the nearest one and goes on', () => {
    const { location, notices } = read('s3:\n  bucket: my-bucket\n  region: r\n  rootdirectroy: x');
    expect(location).toMatchObject({ rootdirectory: '' });
    expect(notices).toEqual([
      `${path}:6: storage.s3 has the parameter rootdirectroy that no registry knows, so it changes nothing. Did you mean rootdirectory?`,
    ]);
  });
});

describe('an Azure section', () => {
  const minimal = 'accountname: abc, container: registry';

  test('gives every option through', () => {
    const { location } = read(
      'azure: {accountname: abc, container: registry, realm: core.chinacloudapi.cn, serviceurl: "https://x.example/", rootdirectory: /opt/, trimlegacyrootprefix: true, legacyrootprefix: false}',
    );
    expect(location).toEqual({
      driver: 'azure',
      container: 'registry',
      rootdirectory: 'opt',
      account: 'abc',
      realm: 'core.chinacloudapi.cn',
      serviceurl: 'https://x.example/',
      trimlegacyrootprefix: true,
      legacyrootprefix: false,
    });
    expect(parseLocation(formatLocation(location))).toEqual(location);
  });

  test.each<[string, object]>([
    [`azure: {${minimal}, accountkey: aGVsbG8=}`, { accountKey: 'aGVsbG8=' }],
    [
      `azure: {${minimal}, accountkey: aGVsbG8=, credentials: {type: shared_key}}`,
      { accountKey: 'aGVsbG8=' },
    ],
    [
      `azure: {${minimal}, connectionstring: "AccountName=abc;AccountKey=aGVsbG8="}`,
      { connectionString: 'AccountName=abc;AccountKey=aGVsbG8=' },
    ],
    [
      `azure: {${minimal}, credentials: {type: client_secret, clientid: c, tenantid: t, secret: s3cr3t}}`,
      { identity: { type: 'client_secret', clientId: 'c', tenantId: 't', secret: 's3cr3t' } },
    ],
    [
      `azure_v2: {${minimal}, credentials_type: client_secret, client_id: c, tenant_id: t, secret: s3cr3t}`,
      { identity: { type: 'client_secret', clientId: 'c', tenantId: 't', secret: 's3cr3t' } },
    ],
    [
      `azure_v2: {${minimal}, credentialstype: client_secret, clientid: c, tenantid: t, secret: s3cr3t}`,
      { identity: { type: 'client_secret', clientId: 'c', tenantId: 't', secret: 's3cr3t' } },
    ],
    [
      `azure: {${minimal}, credentials: {type: default_credentials}}`,
      { identity: { type: 'default_credentials' } },
    ],
    [
      `azure_v2: {${minimal}, credentials_type: default_credentials}`,
      { identity: { type: 'default_credentials' } },
    ],
  ])('%s', (storage, expected) => {
    const { credentials } = read(storage);
    if (credentials?.driver !== 'azure') {
      throw new Error('expected credentials');
    }
    const { accountKey, connectionString, identity } = credentials;
    const revealed = {
      ...(accountKey === undefined ? {} : { accountKey: accountKey.reveal() }),
      ...(connectionString === undefined ? {} : { connectionString: connectionString.reveal() }),
      ...(identity === undefined
        ? {}
        : {
            identity:
              identity.type === 'client_secret'
                ? { ...identity, secret: identity.secret.reveal() }
                : identity,
          }),
    };
    expect(revealed).toEqual(expected);
  });

  test('without credentials leaves them to the environment', () => {
    expect(read(`azure: {${minimal}}`).credentials).toBeUndefined();
  });

  test.each([
    ['BlobEndpoint=https://one.blob.core.windows.net;SharedAccessSignature=sig=a'],
    ['BlobEndpoint=http://127.0.0.1:10000/one;SharedAccessSignature=sig=a'],
    ['AccountName=one;AccountKey=aGVsbG8='],
  ])('names the account to which the connection string leads: %s', (connectionString) => {
    const { location } = read(
      `azure: {accountname: two, container: registry, connectionstring: "${connectionString}"}`,
    );
    expect(location).toMatchObject({ account: 'one' });
  });

  test('finds the account in the connection string', () => {
    const { location } = read(
      'azure: {container: registry, connectionstring: "DefaultEndpointsProtocol=https;AccountName=one;AccountKey=aGVsbG8="}',
    );
    expect(location).toMatchObject({ account: 'one' });
  });

  test.each([
    ['azure: {container: registry}', /has no accountname/],
    ['azure: {accountname: abc}', /has no container/],
    ['azure: {accountname: abc, container: Registry}', /storage\.azure\.container cannot be a container/],
    [
      `azure: {${minimal}, trimlegacyrootprefix: "true"}`,
      /storage\.azure\.trimlegacyrootprefix must be true or false without quotes/,
    ],
    [
      `azure: {${minimal}, legacyrootprefix: 1}`,
      /storage\.azure\.legacyrootprefix must be true or false without quotes/,
    ],
    [
      `azure: {${minimal}, credentials: {type: magic}}`,
      /storage\.azure\.credentials\.type must be shared_key, client_secret or default_credentials/,
    ],
    [
      `azure_v2: {${minimal}, credentials_type: client_secret, client_id: c}`,
      /client_secret needs all three/,
    ],
    [`azure: {${minimal}, credentials: abc}`, /storage\.azure\.credentials must be a map/],
    [`azure: {${minimal}, trimlegacyrootprefix: true, legacyrootprefix: true}`, /contradict each other/],
    [`azure: {${minimal}, trimlegacyrootprefix: false, legacyrootprefix: false}`, /contradict each other/],
  ])('%s is refused', (storage, sentence) => {
    expect(refusal(storage).message).toMatch(sentence);
  });

  test('with skipverify says what to do instead', () => {
    expect(read(`azure: {${minimal}, skipverify: true}`).notices).toEqual([
      expect.stringMatching(/NODE_EXTRA_CA_CERTS/),
    ]);
  });
});

describe('a storage section', () => {
  test('says with its helpers how the registry is set', () => {
    const helpers =
      'delete: {enabled: true}\ncache: {blobdescriptor: redis}\nmaintenance: {uploadpurging: {enabled: false}, readonly: {enabled: true}}\nredirect: {disable: true}\ntag: {concurrencylimit: 8}';
    const { settings, notices, location } = read(`${minimalS3}\n${helpers}`);
    expect(settings).toEqual({ readOnly: true, deleteEnabled: true, redirectDisabled: true });
    expect(location.driver).toBe('s3');
    expect(notices).toEqual([]);
    expect(read(minimalS3).settings).toEqual({});
  });

  test.each([
    [
      'filesystem: {}\ns3: {bucket: b}',
      /names several drivers, filesystem \(.*:3\) and s3 \(.*:4\), and the registry starts with exactly one/,
    ],
    ['delete: {enabled: true}', /names no driver/],
    ['{}', /names no driver/],
    ['[filesystem]', /must be a map/],
    [
      's3_v3: {}',
      /config\.yml:3: storage\.s3_v3 is no driver of any registry: the nearest that is known is s3_v2/,
    ],
    ['redirct: {}', /nearest that is known is redirect/],
  ])('%j is refused', (storage, sentence) => {
    expect(refusal(storage).message).toMatch(sentence);
  });

  test.each([
    ['gcs: {bucket: b, keyfile: /x}', /HMAC/],
    ['swift: {username: u, password: wJalrXUtnFEMI, authurl: x, container: c}', /files\//],
    ['oss: {accesskeyid: a, accesskeysecret: wJalrXUtnFEMI, region: r, bucket: b}', /S3-compatible/],
    ['inmemory: {}', /memory/],
    ['"inmemory"', /memory/],
  ])('%j is recognised and answered with what is possible', (storage, sentence) => {
    const failure = refusal(storage);
    expect(failure.code).toBe('CONFIGURATION_UNSUPPORTED');
    expect(failure.message).toMatch(sentence);
    expect(failure.message).not.toContain('wJalrXUtnFEMI');
  });

  test('is overridden by the environment, which is named in what is wrong', () => {
    expect(read(minimalS3, { REGISTRY_STORAGE_S3_BUCKET: 'other-bucket' }).location).toMatchObject({
      bucket: 'other-bucket',
    });
    expect(refusal(minimalS3, { REGISTRY_STORAGE_S3_ENCRYPT: 'maybe' }).message).toBe(
      'the environment variable REGISTRY_STORAGE_S3_ENCRYPT: storage.s3.encrypt must be true or false.',
    );
    expect(refusal(minimalS3, { REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/x' }).message).toMatch(
      /several drivers, s3 \(.*\) and filesystem/,
    );
    expect(refusal('filesystem: {}', { REGISTRY_STORAGE_S3_BUCKET: 'q' }).message).toMatch(
      /filesystem \(\S+:3\) and s3 \(the environment variable REGISTRY_STORAGE_S3_BUCKET\).*: unset REGISTRY_STORAGE_S3_BUCKET, or set REGISTRY_STORAGE=s3 /,
    );
    expect(read(minimalS3, { REGISTRY_STORAGE: '{filesystem: {rootdirectory: /x}}' }).location).toEqual({
      driver: 'filesystem',
      path: '/x',
    });
  });
});

// docker-registry 2.8.2 starts with these, and not with one byte more or less.
test.each([
  ['"0x600000"', 6_291_456],
  ['"5_242_880"', 5_242_880],
  ['"030000000"', 6_291_456],
  ['2684354560', 2_684_354_560],
  ['2684354561', 2_684_354_560],
  ['5368709120', 2_684_354_560],
])('a chunksize of %s is taken as the registry takes it', (written, chunksize) => {
  const { location, notices } = read(`s3: {bucket: my-bucket, region: r, chunksize: ${written}}`);
  expect(location).toMatchObject({ chunksize });
  expect(notices.length).toBe(Number(written) > chunksize ? 1 : 0);
  expect(notices.join()).toMatch(/^$|config\.yml:3: chunksize is followed up to 2684354560/);
});

test.each(['5368709121', '5242879', '"0x"', '"08"', '"1__0"', '""', '-5242880'])(
  'a chunksize of %s is refused, as by the registry',
  (written) => {
    expect(refusal(`s3: {bucket: my-bucket, region: r, chunksize: ${written}}`).code).toBe(
      'CONFIGURATION_INVALID',
    );
  },
);

describe('secrets of a file', () => {
  const secrets = ['AKIAIOSFODNN7EXAMPLE', 'wJalrXUtnFEMIbPxRfiCYEXAMPLEKEY', 'FwoGZXIvYXdzEBYaDExAmPlE'];
  const [accesskey, secretkey, sessiontoken] = secrets;
  const s3 = `s3: {bucket: my-bucket, region: r, accesskey: ${accesskey}, secretkey: ${secretkey}, sessiontoken: ${sessiontoken}}`;
  const azureKey = 'c2VjcmV0IG9mIGF6dXJlIHN0b3JhZ2U=';
  const azure = [
    `azure: {accountname: abc, container: registry, accountkey: "${azureKey}"}`,
    `azure: {accountname: abc, container: registry, connectionstring: "AccountName=abc;AccountKey=${azureKey}"}`,
    `azure: {accountname: abc, container: registry, credentials: {type: client_secret, clientid: c, tenantid: t, secret: "${azureKey}"}}`,
  ];
  const all = [...secrets, azureKey];

  test.each([s3, ...azure])('never show, however the result is printed (%#)', async (storage) => {
    const { inspect } = await import('node:util');
    const configuration = read(storage);
    const printed = [
      JSON.stringify(configuration),
      inspect(configuration, { depth: 9, showHidden: true }),
      formatLocation(configuration.location),
      String(Object.values(configuration.credentials ?? {})),
      JSON.stringify(structuredClone({ ...configuration, credentials: undefined })),
    ].join('\n');
    for (const value of all) {
      expect(printed).not.toContain(value);
    }
  });

  test.each([
    `s3: {bucket: ${secretkey}/x, region: r}`,
    `s3: {bucket: my-bucket, region: "${secretkey} x"}`,
    `s3: {bucket: my-bucket, region: r, encrypt: ${secretkey}}`,
    `s3: {bucket: my-bucket, region: r, chunksize: ${secretkey}}`,
    `s3: {bucket: my-bucket, region: r, storageclass: ${secretkey}-x}`,
    `s3: {bucket: my-bucket, region: r, regionendpoint: "https://${accesskey}:${secretkey}@host"}`,
    `s3: {bucket: my-bucket, region: r, objectacl: ${secretkey}}`,
    `${secretkey}: {}`,
    `s3: ${secretkey}`,
    `s3: {}\n${secretkey}: {}`,
    `azure: {accountname: "${azureKey}", accountkey: abc, container: registry}`,
    `azure: {container: registry, connectionstring: "AccountName=${azureKey};AccountKey=abc"}`,
    `azure: {accountname: abc, container: "${azureKey}"}`,
    `azure: {accountname: abc, container: registry, credentials: "${azureKey}"}`,
    `azure: {accountname: abc, container: registry, credentials: {type: "${azureKey}"}}`,
    `azure: {accountname: abc, container: registry, legacyrootprefix: "${azureKey}"}`,
    `azure: {accountname: abc, container: registry, serviceurl: "https://x/?sig=${azureKey}"}`,
    `filesystem: {rootdirectory: ${secretkey}}`,
    `s3: {bucket: my-bucket, region: r, secretkey: "${secretkey}}`,
    `s3:\n  secretkey: ${secretkey}: x`,
  ])('never show in what is said of a wrong file (%#)', (storage) => {
    const { message } = refusal(storage);
    for (const value of all) {
      expect(message).not.toContain(value);
    }
  });

  test('never show in what is said of unknown parameters', () => {
    const { notices } = read(`s3: {bucket: my-bucket, region: r, ${secretkey}: ${accesskey}}`);
    expect(notices).toHaveLength(1);
    for (const value of all) {
      expect(notices.join('\n')).not.toContain(value);
    }
  });
});
