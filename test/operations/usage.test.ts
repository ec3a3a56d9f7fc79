import { describe, expect, test } from 'vitest';
import { blobKey, layerKey, parseCurrentKey, parseRevisionKey, revisionKey } from '../../fixtures/keys.ts';
import { randomRegistry } from '../../fixtures/random-registry.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { silentObserver } from '../../src/operations/observer.ts';
import { type RepositoryUsage, usage, type UsageOptions } from '../../src/operations/usage.ts';
import { withHooks } from '../support/hooked-driver.ts';
import { memoryOf } from '../support/migrating.ts';

type Objects = ReadonlyMap<string, Uint8Array>;

function count(driver: Driver, options: Partial<UsageOptions> = {}) {
  return usage(driver, { concurrency: 4, observer: silentObserver, ...options });
}

const byName = (left: RepositoryUsage, right: RepositoryUsage): number =>
  left.repository < right.repository ? -1 : 1;

/** Which blobs each repository's links lead to, by what the link files say, and where: nothing of the product is used. */
function linksIn(objects: Objects): { repository: string; blob: string }[] {
  return [...objects].flatMap(([key, content]) => {
    const [, repository] = /repositories\/(.+?)\/_(?:layers|manifests\/revisions)\/.*\/link$/.exec(key) ?? [];
    return repository === undefined ? [] : [{ repository, blob: blobKey(Buffer.from(content).toString()) }];
  });
}

/** The same numbers, by going through everything once for each repository. */
function naiveUsage(objects: Objects): RepositoryUsage[] {
  const links = linksIn(objects);
  const keys = [...objects.keys()];
  const sizeOf = (keysOfBlobs: Iterable<string>) =>
    [...new Set(keysOfBlobs)].reduce((sum, key) => sum + (objects.get(key)?.length ?? 0), 0);
  const names = keys.flatMap((key) => /repositories\/(.+?)\/_/.exec(key)?.[1] ?? []);
  return [...new Set(names)].map((repository) => {
    const folder = `docker/registry/v2/repositories/${repository}/_`;
    const own = keys.filter((key) => key.startsWith(folder));
    const uploads = own.filter((key) => key.startsWith(`${folder}uploads/`));
    const linked = links.filter((link) => link.repository === repository).map(({ blob }) => blob);
    const elsewhere = new Set(links.filter((link) => link.repository !== repository).map(({ blob }) => blob));
    return {
      repository,
      tags: own.filter((key) => parseCurrentKey(key) !== undefined).length,
      manifests: own.filter((key) => parseRevisionKey(key) !== undefined).length,
      layers: own.filter((key) => key.startsWith(`${folder}layers/sha256/`)).length,
      linkedBytes: sizeOf(linked),
      onlyHereBytes: sizeOf(linked.filter((blob) => !elsewhere.has(blob))),
      dangling: linked.filter((blob) => !objects.has(blob)).length,
      uploads: { objects: uploads.length, bytes: sizeOf(uploads) },
    };
  });
}

