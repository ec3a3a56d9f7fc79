// Migrates, or verifies, one repository with as many tags as the second argument says, and prints what came of it. Its
// own process, so that a test can give it a small heap. Of what is written only a count is kept.
import { currentKey, indexKey } from '../../fixtures/keys.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import type { Driver, ObjectStat } from '../../src/drivers/driver.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { silentObserver } from '../../src/operations/observer.ts';
import { verify } from '../../src/operations/verify.ts';
import { runMigrate } from './migrating.ts';

const PAGE = 1000;
const [, , command = '', tags = '0'] = process.argv;
const count = Number(tags);

const registry = new RegistryBuilder({ seed: 'tags' });
const image = registry.push('app', 'z', registry.image({ layers: 1, layerBytes: 10 }));
const link = Buffer.from(image.digest);
const TAG = /\/_manifests\/tags\/t\d/;

function* madeUp(): Generator<ObjectStat> {
  for (let index = 0; index < count; index += 1) {
    const tag = `t${String(index).padStart(9, '0')}`;
    yield { key: currentKey('app', tag), sizeBytes: link.length };
    yield { key: indexKey('app', tag, image.digest), sizeBytes: link.length };
  }
}

/** A registry of one image and many tags, which come before the one that it really has. */
function openMany(): Driver {
  const few = openMemory({ objects: registry.objects });
  const firstTag = currentKey('app', 'z');
  return {
    ...few,
    async *list(prefix, options) {
      let page: ObjectStat[] = [];
      for await (const objects of few.list(prefix, options)) {
        for (const object of objects) {
          for (const tag of object.key === firstTag ? madeUp() : []) {
            page.push(tag);
            if (page.length >= PAGE) {
              yield page;
              page = [];
            }
          }
          page.push(object);
        }
      }
      yield page;
    },
    stat: async (key, options) => (TAG.test(key) ? { key, sizeBytes: link.length } : few.stat(key, options)),
    readSmall: async (key, maxBytes, options) =>
      TAG.test(key) ? link : few.readSmall(key, maxBytes, options),
  };
}

if (command === 'verify') {
  const { verdict } = await verify(openMany(), openMany(), {
    readData: undefined,
    concurrency: 32,
    observer: silentObserver,
  });
  print({ verdict });
} else {
  const target = openMemory();
  let written = 0;
  const { end, tally } = await runMigrate(
    openMany(),
    {
      ...target,
      write: async (key, body, options) => {
        written += TAG.test(key) ? 1 : 0;
        await (TAG.test(key) ? undefined : target.write(key, body, options));
      },
    },
    { concurrency: 32, observer: silentObserver },
  );
  print({ end: end.kind, failed: tally.failed, written });
}

function print(outcome: object): void {
  const memoryMegabytes = Math.round(process.resourceUsage().maxRSS / 1024);
  process.stdout.write(JSON.stringify({ ...outcome, memoryMegabytes }));
}
