import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ContainerClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { expect } from 'vitest';
import { Random } from '../../fixtures/random-registry.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { writeObjects } from '../../fixtures/write-objects.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { createBucket, createContainer, type SharedServers, startDockerRegistry } from '../servers/index.ts';
import type { RegistryStorage } from '../servers/docker-registry.ts';
import { type KillMoment, type KillPoint, startKillingProxy } from '../support/killing-proxy.ts';
import { deleteAnything, runMigrate } from '../support/migrating.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { openBucket, openContainer } from '../support/own-stores.ts';
import { brokenTags, pullableTags } from '../support/pullable.ts';
import { azureEnvironment, s3Environment, startRegtool } from '../support/run-regtool.ts';
import { StrictPuller } from '../support/strict-puller.ts';

export const moments: readonly KillMoment[] = ['before', 'middle', 'after'];

/** What a target must be afterwards, and how the command is made to die while it writes there. */
export interface CrashTarget {
  driver: Driver;
  /**
   * Runs the built command on this target with SIGKILL at one of its changes. Returns whether it was killed: not, when it
   * never got there, and then it must have gone well.
   */
  runKilled(source: string, at: KillPoint, moment: KillMoment): Promise<boolean>;
  /** What an interrupted run can leave: uploads under way, and temporary files. */
  remains(): Promise<string[]>;
  /** Tag folders in which there is no file at any depth: a registry lists them as tags, and no listing of objects shows them. */
  ghostTags(): string[];
  /** What it is copied from, where that is not the pass's folder: set up before each run. */
  openSource?: (pass: CrashPass) => Promise<Driver>;
  /** For docker-registry, where it has a driver for such a store. */
  storage: RegistryStorage | undefined;
  dispose(): Promise<void>;
}

export interface CrashPass {
  name: string;
  /** What the registry holds that the run copies, uploads as well. */
  content: ReadonlyMap<string, Uint8Array>;
  /** The folder that the run copies from. */
  source: string;
  /** What the target holds before. */
  before: ReadonlyMap<string, Uint8Array>;
  /** What it shall hold after: the pass copies everything of a sound registry, and deletes the rest. */
  after: ReadonlyMap<string, string>;
}

/**
 * A first copy, and an update that moves, adds and deletes. The registry is small and has what matters: an index,
 * shared layers, an untagged manifest, an upload that is under way.
 */
export async function crashPasses(folder: string, largeLayerBytes = 3000): Promise<CrashPass[]> {
  const registry = new RegistryBuilder({ seed: 'sigkill' });
  const stages: Map<string, Uint8Array>[] = [];
  const base = registry.image({ layers: 1 });
  const index = registry.push('group/multi', 'latest', registry.index());
  registry.push('app', 'v1', registry.image({ layers: 2, base }));
  registry.push('app', 'v2', registry.image({ layers: 1, layerBytes: largeLayerBytes }));
  registry.upload('app');
  stages.push(new Map(registry.objects));
  registry.push('app', 'v1', registry.image({ base }));
  registry.push('group/multi', 'stable', index);
  registry.push('group/multi', 'latest', registry.index());
  registry.push('a-b', 'new', base);
  registry.untag('group/multi', 'stable');
  registry.deleteManifest('group/multi', index.digest);
  for (const digest of registry.revisions('app')) {
    registry.deleteManifest('app', digest);
  }
  registry.push('app', 'v3', registry.image());
  registry.garbageCollect();
  stages.push(new Map(registry.objects));
  const names = ['first copy', 'update with deletes'];
  const passes = stages.map(async (stage, number): Promise<CrashPass> => {
    const source = path.join(folder, `source-${number}`);
    mkdirSync(source);
    const driver = await openFilesystem({ root: source });
    await writeObjects(driver, stage);
    return {
      name: names[number] ?? '',
      content: stage,
      source,
      before: withoutUploads(stages[number - 1] ?? new Map()),
      after: encode(withoutUploads(stage)),
    };
  });
  return Promise.all(passes);
}

/**
 * Kills the command at one change, and checks everything that must hold then and after a rerun.
 * Returns whether it was killed.
 */
export async function crashOnce(
  target: CrashTarget,
  pass: CrashPass,
  { at, moment, boots }: Crash,
): Promise<boolean> {
  const where = `${pass.name}, killed ${moment} change ${String(at)}`;
  await writeObjects(target.driver, pass.before);
  const source = (await target.openSource?.(pass)) ?? (await openFilesystem({ root: pass.source }));
  const isKilled = await target.runKilled(pass.source, at, moment);
  expect({ where, broken: await brokenTags(target.driver) }).toEqual({ where, broken: [] });
  if (!isKilled) {
    expect({ where, content: await contentOfDriver(target.driver) }).toEqual({ where, content: pass.after });
  }
  if (boots && target.storage !== undefined) {
    expect({ where, failures: await pullFailures(target.driver, target.storage) }).toEqual({
      where,
      failures: [],
    });
  }
  const rerun = await runMigrate(source, target.driver, { delete: deleteAnything });
  expect({ where, ...rerun.tally }).toMatchObject({ where, failures: [], heldBack: 0 });
  expect({ where, content: await contentOfDriver(target.driver) }).toEqual({ where, content: pass.after });
  expect({ where, remains: await target.remains() }).toEqual({ where, remains: [] });
  expect({ where, ghosts: target.ghostTags() }).toEqual({ where, ghosts: [] });
  const again = await runMigrate(source, target.driver, { delete: deleteAnything });
  expect({ where, ...again.tally }).toMatchObject({ where, copied: {}, deleted: {} });
  expect(Object.keys({ ...again.tally.copied, ...again.tally.deleted })).toEqual([]);
  return isKilled;
}

