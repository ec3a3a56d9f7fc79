import path from 'node:path';
import { mkdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { describeWithServers } from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { Writable } from './crashing.ts';
import {
  crashEveryChange,
  crashFixOnce,
  crashRepairOnce,
  damagedRegistry,
  openBucketStore,
  openContainerStore,
  openFolderStore,
} from './crashing-repair.ts';

vi.setConfig({ testTimeout: 300_000 });

// `npm run test:soak` kills at every change.
describeWithServers('killed with SIGKILL', ['rgw', 'azurite'], (servers) => {
  const folder = createTemporaryFolder('regtool-crash-repair');
  const other = path.join(folder.path, 'other');
  beforeAll(async () => {
    mkdirSync(other);
    await new Writable(damagedRegistry().intact).writeTo(await openFilesystem({ root: other }));
  });
  afterAll(folder.remove);

  test('repair of a folder loses nothing, can be run again, and then be undone', async () => {
    const kills = await crashEveryChange('repair a folder', 19, async (nth, moment) => {
      const store = await openFolderStore(folder.path);
      return crashRepairOnce(store, { other, undoFile: path.join(store.folder, 'undo.ndjson') }, nth, moment);
    });
    expect(kills).toBeGreaterThan(1);
  });

  test('repair of a bucket loses nothing, can be run again, and then be undone', async () => {
    const kills = await crashEveryChange('repair a bucket', 7, async (nth, moment) => {
      const store = await openBucketStore(servers);
      const undoFile = path.join(folder.path, `bucket-${nth}.ndjson`);
      try {
        return await crashRepairOnce(store, { other, undoFile }, nth, moment);
      } finally {
        await store.dispose();
      }
    });
    expect(kills).toBeGreaterThan(0);
  });

  test.each([
    ['a bucket', openBucketStore],
    ['a container', openContainerStore],
  ] as const)(
    'fix-empty-tags of %s removes nothing but markers, and can be run again',
    async (name, open) => {
      const kills = await crashEveryChange(`fix ${name}`, 1, async (nth, moment) => {
        const store = await open(servers);
        try {
          return await crashFixOnce(store, nth, moment);
        } finally {
          await store.dispose();
        }
      });
      expect(kills).toBeGreaterThan(0);
    },
  );
});
