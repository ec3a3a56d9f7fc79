import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { describeWithServers } from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import {
  type CrashPass,
  type CrashTarget,
  crashEvery,
  crashOnce,
  crashPasses,
  openAzureTarget,
  openFilesystemTarget,
  openRerootedTarget,
  openS3Target,
} from './crashing.ts';

/** Above the size up to which the S3 driver sends an object in one request. */
const LARGE_LAYER_BYTES = 65 * 2 ** 20;

vi.setConfig({ testTimeout: 120_000 });

// `npm run test:soak` kills at every change, at each moment of it.
describeWithServers('migrate, killed with SIGKILL', ['rgw', 'azurite', 'docker-registry'], (servers) => {
  const folder = createTemporaryFolder('regtool-crash');
  let passes: CrashPass[];
  beforeAll(async () => {
    // Above 256 KiB a store copies by itself where it can.
    passes = await crashPasses(folder.path, 300_000);
  });
  afterAll(folder.remove);

  const targets: Record<string, { open: () => Promise<CrashTarget>; step: number }> = {
    'a filesystem': { open: () => openFilesystemTarget(folder.path), step: 71 },
    S3: { open: () => openS3Target(servers), step: 17 },
    Azure: { open: () => openAzureTarget(servers), step: 17 },
    'another root of a bucket': { open: () => openRerootedTarget(servers), step: 31 },
  };

  test.concurrent.each(Object.entries(targets))(
    'breaks no tag of %s at any moment, and a rerun makes it what an undisturbed run does',
    async (name, { open, step }) => {
      let kills = 0;
      for (const pass of passes) {
        const seed = `${name} ${pass.name}`;
        kills += await crashEvery(open, pass, {
          step,
          seed,
          isBooted: (nth) => nth < step && pass === passes[1],
        });
      }
      expect(kills).toBeGreaterThanOrEqual(passes.length);
    },
  );

  test.concurrent.each<[string, () => Promise<CrashTarget>, RegExp]>([
    ['S3', () => openS3Target(servers), /^PUT .*partNumber=2&/],
    ['Azure', () => openAzureTarget(servers), /^PUT .*comp=block&/],
  ])('leaves no part of a large layer behind in %s once it is run again', async (_, open, at) => {
    const parts = createTemporaryFolder('regtool-crash-parts');
    const [firstCopy] = await crashPasses(parts.path, LARGE_LAYER_BYTES);
    const target = await open();
    let left: string[] = [];
    const runKilled: CrashTarget['runKilled'] = async (source, point, moment) => {
      const isKilled = await target.runKilled(source, point, moment);
      left = await target.remains();
      return isKilled;
    };
    const crash = { at, moment: 'after', boots: false } as const;
    const isKilled = firstCopy !== undefined && (await crashOnce({ ...target, runKilled }, firstCopy, crash));
    expect(isKilled).toBe(true);
    expect(left.length).toBe(1);
    await target.dispose();
    parts.remove();
  });
});
