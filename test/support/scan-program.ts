// Plans a migration of as many objects as the first argument says, and prints how many it saw.
// Its own process, so that a test can give it a small heap.
import { openMemory } from '../../src/drivers/memory.ts';
import { totalOf } from '../../src/operations/counts.ts';
import { disposePlan } from '../../src/operations/migrate/plan.ts';
import { scan } from '../../src/operations/migrate/scan.ts';
import { silentObserver } from '../../src/operations/observer.ts';
import { openSynthetic } from './synthetic-driver.ts';

const objects = Number(process.argv[2]);
const size = {
  repositories: Math.round(objects / 100),
  layersPerRepository: 60,
  blobsPerFolder: Math.round((objects * 0.37) / 256),
};
const source = openSynthetic(size);
const target =
  process.argv[3] === 'equal'
    ? { ...openSynthetic(size), identity: { service: 'another', container: '', root: '' } }
    : openMemory();
const plan = await scan(source, target, {
  concurrency: 32,
  includeForeign: false,
  deletes: true,
  signal: undefined,
  observer: silentObserver,
});
const counts = {
  source: plan.sourceObjects,
  copy: totalOf(plan.toCopy).objects,
  equal: totalOf(plan.equal).objects,
  notListed: plan.listingFailures.length,
};
await disposePlan(plan);
process.stdout.write(JSON.stringify(counts));
