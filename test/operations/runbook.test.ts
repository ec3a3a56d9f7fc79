import { execFileSync } from 'node:child_process';
import type { Command } from '@oclif/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import Check from '../../src/commands/check.ts';
import Doctor from '../../src/commands/doctor.ts';
import Migrate from '../../src/commands/migrate.ts';
import Verify from '../../src/commands/verify.ts';
import { parseConfiguration } from '../../src/drivers/configuration/read-configuration.ts';
import { formatLocation, parseLocation, type StoreLocation } from '../../src/drivers/location.ts';
import { azureRoot } from '../../src/drivers/root.ts';
import {
  completeLocation,
  guessDeployment,
  parseImage,
  type RunbookOptions,
  writeRunbook,
} from '../../src/operations/runbook.ts';

const source = storeAt('/var/opt/gitlab/gitlab-rails/shared/registry');

const targets = [
  's3://my-registry?region=eu-central-1',
  's3://my-registry/some/root?region=eu-central-1&encrypt=true&keyid=alias/registry&chunksize=26214400&maxrequestspersecond=100&storageclass=STANDARD_IA',
  's3://registry?endpoint=http://minio.local:9000&region=us-east-1&pathstyle=true',
  's3://registry?endpoint=storage.example.com&region=us-east-1&pathstyle=false&secure=false&skipverify=true',
  's3://registry?region=us-gov-west-1&usedualstack=true&usefipsendpoint=true&objectacl=bucket-owner-full-control',
  'azure://registry?account=mystorage',
  'azure://registry/opt/registry?account=mystorage&realm=core.chinacloudapi.cn&trimlegacyrootprefix=true',
  'azure://registry?account=mystorage&legacyrootprefix=true',
  'azure://registry/opt?account=mystorage&trimlegacyrootprefix=false',
  'azure://registry?serviceurl=http://127.0.0.1:10000/devstoreaccount1&account=devstoreaccount1',
  '/mnt/new disk/registry',
];

describe('the new storage section names the very store that was given', () => {
  test.each(targets)('in gitlab.rb: %s', (text) => {
    const target = storeAt(text);
    const { location } = parseConfiguration(sectionIn(written({ target }), 'ruby'), 'gitlab.rb', {});
    expect(comparable(location)).toEqual(comparable(target.location));
  });

  test.each(targets)("in the config.yml of GitLab's registry: %s", (text) => {
    const target = storeAt(text);
    const [gitlab = ''] = sectionsIn(written({ target, deployment: 'yaml' }), 'yaml');
    const { location, notices } = parseConfiguration(gitlab, 'config.yml', {});
    expect(comparable(location)).toEqual(comparable(target.location));
    expect(notices).toEqual([]);
  });

  test.each(targets.filter((text) => text.startsWith('s3')))(
    'in the config.yml of Distribution: %s',
    (text) => {
      const target = storeAt(text);
      const [, distribution = ''] = sectionsIn(written({ target, deployment: 'yaml' }), 'yaml');
      const { location } = parseConfiguration(distribution, 'config.yml', {});
      expect(comparable(location)).toEqual(comparable(withoutRequestRate(target.location)));
    },
  );

  test.each(targets)("in the secret of GitLab's chart: %s", (text) => {
    const target = storeAt(text);
    const { location } = parseConfiguration(
      JSON.stringify({ storage: secretOf(written({ target, deployment: 'helm' }), {}) }),
      'config.yml',
      {},
    );
    expect(comparable(location)).toEqual(comparable(target.location));
  });

  test('whatever characters a root directory has', () => {
    const names = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 20 }).filter(isPlainName);
    fc.assert(
      fc.property(names, (name) => {
        const target = storeAt(formatLocation({ ...s3(), rootdirectory: name }));
        const roots = [
          parseConfiguration(sectionIn(written({ target }), 'ruby'), 'gitlab.rb', {}).location,
          parseConfiguration(
            sectionsIn(written({ target, deployment: 'yaml' }), 'yaml')[0] ?? '',
            'c.yml',
            {},
          ).location,
        ].map((location) => location.driver === 's3' && location.rootdirectory);
        expect(roots).toEqual([name, name]);
      }),
    );
  });

  test('whatever a shell would make of the characters of a root directory', () => {
    const name = 'a$HOME `id` \\ "q" $(id) \'s\'';
    const target = storeAt(formatLocation({ ...s3(), rootdirectory: name }));
    expect(secretOf(written({ target, deployment: 'helm' }), {})).toMatchObject({
      s3: { rootdirectory: name },
    });
  });
});