export interface Crash {
  at: KillPoint;
  moment: KillMoment;
  /** Also pull every tag from a registry on what the killed run left. */
  boots: boolean;
}

/** Every `step`th change, from a first one that the seed decides; each time at another moment of it. */
export async function crashEvery(
  open: () => Promise<CrashTarget>,
  pass: CrashPass,
  { step, seed, isBooted }: { step: number; seed: string; isBooted: (nth: number) => boolean },
): Promise<number> {
  const using = async <T>(action: (target: CrashTarget) => Promise<T>): Promise<T> => {
    const target = await open();
    try {
      return await action(target);
    } finally {
      await target.dispose();
    }
  };
  const random = new Random(seed);
  let kills = 0;
  for (let nth = 1 + random.below(step); ; nth += step) {
    const moment = random.pick(moments);
    const isKilled = await using((target) =>
      crashOnce(target, pass, { at: nth, moment, boots: isBooted(nth) }),
    );
    if (!isKilled) {
      return kills;
    }
    kills += 1;
  }
}

let targets = 0;

export async function openFilesystemTarget(folder: string): Promise<CrashTarget> {
  targets += 1;
  const root = path.join(folder, `target-${targets}`);
  mkdirSync(root);
  return {
    driver: await openFilesystem({ root }),
    runKilled: (source, at, moment) =>
      endedByKill(
        startRegtool(argvOf(source, root), {
          env: {
            NODE_OPTIONS: `--import=${preload}`,
            KILL_AT: String(at),
            KILL_MOMENT: moment,
            KILL_STORE: root,
            TMPDIR: scratch.path,
          },
        }).ended,
      ),
    remains: async () =>
      readdirSync(root, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.name.endsWith('.tmp'))
        .map((entry) => path.join(entry.parentPath, entry.name)),
    ghostTags: () => foldersWithoutFile(root).filter((folder) => /\/_manifests\/tags\/[^/]+$/.test(folder)),
    storage: { filesystem: { rootdirectory: root } },
    dispose: async () => rmSync(root, { recursive: true }),
  };
}

export async function openS3Target({ rgw }: SharedServers): Promise<CrashTarget> {
  const bucket = await createBucket(rgw);
  const { endpoint, region, accessKey, secretKey } = rgw;
  const driver = await openBucket(rgw, bucket);
  return {
    driver,
    runKilled: (source, at, moment) =>
      runBehindProxy(endpoint, at, moment, (proxied) =>
        startRegtool(argvOf(source, `s3://${bucket}?endpoint=${proxied}`), {
          env: { ...s3Environment(rgw), TMPDIR: scratch.path },
        }),
      ),
    remains: async () => uploadsOf(driver),
    ghostTags: () => [],
    storage: {
      s3: { bucket, region, regionendpoint: endpoint, accesskey: accessKey, secretkey: secretKey },
    },
    dispose: () => driver.close(),
  };
}

export async function openAzureTarget({ azurite }: SharedServers): Promise<CrashTarget> {
  const container = await createContainer(azurite);
  const service = new URL(azurite.serviceUrl);
  const driver = await openContainer(azurite, container);
  return {
    driver,
    runKilled: (source, at, moment) =>
      runBehindProxy(service.origin, at, moment, (proxied) =>
        startRegtool(argvOf(source, `azure://${container}?serviceurl=${proxied}${service.pathname}`), {
          env: { ...azureEnvironment(azurite), TMPDIR: scratch.path },
        }),
      ),
    remains: () => uncommittedBlobs(azurite, container),
    ghostTags: () => [],
    storage: undefined,
    dispose: () => driver.close(),
  };
}

/** Names of which there are blocks, and no blob: no other listing shows them (REST reference, "List Blobs"). */
async function uncommittedBlobs(
  { serviceUrl, accountName, accountKey }: SharedServers['azurite'],
  container: string,
): Promise<string[]> {
  const credential = new StorageSharedKeyCredential(accountName, accountKey);
  const client = new ContainerClient(`${serviceUrl}/${container}`, credential);
  const namesOf = async (includeUncommitedBlobs: boolean): Promise<string[]> => {
    const names: string[] = [];
    for await (const { name } of client.listBlobsFlat({ includeUncommitedBlobs })) {
      names.push(name);
    }
    return names;
  };
  const committed = new Set(await namesOf(false));
  return (await namesOf(true)).filter((name) => !committed.has(name));
}

