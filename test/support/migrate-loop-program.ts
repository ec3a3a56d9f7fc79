// Migrates one registry, which changes all the time, again and again in one process, and prints what was left in use
// after some of the runs. Needs `--expose-gc`. `memory`, a folder, or a bucket with what its environment says.
import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { randomRegistry } from '../../fixtures/random-registry.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { openS3 } from '../../src/drivers/s3.ts';
import { withRetry } from '../../src/drivers/with-retry.ts';
import { deleteAnything, runMigrate } from './migrating.ts';

const [, , kind = '', place = '', runs = '0'] = process.argv;
const { registry, change, remove } = randomRegistry('loop', 30);
registry.push('keep', 'v1', registry.image());
const memory = openMemory();

/** Each run opens its stores and closes them, as a process would. */
async function openTarget(): Promise<Driver> {
  switch (kind) {
    case 'filesystem':
      return openFilesystem({ root: place });
    case 's3':
      return openS3({
        bucket: place,
        root: '',
        location: `s3://${place}`,
        endpoint: process.env['S3_ENDPOINT'] ?? '',
        region: 'us-east-1',
        accessKeyId: process.env['AWS_ACCESS_KEY_ID'] ?? '',
        secretAccessKey: process.env['AWS_SECRET_ACCESS_KEY'] ?? '',
      });
    default:
      return memory;
  }
}

async function inUse() {
  // Sockets and files that are being closed have a moment for it.
  await delay(300);
  globalThis.gc?.();
  globalThis.gc?.();
  return {
    heapBytes: process.memoryUsage().heapUsed,
    descriptors: readdirSync('/proc/self/fd').length,
    resources: process.getActiveResourcesInfo().filter((name) => !name.startsWith('Pipe')),
  };
}

const samples = [];
for (let run = 1; run <= Number(runs); run += 1) {
  const target = await openTarget();
  const source = openMemory({ objects: registry.objects });
  const result = await runMigrate(source, withRetry(target), { delete: deleteAnything });
  await source.close();
  if (result.end.kind !== 'done' || result.tally.failed > 0) {
    throw new Error(`Run ${run} ended as ${JSON.stringify(result.end)}: ${JSON.stringify(result.tally)}`);
  }
  if (kind !== 'memory') {
    await target.close();
  }
  // The registry stays as large as it is: what comes is balanced by what goes.
  change();
  remove();
  registry.garbageCollect();
  registry.changes.length = 0;
  if (run % 10 === 0) {
    samples.push(await inUse());
  }
}
process.stdout.write(JSON.stringify(samples));