describe('a section has what the registry needs beside the store', () => {
  test('it is read-only until the smoke test is over', () => {
    const text = written({});
    expect(parseConfiguration(sectionIn(text, 'ruby'), 'gitlab.rb', {}).settings.readOnly).toBe(true);
    expect(text.indexOf("'maintenance'")).toBeLessThan(text.indexOf('Smoke test'));
  });

  test.each([
    ['s3://registry?endpoint=http://10.0.0.1:9000', true],
    ['s3://registry?region=eu-central-1', undefined],
    ['s3://registry?region=eu-central-1&endpoint=https://s3.eu-central-1.amazonaws.com', undefined],
    ['azure://registry?account=mystorage', undefined],
    ['azure://registry?serviceurl=https://blob.example.com&account=a', true],
  ])('redirects are disabled for stores that clients may not reach: %s', (text, expected) => {
    const target = storeAt(text);
    const { settings } = parseConfiguration(sectionIn(written({ target }), 'ruby'), 'gitlab.rb', {});
    expect(settings.redirectDisabled).toBe(expected);
  });

  test.each([
    ['azure://registry?account=a', true],
    ['azure://registry?account=a&legacyrootprefix=true', false],
  ])('trimlegacyrootprefix is always said, and alone: %s', (text, trims) => {
    const section = sectionIn(written({ target: storeAt(text) }), 'ruby');
    expect(section).toContain(`'trimlegacyrootprefix' => ${trims},`);
    expect(section).not.toContain("'legacyrootprefix'");
  });

  test('credentials are named by their variables, and the shell puts them in for the chart', () => {
    const target = storeAt('azure://registry?account=mystorage');
    expect(sectionIn(written({ target }), 'ruby')).toContain("'accountkey' => '<AZURE_STORAGE_KEY>',");
    const text = written({ target, deployment: 'helm' });
    expect(secretOf(text, { AZURE_STORAGE_KEY: 'c2VjcmV0L2tleSs9' })).toMatchObject({
      azure: { accountkey: 'c2VjcmV0L2tleSs9' },
    });
  });

  test("the registry's environment gives the credentials to a section without them", () => {
    const [section = ''] = sectionsIn(written({ deployment: 'yaml' }), 'yaml');
    const names = [...section.matchAll(/REGISTRY_STORAGE_\w+/g)].map(([name]) => name);
    const env = Object.fromEntries(names.map((name) => [name, `value of ${name}`]));
    const { credentials } = parseConfiguration(section, 'config.yml', env);
    expect(names).toEqual(['REGISTRY_STORAGE_S3_ACCESSKEY', 'REGISTRY_STORAGE_S3_SECRETKEY']);
    expect(credentials?.driver === 's3' && credentials.secretAccessKey.reveal()).toBe(
      'value of REGISTRY_STORAGE_S3_SECRETKEY',
    );
  });
});

describe('a version of Distribution that would not find its data is not offered', () => {
  test('keys with a leading slash are for version 2', () => {
    expect(yamlFor('azure://registry?account=a&legacyrootprefix=true')).toContain('For Distribution 2 (');
  });

  test('keys without one are for version 3', () => {
    expect(yamlFor('azure://registry?account=a')).toContain('For Distribution 3 (');
  });

  test('a root directory behind a leading slash is for none', () => {
    const text = yamlFor('azure://registry/opt?account=a&legacyrootprefix=true');
    expect(text).toContain('No version of Distribution');
    expect(sectionsIn(text, 'yaml')).toHaveLength(1);
  });
});

