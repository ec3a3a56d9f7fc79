import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { measure, median, type Measured } from './measure.ts';
import { BenchRegistry } from './registry.ts';
import type { Result } from './report.ts';

const START_ROUNDS = 20;

/** `--help`, against Node that starts and does nothing. */
export async function measureStart(builds: ReadonlyMap<string, string>): Promise<Result[]> {
  const programs = new Map([
    ...[...builds].map(([name, folder]): [string, string[]] => [
      name,
      [path.join(folder, 'bin', 'run.js'), '--help'],
    ]),
    ['bare node', ['-e', '0']],
  ]);
  const runs = new Map<string, Measured[]>();
  for (let round = 0; round < START_ROUNDS; round += 1) {
    for (const [name, args] of programs) {
      const measured = await measure({ command: process.execPath, args, env: {} });
      runs.set(name, [...(runs.get(name) ?? []), measured]);
    }
  }
  return [...runs].map(([tool, measured]) => ({
    what: 'Start: --help',
    tool,
    isRegtool: builds.has(tool),
    wallS: median(measured.map(({ wallS }) => wallS)),
    cpuS: median(measured.map(({ cpuS }) => cpuS)),
    peakMb: measured[0]?.peakMb,
  }));
}

const LARGE_LAYERS = 8;
const LARGE_LAYER_BYTES = 256 * 1024 * 1024;

/** Without data, on many small objects; with data, on few large ones, against the bare hash on all cores. */
export async function measureCheck(
  builds: ReadonlyMap<string, string>,
  registry: BenchRegistry,
  rounds: number,
): Promise<Result[]> {
  const results: Result[] = [];
  const layers = new BenchRegistry(`${registry.folder}-read`, 'read');
  layers.addLargeImage(LARGE_LAYERS, LARGE_LAYER_BYTES);
  const bytes = LARGE_LAYERS * LARGE_LAYER_BYTES;
  for (let round = 0; round < rounds; round += 1) {
    for (const [tool, folder] of builds) {
      const script = path.join(folder, 'bin', 'run.js');
      const check = (...args: string[]): Promise<Measured> =>
        measure({ command: process.execPath, args: [script, 'check', ...args], env: {} });
      const about = { tool, isRegtool: true };
      const structure = await check(registry.folder);
      const { objects } = registry;
      results.push({ ...structure, ...about, what: `check of ${objects} objects, local disk`, objects });
      const read = await check('--read-data', layers.folder);
      results.push({ ...read, ...about, what: READ_DATA, bytes });
    }
    const rate = await rawHashRate();
    const wallS = bytes / rate;
    const note = 'computed from the rate of createHash in memory, one process for each core';
    const cores = availableParallelism();
    results.push({
      tool: 'raw SHA-256, all cores',
      isRegtool: false,
      what: READ_DATA,
      wallS,
      cpuS: wallS * cores,
      peakMb: undefined,
      bytes,
      note,
    });
  }
  return results;
}

const READ_DATA = 'check --read-data of eight layers of 256 MiB, local disk';

/** Bytes per second that this machine hashes on all cores at once. */
async function rawHashRate(): Promise<number> {
  const rates = await Promise.all(
    Array.from({ length: availableParallelism() }, async () => {
      const child = spawn(process.execPath, ['-e', HASHING], { stdio: ['ignore', 'pipe', 'inherit'] });
      const [rate] = await Promise.all([text(child.stdout), once(child, 'exit')]);
      return Number(rate);
    }),
  );
  return rates.reduce((sum, rate) => sum + rate, 0);
}

const HASHING = `
  const { createHash } = require('node:crypto');
  const piece = Buffer.alloc(1 << 20, 7);
  const hash = createHash('sha256');
  const startedAtMs = performance.now();
  let pieces = 0;
  while (performance.now() - startedAtMs < 1500) {
    hash.update(piece);
    pieces += 1;
  }
  process.stdout.write(String((pieces * piece.length * 1000) / (performance.now() - startedAtMs)));
`;
