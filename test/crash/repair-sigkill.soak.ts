import path from 'node:path';
import { mkdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { describeWithServers } from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { Writable } from './crashing.ts';
import {
  crashEveryChange,
  crashRepairOnce,
  damagedRegistry,
  openBucketStore,
  openFolderStore,
} from './crashing-repair.ts';

vi.setConfig({ testTimeout: 60 * 60_000 });

describeWithServers('killed with SIGKILL at all changes', ['rgw'], (servers) => {
  const folder = createTemporaryFolder('regtool-crash-repair');
  const other = path.join(folder.path, 'other');
  beforeAll(async () => {
    mkdirSync(other);
    await new Writable(damagedRegistry().intact).writeTo(await openFilesystem({ root: other }));
  });
  afterAll(folder.remove);

  test('repair of a folder loses nothing, can be run again, and then be undone', async () => {
    const kills = await crashEveryChange('repair a folder', 1, async (nth, moment) => {
      const store = await openFolderStore(folder.path);
      return crashRepairOnce(store, { other, undoFile: path.join(store.folder, 'undo.ndjson') }, nth, moment);
    });
    expect(kills).toBeGreaterThan(30);
  });

  test('repair of a bucket loses nothing, can be run again, and then be undone', async () => {
    const kills = await crashEveryChange('repair a bucket', 1, async (nth, moment) => {
      const store = await openBucketStore(servers);
      const undoFile = path.join(folder.path, `bucket-${nth}.ndjson`);
      try {
        return await crashRepairOnce(store, { other, undoFile }, nth, moment);
      } finally {
        await store.dispose();
      }
    });
    expect(kills).toBeGreaterThan(5);
  });
});
