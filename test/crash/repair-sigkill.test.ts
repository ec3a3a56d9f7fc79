import { expect, test, vi } from 'vitest';
import { describeWithServers } from '../servers/index.ts';
import { crashEveryChange, crashFixOnce, openBucketStore, openContainerStore } from './crashing-repair.ts';
import { describeRepairKilled } from './repair-kills.ts';

vi.setConfig({ testTimeout: 300_000 });

// `npm run test:soak` kills at every change.
describeRepairKilled({ folder: 19, bucket: 7 });

describeWithServers('fix-empty-tags, killed with SIGKILL', ['rgw', 'azurite'], (servers) => {
  test.each([
    ['a bucket', openBucketStore],
    ['a container', openContainerStore],
  ] as const)('of %s removes nothing but markers, and can be run again', async (name, open) => {
    const kills = await crashEveryChange(`fix ${name}`, 1, async (nth, moment) => {
      const store = await open(servers);
      try {
        return await crashFixOnce(store, nth, moment);
      } finally {
        await store.dispose();
      }
    });
    expect(kills).toBeGreaterThan(0);
  });
});
