import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTemporaryFolder } from '../../servers/process.ts';
import { startRegtool } from '../../support/run-regtool.ts';
import { FULL, startSyntheticS3, type SyntheticS3 } from '../../support/synthetic-s3.ts';

/** What the design allows a process. */
const CEILING_MB = 200;
const GROWTH_MAX = 1.2;
const OBJECTS = Number(process.env['LOAD_OBJECTS'] ?? 1_000_000);
const FEWER = OBJECTS / 10;

/** Where the same registry is: a store, and a folder that is only made for those who read it. */
interface Place {
  store: SyntheticS3;
  folder: string;
}

const full = ({ store }: Place) => at(FULL, store.endpoint);
const copy = ({ store }: Place) => at(`${FULL}-copy`, store.endpoint);
const sink = ({ store }: Place) => at('sink', store.endpoint);
const folder = (place: Place) => place.folder;

const commands: [string, string, ((place: Place) => string)[]][] = [
  ['check of S3', 'check', [full]],
  ['check of a folder', 'check', [folder]],
  ['verify of S3 against S3', 'verify', [full, copy]],
  ['verify of a folder against S3', 'verify', [folder, full]],
  ['verify of S3 against a folder', 'verify', [full, folder]],
  ['migrate from S3 with nothing to do', 'migrate', [full, copy]],
  ['migrate from a folder with nothing to do', 'migrate', [folder, full]],
  ['migrate of everything from S3', 'migrate', [full, sink]],
];

describe('with a large registry', () => {
  const scratch = createTemporaryFolder('regtool-large');
  const places: Place[] = [];
  beforeAll(async () => {
    for (const objects of [FEWER, OBJECTS]) {
      const place = {
        store: await startSyntheticS3(objects),
        folder: path.join(scratch.path, String(objects)),
      };
      places.push(place);
      mkdirSync(place.folder);
      place.store.writeTo(place.folder);
    }
  }, 30 * 60_000);
  afterAll(async () => {
    await Promise.all(places.map(({ store }) => store.stop()));
    scratch.remove();
  }, 30 * 60_000);

  it.each(commands)(
    `%s takes no more than ${CEILING_MB} MB for ${OBJECTS} objects, and hardly more than for a tenth of them`,
    async (_, command, locations) => {
      const peaksMb: number[] = [];
      for (const place of places) {
        const before = place.store.puts();
        const { peakMb, exitCode, stdout } = await peakOf([command, ...locations.map((of) => of(place))]);
        expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout });
        peaksMb.push(peakMb);
        expect(place.store.puts() - before).toBe(locations.includes(sink) ? place.store.objects : 0);
      }
      const [fewMb = 0, manyMb = 0] = peaksMb;
      expect({ fewMb, manyMb, isBelow: manyMb <= CEILING_MB }).toEqual({ fewMb, manyMb, isBelow: true });
      expect({ fewMb, manyMb, isFlat: manyMb <= fewMb * GROWTH_MAX }).toEqual({
        fewMb,
        manyMb,
        isFlat: true,
      });
    },
  );
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
