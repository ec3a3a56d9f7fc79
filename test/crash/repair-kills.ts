import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeObjects } from '../../fixtures/write-objects.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { describeWithServers } from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import {
  crashEveryChange,
  crashRepairOnce,
  damagedRegistry,
  openBucketStore,
  openFolderStore,
} from './crashing-repair.ts';

/** The damage takes more changes than this to mend: a folder's include the steps of writing a file. */
const CHANGES = { folder: 30, bucket: 5 };

/** A repair that is killed at each change, or at one of so many. */
export function describeRepairKilled(steps: { folder: number; bucket: number }): void {
  describeWithServers('repair, killed with SIGKILL', ['rgw'], (servers) => {
    const folder = createTemporaryFolder('regtool-crash-repair');
    const other = path.join(folder.path, 'other');
    beforeAll(async () => {
      mkdirSync(other);
      await writeObjects(await openFilesystem({ root: other }), damagedRegistry().intact);
    });
    afterAll(folder.remove);

    test('of a folder loses nothing, can be run again, and then be undone', async () => {
      const kills = await crashEveryChange('repair a folder', steps.folder, async (nth, moment) => {
        const store = await openFolderStore(folder.path);
        const undoFile = path.join(store.folder, 'undo.ndjson');
        return crashRepairOnce(store, { other, undoFile }, nth, moment);
      });
      expect(kills).toBeGreaterThan(Math.floor(CHANGES.folder / steps.folder));
    });

    test('of a bucket loses nothing, can be run again, and then be undone', async () => {
      const kills = await crashEveryChange('repair a bucket', steps.bucket, async (nth, moment) => {
        const store = await openBucketStore(servers);
        const undoFile = path.join(folder.path, `bucket-${nth}.ndjson`);
        try {
          return await crashRepairOnce(store, { other, undoFile }, nth, moment);
        } finally {
          await store.dispose();
        }
      });
      expect(kills).toBeGreaterThan(Math.floor(CHANGES.bucket / steps.bucket));
    });
  });
}
