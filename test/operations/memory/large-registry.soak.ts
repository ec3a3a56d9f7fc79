import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startRegtool } from '../../support/run-regtool.ts';
import { FULL, startSyntheticS3, type SyntheticS3 } from '../../support/synthetic-s3.ts';

/** What the design allows a process. */
const CEILING_MB = 200;
const GROWTH_MAX = 1.2;
const OBJECTS = Number(process.env['LOAD_OBJECTS'] ?? 1_000_000);
const FEWER = OBJECTS / 10;

const commands: [string, (endpoint: string) => string[]][] = [
  ['check', (endpoint) => ['check', at(FULL, endpoint)]],
  ['verify', (endpoint) => ['verify', at(FULL, endpoint), at(`${FULL}-copy`, endpoint)]],
  ['migrate with nothing to do', (endpoint) => ['migrate', at(FULL, endpoint), at(`${FULL}-copy`, endpoint)]],
  ['migrate of everything', (endpoint) => ['migrate', at(FULL, endpoint), at('sink', endpoint)]],
];

describe.each(commands)('%s', (name, argvOf) => {
  let few: SyntheticS3;
  let many: SyntheticS3;
  beforeAll(async () => {
    few = await startSyntheticS3(FEWER);
    many = await startSyntheticS3(OBJECTS);
  }, 600_000);
  afterAll(async () => {
    await few.stop();
    await many.stop();
  });

  it(`takes no more than ${CEILING_MB} MB for a registry of ${OBJECTS} objects, and hardly more than for a tenth of it`, async () => {
    const peaksMb: number[] = [];
    for (const store of [few, many]) {
      const { peakMb, exitCode, stdout } = await peakOf(argvOf(store.endpoint));
      expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout });
      peaksMb.push(peakMb);
      if (name === 'migrate of everything') {
        expect(store.puts()).toBe(store.objects);
      }
    }
    const [fewMb = 0, manyMb = 0] = peaksMb;
    expect({ fewMb, manyMb, isBelow: manyMb <= CEILING_MB }).toEqual({ fewMb, manyMb, isBelow: true });
    expect({ fewMb, manyMb, isFlat: manyMb <= fewMb * GROWTH_MAX }).toEqual({ fewMb, manyMb, isFlat: true });
  });
});

function at(bucket: string, endpoint: string): string {
  return `s3://${bucket}?endpoint=${endpoint}&region=us-east-1&pathstyle=true`;
}

/** The most memory that the process had in use at once, as the kernel counts it. */
async function peakOf(argv: string[]) {
  const run = startRegtool(argv, { env: { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' } });
  let peakMb = 0;
  const watch = setInterval(() => {
    peakMb = Math.max(peakMb, peakMbOf(run.pid));
  }, 50);
  const { exitCode, stdout, stderr } = await run.ended.finally(() => clearInterval(watch));
  return { peakMb: Math.round(peakMb), exitCode, stdout: stdout + stderr };
}

function peakMbOf(pid: number): number {
  try {
    const [, kilobytes = '0'] = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kilobytes) / 1024;
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) {
      return 0;
    }
    throw error;
  }
}
