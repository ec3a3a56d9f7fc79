import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Driver } from '../../src/drivers/driver.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { SafetyRefusal } from '../../src/operations/errors.ts';
import { createBucket, type SharedServers, startDockerRegistry } from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { deleteAnything, runMigrate } from '../support/migrating.ts';
import { openBucket } from '../support/own-stores.ts';
import { brokenTags, brokenTagsMeanwhile, pullableTags } from '../support/pullable.ts';
import { PushingClient } from '../support/pushing-client.ts';
import { SkopeoClient } from '../support/skopeo-client.ts';
import { StrictPuller } from '../support/strict-puller.ts';

export interface LiveRun {
  seed: string;
  clients: number;
  /** Further clients that are skopeo. Default none: each of their actions takes a second. */
  skopeoClients?: number;
  durationMs: number;
}

export interface LiveOutcome {
  passes: number;
  /** How often the target was looked at, during passes and after them. */
  looks: number;
  /** Things that clients did. */
  actions: number;
  tags: number;
}

/**
 * A real registry takes pushes, retags and deletes from several clients while passes run one after another, and
 * whatever tag the target shows is pulled, at all times. In the end the clients stop, as in read-only mode, and one
 * pass with deletes makes the target equal.
 */
export async function migrateLive({ rgw }: SharedServers, run: LiveRun): Promise<LiveOutcome> {
  const folder = createTemporaryFolder('regtool-live');
  const root = path.join(folder.path, 'registry');
  mkdirSync(root);
  const registry = await startDockerRegistry({ storage: { filesystem: { rootdirectory: root } } });
  const clients = [
    ...Array.from(
      { length: run.clients },
      (_, index) => new PushingClient(registry.address, `${run.seed}-${index}`),
    ),
    ...Array.from(
      { length: run.skopeoClients ?? 0 },
      (_, index) => new SkopeoClient(registry.address, `${run.seed}-${index}`),
    ),
  ];
  const bucket = await createBucket(rgw);
  const { endpoint, region, accessKey, secretKey } = rgw;
  const target = await openBucket(rgw, bucket);
  const outcome: LiveOutcome = { passes: 0, looks: 0, actions: 0, tags: 0 };
  try {
    // There has to be a registry before there can be a first pass.
    await clients[0]?.act();
    const endsAtMs = performance.now() + run.durationMs;
    const isOver = () => performance.now() > endsAtMs;
    const source = await openFilesystem({ root });
    await Promise.all([
      ...clients.map(async (client) => {
        while (!isOver()) {
          await client.act();
          outcome.actions += 1;
        }
      }),
      keepMigrating(source, target, outcome, isOver),
      keepLooking(target, outcome, isOver),
    ]);
    const last = await runMigrate(source, target, { delete: deleteAnything });
    expect(last).toMatchObject({ end: { kind: 'done' }, tally: { failures: [], heldBack: 0, vanished: 0 } });
    const tags = await pullableTags(target);
    expect(await brokenTags(target)).toEqual([]);
    expect(tags).toEqual(await pullableTags(source));
    const storage = { bucket, region, regionendpoint: endpoint, accesskey: accessKey, secretkey: secretKey };
    expect(await failuresToPull(storage, tags)).toEqual([]);
    return { ...outcome, tags: tags.length };
  } finally {
    await Promise.all(clients.map(async (client) => client.close()));
    await target.close();
    await registry.stop();
    folder.remove();
  }
}

async function keepMigrating(
  source: Driver,
  target: Driver,
  outcome: LiveOutcome,
  isOver: () => boolean,
): Promise<void> {
  while (!isOver()) {
    // Every other pass deletes, too: then nothing that a tag needs may go, whatever was pushed meanwhile.
    const isDeleting = outcome.passes % 2 === 1;
    try {
      await runMigrate(source, target, isDeleting ? { delete: deleteAnything } : {});
    } catch (error) {
      // A registry that changes in the middle of the plan may well be one from which it is not safe to delete.
      expect(error).toBeInstanceOf(SafetyRefusal);
    }
    expect(await brokenTagsMeanwhile(target)).toEqual([]);
    outcome.passes += 1;
  }
}

async function keepLooking(target: Driver, outcome: LiveOutcome, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    await delay(20);
    expect(await brokenTagsMeanwhile(target)).toEqual([]);
    outcome.looks += 1;
  }
}

async function failuresToPull(
  s3: { bucket: string; region: string; regionendpoint: string; accesskey: string; secretkey: string },
  tags: readonly { repository: string; tag: string }[],
): Promise<string[]> {
  const copy = await startDockerRegistry({ storage: { s3 } });
  const puller = new StrictPuller(copy.address);
  try {
    const failures = await Promise.all(
      tags.map(async ({ repository, tag }) => puller.failureOf(repository, tag)),
    );
    return failures.filter((failure) => failure !== undefined);
  } finally {
    await puller.close();
    await copy.stop();
  }
}
