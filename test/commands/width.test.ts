import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { blobKey, layerKey } from '../../fixtures/keys.ts';
import { sampleRegistry } from '../../fixtures/sample-registry.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { runRegtool } from '../support/run-regtool.ts';

// Each test starts a process, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const folder = createTemporaryFolder('regtool-width');
// Short names, as lines with one longer than any word stay whole.
const [whole, broken] = ['whole', 'broken'] as const;

beforeAll(async () => {
  const { registry, index, largeLayer } = sampleRegistry({ largeLayerBytes: 3000 });
  for (const name of [whole, broken]) {
    const root = path.join(folder.path, name);
    mkdirSync(root);
    await registry.writeTo(await openFilesystem({ root }));
  }
  const at = (key: string): string => path.join(folder.path, broken, key);
  writeFileSync(at(layerKey(largeLayer.repository, largeLayer.digest)), '');
  rmSync(at(blobKey(index.image.digest)));
});
afterAll(folder.remove);

const runs: [argv: string[], exitCode: number][] = [
  [['check', broken], 3],
  [['check', whole, '--read-data'], 0],
  [['verify', whole, broken, '--read-data'], 3],
  [['repair', broken, '--dry-run', '--from', whole, '--tags', '--quarantine', '--uploads'], 3],
  [['fix-empty-tags', whole, '--dry-run'], 0],
  [['usage', broken], 0],
];
const helps = ['check', 'verify', 'repair', 'fix-empty-tags', 'migrate', 'doctor', 'runbook', 'usage'];

it.each([...runs, ...helps.map((command): (typeof runs)[number] => [[command, '--help'], 0])])(
  '%j says what it has to say in 80 columns, but for keys and digests',
  async (argv, exitCode) => {
    const ended = await runRegtool(argv, { cwd: folder.path, env: { COLUMNS: '80' } });
    expect(ended).toMatchObject({ exitCode });
    const lines = ended.stdout.split('\n');
    expect(lines.filter((line) => line.length > 80 && !/[^ ]{61}/.test(line))).toEqual([]);
  },
);
