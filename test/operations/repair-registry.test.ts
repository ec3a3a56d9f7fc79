import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Driver } from '../../src/drivers/driver.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { describeWithServers, type DockerRegistry, startDockerRegistry } from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { StrictPuller } from '../support/strict-puller.ts';
import { healthyRegistry } from './check/fixtures.ts';
import { mendable } from './repair/broken-and-mended.ts';
import { runRepair, runUndo, UndoList } from './repair/repairing.ts';

const TAGS = [
  ['shop', 'v1'],
  ['multi', 'latest'],
] as const;

/**
 * What is broken in each way that can be mended, under a real docker-registry: it fails, is repaired, serves, is put
 * back, and fails again with the same words.
 */
describeWithServers('repair under a real registry', ['docker-registry'], () => {
  const folder = createTemporaryFolder('regtool-repair');
  const otherFolder = createTemporaryFolder('regtool-repair-other');
  let registry: DockerRegistry;
  let puller: StrictPuller;
  let store: Driver;
  let other: Driver;

  beforeAll(async () => {
    store = await openFilesystem({ root: folder.path });
    other = await openFilesystem({ root: otherFolder.path });
    await healthyRegistry().registry.writeTo(other);
    registry = await startDockerRegistry({ storage: { filesystem: { rootdirectory: folder.path } } });
    puller = new StrictPuller(registry.address);
  });
  afterAll(async () => {
    await puller.close();
    await registry.stop();
    await store.close();
    await other.close();
    folder.remove();
    otherFolder.remove();
  });

  async function failures(): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    for (const [repository, tag] of TAGS) {
      const failure = await puller.failureOf(repository, tag);
      if (failure !== undefined) {
        found[`${repository}:${tag}`] = failure;
      }
    }
    return found;
  }

  it.each(mendable)('mends $name', async ({ damage, hurts, choices, fromOther }) => {
    rmSync(`${folder.path}/docker`, { recursive: true, force: true });
    rmSync(`${folder.path}/regtool-quarantine`, { recursive: true, force: true });
    const healthy = healthyRegistry();
    damage(healthy);
    await healthy.registry.writeTo(store);
    const before = await failures();
    expect(Object.keys(before).sort()).toEqual([...hurts].sort());

    const undo = new UndoList();
    await runRepair(store, { undo, ...(choices && { choices }), ...(fromOther && { other }) });
    expect(await failures()).toEqual({});

    await runUndo(store, undo);
    expect(await failures()).toEqual(before);
  });
});