/** A bucket in which a registry gets another root: the store copies by itself what is large enough for that. */
export async function openRerootedTarget({ rgw }: SharedServers): Promise<CrashTarget> {
  const bucket = await createBucket(rgw);
  const { endpoint, region, accessKey, secretKey } = rgw;
  const openAt = (root: string): Promise<Driver> => openBucket(rgw, bucket, { root });
  const driver = await openAt('new/');
  const source = await openAt('old/');
  return {
    driver,
    openSource: async ({ content }) => {
      await writeObjects(source, content);
      return source;
    },
    runKilled: (_source, at, moment) =>
      runBehindProxy(endpoint, at, moment, (proxied) =>
        startRegtool(
          argvOf(`s3://${bucket}/old?endpoint=${proxied}`, `s3://${bucket}/new?endpoint=${proxied}`),
          { env: { ...s3Environment(rgw), TMPDIR: scratch.path } },
        ),
      ),
    remains: async () => uploadsOf(driver),
    ghostTags: () => [],
    storage: {
      s3: {
        bucket,
        region,
        regionendpoint: endpoint,
        accesskey: accessKey,
        secretkey: secretKey,
        rootdirectory: '/new',
      },
    },
    dispose: async () => {
      await source.close();
      await driver.close();
    },
  };
}

function foldersWithoutFile(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const [folders, files] = [true, false].map((isFolder) =>
    entries
      .filter((entry) => entry.isDirectory() === isFolder)
      .map((entry) => path.join(entry.parentPath, entry.name)),
  );
  return (folders ?? []).filter((each) => !(files ?? []).some((file) => file.startsWith(each + path.sep)));
}

/** A process that is killed cannot remove the lists that it keeps on disk. */
export const scratch = createTemporaryFolder('regtool-crash-scratch');

export const preload = fileURLToPath(new URL('../support/kill-at-nth-change.mjs', import.meta.url));

function argvOf(source: string, target: string): string[] {
  return ['migrate', source, target, '--delete', '--yes', '--max-delete=100%', '--concurrency=4'];
}

async function runBehindProxy(
  endpoint: string,
  at: KillPoint,
  moment: KillMoment,
  start: (proxied: string) => ReturnType<typeof startRegtool>,
): Promise<boolean> {
  let run: ReturnType<typeof startRegtool> | undefined;
  const proxy = await startKillingProxy(endpoint, { at, moment, kill: () => run?.kill('SIGKILL') });
  try {
    run = start(proxy.endpoint);
    return await endedByKill(run.ended);
  } finally {
    await proxy.stop();
  }
}

export async function endedByKill(ended: ReturnType<typeof startRegtool>['ended']): Promise<boolean> {
  try {
    const { exitCode, stdout, stderr } = await ended;
    expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout, stderr });
    return false;
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('regtool was ended by SIGKILL')) {
      return true;
    }
    throw error;
  }
}

/** Why tags of a store cannot be pulled from a real registry that serves it. */
export async function pullFailures(driver: Driver, storage: RegistryStorage): Promise<string[]> {
  const registry = await startDockerRegistry({ storage });
  const puller = new StrictPuller(registry.address);
  try {
    const tags = await pullableTags(driver);
    const failures = await Promise.all(
      tags.map(async ({ repository, tag }) => puller.failureOf(repository, tag)),
    );
    return failures.filter((failure) => failure !== undefined);
  } finally {
    await puller.close();
    await registry.stop();
  }
}

export async function uploadsOf(driver: Driver): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of driver.listUploads?.('') ?? []) {
    keys.push(...page.map(({ key }) => key));
  }
  return keys;
}

export async function contentOfDriver(driver: Driver): Promise<Map<string, string>> {
  const keys: { key: string; sizeBytes: number }[] = [];
  for await (const page of driver.list('')) {
    keys.push(...page);
  }
  const entries = await Promise.all(
    keys.map(async ({ key, sizeBytes }): Promise<[string, string]> => {
      // Temporary files are named whatever they hold; what a large blob holds is hashed by `brokenTags`.
      const bytes =
        sizeBytes > 2 ** 20 ? Buffer.from(`${sizeBytes} bytes`) : await driver.readSmall(key, 2 ** 20);
      return [key, Buffer.from(bytes).toString('base64')];
    }),
  );
  return new Map(entries);
}

/** Uploads are no content. */
function withoutUploads(stage: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> {
  return new Map([...stage].filter(([key]) => !key.includes('/_uploads/')));
}

export function encode(objects: ReadonlyMap<string, Uint8Array>): Map<string, string> {
  return new Map(
    [...objects]
      .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      .map(([key, bytes]) => [
        key,
        (bytes.length > 2 ** 20 ? Buffer.from(`${bytes.length} bytes`) : Buffer.from(bytes)).toString(
          'base64',
        ),
      ]),
  );
}
