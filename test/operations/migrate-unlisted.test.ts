import { expect, test } from 'vitest';
import { sampleRegistry } from '../../fixtures/sample-registry.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { type ReportRecord, silentObserver } from '../../src/operations/observer.ts';
import { brokenTags, pullableTags } from '../support/pullable.ts';
import { withHooks } from '../support/hooked-driver.ts';
import { deleteAnything, memoryOf, runMigrate } from '../support/migrating.ts';

const repositories = 'docker/registry/v2/repositories/';

/** A registry of which one folder, and all below it, may not be listed. */
function withSealed(folder: string) {
  const { registry } = sampleRegistry({ largeLayerBytes: 1000 });
  const source = withHooks(memoryOf(registry.objects), {
    before: ({ operation, key }) => {
      if ((operation === 'list' || operation === 'listFolder') && key.startsWith(folder)) {
        const details = { driver: 'memory', operation: 'list', key };
        throw new DriverError('PERMISSION_DENIED', `${key} may not be accessed by this user.`, details);
      }
    },
  });
  return { registry, source };
}

test.each([
  ['a namespace', 'shop/', 'shop/'],
  ['a repository', 'platform/tools/', 'platform/tools/'],
])('what is beside %s that cannot be listed is copied', async (_, sealed, named) => {
  const { registry, source } = withSealed(`${repositories}${sealed}`);
  const target = memoryOf(new Map());
  const { end, plan, tally } = await runMigrate(source, target);
  expect(end.kind).toBe('done');
  expect(plan.listingFailures.map(({ prefix }) => prefix)).toEqual([`${repositories}${named}`]);
  expect(tally.failures.map(({ key }) => key)).toEqual([`${repositories}${named}`]);
  const expected = registry.tags().filter(({ repository }) => !`${repository}/`.startsWith(sealed));
  const served = await pullableTags(target);
  expect(served.map(({ repository, tag }) => `${repository}:${tag}`).sort()).toEqual(
    expected.map(({ repository, tag }) => `${repository}:${tag}`).sort(),
  );
  expect(await brokenTags(target)).toEqual([]);
});

test('a part that cannot be listed is reported as a prefix, not as an object', async () => {
  const { source } = withSealed(`${repositories}shop/`);
  const records: ReportRecord[] = [];
  const observer = {
    ...silentObserver,
    async record(record: ReportRecord) {
      records.push(record);
    },
  };
  await runMigrate(source, memoryOf(new Map()), { observer });
  expect(records.filter(({ outcome }) => outcome === 'failed')).toEqual([
    {
      type: 'object',
      action: 'list',
      outcome: 'failed',
      kind: 'prefix',
      key: `${repositories}shop/`,
      reason: expect.stringContaining('may not be accessed'),
    },
  ]);
  expect(records.filter(({ kind }) => kind === 'foreign')).toEqual([]);
});

test.each([[`${repositories}shop/`], ['docker/registry/v2/blobs/sha256/']])(
  'nothing is deleted when %s cannot be listed',
  async (sealed) => {
    const { source, registry } = withSealed(sealed);
    const target = memoryOf(registry.objects);
    await expect(runMigrate(source, target, { delete: deleteAnything })).rejects.toMatchObject({
      code: 'LISTING_INCOMPLETE',
    });
    expect([...target.objects.keys()].sort()).toEqual([...registry.objects.keys()].sort());
  },
);

test('a target that refuses every write ends the run after a while', async () => {
  const { registry } = sampleRegistry({ largeLayerBytes: 1000 });
  for (let index = 0; index < 100; index += 1) {
    registry.blob('shop/api', Buffer.from(`blob ${index}`));
  }
  const target = withHooks(memoryOf(new Map()), {
    before: ({ operation, key }) => {
      if (operation === 'write') {
        const details = { driver: 'memory', operation, key };
        throw new DriverError('PERMISSION_DENIED', `${key} may not be written.`, details);
      }
    },
  });
  const { end, tally } = await runMigrate(memoryOf(registry.objects), target, { concurrency: 1 });
  expect(end).toMatchObject({ kind: 'stopped', error: { code: 'PERMISSION_DENIED' } });
  expect(tally.failed).toBe(50);
});

test('what only the target has is counted as kept, and not as deleted, without --delete', async () => {
  const { registry } = sampleRegistry({ largeLayerBytes: 1000 });
  const target = memoryOf(registry.objects);
  registry.deleteManifest('shop/web-admin', registry.revisions('shop/web-admin')[0] ?? '');
  const { plan, tally } = await runMigrate(memoryOf(registry.objects), target);
  expect(plan.keptAtTarget).toBeGreaterThan(0);
  expect(plan.deletions.size).toBe(0);
  expect(plan.repositoryTallies).toEqual([]);
  expect(tally.deleted).toEqual({});
});

test('a target that is full is one failure, also when what it has no room for was followed on the spot', async () => {
  const { source } = withSealed('docker/registry/v2/blobs/sha256/');
  const target = withHooks(memoryOf(new Map()), {
    before: ({ operation, key }) => {
      if (operation === 'write' && key.startsWith('docker/registry/v2/blobs/')) {
        throw new DriverError('STORE_FULL', 'No space is left.', { driver: 'memory', operation, key });
      }
    },
  });
  const { end, plan, tally } = await runMigrate(source, target, { concurrency: 1 });
  expect(end).toMatchObject({ kind: 'stopped', error: { code: 'STORE_FULL' } });
  const unlisted = plan.listingFailures.map(({ prefix }) => prefix);
  const failed = tally.failures.map(({ key }) => key).filter((key) => !unlisted.includes(key));
  expect(failed).toEqual([expect.stringMatching(/^docker\/registry\/v2\/blobs\/sha256\//)]);
  expect(tally.failed).toBe(1 + unlisted.length);
});
