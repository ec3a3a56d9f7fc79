import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { sampleRegistry } from '../../fixtures/sample-registry.ts';
import { claimTarget } from '../../src/cli/target-claim.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { listPage, startLocalServer } from '../drivers/s3-local-server.ts';
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
    const claim = await claimTarget(one, 'migrate');
    await expect(claimTarget(one, 'migrate')).rejects.toMatchObject({ code: 'TARGET_IN_USE' });
    await (await claimTarget(other, 'migrate')).release();
    await claim.release();
    await (await claimTarget(one, 'migrate')).release();
  });
});

describe.skipIf(process.platform !== 'linux')('whatever writes to one store', () => {
  const folder = createTemporaryFolder('regtool-writers');
  const root = path.join(folder.path, 'registry');
  const target = path.join(folder.path, 'target');
  const undoFile = path.join(folder.path, 'undo.ndjson');
  beforeAll(async () => {
    mkdirSync(root);
    mkdirSync(target);
    const { registry } = sampleRegistry({ largeLayerBytes: 1000 });
    const store = await openFilesystem({ root });
    await registry.writeTo(store);
    await registry.writeTo(await openFilesystem({ root: target }));
    const { location, identity } = store;
    const header = { type: 'regtool-undo', format: 1, location, identity };
    writeFileSync(undoFile, `${JSON.stringify(header)}\n`);
  });
  afterAll(folder.remove);

  const writing = {
    migrate: ['migrate', target, root],
    repair: ['repair', root, '--yes'],
    'repair --undo': ['repair', root, '--undo', undoFile, '--yes'],
    'fix-empty-tags': ['fix-empty-tags', root, '--yes'],
  };

  test.each(Object.entries(writing))('%s is refused while another has it', async (_, argv) => {
    const store = await openFilesystem({ root });
    const { release } = await claimTarget(store, 'repair');
    try {
      const { exitCode, stdout } = await runRegtool([...argv, '--json'], { cwd: folder.path });
      expect({ exitCode, stdout }).toMatchObject({ exitCode: 6 });
      expect(JSON.parse(stdout)).toMatchObject({
        error: {
          code: 'TARGET_IN_USE',
          message: expect.stringContaining(`(repair, process ${process.pid}) is writing to ${root}:`),
        },
      });
    } finally {
      await release();
      await store.close();
    }
  });

  test.each([
    ['verify', root, target],
    ['check', root],
    ['doctor', root],
    ['repair', root, '--dry-run'],
    ['repair', root, '--undo', undoFile, '--dry-run'],
    ['fix-empty-tags', root, '--dry-run'],
    ['migrate', root, target],
  ])('does not keep away what writes nothing to it: %s %s %s %s', async (...argv) => {
    const store = await openFilesystem({ root });
    const { release } = await claimTarget(store, 'migrate');
    try {
      const { stdout } = await runRegtool([...argv, '--json']);
      expect(stdout).not.toContain('TARGET_IN_USE');
      expect(JSON.parse(stdout)).toHaveProperty('result');
    } finally {
      await release();
      await store.close();
    }
  });

  test.each(['repair', 'fix-empty-tags'])(
    '%s has it from before its first look until its process has ended',
    async (command) => {
      const server = await startLocalServer();
      const environment = { env: { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' } };
      try {
        server.answerWith(() => ({ silent: true }));
        const location = `s3://bucket?region=eu-central-1&endpoint=${server.endpoint}`;
        const first = startRegtool([command, location, '--yes'], environment);
        while (server.requests.length === 0) {
          await delay(20);
        }
        const refused = await runRegtool(['repair', location, '--yes'], environment);
        expect(refused.exitCode).toBe(6);
        expect(refused.stderr).toContain(`(${command}, process ${first.pid})`);
        first.kill('SIGTERM');
        expect(await first.ended).toMatchObject({ exitCode: 130 });
        server.answerWith(() => ({ body: listPage([]) }));
        // Empty, so it is no registry.
        expect((await runRegtool([command, location, '--yes', '--json'], environment)).stdout).toContain(
          'NOT_A_REGISTRY',
        );
      } finally {
        await server.stop();
      }
    },
  );
});
