import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { sampleRegistry } from '../../fixtures/sample-registry.ts';
import { claimTarget } from '../../src/cli/target-claim.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { runRegtool, startRegtool } from '../support/run-regtool.ts';

vi.setConfig({ testTimeout: 120_000 });

describe.skipIf(process.platform !== 'linux')('a second migrate to the same target', () => {
  const folder = createTemporaryFolder('regtool-claim');
  const source = path.join(folder.path, 'source');
  beforeAll(async () => {
    mkdirSync(source);
    await sampleRegistry({ largeLayerBytes: 3_000_000 }).registry.writeTo(
      await openFilesystem({ root: source }),
    );
  });
  afterAll(folder.remove);

  test.each(['SIGINT', 'SIGKILL'] as const)(
    'is refused, names the process, and may begin as soon as that has ended by %s',
    async (signal) => {
      const target = path.join(folder.path, `target-${signal}`);
      mkdirSync(target);
      const first = startRegtool(['migrate', source, target, '--bandwidth=100k']);
      while (readdirSync(target).length === 0) {
        await delay(20);
      }
      const refused = await runRegtool(['migrate', source, `${target}/`, '--json']);
      expect(refused.exitCode).toBe(6);
      const { error } = JSON.parse(refused.stdout) as { error: { code: string; message: string } };
      expect(error.code).toBe('TARGET_IN_USE');
      const [, pid] = /end it \(kill (\d+)\)/.exec(error.message) ?? [];
      // It writes nothing.
      expect(await runRegtool(['migrate', source, target, '--dry-run'])).toMatchObject({ exitCode: 0 });
      process.kill(Number(pid), signal);
      const ended = await first.ended.catch((error_: unknown) => error_);
      expect(ended).toMatchObject(
        signal === 'SIGINT' ? { exitCode: 130 } : { message: expect.stringContaining('SIGKILL') },
      );
      expect(await runRegtool(['migrate', source, target])).toMatchObject({ exitCode: 0 });
    },
  );

  test('is refused only for that target, and only for as long', async () => {
    const [one, other] = [openMemory(), openMemory()];
    const claim = await claimTarget(one);
    await expect(claimTarget(one)).rejects.toMatchObject({ code: 'TARGET_IN_USE' });
    await (await claimTarget(other)).release();
    await claim.release();
    await (await claimTarget(one)).release();
  });
});