describe('commands can be copied', () => {
  const awkward = storeAt("/mnt/it's $HOME `x` & co");

  test.each(['omnibus', 'yaml', 'helm'] as const)(
    'every block is a shell script without errors: %s',
    (deployment) => {
      const blocks = blocksIn(written({ source: awkward, deployment }), 'sh');
      expect(blocks.length).toBeGreaterThan(10);
      for (const block of blocks) {
        expect(() => execFileSync('bash', ['-n'], { input: block })).not.toThrow();
      }
    },
  );

  test.each(['omnibus', 'yaml', 'helm'] as const)(
    'every regtool command names the stores as given: %s',
    (deployment) => {
      const target = storeAt('s3://registry/a b?endpoint=http://10.0.0.1:9000&region=x');
      const commands = regtoolCommands(written({ source: awkward, target, deployment }));
      const stores = [awkward.location, target.location];
      for (const [, ...words] of commands) {
        const locations = words.filter((word) => /^(\/|s3:)/.test(word)).map(parseLocation);
        expect(locations.length).toBeGreaterThan(0);
        for (const location of locations) {
          expect(stores).toContainEqual(location);
        }
      }
      expect(new Set(commands.map(([command]) => command))).toEqual(
        new Set(['doctor', 'check', 'migrate', 'verify']),
      );
    },
  );

  test('every flag in them exists', () => {
    const classes: Record<string, typeof Command> = {
      check: Check,
      doctor: Doctor,
      migrate: Migrate,
      verify: Verify,
    };
    for (const [command = '', ...words] of regtoolCommands(written({}))) {
      const flags = words.filter((word) => word.startsWith('--')).map((word) => word.slice(2));
      expect(Object.keys(classes[command]?.flags ?? {})).toEqual(expect.arrayContaining(flags));
    }
  });

  test('the final pass is shown before it is done, and the way back goes from target to source', () => {
    const migrations = regtoolCommands(written({ target: storeAt('s3://b-1?region=r') })).filter(
      ([command]) => command === 'migrate',
    );
    const arrow = migrations.map(([, from = '', to = '', ...flags]) => [
      `${from.slice(0, 2)}>${to.slice(0, 2)}`,
      ...flags.filter((flag) => flag.startsWith('--') && flag !== '--report'),
    ]);
    expect(arrow).toEqual([
      ['/v>s3', '--dry-run'],
      ['/v>s3'],
      ['/v>s3', '--delete', '--dry-run'],
      ['/v>s3', '--delete'],
      ['s3>/v', '--delete', '--dry-run'],
      ['s3>/v', '--delete'],
    ]);
  });

  test("a source's configuration is read from a copy, which the switch-over does not change", () => {
    const text = written({
      source: {
        location: { ...s3(), bucket: 'old-registry' },
        argument: '/etc/registry/config.before-regtool.yml',
      },
      keptFiles: [{ path: '/etc/registry/config.yml', copy: '/etc/registry/config.before-regtool.yml' }],
      deployment: 'yaml',
      configFile: '/etc/registry/config.yml',
    });
    expect(text).toContain('cp -p /etc/registry/config.yml /etc/registry/config.before-regtool.yml');
    expect(text).toContain('CONFIG=/etc/registry/config.yml\n');
    expect(regtoolCommands(text).filter((words) => words.includes('/etc/registry/config.yml'))).toEqual([]);
  });

  test('the image of the smoke test may have a port in its name', () => {
    const text = written({ image: parseImage('localhost:5000/app:1.0') });
    expect(text).toContain('docker pull localhost:5000/app:1.0\n');
    expect(text).toContain('docker push localhost:5000/app:regtool-smoke-test\n');
  });

  test('the image of the smoke test may be named by its digest', () => {
    const digest = `sha256:${'ab'.repeat(32)}`;
    const text = written({ image: parseImage(`registry.example.com/app:1.0@${digest}`) });
    expect(text).toContain(`docker pull registry.example.com/app@${digest}\n`);
    expect(text).toContain(
      `docker tag registry.example.com/app@${digest} registry.example.com/app:regtool-smoke-test\n`,
    );
  });
});

describe('an image', () => {
  test.each([
    ['app', 'app'],
    ['app:1.0', 'app'],
    ['group/sub__group/app-x:v1_2', 'group/sub__group/app-x'],
    ['localhost:5000/app', 'localhost:5000/app'],
    ['Registry.Example.com/app:1.0', 'Registry.Example.com/app'],
    ['[::1]:5000/app:1.0', '[::1]:5000/app'],
  ])('%s', (text, name) => {
    expect(parseImage(text)).toEqual({ reference: text, name });
  });

  test.each([
    '',
    ' ',
    '-v',
    'App',
    'app:',
    'app:1:2',
    'app:-1',
    'registry.example.com/',
    'registry.example.com/app@sha256:abc',
    `app@sha256:${'AB'.repeat(32)}`,
    `app@sha256:${'ab'.repeat(32)}@sha256:${'ab'.repeat(32)}`,
    'https://registry.example.com/app',
    'app;id',
    'app\nid',
  ])('is not %j', (text) => {
    expect(parseImage(text)).toBeUndefined();
  });
});

