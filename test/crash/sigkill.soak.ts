import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { describeWithServers } from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import {
  type CrashPass,
  type CrashTarget,
  crashEvery,
  crashOnce,
  crashPasses,
  moments,
  openAzureTarget,
  openFilesystemTarget,
  openRerootedTarget,
  openS3Target,
} from './crashing.ts';

const minutes = 60_000;

vi.setConfig({ testTimeout: 60 * minutes });

describeWithServers(
  'migrate, killed with SIGKILL at all changes',
  ['rgw', 'azurite', 'docker-registry'],
  (servers) => {
    const folder = createTemporaryFolder('regtool-crash');
    let passes: CrashPass[];
    beforeAll(async () => {
      passes = await crashPasses(folder.path, 300_000);
    });
    afterAll(folder.remove);

    const targets: Record<string, () => Promise<CrashTarget>> = {
      'a filesystem': () => openFilesystemTarget(folder.path),
      S3: () => openS3Target(servers),
      Azure: () => openAzureTarget(servers),
      'another root of a bucket': () => openRerootedTarget(servers),
    };

    test.each(Object.entries(targets))(
      'breaks no tag of %s, and a rerun completes it',
      async (name, open) => {
        let kills = 0;
        for (const pass of passes) {
          kills += await crashEvery(open, pass, { step: 1, seed: name, isBooted: (nth) => nth % 20 === 0 });
        }
        expect(kills).toBeGreaterThan(50);
      },
    );

    test.each(
      [/^POST .*uploads/, /^PUT .*partNumber=1&/, /^PUT .*partNumber=4&/, /^POST .*uploadId=/].flatMap((at) =>
        moments.map((moment) => ({ at, moment })),
      ),
    )('leaves no part behind: killed $moment $at', async ({ at, moment }) => {
      const parts = createTemporaryFolder('regtool-crash-parts');
      const [firstCopy] = await crashPasses(parts.path, 65 * 2 ** 20);
      const target = await openS3Target(servers);
      const isKilled =
        firstCopy !== undefined && (await crashOnce(target, firstCopy, { at, moment, boots: true }));
      expect(isKilled).toBe(true);
      await target.dispose();
      parts.remove();
    });
  },
);
