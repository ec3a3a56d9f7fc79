import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { RegistryBuilder } from '../../../fixtures/registry-builder.ts';
import { openFilesystem } from '../../../src/drivers/filesystem.ts';
import { createBucket, describeWithServers } from '../../servers/index.ts';
import { createTemporaryFolder } from '../../servers/process.ts';
import { runRegtool } from '../../support/run-regtool.ts';

const execute = promisify(execFile);
const RUNS = 120;

interface Sample {
  heapBytes: number;
  descriptors: number;
  resources: string[];
}

describeWithServers('migrate, again and again', ['rgw'], (servers) => {
  it.each(['memory', 'filesystem', 's3'])(
    'in one process leaves no memory, descriptor or socket in use: %s',
    async (kind) => {
      const folder = createTemporaryFolder('regtool-loop');
      const { rgw } = servers;
      const place = kind === 's3' ? await createBucket(rgw) : folder.path;
      const { stdout } = await execute(
        process.execPath,
        ['--expose-gc', '--import', 'tsx', 'test/support/migrate-loop-program.ts', kind, place, String(RUNS)],
        {
          env: {
            ...process.env,
            S3_ENDPOINT: rgw.endpoint,
            AWS_ACCESS_KEY_ID: rgw.accessKey,
            AWS_SECRET_ACCESS_KEY: rgw.secretKey,
          },
        },
      );
      folder.remove();
      const samples = JSON.parse(stdout) as Sample[];
      // What the first runs load and compile stays, and is not a leak.
      const [warm, ...later] = samples.slice(3);
      expect(later.length).toBe(RUNS / 10 - 4);
      expect(later.map(({ descriptors }) => descriptors)).toEqual(later.map(() => warm?.descriptors));
      expect(samples.flatMap(({ resources }) => resources)).toEqual([]);
      const growthBytes = (later.at(-1)?.heapBytes ?? 0) - (warm?.heapBytes ?? 0);
      // In 80 runs, of which the test itself keeps what was pushed. The run's plan or results would be more.
      expect({ samples, growthBytes, isFlat: growthBytes < 1_500_000 }).toMatchObject({ isFlat: true });
    },
  );

  it('as a process leaves nothing where temporary files are kept', async () => {
    const folder = createTemporaryFolder('regtool-loop');
    const [source, target, scratch] = ['source', 'target', 'scratch'].map((name) => {
      mkdirSync(path.join(folder.path, name));
      return path.join(folder.path, name);
    });
    const registry = new RegistryBuilder({ seed: 'loop' });
    const driver = await openFilesystem({ root: source ?? '' });
    for (let run = 0; run < 10; run += 1) {
      registry.push('a', `v${run}`, registry.image());
      await registry.writeTo(driver);
      const { exitCode, stderr } = await runRegtool(['migrate', source ?? '', target ?? ''], {
        env: { TMPDIR: scratch },
      });
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr });
    }
    expect(readdirSync(scratch ?? '')).toEqual([]);
    folder.remove();
  });
});
