import { cpSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Driver } from '../../src/drivers/driver.ts';
import {
  createBucket,
  createContainer,
  describeWithServers,
  startDockerRegistry,
  type DockerRegistryOptions,
} from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { openBucket, openContainer } from '../support/own-stores.ts';
import { brokenTags, pullableTags } from '../support/pullable.ts';
import {
  azureEnvironment,
  type Ended,
  runRegtool,
  s3Environment,
  startRegtool,
} from '../support/run-regtool.ts';
import { canPull, pullAll, pushImage, seedRegistry, type SeedResult } from '../support/seed.ts';
import { startWatchingProxy } from '../support/watching-proxy.ts';

const mebibyte = 2 ** 20;
/** Above the size up to which the S3 driver sends an object in one request. */
const largeLayerBytes = 66 * mebibyte;

// Megabytes go through several servers, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

const needs = ['rgw', 'azurite', 'docker-registry', 'skopeo'] as const;

describeWithServers('migrate, from and to real registries', needs, (servers) => {
  const folder = createTemporaryFolder('regtool-e2e');
  const seeded = path.join(folder.path, 'seeded');
  let seed: SeedResult;

  beforeAll(async () => {
    mkdirSync(seeded);
    seed = await withRegistry({ filesystem: { rootdirectory: seeded } }, (address) =>
      seedRegistry(address, { largeLayerBytes }),
    );
  });
  afterAll(folder.remove);

  test('a live registry moves to S3 in several passes, and serves the same tags there', async () => {
    const source = copyOfSeed();
    const bucket = await createBucket(servers.rgw);
    const target = s3Location(bucket);
    const env = s3Environment(servers.rgw);
    const store = await openBucket(servers.rgw, bucket);
    const tags = new Map(seed.tags);

    const dryRun = await runRegtool(['migrate', source, target, '--dry-run'], { env });
    expectDone(dryRun);
    expect(dryRun.stdout).toMatch(/^Plan: [^]*10 tags, 8 repositories[^]*Dry run, nothing was written/);
    expect(await keysOf(store)).toEqual([]);

    await withRegistry({ filesystem: { rootdirectory: source } }, async (address) => {
      const first = startRegtool(['migrate', source, target, '--bandwidth=40MiB'], { env });
      await until(() => first.stdout().includes('Plan:'));
      tags.set('new/name:1.0', await pushImage(address, 'new/name', '1.0', { seed: 'pushed meanwhile' }));
      tags.set('library/app:latest', await pushImage(address, 'library/app', 'latest', { seed: 'moved' }));
      expectDone(await first.ended);
      expect(planOf((await first.ended).stdout)).toBe(planOf(dryRun.stdout));
      await withRegistry({ s3: registryParameters(bucket) }, async (copy) => {
        expect(await pullAll(copy, few(seed).keys())).toEqual(few(seed));
        expect(await canPull(copy, 'library/app', 'latest')).toMatchObject({ ok: true });
      });

      await deleteManifest(address, 'docker/v2s2', seed.tags.get('docker/v2s2:1.0') ?? '');
      tags.delete('docker/v2s2:1.0');
    });
    const second = await runRegtool(['migrate', source, target, '--delete', '--yes'], { env });
    expectDone(second);
    expect(second.stdout).toMatch(/deleted [1-9]/);
    await withRegistry({ s3: registryParameters(bucket) }, async (copy) => {
      expect(await pullAll(copy, tags.keys())).toEqual(tags);
      expect(await canPull(copy, 'docker/v2s2', '1.0')).toMatchObject({ ok: false });
    });

    const third = await runRegtool(['migrate', source, target, '--delete', '--yes', '--json'], { env });
    expectDone(third);
    expect(JSON.parse(third.stdout)).toMatchObject({ ok: true, result: { copied: {}, deleted: {} } });
    const keys = await keysOf(store);
    expect(keys.filter((key) => key.includes('_uploads'))).toEqual([]);
    expect(keys.filter((key) => !key.startsWith('docker/registry/v2/'))).toEqual([]);
    expect(await uploadsOf(store)).toEqual([]);
    await store.close();
  });

  test('a registry moves below a root, within S3, and from S3 to Azure', async () => {
    const [bucket, otherBucket] = await Promise.all([createBucket(servers.rgw), createBucket(servers.rgw)]);
    const container = await createContainer(servers.azurite);
    const env = { ...s3Environment(servers.rgw), ...azureEnvironment(servers.azurite) };
    const [below, beside] = [s3Location(`${bucket}/some/root`), s3Location(otherBucket)];
    expectDone(await runRegtool(['migrate', withoutLargeBlob(), below], { env }));
    expectDone(await runRegtool(['migrate', below, beside], { env }));
    const someOfIt = ['--repository', 'library/*'];
    expectDone(await runRegtool(['migrate', beside, azureLocation(container), ...someOfIt], { env }));

    const belowStorage = { s3: registryParameters(bucket, '/some/root') };
    expect(await withRegistry(belowStorage, (copy) => pullAll(copy, few(seed).keys()))).toEqual(few(seed));
    const besideStorage = { s3: registryParameters(otherBucket) };
    expect(await withRegistry(besideStorage, (copy) => pullAll(copy, few(seed).keys()))).toEqual(few(seed));
    const store = await openContainer(servers.azurite, container);
    expect(await pullableTags(store)).toEqual(
      [...seed.tags]
        .filter(([reference]) => reference.startsWith('library/app:'))
        .map(([reference, digest]) => ({
          repository: 'library/app',
          tag: reference.slice('library/app:'.length),
          digest,
        })),
    );
    await store.close();
  });

  test('a registry moves to Azure, and back to a folder', async () => {
    const container = await createContainer(servers.azurite);
    const target = azureLocation(`${container}/some%20root`);
    const returned = path.join(folder.path, 'returned');
    mkdirSync(returned);
    const env = azureEnvironment(servers.azurite);
    expectDone(await runRegtool(['migrate', seeded, target], { env }));
    expectDone(await runRegtool(['migrate', target, returned], { env }));
    const store = await openContainer(servers.azurite, container);
    const unwanted = (await keysOf(store)).filter(
      (key) => !key.startsWith('some root/docker/registry/v2/') || key.includes('_uploads'),
    );
    expect(unwanted).toEqual([]);
    await store.close();
    const pulled = await withRegistry({ filesystem: { rootdirectory: returned } }, (copy) =>
      pullAll(copy, seed.tags.keys()),
    );
    expect(pulled).toEqual(seed.tags);
  });

  test('interrupted runs leave no broken tag and no unfinished upload, and a rerun completes them', async () => {
    const bucket = await createBucket(servers.rgw);
    const store = await openBucket(servers.rgw, bucket);
    const isPart = (method: string, request: string) => method === 'PUT' && request.includes('partNumber=2&');
    const isTag = (method: string, request: string) => method === 'PUT' && request.endsWith('/current/link');

    expectInterrupted(await interruptedRun(bucket, isPart));
    expect(await uploadsOf(store)).toEqual([]);
    expect(tagsIn(await keysOf(store))).toEqual([]);

    expectInterrupted(await interruptedRun(bucket, isTag));
    const published = tagsIn(await keysOf(store));
    expect(published.length).toBeGreaterThan(0);
    expect(published.length).toBeLessThan(seed.tags.size);
    const argv = ['migrate', seeded, s3Location(bucket)];
    await withRegistry({ s3: registryParameters(bucket) }, async (copy) => {
      expect(await pullAll(copy, published)).toEqual(
        new Map([...seed.tags].filter(([tag]) => published.includes(tag))),
      );
    });
    expectDone(await runRegtool(argv, { env: s3Environment(servers.rgw) }));
    expect(await pullableTags(store)).toHaveLength(seed.tags.size);
    expect(await brokenTags(store)).toEqual([]);
    expect(await uploadsOf(store)).toEqual([]);
    await store.close();
  });

  /** Presses Ctrl-C when a certain request was answered. */
  async function interruptedRun(
    bucket: string,
    isTheMoment: (method: string, request: string) => boolean,
  ): Promise<Ended> {
    let run: ReturnType<typeof startRegtool> | undefined;
    let isSent = false;
    const proxy = await startWatchingProxy(servers.rgw.endpoint, (method, request) => {
      if (!isSent && isTheMoment(method, request)) {
        isSent = true;
        run?.kill('SIGINT');
      }
    });
    try {
      // Few at a time, so that enough is left to do.
      const argv = ['migrate', seeded, `s3://${bucket}?endpoint=${proxy.endpoint}`, '--concurrency=3'];
      run = startRegtool(argv, { env: s3Environment(servers.rgw) });
      return await run.ended;
    } finally {
      await proxy.stop();
    }
  }

  let copies = 0;
  function copyOfSeed(): string {
    copies += 1;
    const copy = path.join(folder.path, `copy-${copies}`);
    cpSync(seeded, copy, { recursive: true });
    return copy;
  }

  /** For ways on which size proves nothing. */
  function withoutLargeBlob(): string {
    const copy = copyOfSeed();
    const { repository, digest } = seed.largeBlob;
    const hex = digest.slice('sha256:'.length);
    rmSync(path.join(copy, 'docker/registry/v2/repositories', repository), { recursive: true });
    rmSync(path.join(copy, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex), { recursive: true });
    return copy;
  }

  function s3Location(bucketAndRoot: string): string {
    return `s3://${bucketAndRoot}?endpoint=${servers.rgw.endpoint}`;
  }

  function azureLocation(containerAndRoot: string): string {
    return `azure://${containerAndRoot}?serviceurl=${servers.azurite.serviceUrl}`;
  }

  function registryParameters(bucket: string, rootdirectory?: string) {
    const { accessKey, secretKey, endpoint, region } = servers.rgw;
    return {
      bucket,
      region,
      regionendpoint: endpoint,
      accesskey: accessKey,
      secretkey: secretKey,
      ...(rootdirectory === undefined ? {} : { rootdirectory }),
    };
  }
});