describe('usage', () => {
  test.each(Array.from({ length: 25 }, (_, seed) => seed))(
    'counts for each repository what going through everything counts: random registry %i',
    async (seed) => {
      const { objects } = randomRegistry(`usage ${seed}`, 60).registry;
      const result = await count(memoryOf(objects));
      expect(result.repositories.toSorted(byName)).toEqual(naiveUsage(objects).toSorted(byName));

      const blobs = new Map([...objects].filter(([key]) => key.startsWith('docker/registry/v2/blobs/')));
      const links = linksIn(objects);
      const holders = (key: string) =>
        new Set(links.filter(({ blob }) => blob === key).map(({ repository }) => repository)).size;
      for (const [name, is] of [
        ['unlinked', (held: number) => held === 0],
        ['linkedOnce', (held: number) => held === 1],
        ['shared', (held: number) => held > 1],
      ] as const) {
        const chosen = [...blobs].filter(([key]) => is(holders(key)));
        const bytes = chosen.reduce((sum, [, content]) => sum + content.length, 0);
        expect(result.blobs[name]).toEqual({ blobs: chosen.length, bytes });
      }
      expect(result.counts['blob-data']?.objects).toBe(blobs.size);
      expect(result.unread).toEqual([]);
    },
  );

  test('counts a blob that is linked as a manifest and as a layer once', async () => {
    const registry = new RegistryBuilder();
    const image = registry.push('shop', 'v1', registry.image());
    registry.objects.set(layerKey('shop', image.digest), Buffer.from(image.digest));
    const blobBytes = [...registry.objects]
      .filter(([key]) => key.startsWith('docker/registry/v2/blobs/'))
      .reduce((sum, [, content]) => sum + content.length, 0);
    const { repositories } = await count(memoryOf(registry.objects));
    expect(repositories).toMatchObject([{ linkedBytes: blobBytes, onlyHereBytes: blobBytes }]);
  });

  test('counts what is not read as not there, and says what it is', async () => {
    const registry = new RegistryBuilder();
    for (const repository of ['a/one', 'b/two']) {
      registry.push(repository, 'v1', registry.image());
    }
    const store = withHooks(memoryOf(registry.objects), {
      before: ({ operation, key }) => {
        if (operation === 'list' && key.startsWith('docker/registry/v2/repositories/a/')) {
          throw new DriverError('PERMISSION_DENIED', 'may not be listed', {
            driver: 'memory',
            operation: 'list',
            key,
          });
        }
      },
    });
    const result = await count(store);
    expect(result.repositories.map(({ repository }) => repository)).toEqual(['b/two']);
    expect(result.unread).toEqual([
      { key: 'docker/registry/v2/repositories/a/one/', message: 'may not be listed' },
    ]);
  });

  test.each(['UNAVAILABLE', 'ABORTED', 'STORE_NOT_FOUND'] as const)(
    'ends at once when the store answers %s',
    async (code) => {
      const registry = new RegistryBuilder();
      registry.push('a', 'v1', registry.image());
      const store = withHooks(memoryOf(registry.objects), {
        before: ({ operation, key }) => {
          if (operation === 'list') {
            throw new DriverError(code, 'no answer', { driver: 'memory', operation: 'list', key });
          }
        },
      });
      await expect(count(store)).rejects.toMatchObject({ code });
    },
  );

  test('names an alias that cannot be read, and takes one that is gone for gone', async () => {
    const registry = new RegistryBuilder();
    const { sha512 } = registry.sha512Alias('a', Buffer.from('content'));
    const failing = (code: 'PERMISSION_DENIED' | 'NOT_FOUND') =>
      withHooks(memoryOf(registry.objects), {
        before: ({ operation, key }) => {
          if (operation === 'readSmall') {
            throw new DriverError(code, 'no', { driver: 'memory', operation: 'read', key });
          }
        },
      });
    const refused = await count(failing('PERMISSION_DENIED'));
    expect(refused.unread).toEqual([{ key: layerKey('a', sha512), message: 'no' }]);
    const gone = await count(failing('NOT_FOUND'));
    expect(gone.unread).toEqual([]);
    expect(gone.repositories).toMatchObject([{ layers: 1, linkedBytes: 7, dangling: 0 }]);
  });

  test("says that GitLab's database has the links", async () => {
    const registry = new RegistryBuilder();
    registry.lockfile('database-in-use');
    registry.blob('a', Buffer.from('content'));
    expect(await count(memoryOf(registry.objects))).toMatchObject({ isInDatabase: true });
  });

  test('says when there are more blobs than it keeps track of', async () => {
    const registry = new RegistryBuilder();
    registry.push('a', 'v1', registry.image({ layers: 3 }));
    const { tooManyBlobs, counts } = await count(memoryOf(registry.objects), { knownBlobsMax: 2 });
    expect(tooManyBlobs).toBe(true);
    expect(counts['blob-data']?.objects).toBe(5);
  });

  test('empties each page before it asks for the next one', async () => {
    const memory = memoryOf(randomRegistry('pages', 60).registry.objects);
    const left: number[] = [];
    await count({
      ...memory,
      async *list(prefix, options) {
        for await (const page of memory.list(prefix, options)) {
          yield page;
          left.push(page.length);
        }
      },
    });
    expect(left.length).toBeGreaterThan(1);
    expect(left.filter((length) => length > 0)).toEqual([]);
  });

  test('refuses what is no registry', async () => {
    await expect(count(openMemory())).rejects.toMatchObject({ code: 'NOT_A_REGISTRY' });
  });

  test('writes nothing', async () => {
    const registry = new RegistryBuilder();
    const image = registry.push('a', 'v1', registry.image());
    registry.objects.delete(revisionKey('a', image.digest));
    const operations = new Set<string>();
    await count(
      withHooks(memoryOf(registry.objects), { before: ({ operation }) => void operations.add(operation) }),
    );
    expect([...operations].toSorted()).toEqual(['list', 'listFolder', 'stat']);
  });
});