describe('one store under two locations is refused, as migrate does', () => {
  test.each([
    ['/srv/registry', '/srv/registry/', 'the same store'],
    ['/srv/registry', '/srv/registry/new', 'lies inside'],
    ['/srv/registry/docker', '/srv/registry', 'lies inside'],
    ['s3://b-1?region=r', 's3://b-1?region=r&chunksize=26214400', 'the same store'],
    ['s3://b-1?region=r', 's3://b-1?region=r&endpoint=https://s3.r.amazonaws.com', 'the same store'],
    ['s3://b-1?endpoint=http://x:1', 's3://b-1?endpoint=x:1&secure=false', 'the same store'],
    ['s3://b-1/docker/new?region=r', 's3://b-1?region=r', 'lies inside'],
    ['azure://abc?account=a', 'azure://abc?account=a&trimlegacyrootprefix=true', 'the same store'],
  ])('%s and %s', (from, to, words) => {
    expect(() => written({ source: storeAt(from), target: storeAt(to) })).toThrow(words);
    expect(() => written({ source: storeAt(to), target: storeAt(from) })).toThrow(words);
  });

  test.each([
    ['/srv/registry', '/srv/registry-2'],
    ['s3://b-1?region=r', 's3://b-1/new?region=r'],
    ['s3://b-1?region=r', 's3://b-1?endpoint=http://x:1&region=r'],
    ['azure://abc?account=a', 'azure://abc?account=b'],
    ['azure://abc?account=a', 'azure://abc?account=a&legacyrootprefix=true'],
  ])('%s and %s are two', (from, to) => {
    expect(written({ source: storeAt(from), target: storeAt(to) })).toContain('# Moving');
  });
});

test('what is signed off has been read back', () => {
  const commands = regtoolCommands(written({})).filter(([command]) => command === 'verify');
  expect(commands.map((words) => words.includes('--read-data'))).toEqual([true]);
});

test('every step up to the end of the window says how to go back', () => {
  const steps = written({})
    .split(/^## /m)
    .filter((part) => /^[1-8]\. /.test(part));
  expect(steps).toHaveLength(8);
  for (const step of steps) {
    expect(step).toContain('To go back');
  }
});

test('it warns of GitLab 19 and lockfiles before the switch', () => {
  const text = written({});
  expect(text.indexOf('GitLab 19')).toBeGreaterThan(0);
  expect(text.indexOf('GitLab 19')).toBeLessThan(text.indexOf('## 6.'));
});

test('the lifecycle rule covers the root of the registry, and is JSON', () => {
  const target = storeAt('s3://my-registry/some/root?region=eu-central-1');
  const block =
    blocksIn(written({ target }), 'sh').find((text) => text.includes('put-bucket-lifecycle')) ?? '';
  const json: unknown = JSON.parse(block.slice(block.indexOf('{'), block.lastIndexOf('}') + 1));
  expect(json).toMatchObject({
    Rules: [
      {
        Status: 'Enabled',
        Filter: { Prefix: 'some/root/docker/registry/v2/' },
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: 3 },
      },
    ],
  });
});

test('the owner of a target folder is looked at before anything is copied, and it needs no lifecycle rule', () => {
  const text = written({ target: storeAt('/mnt/registry') });
  expect(text.indexOf("stat --format '%U:%G %a' /mnt/registry\n")).toBeGreaterThan(0);
  expect(text.indexOf('stat --format')).toBeLessThan(text.indexOf('regtool migrate'));
  expect(text).not.toContain('aws s3api');
});

describe('what a location leaves to the environment is said in so many words', () => {
  test.each([
    ['s3://b-1', { AWS_REGION: 'eu-west-1' }, 's3://b-1?region=eu-west-1'],
    ['s3://b-1', { AWS_DEFAULT_REGION: 'eu-west-2' }, 's3://b-1?region=eu-west-2'],
    ['s3://b-1?region=a', { AWS_REGION: 'b' }, 's3://b-1?region=a'],
    ['s3://b-1?endpoint=http://x:1', {}, 's3://b-1?region=us-east-1&endpoint=http://x:1'],
    ['s3://b-1', { AWS_ENDPOINT_URL: 'http://x:1' }, 's3://b-1?region=us-east-1&endpoint=http://x:1'],
    ['azure://abc', { AZURE_STORAGE_ACCOUNT: 'acc' }, 'azure://abc?account=acc'],
    [
      'azure://abc',
      { AZURE_STORAGE_CONNECTION_STRING: 'AccountName=acc;AccountKey=k' },
      'azure://abc?account=acc',
    ],
    [
      'azure://abc',
      {
        AZURE_STORAGE_CONNECTION_STRING:
          'BlobEndpoint=https://acc.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=x',
      },
      'azure://abc?account=acc',
    ],
    ['azure://abc?serviceurl=http://h:1/acc', {}, 'azure://abc?account=acc&serviceurl=http://h:1/acc'],
    [
      'azure://abc?serviceurl=https://acc.blob.x.y',
      {},
      'azure://abc?account=acc&serviceurl=https://acc.blob.x.y',
    ],
  ])('%s with %j', (text, env, expected) => {
    expect(completeLocation(parseLocation(text), env)).toEqual(parseLocation(expected));
  });

  test('but not an address that holds a password', () => {
    const env = { AWS_ENDPOINT_URL: 'https://user:hidden@storage.example.com' };
    const complete = () => completeLocation(parseLocation('s3://b-1'), env);
    expect(complete).toThrow(/^AWS_ENDPOINT_URL holds/);
    expect(complete).not.toThrow(/hidden/);
  });

  test.each([
    ['s3://b-1', 'add ?region='],
    ['azure://abc', 'add ?account='],
  ])('a target without it is refused: %s', (text, advice) => {
    const target = { location: parseLocation(text), argument: text };
    expect(() => writeRunbook({ source, target, deployment: 'yaml' })).toThrow(advice);
  });
});

