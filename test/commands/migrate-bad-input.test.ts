import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
} from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { sampleRegistry } from '../../fixtures/sample-registry.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { createBucket, createContainer, describeWithServers, uniqueName } from '../servers/index.ts';
import { findFreePort } from '../servers/ports.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { openBucket } from '../support/own-stores.ts';
import {
  azureEnvironment,
  type Ended,
  type RunOptions,
  runRegtool,
  s3Environment,
  startRegtool,
} from '../support/run-regtool.ts';

const nobody = 65534;
const isRoot = process.geteuid?.() === 0;
const folder = createTemporaryFolder('regtool-bad-input');
/** A whole registry that no test changes. */
const healthy = path.join(folder.path, 'healthy');
const { registry, largeLayer } = sampleRegistry({ largeLayerBytes: 3_000_000 });

beforeAll(async () => {
  // Other users may look at it, too.
  chmodSync(folder.path, 0o755);
  mkdirSync(healthy);
  const driver = await openFilesystem({ root: healthy });
  await registry.writeTo(driver);
});
afterAll(folder.remove);
// Each starts processes, which take their time on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

describe.concurrent('wrong usage of migrate ends with 2, and touches nothing', () => {
  test.each<[string, string[], RegExp]>([
    ['a missing target', [healthy], /Missing 1 required arg:\ntarget {2}Where it shall be\./],
    ['an unknown flag', [healthy, 'TARGET', '--delte'], /Nonexistent flag: --delte/],
    [
      'too much of a percentage',
      [healthy, 'TARGET', '--delete', '--max-delete=200%'],
      /0% to 100%, not "200%"/,
    ],
    ['a limit of deletes alone', [healthy, 'TARGET', '--max-delete=5'], /--delete/],
    ['deleting without anybody to ask', [healthy, 'TARGET', '--delete'], /add --yes, or --dry-run/],
    ['a report in no folder', [healthy, 'TARGET', '--report=/nonexistent/x'], /create it first/],
    ['a report that is a folder', [healthy, 'TARGET', '--report=/'], /it is a folder/],
    [
      'a file as a store',
      [process.execPath, 'TARGET'],
      /is no configuration of a registry.*or the folder that holds docker\//,
    ],
    ['a folder in the name of a bucket', [healthy, 's3://bucket%2Fsub'], /write s3:\/\/bucket\/root/],
    ['a parameter with a slip', [healthy, 's3://bucket?endpont=x'], /"endpont"\. Did you mean endpoint\?/],
    ['a secret in a location', [healthy, 's3://bucket?secretkey=hush'], /AWS_SECRET_ACCESS_KEY/],
  ])('%s', async (_, given, sentence) => {
    const target = newFolder();
    const ended = await runRegtool(['migrate', ...given.map((word) => word.replace('TARGET', target))]);
    expectRefusal(ended, 2, sentence);
    expect(contentOf(target)).toEqual([]);
  });
});

