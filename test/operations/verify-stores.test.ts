import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { blobKey, currentKey, indexKey, layerKey, revisionKey } from '../../fixtures/keys.ts';
import { sampleRegistry } from '../../fixtures/sample-registry.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { silentObserver } from '../../src/operations/observer.ts';
import { verify, type VerifyOptions } from '../../src/operations/verify.ts';
import type { VerifyRecord } from '../../src/operations/verify/records.ts';
import { createBucket, createContainer, describeWithServers, type SharedServers } from '../servers/index.ts';
import { digestOf } from '../support/images.ts';
import { runMigrate } from '../support/migrating.ts';
import { openBucket, openContainer } from '../support/own-stores.ts';

const openRgw = async ({ rgw }: SharedServers): Promise<Driver> => {
  return openBucket(rgw, await createBucket(rgw), { root: 'some/root/' });
};

const openAzurite = async ({ azurite }: SharedServers): Promise<Driver> => {
  return openContainer(azurite, await createContainer(azurite));
};

describeWithServers('a filesystem and S3', ['rgw'], (servers) => {
  provesMigrations(() => openRgw(servers));
});

describeWithServers('a filesystem and Azure', ['azurite'], (servers) => {
  provesMigrations(() => openAzurite(servers));
});

function provesMigrations(openTarget: () => Promise<Driver>) {
  let root: string;
  let source: Driver;
  let target: Driver;
  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'regtool-verify-'));
    [source, target] = [await openFilesystem({ root }), await openTarget()];
  });
  afterEach(async () => {
    await Promise.all([source.close(), target.close()]);
    rmSync(root, { recursive: true });
  });

  async function differences(from: Driver, to: Driver, options: Partial<VerifyOptions> = {}) {
    const records: VerifyRecord[] = [];
    const { verdict, readData } = await verify(from, to, {
      readData: { subset: { percent: 100 }, seed: 0 },
      concurrency: 8,
      observer: {
        ...silentObserver,
        record: async (record) => {
          records.push(record);
        },
      },
      ...options,
    });
    const found = records.map((record) => [
      record.key,
      record.type === 'difference' ? record.problem : record.type,
    ]);
    return { verdict, found: Object.fromEntries(found) as Record<string, string>, records, readData };
  }

  test('are equal after a migration, and every damage to the target is named, and nothing else', async () => {
    const { registry, index, largeLayer, emptyBlob, untagged } = sampleRegistry({
      largeLayerBytes: 6_000_000,
    });
    await registry.writeTo(source);
    await runMigrate(source, target);
    const blobs = [...registry.objects.keys()].filter((key) => key.includes('/blobs/')).length;
    expect(await differences(source, target)).toMatchObject({
      verdict: 'verified',
      found: {},
      readData: { blobs },
    });
    expect(await differences(target, source)).toMatchObject({ verdict: 'verified', found: {} });

    const large = Uint8Array.from(registry.objects.get(blobKey(largeLayer.digest)) ?? []);
    large[3_000_000] = (large[3_000_000] ?? 0) ^ 1;
    const [moved, gone, link] = [
      currentKey('shop/web', '1.0'),
      indexKey(index.repository, index.tag, index.image.digest),
      revisionKey(untagged.repository, untagged.digest),
    ];
    const child = index.image.children[0]?.digest ?? '';
    const extra = Buffer.from('nobody pushed this');
    const write = (key: string, text: string | Uint8Array) =>
      target.write(key, typeof text === 'string' ? Buffer.from(text) : text);
    await Promise.all([
      write(blobKey(largeLayer.digest), large),
      write(blobKey(child), '{}'),
      write(moved, untagged.digest),
      write(link, index.image.digest),
      write(blobKey(digestOf(extra)), extra),
      target.delete([gone, blobKey(emptyBlob.digest)]),
    ]);
    const damaged = await differences(source, target);
    expect(damaged.verdict).toBe('different');
    expect(damaged.found).toEqual({
      [blobKey(largeLayer.digest)]: 'corrupt-at-target',
      [blobKey(child)]: 'corrupt-at-target',
      [moved]: 'content',
      [link]: 'content',
      [blobKey(digestOf(extra))]: 'extra',
      [gone]: 'missing',
      [blobKey(emptyBlob.digest)]: 'missing',
    });
    expect(damaged.records.find(({ key }) => key === moved)).toMatchObject({
      repository: 'shop/web',
      tag: '1.0',
      sourceDigest: registry.tags().find(({ tag }) => tag === '1.0')?.digest,
      targetDigest: untagged.digest,
    });
    // Without the bytes, only what a name, a size or a listing's MD5 tells is seen.
    const { found } = await differences(source, target, { readData: undefined });
    const { [blobKey(largeLayer.digest)]: _unseen, ...rest } = damaged.found;
    expect(found).toEqual({ ...rest, [blobKey(child)]: 'size' });
  });

  test('tell damage to the source from damage to the target', async () => {
    const { registry, emptyBlob, sha512Blob, largeLayer } = sampleRegistry({ largeLayerBytes: 1000 });
    await registry.writeTo(source);
    await runMigrate(source, target);
    const tag = currentKey('shop/web', '1.1');
    await source.write(blobKey(sha512Blob.digest), Buffer.from('cut'));
    await source.write(tag, Buffer.from(largeLayer.digest));
    await source.delete([layerKey(emptyBlob.repository, emptyBlob.digest)]);
    for (const store of [source, target]) {
      await store.write(blobKey(largeLayer.digest), Buffer.alloc(1000));
    }
    // As if all of this had been so for long: nothing is newer than the start.
    const { found } = await differences(source, target, { now: () => 4_102_444_800_000 });
    expect(found).toEqual({
      [blobKey(sha512Blob.digest)]: 'corrupt-at-source',
      [tag]: 'content',
      [layerKey(emptyBlob.repository, emptyBlob.digest)]: 'extra',
      [blobKey(largeLayer.digest)]: 'corrupt-at-both',
    });
  });

  test('are verified while the source takes a push, which is named', async () => {
    const { registry } = sampleRegistry({ largeLayerBytes: 1000 });
    await registry.writeTo(source);
    await runMigrate(source, target);
    const before = new Set(registry.objects.keys());
    const from = registry.changes.length;
    const moved = registry.push('shop/web', 'latest', registry.image());
    await registry.writeChangesTo(source, from);
    // The first look at the clock is the start, which lies well before the push, and the others well after it.
    const times = [Date.now() - 60_000];
    const now = () => times.shift() ?? Date.now() + 60_000;
    const { verdict, found } = await differences(source, target, { now });
    expect(verdict).toBe('verified');
    const added = [...registry.objects.keys()].filter((key) => !before.has(key));
    expect(added).toContain(revisionKey('shop/web', moved.digest));
    expect(found).toEqual(
      Object.fromEntries([...added, currentKey('shop/web', 'latest')].map((key) => [key, 'newer'])),
    );
  });
}
