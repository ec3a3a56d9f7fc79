import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { Random } from '../../fixtures/random-registry.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { writeObjects } from '../../fixtures/write-objects.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import {
  blobKey,
  currentKey,
  flipped,
  healthyRegistry,
  indexKey,
  layerKey,
  revisionKey,
  set,
} from '../operations/check/fixtures.ts';
import { createBucket, createContainer, type SharedServers } from '../servers/index.ts';
import { type KillingProxy, type KillMoment, startKillingProxy } from '../support/killing-proxy.ts';
import { openBucket, openContainer } from '../support/own-stores.ts';
import { pullableTags } from '../support/pullable.ts';
import { azureEnvironment, runRegtool, s3Environment, startRegtool } from '../support/run-regtool.ts';
import { contentOfDriver, encode, endedByKill, moments, preload, scratch } from './crashing.ts';

/** A store that a command changes, which dies at one of its changes, and is run again. */
export interface ChangedStore {
  driver: Driver;
  /** Runs the built command with SIGKILL at one of its changes. Returns whether it came to that. */
  runKilled(argvOf: ArgvOf, nth: number, moment: KillMoment): Promise<boolean>;
  /** Runs it, undisturbed, under the same address. */
  run(argvOf: ArgvOf): Promise<{ exitCode: number; stdout: string; stderr: string }>;
  dispose(): Promise<void>;
}

/** The arguments of a command, given how the store is named. */
type ArgvOf = (store: string) => string[];

/** Objects, of which `before` is what a command finds and `after` what it is to leave. */
interface Stages {
  before: ReadonlyMap<string, Uint8Array>;
  after: ReadonlyMap<string, Uint8Array>;
}

/** Missing, empty and corrupt blobs and links of every kind, and all that another store needs to mend them. */
export function damagedRegistry(): Stages & { intact: ReadonlyMap<string, Uint8Array> } {
  const healthy = healthyRegistry();
  const { registry, index, child, layer, otherLayer, image } = healthy;
  registry.push('fine', 'v1', registry.image());
  const intact = new Map(registry.objects);
  registry.objects.delete(blobKey(layer.digest));
  set(registry, blobKey(otherLayer.digest), flipped(otherLayer.bytes));
  set(registry, layerKey('shop', layer.digest), '');
  set(registry, revisionKey('shop', image.digest), `${image.digest}\n`);
  registry.objects.delete(revisionKey('multi', child.digest));
  registry.objects.delete(indexKey('multi', 'latest', index.digest));
  set(registry, currentKey('shop', 'v1'), '');
  const before = new Map(registry.objects);
  return { intact, before, after: intact };
}

/** A registry with markers that do harm, and others. */
export function markedRegistry(): Stages {
  const registry = new RegistryBuilder({ seed: 'markers' });
  registry.push('group/app', 'v1', registry.image());
  const after = new Map(registry.objects);
  const app = 'docker/registry/v2/repositories/group/app/';
  for (const folder of [
    '',
    '_uploads/',
    '_manifests/tags/',
    '_manifests/tags/gone/',
    '_manifests/tags/v1/',
  ]) {
    registry.marker(`${app}${folder}`);
  }
  return { before: new Map(registry.objects), after };
}

/**
 * Kills a repair at one change. Nothing that could be pulled before is lost, the same command completes it, and the
 * undo file, of which a part was written by a process that died, puts everything back but what that process changed and
 * had not noted to have changed, which may be anybody's.
 */
export async function crashRepairOnce(
  store: ChangedStore,
  { other, undoFile }: { other: string; undoFile: string },
  nth: number,
  moment: KillMoment,
): Promise<boolean> {
  const where = `killed ${moment} change ${nth}`;
  const { before, after } = damagedRegistry();
  await writeObjects(store.driver, before);
  const pullable = await pullableTags(store.driver);
  const repairing: ArgvOf = (name) => {
    const choices = ['--tags', '--quarantine', '--read-data', '--concurrency=2'];
    return ['repair', name, '--from', other, '--yes', '--undo-file', undoFile, ...choices];
  };
  const isKilled = await store.runKilled(repairing, nth, moment);
  expect({ where, tags: await pullableTags(store.driver) }).toEqual({
    where,
    tags: expect.arrayContaining(pullable) as unknown,
  });
  const rerun = await store.run(repairing);
  expect({ where, ...rerun }).toMatchObject({ where, exitCode: 0 });
  expect({ where, content: await registryContent(store.driver) }).toEqual({
    where,
    content: encode(after),
  });
  expect({ where, isUndoable: existsSync(undoFile) }).toEqual({ where, isUndoable: true });
  const left = unmarkedKeys(undoFile);
  const undone = await store.run((name) => ['repair', name, '--yes', '--undo', undoFile]);
  expect({ where, ...undone }).toMatchObject({ where, exitCode: left.size === 0 ? 0 : 3 });
  const isLeft = ([key]: [string, unknown]) => left.has(key);
  expect({ where, content: await registryContent(store.driver) }).toEqual({
    where,
    content: encode(
      new Map([...[...before].filter((object) => !isLeft(object)), ...[...after].filter(isLeft)]),
    ),
  });
  return isKilled;
}

