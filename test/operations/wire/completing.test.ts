import { expect, test, vi } from 'vitest';
import { blobKey, currentKey } from '../../../fixtures/keys.ts';
import { RegistryBuilder } from '../../../fixtures/registry-builder.ts';
import { writeObjects } from '../../../fixtures/write-objects.ts';
import { exitCodeOf } from '../../../src/cli/migrate-exit-code.ts';
import { openMemory } from '../../../src/drivers/memory.ts';
import { contentOfDriver, uploadsOf } from '../../crash/crashing.ts';
import { describeWithServers } from '../../servers/index.ts';
import type { Fault, ProxiedRequest } from '../../support/faulting-proxy.ts';
import { deleteAnything, runMigrate } from '../../support/migrating.ts';
import { brokenTags } from '../../support/pullable.ts';
import { azureKind, PART_BYTES, s3Kind, type WireKind } from '../../support/wire-stores.ts';

vi.setConfig({ testTimeout: 120_000 });

/** The last request of a large object: its parts become it, or the store copies it. */
type Last = 'complete' | 'copy';

const isLast: Record<Last, (request: ProxiedRequest) => boolean> = {
  complete: ({ method, url }) =>
    (method === 'POST' && url.includes('uploadId=')) || (method === 'PUT' && url.includes('comp=blocklist')),
  copy: ({ method, headers }) =>
    method === 'PUT' && ('x-amz-copy-source' in headers || 'x-ms-copy-source' in headers),
};

/** A success by its status, and an error by what it says. */
function refusesWithSuccess({ refusal, codes, name }: WireKind): Fault {
  return refusal(name === 'S3' ? 200 : 201, codes.internal);
}

/** The same after the store has done it all the same. */
function doesAndRefuses(kind: WireKind): Fault {
  const refusal = refusesWithSuccess(kind);
  const body = Buffer.from(refusal.kind === 'answer' ? (refusal.body ?? '') : '');
  return { kind: 'rewrite', answer: () => ({ body, headers: { 'content-type': 'application/xml' } }) };
}

const wrongETag: Fault = {
  kind: 'rewrite',
  answer: () => ({ headers: { etag: `"${'0'.repeat(32)}"` } }),
};

/** Between the two, an image with a large layer is pushed, and another repository deleted. */
function stages() {
  const registry = new RegistryBuilder({ seed: 'completing' });
  registry.push('kept', 'v1', registry.image({ layers: 1 }));
  const old = registry.push('old', 'v1', registry.image({ layers: 1 }));
  const before = new Map(registry.objects);
  registry.deleteManifest('old', old.digest);
  registry.garbageCollect();
  const image = registry.push('app', 'v1', registry.image({ layers: 1, layerBytes: PART_BYTES + 1000 }));
  const layer = blobKey(image.layers[0]?.digest ?? '');
  return { before, after: new Map(registry.objects), layer, tag: currentKey('app', 'v1') };
}

for (const kind of [s3Kind, azureKind]) {
  describeWithServers(
    `migrate --delete of a large layer to ${kind.name}`,
    [kind.name === 'S3' ? 'rgw' : 'azurite'],
    (servers) => {
      const { before, after, layer, tag } = stages();
      /** Where the layer comes from: elsewhere, or the same service, which copies it by itself. */
      const rows: [string, Last, (request: ProxiedRequest) => boolean, Fault][] = [
        ['an error behind a success', 'complete', isLast.complete, refusesWithSuccess(kind)],
        ['an error behind a success that it was', 'complete', isLast.complete, doesAndRefuses(kind)],
        ['an error behind a success', 'copy', isLast.copy, refusesWithSuccess(kind)],
        ['an error behind a success that it was', 'copy', isLast.copy, doesAndRefuses(kind)],
        [
          'the ETag of another version at the source',
          'copy',
          ({ method, url }) => method === 'HEAD' && url.includes(layer),
          wrongETag,
        ],
        ...(kind.name === 'S3'
          ? ([
              [
                'the ETag of another part',
                'complete',
                ({ method, url }) => method === 'PUT' && url.includes('partNumber='),
                wrongETag,
              ],
            ] satisfies [string, Last, (request: ProxiedRequest) => boolean, Fault][])
          : []),
      ];
      test.each(rows)('%s (%s): the layer is named, nothing depends on it', async (_, last, meets, fault) => {
        const target = await kind.open(servers, 2);
        const beside = await kind.open(servers, 2, target.proxy);
        await writeObjects(target.direct, before);
        await writeObjects(beside.direct, after);
        const source = last === 'copy' ? beside.driver : openMemory({ objects: after });
        const migrateOnce = () => runMigrate(source, target.driver, { delete: deleteAnything });

        target.proxy.faultWith((request) => (meets(request) ? fault : undefined));
        const failed = await migrateOnce();
        expect(target.proxy.seen.filter(({ faulted }) => faulted).length).toBeGreaterThan(0);
        expect(target.proxy.seen.some(({ request }) => isLast[last](request))).toBe(true);
        const held = await contentOfDriver(target.direct);
        expect({
          exitCode: exitCodeOf(failed),
          named: failed.tally.failures.map(({ key }) => key).filter((key) => key === layer),
          published: held.has(tag),
          deleted: [...before.keys()].filter((key) => !held.has(key)),
          broken: await brokenTags(target.direct),
          uploads: await uploadsOf(target.direct),
        }).toEqual({ exitCode: 4, named: [layer], published: false, deleted: [], broken: [], uploads: [] });

        target.proxy.faultWith(() => undefined);
        expect(exitCodeOf(await migrateOnce())).toBe(0);
        expect(await contentOfDriver(target.direct)).toEqual(
          await contentOfDriver(openMemory({ objects: after })),
        );
        expect(await brokenTags(target.direct)).toEqual([]);
        expect(await uploadsOf(target.direct)).toEqual([]);
        await beside.close();
        await target.close();
      });
    },
  );
}