describe.concurrent('a source that is no registry', () => {
  test.each<[string, string, number, RegExp]>([
    ['a path that is not there', 'nonexistent', 5, /nonexistent does not exist: check the path/],
    ['the folder docker/', 'healthy/docker', 6, /has no docker\/registry\/v2\/.*holds docker\//],
    ['the folder v2/', 'healthy/docker/registry/v2', 6, /has no docker\/registry\/v2\/.*holds docker\//],
    ['the folder above', 'above', 6, /One is below "inner\/"/],
    ['an empty folder', 'empty', 6, /It is empty/],
    [
      'a registry without content',
      'hollow',
      6,
      /not a whole registry.*Is a part of it on a disk that is not mounted/,
    ],
  ])('is refused: %s', async (_, name, exitCode, sentence) => {
    const target = copyOfHealthy();
    const before = contentOf(target);
    const source = path.join(folder.path, name);
    if (name === 'empty' || name === 'above') {
      mkdirSync(source);
    }
    if (name === 'above') {
      cpSync(healthy, path.join(source, 'inner'), { recursive: true });
    }
    if (name === 'hollow') {
      mkdirSync(path.join(source, 'docker/registry/v2/blobs'), { recursive: true });
      mkdirSync(path.join(source, 'docker/registry/v2/repositories'));
    }
    expectRefusal(await runRegtool(['migrate', source, target, '--delete', '--yes']), exitCode, sentence);
    expect(contentOf(target)).toEqual(before);
  });
});

describe.concurrent('stores that share files', () => {
  test.each<[string, (store: string) => string, RegExp]>([
    ['by the same path', (store) => store, /the same store/],
    ['by a trailing slash', (store) => `${store}/`, /the same store/],
    ['by a file:// location', (store) => `file://${store}`, /the same store/],
    ['by a symbolic link', linkTo, /the same store/],
    ['as the target lies in the source', (store) => path.join(store, 'docker'), /lies inside/],
    ['as the source lies in the target', (store) => path.dirname(store), /lies inside/],
  ])('are refused: %s', async (_, targetOf, sentence) => {
    const store = copyOfHealthy();
    const before = contentOf(store);
    expectRefusal(await runRegtool(['migrate', store, targetOf(store)]), 6, sentence);
    expect(contentOf(store)).toEqual(before);
  });
});

describe.concurrent('deletes', () => {
  test('of more than the limit are refused, with the way to look at them and to allow them', async () => {
    const [source, target] = [copyOfHealthy(), copyOfHealthy()];
    rmSync(path.join(source, 'docker/registry/v2/repositories/shop'), { recursive: true });
    const before = contentOf(target);
    const refused = await runRegtool(['migrate', source, target, '--delete', '--yes']);
    expectRefusal(refused, 6, /deletes (\d+) of the target's \d+ objects, more than --max-delete 10%/);
    const [, limit = ''] = /run it with --max-delete (\d+)/.exec(refused.stderr) ?? [];
    const argv = ['migrate', source, target, '--delete', '--yes', `--max-delete=${limit}`];
    const dryRun = await runRegtool([...argv, '--dry-run']);
    expect(dryRun.exitCode).toBe(0);
    expect(dryRun.stdout).toMatch(new RegExp(`delete ${limit} objects at the target`));
    expect(contentOf(target)).toEqual(before);
    expect(await runRegtool(argv)).toMatchObject({ exitCode: 0 });
    expect(registryFilesIn(target)).toEqual(registryFilesIn(source));
  });

  test('that would empty the store because source and target were swapped are refused', async () => {
    const target = newFolder();
    expect(await runRegtool(['migrate', healthy, target, '--repository=platform/*'])).toMatchObject({
      exitCode: 0,
    });
    const source = copyOfHealthy();
    const before = contentOf(source);
    expectRefusal(await runRegtool(['migrate', target, source, '--delete', '--yes']), 6, /are not swapped/);
    expect(contentOf(source)).toEqual(before);
  });
});

describe.concurrent('a part of the source that cannot be read', () => {
  const damages: [string, (source: string) => void, RunOptions, RegExp][] = [
    [
      'a folder of another user',
      (source) => chmodSync(path.join(source, 'docker/registry/v2/repositories/shop'), 0o700),
      { userId: nobody },
      /repositories\/shop\/ may not be accessed by this user: run as the registry's user or as root/,
    ],
    [
      'a link to nowhere',
      (source) =>
        symlinkSync('/nonexistent', path.join(source, 'docker/registry/v2/repositories/shop/web/_layers/x')),
      {},
      /shop\/web\/_layers\/x is a symbolic link whose target does not exist: mend or remove it/,
    ],
  ];

  test.each(damages)(
    'is named, and what is beside it is copied: %s',
    async (_, damage, options, sentence) => {
      if (options.userId !== undefined && !isRoot) {
        return;
      }
      const [source, target] = [copyOfHealthy(), newFolder(options.userId)];
      damage(source);
      const ended = await runRegtool(['migrate', source, target], options);
      expect(ended.exitCode).toBe(4);
      expect(ended.stdout).toMatch(/^NOT LISTED, so not in this plan:$/m);
      expect(ended.stdout).toMatch(/^DONE IN PART: [^]*? failed 1;/m);
      expect(ended.stdout).toMatch(sentence);
      const copied = namesOf(target);
      expect(
        copied.filter((name) => name.endsWith('platform/tools/_manifests/tags/latest/current/link')),
      ).toHaveLength(1);
      expect(copied.filter((name) => name.includes('/shop/web/'))).toEqual([]);
    },
  );

  test.each(damages)('withholds deletes, and everything else: %s', async (_, damage, options, sentence) => {
    if (options.userId !== undefined && !isRoot) {
      return;
    }
    const source = copyOfHealthy();
    const target = copyOfHealthy();
    damage(source);
    const before = contentOf(target);
    const ended = await runRegtool(['migrate', source, target, '--delete', '--yes'], options);
    expectRefusal(ended, 6, /could not be listed.*Nothing was copied or deleted/);
    expect(ended.stderr).toMatch(sentence);
    expect(contentOf(target)).toEqual(before);
  });

  test('a blob that becomes shorter while it is read is not published', async () => {
    const [source, target] = [copyOfHealthy(), newFolder()];
    const { digest, repository } = largeLayer;
    const hex = digest.slice('sha256:'.length);
    const blobFolder = `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}`;
    const run = startRegtool(['migrate', source, target, '--bandwidth=500k']);
    await until(() => largestFileIn(path.join(target, blobFolder)) > 0);
    truncateSync(path.join(source, blobFolder, 'data'), 1000);
    const ended = await run.ended;
    expect(ended.exitCode).toBe(4);
    expect(ended.stdout).toMatch(new RegExp(`${hex}/data became shorter while it was read; run again\\.`));
    const copied = namesOf(target);
    expect(copied.filter((name) => name.includes(hex))).toEqual([]);
    expect(copied.filter((name) => name.includes(`${repository}/_manifests/tags`))).toEqual([]);
    expect(copied.filter((name) => name.includes('/current/link')).length).toBeGreaterThan(0);
  });
});

describe.concurrent('a target that is full', () => {
  test('at the limit for a file', async () => {
    const target = newFolder();
    const ended = await runRegtool(['migrate', healthy, target], { fileLimitKib: 1000 });
    expectStopped(ended, /data is larger than its file system or a limit allows/);
    expectNoTagAndNoLeftover(target);
  });

  test('at the end of its disk, and goes on when there is room', async ({ skip }) => {
    const target = newFolder();
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', target]);
    skip(mounted.status !== 0, 'only root may mount a small disk');
    try {
      const ended = await runRegtool(['migrate', healthy, target]);
      expectStopped(ended, /No space is left on the file system that holds .*data/);
      expectNoTagAndNoLeftover(target);
      spawnSync('mount', ['-o', 'remount,size=20m', target]);
      expect(await runRegtool(['migrate', healthy, target])).toMatchObject({ exitCode: 0 });
    } finally {
      spawnSync('umount', [target]);
    }
  });

  test.skipIf(!isRoot)('for lack of the right to write', async () => {
    const target = newFolder();
    const ended = await runRegtool(['migrate', healthy, target], { userId: nobody });
    expect(ended.exitCode).toBe(4);
    expect(ended.stdout).toMatch(/may not be accessed by this user: run as the registry's user or as root/);
    expect(contentOf(target)).toEqual([]);
  });
});

describe.concurrent('a store that does not answer', () => {
  test.each([
    ['s3', (port: number) => `s3://bucket?endpoint=http://127.0.0.1:${port}`, /Nothing listens at http/],
    [
      'azure',
      (port: number) => `azure://container?serviceurl=http://127.0.0.1:${port}/some`,
      /No answer from 127\.0\.0\.1:\d+\/some \(ECONNREFUSED\)/,
    ],
  ])('is named and given up: %s', async (_, locationAt, sentence) => {
    const location = locationAt(await findFreePort());
    const env = { ...fakeAws, AZURE_STORAGE_ACCOUNT: 'some', AZURE_STORAGE_KEY: fakeAzureKey };
    expectRefusal(await runRegtool(['migrate', healthy, location], { env }), 5, sentence, [fakeAzureKey]);
  });

  test('no credentials: the metadata service of a cloud is not waited for without end', async () => {
    const silent = net.createServer();
    silent.listen(0, '127.0.0.1');
    await new Promise((resolve) => {
      silent.once('listening', resolve);
    });
    const { port } = silent.address() as AddressInfo;
    const env = {
      AWS_EC2_METADATA_DISABLED: 'false',
      AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://127.0.0.1:${port}`,
    };
    try {
      for (const given of [env, {}]) {
        const ended = await runRegtool(['migrate', healthy, 's3://bucket?endpoint=http://127.0.0.1:9'], {
          env: given,
        });
        expectRefusal(ended, 5, /No credentials were found for s3:\/\/bucket: set AWS_ACCESS_KEY_ID/);
      }
    } finally {
      silent.close();
    }
  });
});

describeWithServers('S3 refuses', ['rgw'], (servers) => {
  test.concurrent.each<[string, Record<string, string>, RegExp]>([
    ['a wrong secret key', { AWS_SECRET_ACCESS_KEY: 'wrong-wrong-wrong' }, /the secret key is wrong/],
    ['an unknown access key', { AWS_ACCESS_KEY_ID: 'NOSUCHACCESSKEY' }, /does not know the access key/],
  ])('%s', async (_, wrong, sentence) => {
    const bucket = await createBucket(servers.rgw);
    const env = { ...s3Environment(servers.rgw), ...wrong };
    const location = `s3://${bucket}?endpoint=${servers.rgw.endpoint}`;
    const secrets = [servers.rgw.secretKey, ...Object.values(wrong)];
    expectRefusal(await runRegtool(['migrate', healthy, location], { env }), 5, sentence, secrets);
    expectRefusal(await runRegtool(['migrate', location, newFolder()], { env }), 5, sentence, secrets);
  });

  test.concurrent('a bucket that is not there', async () => {
    const location = `s3://${uniqueName('missing')}?endpoint=${servers.rgw.endpoint}`;
    const env = s3Environment(servers.rgw);
    const sentence = /There is no bucket missing-\w+ at http.*check its name, the region and the endpoint/;
    expectRefusal(await runRegtool(['migrate', healthy, location], { env }), 5, sentence);
    expectRefusal(await runRegtool(['migrate', location, newFolder()], { env }), 5, sentence);
  });

  test.concurrent('and a file system a key that it cannot hold, and the rest is copied', async () => {
    const bucket = await createBucket(servers.rgw);
    const { endpoint } = servers.rgw;
    const location = `s3://${bucket}`;
    const s3 = await openBucket(servers.rgw, bucket);
    await registry.writeTo(s3);
    await Promise.all(['a//b', 'fine/file'].map((key) => s3.write(key, Buffer.from('foreign'))));
    await s3.close();
    const target = newFolder();
    const ended = await runRegtool(
      ['migrate', `${location}?endpoint=${endpoint}`, target, '--include-foreign'],
      { env: s3Environment(servers.rgw) },
    );
    expect(ended.exitCode).toBe(4);
    expect(ended.stdout).toMatch(/^ {2}"a\/\/b" cannot be a file: it .* has two in a row\. Rename it/m);
    expect(namesOf(target)).toEqual([...registryFilesIn(healthy), 'fine/file']);
  });
});

describeWithServers('Azure refuses', ['azurite'], (servers) => {
  test.concurrent.each<[string, string, RegExp]>([
    ['a key that is not base64', 'hush hush!', /is not base64: copy it whole/],
    [
      'a wrong key',
      Buffer.alloc(64, 'x').toString('base64'),
      /does not accept the credentials.*check the account key/,
    ],
  ])('%s', async (_, key, sentence) => {
    const location = `azure://${await createContainer(servers.azurite)}?serviceurl=${servers.azurite.serviceUrl}`;
    const env = { ...azureEnvironment(servers.azurite), AZURE_STORAGE_KEY: key };
    expectRefusal(await runRegtool(['migrate', healthy, location], { env }), 5, sentence, [key]);
    expectRefusal(await runRegtool(['migrate', location, newFolder()], { env }), 5, sentence, [key]);
  });

  test.concurrent('a container that is not there', async () => {
    const location = `azure://${uniqueName('missing')}?serviceurl=${servers.azurite.serviceUrl}`;
    const env = azureEnvironment(servers.azurite);
    const sentence = /There is no container missing-\w+ in the storage account at .*: create it/;
    expectRefusal(await runRegtool(['migrate', healthy, location], { env }), 5, sentence);
  });
});

describe.concurrent('with --json', () => {
  test.each<[string, string[], number, string]>([
    ['wrong usage', [healthy, '/tmp', '--max-delete=200%', '--delete'], 2, 'FLAG_INVALID'],
    ['a missing target', [healthy], 2, 'USAGE'],
    ['a missing source', [path.join(folder.path, 'nonexistent'), '/tmp'], 5, 'STORE_NOT_FOUND'],
    ['the same store', [healthy, healthy], 6, 'STORES_OVERLAP'],
  ])('%s is one envelope on stdout, and nothing on stderr', async (_, argv, exitCode, code) => {
    const ended = await runRegtool(['migrate', ...argv, '--json']);
    expect(ended.exitCode).toBe(exitCode);
    expect(ended.stderr).toBe('');
    expect(JSON.parse(ended.stdout)).toMatchObject({ ok: false, exitCode, error: { code, exitCode } });
  });

  test('a run in part is one envelope on stdout, and progress alone on stderr', async () => {
    const source = copyOfHealthy();
    symlinkSync('/nonexistent', path.join(source, 'docker/registry/v2/repositories/shop/oops'));
    const ended = await runRegtool(['migrate', source, newFolder(), '--json']);
    expect(ended.exitCode).toBe(4);
    expect(ended.stderr).not.toMatch(/[{}]/);
    expect(JSON.parse(ended.stdout)).toMatchObject({
      ok: false,
      exitCode: 4,
      result: { end: 'done', failed: 1, failures: [{ message: expect.stringContaining('shop/oops') }] },
    });
  });
});

const fakeAws = { AWS_ACCESS_KEY_ID: 'SOMEACCESSKEY', AWS_SECRET_ACCESS_KEY: 'some-secret-key' };
const fakeAzureKey = Buffer.alloc(64, 'y').toString('base64');

let folders = 0;

function newFolder(userId = process.geteuid?.() ?? 0): string {
  folders += 1;
  // Each in a folder of its own, so that the folder above it holds nothing else.
  const made = path.join(folder.path, 'made', String(folders), 'store');
  mkdirSync(made, { recursive: true });
  if (isRoot) {
    spawnSync('chown', [String(userId), made]);
  }
  return made;
}

function copyOfHealthy(): string {
  const copy = newFolder();
  cpSync(healthy, copy, { recursive: true });
  return copy;
}

function linkTo(store: string): string {
  const link = path.join(newFolder(), 'link');
  symlinkSync(store, link);
  return link;
}

/** One sentence for the operator after at most a line of progress: no stack, no JSON, no secret. */
function expectRefusal(
  { exitCode, stdout, stderr }: Ended,
  expected: number,
  sentence: RegExp,
  secrets: string[] = ['hush', 'some-secret-key'],
): void {
  expect({ exitCode, stderr }).toEqual({ exitCode: expected, stderr });
  expect(stderr).toMatch(/^(?:listing .*\n)?Error: \S/);
  expect(stderr).toMatch(sentence);
  expect(stderr).not.toMatch(/\n\s+at |[{}]|\\x/);
  expect(stdout).toBe('');
  for (const secret of secrets) {
    expect(stderr).not.toContain(secret);
  }
}

function expectStopped({ exitCode, stdout, stderr }: Ended, sentence: RegExp): void {
  expect({ exitCode, stderr }).toEqual({ exitCode: 5, stderr });
  expect(stdout).toMatch(/^STOPPED: /m);
  expect(stdout).toMatch(/Run the same command again when that is mended\./);
  expect(stdout).toMatch(sentence);
  expect(stderr).not.toMatch(/\n\s+at /);
}

function expectNoTagAndNoLeftover(store: string): void {
  const names = namesOf(store);
  expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([]);
  expect(names.filter((name) => name.endsWith('/current/link'))).toEqual([]);
}

/** Every file below a folder with its size and time, to see whether anything was touched. */
function contentOf(store: string): string[] {
  return namesOf(store).map((name) => {
    const { size, mtimeMs } = statSync(path.join(store, name));
    return `${name} ${size} ${mtimeMs}`;
  });
}

function namesOf(store: string): string[] {
  return readdirSync(store, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(store, path.join(entry.parentPath, entry.name)))
    .sort();
}

function registryFilesIn(store: string): string[] {
  return namesOf(store).filter((name) => !name.includes('/_uploads/'));
}

function largestFileIn(place: string): number {
  try {
    return Math.max(0, ...readdirSync(place).map((name) => statSync(path.join(place, name)).size));
  } catch {
    // It is not there yet, or is being renamed.
    return 0;
  }
}

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + 30_000;
  while (!condition()) {
    if (Date.now() > deadlineMs) {
      throw new Error('What was waited for did not happen.');
    }
    await delay(5);
  }
}