/** What an undo file has a change of, and no mark behind it that the change was made. */
function unmarkedKeys(undoFile: string): Set<string> {
  const keys = new Set<string>();
  // Without the last one, of which there may be only a part.
  for (const line of readFileSync(undoFile, 'utf8').split('\n').slice(1, -1)) {
    const { change, key } = JSON.parse(line) as { change: string; key: string };
    if (change === 'made') {
      keys.delete(key);
    } else {
      keys.add(key);
    }
  }
  return keys;
}

/** Kills `fix-empty-tags` at one change. No content goes, and the same command completes it. */
export async function crashFixOnce(store: ChangedStore, nth: number, moment: KillMoment): Promise<boolean> {
  const where = `killed ${moment} change ${nth}`;
  const { before, after } = markedRegistry();
  await writeObjects(store.driver, before);
  const fixing: ArgvOf = (name) => ['fix-empty-tags', name, '--all-markers', '--yes'];
  const isKilled = await store.runKilled(fixing, nth, moment);
  const left = await contentOfDriver(store.driver);
  expect({ where, left: [...left.keys()] }).toEqual({
    where,
    left: expect.arrayContaining([...after.keys()]) as unknown,
  });
  expect({ where, ...(await store.run(fixing)) }).toMatchObject({ where, exitCode: 0 });
  expect({ where, content: await contentOfDriver(store.driver) }).toEqual({ where, content: encode(after) });
  return isKilled;
}

/** Every `step`th change, from a first one that the seed decides; each time at another moment of it. */
export async function crashEveryChange(
  seed: string,
  step: number,
  crash: (nth: number, moment: KillMoment) => Promise<boolean>,
): Promise<number> {
  const random = new Random(seed);
  let kills = 0;
  for (let nth = 1 + random.below(step); await crash(nth, random.pick(moments)); nth += step) {
    kills += 1;
  }
  return kills;
}

let folders = 0;

/** A folder of its own below this one, with the store in `store`; what the command writes beside it counts as well. */
export async function openFolderStore(folder: string): Promise<ChangedStore & { folder: string }> {
  folders += 1;
  const own = path.join(folder, `changed-${folders}`);
  const root = path.join(own, 'store');
  mkdirSync(root, { recursive: true });
  const environment = { TMPDIR: scratch.path };
  return {
    folder: own,
    driver: await openFilesystem({ root }),
    runKilled: (argvOf, nth, moment) =>
      endedByKill(
        startRegtool(argvOf(root), {
          env: {
            ...environment,
            NODE_OPTIONS: `--import=${preload}`,
            KILL_AT: String(nth),
            KILL_MOMENT: moment,
            KILL_STORE: own,
          },
        }).ended,
      ),
    run: (argvOf) => runRegtool(argvOf(root), { env: environment }),
    dispose: async () => {},
  };
}

export async function openBucketStore({ rgw }: SharedServers): Promise<ChangedStore> {
  const bucket = await createBucket(rgw);
  const driver = await openBucket(rgw, bucket);
  return behindProxy(driver, rgw.endpoint, s3Environment(rgw), (at) => `s3://${bucket}?endpoint=${at}`);
}

export async function openContainerStore({ azurite }: SharedServers): Promise<ChangedStore> {
  const container = await createContainer(azurite);
  const service = new URL(azurite.serviceUrl);
  const driver = await openContainer(azurite, container);
  return behindProxy(
    driver,
    service.origin,
    azureEnvironment(azurite),
    (at) => `azure://${container}?serviceurl=${at}${service.pathname}`,
  );
}

/** The undo file names the store by its address, so that a rerun must find it under the same one. */
function behindProxy(
  driver: Driver,
  endpoint: string,
  environment: Record<string, string>,
  nameAt: (endpoint: string) => string,
): ChangedStore {
  let proxy: KillingProxy | undefined;
  let running: ReturnType<typeof startRegtool> | undefined;
  const env = { ...environment, TMPDIR: scratch.path };
  return {
    driver,
    async runKilled(argvOf, nth, moment) {
      proxy = await startKillingProxy(endpoint, { at: nth, moment, kill: () => running?.kill('SIGKILL') });
      running = startRegtool(argvOf(nameAt(proxy.endpoint)), { env });
      return endedByKill(running.ended);
    },
    async run(argvOf) {
      proxy?.revive();
      return runRegtool(argvOf(nameAt(proxy?.endpoint ?? endpoint)), { env });
    },
    async dispose() {
      await proxy?.stop();
      await driver.close();
    },
  };
}

/**
 * Of the registry: without what a repair put aside, and the temporary file of a write that a process died in, which is
 * left to `--uploads` until it is old.
 */
async function registryContent(driver: Driver): Promise<Map<string, string>> {
  const content = await contentOfDriver(driver);
  return new Map([...content].filter(([key]) => key.startsWith('docker/') && !key.endsWith('.regtool.tmp')));
}
