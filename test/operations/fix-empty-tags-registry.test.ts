import { beforeAll, describe, expect, it } from 'vitest';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { fixEmptyTags, type MarkerRecord } from '../../src/operations/fix-empty-tags.ts';
import { createBucket, describeWithServers } from '../servers/index.ts';
import { startDockerRegistry } from '../servers/docker-registry.ts';
import { openBucket } from '../support/own-stores.ts';
import { canPull } from '../support/seed.ts';

const repositories = 'docker/registry/v2/repositories/';

/** One image in each of three repositories, and in each of them markers of another kind. */
function buildRegistry(): RegistryBuilder {
  const registry = new RegistryBuilder({ seed: 'real markers' });
  for (const repository of ['empty/tag', 'ghost/tag', 'purger/only', 'harmless/ones']) {
    registry.push(repository, 'v1', registry.image());
  }
  registry.marker(`${repositories}empty/tag/_manifests/tags/`);
  registry.marker(`${repositories}ghost/tag/_manifests/tags/gone/`);
  registry.marker(repositories);
  registry.marker(`${repositories}purger/`);
  registry.marker(`${repositories}purger/only/`);
  registry.marker(`${repositories}purger/only/_uploads/`);
  registry.marker('docker/registry/v2/blobs/');
  for (const folder of ['_layers/', '_manifests/', '_manifests/revisions/', '_manifests/tags/v1/']) {
    registry.marker(`${repositories}harmless/ones/${folder}`);
  }
  return registry;
}

async function listTags(address: string, repository: string): Promise<unknown> {
  const response = await fetch(`http://${address}/v2/${repository}/tags/list`);
  return ((await response.json()) as { tags?: unknown }).tags;
}

/**
 * Whether the purger of 2.8 comes by a key whose last component is empty, where it looks at the first letter of that
 * component (distribution `purgeuploads.go`, `getOutstandingUploads`). It walks `repositories` and enters no folder
 * that begins with `_`, except `_uploads`.
 */
function purgerPanics(keys: readonly string[]): boolean {
  return keys
    .filter((key) => key.startsWith(repositories) && key.endsWith('/'))
    .some((key) => {
      const folders = key.slice(repositories.length).split('/');
      return folders.every((folder) => !folder.startsWith('_') || folder === '_uploads');
    });
}

async function keysIn(driver: Driver): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of driver.list('')) {
    keys.push(...page.map(({ key }) => key));
  }
  return keys;
}

describeWithServers(
  'fixEmptyTags under a real registry on S3',
  ['rgw', 'docker-registry', 'skopeo'],
  (servers) => {
    let driver: Driver;
    let storage: Parameters<typeof startDockerRegistry>[0]['storage'];

    beforeAll(async () => {
      const { rgw } = servers;
      const bucket = await createBucket(rgw);
      driver = await openBucket(rgw, bucket);
      storage = {
        s3: {
          bucket,
          region: rgw.region,
          regionendpoint: rgw.endpoint,
          accesskey: rgw.accessKey,
          secretkey: rgw.secretKey,
        },
      };
      await buildRegistry().writeTo(driver);
    });

    it('takes away the empty tag and the ghost tag, and every image is pulled before and after', async () => {
      const registry = await startDockerRegistry({ storage });
      try {
        expect(await listTags(registry.address, 'empty/tag')).toEqual(['', 'v1']);
        expect(await listTags(registry.address, 'ghost/tag')).toEqual(['gone', 'v1']);
        expect(await canPull(registry.address, 'ghost/tag', 'gone')).toMatchObject({ ok: false });
        expect(await listTags(registry.address, 'purger/only')).toEqual(['v1']);
        expect(await listTags(registry.address, 'harmless/ones')).toEqual(['v1']);
        expect(purgerPanics(await keysIn(driver))).toBe(true);
        await expectPulls(registry.address);

        const records = await fix(driver, false);
        expect(classesByKey(records)).toEqual({
          'docker/registry/v2/blobs/': 'marker-harmless',
          [repositories]: 'marker-purger-panic',
          [`${repositories}empty/tag/_manifests/tags/`]: 'marker-empty-tag',
          [`${repositories}ghost/tag/_manifests/tags/gone/`]: 'marker-ghost-tag',
          [`${repositories}harmless/ones/_layers/`]: 'marker-harmless',
          [`${repositories}harmless/ones/_manifests/`]: 'marker-harmless',
          [`${repositories}harmless/ones/_manifests/revisions/`]: 'marker-harmless',
          [`${repositories}harmless/ones/_manifests/tags/v1/`]: 'marker-harmless',
          [`${repositories}purger/`]: 'marker-purger-panic',
          [`${repositories}purger/only/`]: 'marker-purger-panic',
          [`${repositories}purger/only/_uploads/`]: 'marker-purger-panic',
        });
        for (const repository of ['empty/tag', 'ghost/tag', 'purger/only', 'harmless/ones']) {
          expect(await listTags(registry.address, repository)).toEqual(['v1']);
        }
        expect(purgerPanics(await keysIn(driver))).toBe(false);
        await expectPulls(registry.address);

        await fix(driver, true);
        const before = buildRegistry().objects;
        expect(await keysIn(driver)).toEqual([...before.keys()].filter((key) => !key.endsWith('/')).sort());
        expect(await fix(driver, true)).toEqual([]);
        await expectPulls(registry.address);
      } finally {
        await registry.stop();
      }
    });
  },
);

async function expectPulls(address: string): Promise<void> {
  for (const repository of ['empty/tag', 'ghost/tag', 'purger/only', 'harmless/ones']) {
    expect(await canPull(address, repository, 'v1')).toEqual({ ok: true });
  }
}

async function fix(driver: Driver, allMarkers: boolean): Promise<MarkerRecord[]> {
  const records: MarkerRecord[] = [];
  await fixEmptyTags(driver, {
    dryRun: false,
    allMarkers,
    concurrency: 8,
    observer: {
      phase() {},
      progress() {},
      notice() {},
      record: async (record) => {
        records.push(record);
      },
    },
    approve: async () => true,
  });
  return records;
}

function classesByKey(records: readonly MarkerRecord[]): Record<string, string> {
  return Object.fromEntries(records.map(({ key, code }) => [key, code]));
}

describe('the condition of the purger', () => {
  it('holds for the places where 2.8.3 was seen to panic, and for no others', () => {
    const panics = ['', 'group/', 'group/app/', 'group/app/_uploads/', 'group/app/_uploads/some-id/'];
    const fine = ['group/app/_manifests/', 'group/app/_manifests/tags/v1/', 'group/app/_layers/sha256/'];
    expect(panics.filter((folder) => purgerPanics([repositories + folder]))).toEqual(panics);
    expect(fine.filter((folder) => purgerPanics([repositories + folder]))).toEqual([]);
  });
});