/** An index and a tag in a deep repository, where pulling all ten would only repeat what is proved elsewhere. */
function few({ tags }: SeedResult): SeedResult['tags'] {
  return new Map([...tags].filter(([reference]) => /multi|^a\/b/.test(reference)));
}

async function withRegistry<T>(
  storage: DockerRegistryOptions['storage'],
  action: (address: string) => Promise<T>,
): Promise<T> {
  const registry = await startDockerRegistry({ storage });
  try {
    return await action(registry.address);
  } finally {
    await registry.stop();
  }
}

async function deleteManifest(address: string, repository: string, digest: string): Promise<void> {
  const response = await fetch(`http://${address}/v2/${repository}/manifests/${digest}`, {
    method: 'DELETE',
  });
  expect(response.status).toBe(202);
}

async function keysOf(store: Driver): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of store.list('')) {
    keys.push(...page.map(({ key }) => key));
  }
  return keys;
}

async function uploadsOf(store: Driver): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of store.listUploads?.('') ?? []) {
    keys.push(...page.map(({ key }) => key));
  }
  return keys;
}

/** `repository:tag` of each tag among the keys. */
function tagsIn(keys: string[]): string[] {
  const current = /^docker\/registry\/v2\/repositories\/(.+)\/_manifests\/tags\/([^/]+)\/current\/link$/;
  return keys.flatMap((key) => {
    const [, repository, tag] = current.exec(key) ?? [];
    return repository === undefined ? [] : [`${repository}:${tag}`];
  });
}

/** Everything before the summary. */
function planOf(stdout: string): string {
  return stdout.trimEnd().split('\n\n').slice(0, -1).join('\n\n');
}

function expectDone({ exitCode, stderr }: Ended): void {
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr });
}

function expectInterrupted({ exitCode, stdout, stderr }: Ended): void {
  expect(stderr).toMatch(/^interrupted: .*press again to stop at once$/m);
  expect(stdout).toMatch(/^INTERRUPTED; run the same command again to go on\./m);
  expect(exitCode).toBe(130);
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = Date.now() + 30_000;
  while (!(await condition())) {
    if (Date.now() > deadlineMs) {
      throw new Error('What was waited for did not happen.');
    }
    await delay(10);
  }
}
