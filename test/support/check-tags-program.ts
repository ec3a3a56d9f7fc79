// Checks one repository with as many tags as the first argument says, and prints what it found and the memory that it
// took, in MB. Its own process, so that a test can give it a small heap. The second argument is how its store tells
// what links say: `content`, as a folder's listing does, or `md5`, as a bucket's does.
import { hash } from 'node:crypto';
import { currentKey, indexKey } from '../../fixtures/keys.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import type { Driver, ObjectStat } from '../../src/drivers/driver.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { check } from '../../src/operations/check.ts';
import { silentObserver } from '../../src/operations/observer.ts';

const PAGE = 1000;
const IMAGES = 100;
const count = Number(process.argv[2]);
const telling = process.argv[3] === 'md5' ? 'md5' : 'content';

const registry = new RegistryBuilder({ seed: 'tags' });
const images = Array.from({ length: IMAGES }, (_, index) =>
  registry.push('app', `z${index}`, registry.image({ layers: 1, layerBytes: 10 })),
);
const few = openMemory({ objects: registry.objects });
const told = images.map(({ digest }) =>
  telling === 'md5' ? { md5: hash('md5', digest, 'hex') } : { content: digest },
);

/** Names are as long as those of a build pipeline. They come before `z0`, and the last of them is cut off. */
function* tags(): Generator<ObjectStat> {
  for (let index = 0; index < count; index += 1) {
    const tag = `build-${String(index).padStart(9, '0')}-main`;
    const image = images[index % IMAGES];
    if (image !== undefined) {
      const link = { sizeBytes: image.digest.length, ...told[index % IMAGES] };
      if (index < count - 1) {
        yield { key: currentKey('app', tag), ...link };
      }
      yield { key: indexKey('app', tag, image.digest), ...link };
    }
  }
}

const firstTag = currentKey('app', 'z0');
const store: Driver = {
  ...few,
  async *list(prefix, options) {
    let page: ObjectStat[] = [];
    for await (const objects of few.list(prefix, options)) {
      for (const object of objects) {
        if (object.key === firstTag) {
          for (const tag of tags()) {
            page.push(tag);
            if (page.length >= PAGE) {
              yield page;
              page = [];
            }
          }
        }
        page.push(object);
      }
    }
    if (page.length > 0) {
      yield page;
    }
  },
};

const ignore = async (): Promise<void> => {};
const { tags: counts, findings } = await check(store, {
  concurrency: 8,
  nowMs: 0,
  observer: { ...silentObserver, finding: ignore, brokenTag: ignore, unread: ignore },
});
const memoryMegabytes = Math.round(process.resourceUsage().maxRSS / 1024);
const errors = findings.filter(({ severity }) => severity === 'error').map(({ code }) => code);
process.stdout.write(JSON.stringify({ counts, errors, memoryMegabytes }));
