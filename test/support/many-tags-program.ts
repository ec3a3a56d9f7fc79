import { migrate } from '../../src/operations/migrate.ts';
import { disposePlan } from '../../src/operations/migrate/plan.ts';
import { silentObserver } from '../../src/operations/observer.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import type { Driver, ObjectStat } from '../../src/drivers/driver.ts';
import { currentKey, revisionKey } from '../../fixtures/keys.ts';
import { digestOf } from './images.ts';

// Run with a number of tags: plans the migration of one repository that has so many, in the heap that node was given.

const PAGE = 1000;
const count = Number(process.argv[2]);
const manifest = Buffer.from('{"schemaVersion":2}');
const digest = digestOf(manifest);
const few = openMemory({
  objects: [
    [revisionKey('a', digest), digest],
    [`docker/registry/v2/blobs/sha256/${digest.slice(7, 9)}/${digest.slice(7)}/data`, manifest],
  ],
});

function* tags(): Generator<ObjectStat> {
  for (let index = 0; index < count; index += 1) {
    yield { key: currentKey('a', `t${String(index).padStart(9, '0')}`), sizeBytes: 71 };
  }
}

const source: Driver = {
  ...few,
  async *list(prefix, options) {
    yield* few.list(prefix, options);
    if (prefix.includes('/blobs/')) {
      return;
    }
    let page: ObjectStat[] = [];
    for (const tag of tags()) {
      page.push(tag);
      if (page.length === PAGE) {
        yield page;
        page = [];
      }
    }
    if (page.length > 0) {
      yield page;
    }
  },
};

const { plan } = await migrate(source, openMemory(), {
  dryRun: true,
  delete: undefined,
  includeForeign: false,
  includeIncomplete: false,
  concurrency: 8,
  observer: silentObserver,
  approve: async () => false,
});
process.stdout.write(JSON.stringify({ tags: plan.toCopy['tag-current']?.objects }));
await disposePlan(plan);