test.each([
  ['/var/opt/gitlab/gitlab-rails/shared/registry', 'omnibus'],
  ['/var/opt/gitlab/registry/config.yml', 'omnibus'],
  ['/etc/gitlab/gitlab.rb', 'omnibus'],
  ['/root/copies/e.rb', 'omnibus'],
  ['/var/opt/gitlabs', 'yaml'],
  ['/var/lib/registry', 'yaml'],
  [undefined, 'yaml'],
])('a source at %s suggests %s', (path, expected) => {
  expect(guessDeployment(path)).toBe(expected);
});

function written(options: Partial<RunbookOptions>): string {
  return writeRunbook({
    source,
    target: storeAt('s3://my-registry?region=eu-central-1'),
    deployment: 'omnibus',
    ...options,
  });
}

function yamlFor(text: string): string {
  return written({ target: storeAt(text), deployment: 'yaml' });
}

function storeAt(text: string) {
  const location = completeLocation(parseLocation(text), {});
  return { location, argument: formatLocation(location) };
}

function s3() {
  const location = parseLocation('s3://my-registry?region=eu-central-1');
  if (location.driver !== 's3') {
    throw new TypeError('This is an S3 location.');
  }
  return location;
}

/** Root directories lose slashes at their ends; NUL and line ends are in no name. */
function isPlainName(name: string): boolean {
  return !/^\/|\/$|[\0\r\n]/.test(name);
}

/** Locations that name the same store in the same way: several parameters say the same thing. */
function comparable(location: StoreLocation): unknown {
  switch (location.driver) {
    case 'filesystem':
      return location;
    case 's3':
      return { ...location, pathstyle: location.pathstyle ?? location.endpoint !== undefined };
    case 'azure': {
      const { trimlegacyrootprefix: _, legacyrootprefix: __, ...rest } = location;
      return { ...rest, root: azureRoot(location) };
    }
  }
}

function withoutRequestRate(location: StoreLocation): StoreLocation {
  if (location.driver !== 's3') {
    return location;
  }
  const { maxrequestspersecond: _, ...rest } = location;
  return rest;
}

function blocksIn(markdown: string, language: string): string[] {
  return [...markdown.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm'))].map(
    ([, text = '']) => text,
  );
}

/** The storage sections of the step that switches over. */
function sectionsIn(markdown: string, language: 'ruby' | 'yaml'): string[] {
  const step = markdown.slice(markdown.indexOf('\n## 6. '), markdown.indexOf('\n## 7. '));
  return blocksIn(step, language);
}

function sectionIn(markdown: string, language: 'ruby' | 'yaml'): string {
  const [section = '', ...others] = sectionsIn(markdown, language);
  expect(others).toEqual([]);
  return section;
}

/** What `kubectl create secret` would be given, by a real shell with these variables. */
function secretOf(markdown: string, env: Record<string, string>): unknown {
  const block = blocksIn(markdown, 'sh').find((text) => text.startsWith('kubectl create secret')) ?? '';
  const script = `kubectl() { cat; }\n${block}`;
  const output = execFileSync('bash', ['-c', script], {
    env: { PATH: process.env['PATH'], HOME: '/h', ...env },
  });
  return parse(output.toString(), { version: '1.1' });
}

/** The words of each regtool command, as a real shell splits them. */
function regtoolCommands(markdown: string): string[][] {
  const lines = blocksIn(markdown, 'sh')
    .flatMap((block) => block.split('\n'))
    .filter((line) => line.startsWith('regtool '));
  const script = `regtool() { printf '%s\\0' "$@"; printf '\\n'; }\n${lines.join('\n')}`;
  return execFileSync('bash', ['-c', script], { encoding: 'utf8' })
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\0').slice(0, -1));
}
