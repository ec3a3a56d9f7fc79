import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Random, randomRegistry } from '../../fixtures/random-registry.ts';
import type { Driver, PendingUpload } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { type MemoryDriver, openMemory } from '../../src/drivers/memory.ts';
import { isMutation, withHooks } from '../support/hooked-driver.ts';
import { pullableTags } from '../support/pullable.ts';
import {
  blobKey,
  currentKey,
  flipped,
  healthyRegistry,
  type Healthy,
  indexKey,
  layerKey,
  pushRaw,
  revisionKey,
  set,
  SHOP,
} from './check/fixtures.ts';
import { NOW_MS, notPullable, observe, wholeData } from './check/observe.ts';
import { asUndone, type RepairSettings, runRepair, runUndo, UndoList } from './repair/repairing.ts';

const HOUR_MS = 3_600_000;

function damaged(damage: (healthy: Healthy) => void) {
  const healthy = healthyRegistry();
  const intact = openMemory({ objects: healthy.registry.objects });
  damage(healthy);
  return { ...healthy, intact, store: openMemory({ objects: healthy.registry.objects }) };
}

const contentOf = ({ objects }: MemoryDriver) =>
  new Map([...objects].map(([key, bytes]) => [key, Buffer.from(bytes).toString('base64')]));

/** What is left, and why; the store is as it was. */
async function expectLeft(
  store: MemoryDriver,
  code: string,
  reason: RegExp | string,
  settings: RepairSettings = {},
): Promise<void> {
  const before = contentOf(store);
  const { plan, steps } = await runRepair(store, settings);
  expect(plan.left.filter((left) => left.code === code).map((left) => left.reason)).toEqual([
    expect.stringMatching(reason),
  ]);
  expect(steps).toEqual([]);
  expect(contentOf(store)).toEqual(before);
}

describe('repair without a right answer', () => {
  it.each([
    ['layer', 'layer-blob-missing'],
    ['config', 'config-blob-missing'],
    ['image', 'manifest-blob-missing'],
  ] as const)('leaves a missing %s, and says what helps', async (part, code) => {
    const { store } = damaged((healthy) => healthy.registry.objects.delete(blobKey(healthy[part].digest)));
    await expectLeft(store, code, /--from another store that has it, or push the image again/);
  });

  it('leaves an empty link whose blob is corrupt, whatever its path says', async () => {
    const { store } = damaged(({ registry, layer }) => {
      set(registry, layerKey('shop', layer.digest), '');
      set(registry, blobKey(layer.digest), flipped(layer.bytes));
    });
    await expectLeft(store, 'layer-link-empty', /its bytes do not have its digest/);
  });

  it('leaves an empty revision link whose manifest is missing', async () => {
    const { store } = damaged(({ registry, image }) => {
      set(registry, revisionKey('shop', image.digest), '');
      registry.objects.delete(blobKey(image.digest));
    });
    await expectLeft(store, 'revision-link-empty', /the blob that it is of is not in the store/);
  });

  it('makes no revision link for what is no manifest', async () => {
    const { store } = damaged(({ registry }) => {
      const digest = pushRaw(registry, 'shop', 'v2', Buffer.from('not a manifest'));
      registry.objects.delete(revisionKey('shop', digest));
    });
    await expectLeft(store, 'tag-revision-missing', 'the blob of that digest is no manifest');
  });

  it('leaves a tag whose index has two manifests, even with --tags', async () => {
    const { store } = damaged(({ registry }) => {
      registry.push('shop', 'v1', registry.image());
      set(registry, currentKey('shop', 'v1'), '');
    });
    await expectLeft(store, 'tag-link-empty', /has 2 entries with a manifest that is there/, {
      choices: { tags: true },
    });
  });

  it('leaves a tag whose only manifest is gone, even with --tags', async () => {
    const { store } = damaged(({ registry, image }) => {
      registry.objects.delete(revisionKey('shop', image.digest));
      set(registry, currentKey('shop', 'v1'), '');
    });
    await expectLeft(store, 'tag-link-empty', /has no entry with a manifest that is there/, {
      choices: { tags: true },
    });
  });

  it('leaves a tag whose link holds the rest of something else than its index', async () => {
    const { store } = damaged(({ registry }) =>
      set(registry, currentKey('shop', 'v1'), `sha256:${'0'.repeat(30)}`),
    );
    await expectLeft(store, 'tag-link-invalid', /its link holds something else/, { choices: { tags: true } });
  });

  it('proposes the only manifest that a tag can stand for, and leaves it to be asked for', async () => {
    const { store, image } = damaged(({ registry }) => set(registry, currentKey('shop', 'v1'), ''));
    await expectLeft(store, 'tag-link-empty', `it can stand only for ${image.digest}: --tags makes it so`);
  });

  it('does not take a tag from a store that has not seen all that it stood for', async () => {
    const { store, intact } = damaged(({ registry }) => {
      registry.push('shop', 'v1', registry.image());
      set(registry, currentKey('shop', 'v1'), '');
    });
    await expectLeft(store, 'tag-link-empty', /the other store is older/, { other: intact });
  });

  it('leaves a corrupt blob unless asked, and names the way', async () => {
    const { store } = damaged(({ registry, layer }) =>
      set(registry, blobKey(layer.digest), flipped(layer.bytes)),
    );
    await expectLeft(
      store,
      'blob-corrupt',
      /--quarantine moves it aside, so that a push can heal it; --from/,
    );
  });

  it('leaves what the other store does not have or has corrupt, too', async () => {
    const { store, intact, layer } = damaged(({ registry, layer }) =>
      registry.objects.delete(blobKey(layer.digest)),
    );
    intact.objects.set(blobKey(layer.digest), flipped(layer.bytes));
    await expectLeft(store, 'layer-blob-missing', /the other store has it corrupt, too/, { other: intact });
    intact.objects.delete(blobKey(layer.digest));
    await expectLeft(store, 'layer-blob-missing', /the other store does not have it either/, {
      other: intact,
    });
  });

  it('leaves a blob whose bytes are right and whose manifest gives another size', async () => {
    const { store } = damaged(({ registry }) => {
      const digest = registry.blob('shop', Buffer.from('{}'));
      const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: 99 };
      const mediaType = 'application/vnd.oci.image.manifest.v1+json';
      pushRaw(registry, 'shop', 'v2', { schemaVersion: 2, mediaType, config, layers: [] });
    });
    await expectLeft(store, 'blob-size-wrong', /its bytes have its digest, so that what names it is wrong/, {
      choices: { quarantine: true },
    });
  });

  it("leaves links that GitLab's database has taken the place of", async () => {
    const { store } = damaged(({ registry, layer }) => {
      registry.lockfile('database-in-use');
      set(registry, layerKey('shop', layer.digest), '');
    });
    await expectLeft(store, 'layer-link-empty', /metadata database has taken the place of the links/);
    store.objects.delete('docker/registry/lockfiles/filesystem-in-use');
    expect((await runRepair(store)).plan).toMatchObject({ steps: [], tagsBefore: undefined });
  });

  it('leaves to a pull-through cache what it fetches again', async () => {
    const { store, intact } = damaged(({ registry, layer }) => {
      registry.foreign('scheduler-state.json', '{}');
      registry.objects.delete(blobKey(layer.digest));
    });
    expect((await runRepair(store, { other: intact })).plan.steps).toEqual([]);
  });

  it('names what is beyond it, with what helps', async () => {
    const { store } = damaged(({ registry }) => {
      registry.marker(`${SHOP}/_manifests/tags/`);
      pushRaw(registry, 'shop', 'v2', Buffer.from('not a manifest'));
    });
    const { plan } = await runRepair(store);
    expect(plan.beyond.map(({ code, count }) => [code, count])).toEqual([
      ['manifest-unparsable', 1],
      ['marker-empty-tag', 1],
    ]);
  });
});

describe('repair of what was pushed by another hash', () => {
  const bytes = Buffer.from('pushed by its sha512');
  const sha512 = `sha512:${createHash('sha512').update(bytes).digest('hex')}`;

  function withAlias(content: string | undefined) {
    const healthy = healthyRegistry();
    const { digest } = healthy.registry.sha512Alias('shop', bytes);
    pushRaw(healthy.registry, 'shop', 'v2', {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'x', digest: sha512, size: bytes.length },
      layers: [],
    });
    const intact = openMemory({ objects: healthy.registry.objects });
    const store = openMemory({ objects: healthy.registry.objects });
    if (content === undefined) {
      store.objects.delete(layerKey('shop', sha512));
    } else {
      store.objects.set(layerKey('shop', sha512), Buffer.from(content));
    }
    return { store, intact, digest };
  }

  it('cannot tell what it is stored under', async () => {
    await expectLeft(withAlias('').store, 'layer-link-empty', /what it is stored under cannot be told/);
  });

  it.each(['', undefined])(
    'takes that from another store, if the bytes have both digests (%j)',
    async (content) => {
      const { store, intact, digest } = withAlias(content);
      expect((await runRepair(store, { other: intact })).steps).toEqual([`link ${layerKey('shop', sha512)}`]);
      expect(Buffer.from(store.objects.get(layerKey('shop', sha512)) ?? '').toString()).toBe(digest);
    },
  );

  it('does not believe the other store', async () => {
    const { store, intact } = withAlias('');
    const wrong = healthyRegistry().layer;
    intact.objects.set(layerKey('shop', sha512), Buffer.from(wrong.digest));
    await expectLeft(store, 'layer-link-empty', /leads to a blob of another digest/, { other: intact });
  });
});

describe('repair --quarantine', () => {
  it('moves a corrupt blob aside, byte for byte, so that a push heals it, and can be undone', async () => {
    const { store, layer, registry } = damaged(({ registry, layer }) =>
      set(registry, blobKey(layer.digest), flipped(layer.bytes)),
    );
    const before = contentOf(store);
    const undo = new UndoList();
    const { steps, plan } = await runRepair(store, { choices: { quarantine: true }, undo });
    expect(steps).toEqual([`quarantine ${blobKey(layer.digest)}`]);
    const [kept, ...others] = [...store.objects.keys()].filter((key) =>
      key.startsWith('regtool-quarantine/'),
    );
    expect(others).toEqual([]);
    expect(kept?.startsWith('docker/')).toBe(false);
    expect(Buffer.from(store.objects.get(kept ?? '') ?? '')).toEqual(flipped(layer.bytes));
    expect(store.objects.has(blobKey(layer.digest))).toBe(false);
    expect(plan.left.map(({ code }) => code)).toEqual(['layer-blob-missing']);
    expect((await runRepair(store, { choices: { quarantine: true } })).steps).toEqual([]);

    await runUndo(store, undo);
    expect(contentOf(store)).toEqual(before);

    await runRepair(store, { choices: { quarantine: true } });
    registry.blob('shop', layer.bytes);
    store.objects.set(blobKey(layer.digest), layer.bytes);
    expect(notPullable(await observe(store, { readData: wholeData }))).toEqual([]);
  });

  it('keeps a blob that was healed since it was read', async () => {
    const { store, layer } = damaged(({ registry, layer }) =>
      set(registry, blobKey(layer.digest), layer.bytes.subarray(0, 9)),
    );
    const healing: RepairSettings = {
      choices: { quarantine: true },
      approve: async () => {
        store.objects.set(blobKey(layer.digest), layer.bytes);
        return true;
      },
    };
    expect((await runRepair(store, healing)).outcomes).toEqual({ changed: 1 });
    expect(Buffer.from(store.objects.get(blobKey(layer.digest)) ?? '')).toEqual(Buffer.from(layer.bytes));
  });
});

describe('repair --uploads', () => {
  const id = '0f9a2f8e-0d6f-4d6f-8b51-3f2f6f0a1b2c';
  const startedHoursAgo = (hours: number) => new Date(NOW_MS - hours * HOUR_MS).toISOString();

  it('removes abandoned uploads and old temporary files, and nothing that is younger', async () => {
    const temporary = `${currentKey('shop', 'v1')}.${id}.tmp`;
    const young = id.replace('0f9a', '1f9a');
    const unknown = id.replace('0f9a', '2f9a');
    const { store } = damaged(({ registry }) => {
      set(registry, `${SHOP}/_uploads/${id}/startedat`, startedHoursAgo(169));
      set(registry, `${SHOP}/_uploads/${id}/data`, 'half');
      set(registry, `${SHOP}/_uploads/${young}/startedat`, startedHoursAgo(167));
      set(registry, `${SHOP}/_uploads/${young}/data`, 'half');
      set(registry, `${SHOP}/_uploads/${unknown}/data`, 'half');
      set(registry, temporary, 'half');
    });
    const aged = modifiedAt(store, (key) => (key === temporary ? NOW_MS - 200 * HOUR_MS : undefined));
    const before = contentOf(store);
    expect((await runRepair(aged)).plan.left.map(({ reason }) => reason)).toEqual([
      '--uploads removes it',
      '--uploads removes it',
      '--uploads removes it',
    ]);
    expect(contentOf(store)).toEqual(before);
    const { steps, plan } = await runRepair(aged, { choices: { uploads: true } });
    expect(steps.toSorted()).toEqual([`remove ${temporary}`, `remove ${SHOP}/_uploads/${id}/`]);
    const removed = [...before.keys()].filter((key) => !store.objects.has(key));
    expect(removed.sort()).toEqual(
      [temporary, `${SHOP}/_uploads/${id}/data`, `${SHOP}/_uploads/${id}/startedat`].sort(),
    );
    expect(plan.left.map(({ key, reason }) => [key, reason])).toEqual([
      [`${SHOP}/_uploads/${unknown}/`, 'the store does not tell how old it is'],
    ]);
  });

  it('takes the age from --older-than', async () => {
    const { store } = damaged(({ registry }) =>
      set(registry, `${SHOP}/_uploads/${id}/startedat`, startedHoursAgo(2)),
    );
    const choices = { uploads: true };
    expect((await runRepair(store, { choices, olderThanMs: 3 * HOUR_MS })).steps).toEqual([]);
    expect((await runRepair(store, { choices, olderThanMs: HOUR_MS })).steps).toEqual([
      `remove ${SHOP}/_uploads/${id}/`,
    ]);
  });

  it('keeps an upload that goes on meanwhile', async () => {
    const { store } = damaged(({ registry }) => {
      set(registry, `${SHOP}/_uploads/${id}/startedat`, startedHoursAgo(200));
      set(registry, `${SHOP}/_uploads/${id}/data`, 'half');
    });
    const { outcomes } = await runRepair(store, {
      choices: { uploads: true },
      approve: async () => {
        store.objects.set(`${SHOP}/_uploads/${id}/data`, Buffer.from('half and more'));
        return true;
      },
    });
    expect(outcomes).toEqual({ changed: 1 });
    expect(store.objects.has(`${SHOP}/_uploads/${id}/startedat`)).toBe(true);
  });

  it('aborts multipart uploads that are old enough, and no others', async () => {
    const { store } = damaged(() => {});
    const pending: PendingUpload[] = [200, 100].map((hours) => ({
      key: `docker/registry/v2/repositories/shop/_uploads/${hours}/data`,
      uploadId: `upload ${hours}`,
      startedAtMs: NOW_MS - hours * HOUR_MS,
    }));
    const aborted: string[] = [];
    const multipart: Driver = {
      ...store,
      supports: { ...store.supports, multipartUploads: true },
      async *listUploads() {
        yield pending;
      },
      async abortUpload({ uploadId }) {
        aborted.push(uploadId);
      },
    };
    await runRepair(multipart);
    expect(aborted).toEqual([]);
    await runRepair(multipart, { choices: { uploads: true } });
    expect(aborted).toEqual(['upload 200']);
  });
});

function modifiedAt(store: MemoryDriver, modifiedAtMs: (key: string) => number | undefined): Driver {
  return {
    ...store,
    async *list(prefix, options) {
      for await (const page of store.list(prefix, options)) {
        yield page.map((object) => ({ ...object, modifiedAtMs: modifiedAtMs(object.key) }));
      }
    },
    async stat(key, options) {
      const stat = await store.stat(key, options);
      return stat && { ...stat, modifiedAtMs: modifiedAtMs(key) };
    },
  };
}

describe('repair of a store that is in use', () => {
  it('leaves a link that somebody else wrote meanwhile', async () => {
    const { store, registry } = damaged(({ registry }) => set(registry, currentKey('shop', 'v1'), ''));
    const moved = registry.image().digest;
    const { outcomes } = await runRepair(store, {
      choices: { tags: true },
      approve: async () => {
        store.objects.set(currentKey('shop', 'v1'), Buffer.from(moved));
        return true;
      },
    });
    expect(outcomes).toEqual({ changed: 1 });
    expect(Buffer.from(store.objects.get(currentKey('shop', 'v1')) ?? '').toString()).toBe(moved);
  });

  it('keeps a blob that was mended while its corrupt bytes were put aside, in a folder, too', async () => {
    const { store, intact, layer } = damaged((healthy) => {
      const key = blobKey(healthy.layer.digest);
      healthy.registry.objects.set(key, flipped(healthy.registry.objects.get(key) ?? new Uint8Array()));
    });
    const mended = intact.objects.get(blobKey(layer.digest)) ?? new Uint8Array();
    let modifiedAtMs = NOW_MS - HOUR_MS;
    // As a folder: no ETags and no MD5s.
    const folder = {
      ...store,
      async *list(prefix: string) {
        for await (const page of store.list(prefix)) {
          yield page.map(({ key, sizeBytes }) => ({ key, sizeBytes, modifiedAtMs }));
        }
      },
      async stat(key: string) {
        const stat = await store.stat(key);
        return stat && { key, sizeBytes: stat.sizeBytes, modifiedAtMs };
      },
    };
    const { outcomes } = await runRepair(
      withHooks(folder, {
        after: ({ operation, key }) => {
          if (operation === 'write' && key.startsWith('regtool-quarantine/')) {
            store.objects.set(blobKey(layer.digest), mended);
            modifiedAtMs = NOW_MS;
          }
        },
      }),
      { choices: { quarantine: true } },
    );
    expect(outcomes).toEqual({ changed: 1 });
    expect(store.objects.get(blobKey(layer.digest))).toEqual(mended);
  });

  it('does not write a link to a blob that could not be copied, nor what needs it', async () => {
    const { store, intact, layer, image } = damaged(({ registry, layer, image }) => {
      registry.objects.delete(blobKey(layer.digest));
      registry.objects.delete(layerKey('shop', layer.digest));
      registry.objects.delete(revisionKey('shop', image.digest));
    });
    const failing = withHooks(store, {
      before: ({ operation, key }) => {
        if (operation === 'write' && key === blobKey(layer.digest)) {
          throw new DriverError('PERMISSION_DENIED', 'made up', {
            driver: 'memory',
            operation: 'write',
            key,
          });
        }
      },
    });
    const before = contentOf(store);
    const { outcomes, failures } = await runRepair(failing, { other: intact });
    expect(outcomes).toEqual({ failed: 1, 'held-back': 2 });
    expect(failures[0]).toEqual({ key: blobKey(layer.digest), message: 'made up' });
    expect(contentOf(store)).toEqual(before);
    await runRepair(store, { other: intact });
    expect(Buffer.from(store.objects.get(revisionKey('shop', image.digest)) ?? '').toString()).toBe(
      image.digest,
    );
  });

  it('changes nothing that could not be noted before', async () => {
    const { store } = damaged(({ registry, layer, image }) => {
      set(registry, layerKey('shop', layer.digest), '');
      set(registry, revisionKey('shop', image.digest), '');
    });
    const before = contentOf(store);
    const full = {
      append: async () => {
        throw new Error('the disk is full');
      },
    };
    await expect(runRepair(store, { undo: full })).rejects.toThrow('the disk is full');
    expect(contentOf(store)).toEqual(before);
  });

  it('notes each change before it is made', async () => {
    const { store } = damaged(({ registry, layer, image }) => {
      set(registry, layerKey('shop', layer.digest), '');
      set(registry, revisionKey('shop', image.digest), '');
    });
    const undo = new UndoList();
    const watched = withHooks(store, {
      before: ({ operation, key }) => {
        if (operation === 'write') {
          expect(undo.entries.map((entry) => entry.key)).toContain(key);
        }
      },
    });
    expect((await runRepair(watched, { undo })).steps).toHaveLength(2);
  });

  it('changes nothing that was not agreed to', async () => {
    const { store } = damaged(({ registry, layer }) => set(registry, layerKey('shop', layer.digest), ''));
    const before = contentOf(store);
    expect(await runRepair(store, { approve: async () => false })).toMatchObject({
      end: 'declined',
      steps: [],
    });
    expect(contentOf(store)).toEqual(before);
  });

  it('refuses to repair a store from itself, or what is no registry', async () => {
    const { store, intact } = damaged(() => {});
    await expect(runRepair(store, { other: store })).rejects.toMatchObject({ code: 'STORES_OVERLAP' });
    await expect(runRepair(store, { other: openMemory() })).rejects.toMatchObject({ code: 'NOT_A_REGISTRY' });
    await expect(runRepair(openMemory(), { other: intact })).rejects.toMatchObject({
      code: 'NOT_A_REGISTRY',
    });
  });
});

describe('undo', () => {
  it('leaves what was changed again since the repair', async () => {
    const { store, registry, layer, otherLayer } = damaged(({ registry, layer, otherLayer }) => {
      set(registry, layerKey('shop', layer.digest), '');
      set(registry, layerKey('shop', otherLayer.digest), '');
    });
    const undo = new UndoList();
    await runRepair(store, { undo });
    const other = Buffer.from(registry.image().digest);
    store.objects.set(layerKey('shop', layer.digest), other);
    expect((await runUndo(store, undo)).outcomes).toEqual({ changed: 1, done: 1 });
    expect(store.objects.get(layerKey('shop', layer.digest))).toEqual(other);
    expect(store.objects.get(layerKey('shop', otherLayer.digest))?.length).toBe(0);
  });

  it('changes nothing in a dry run, nor in another store', async () => {
    const { store, intact } = damaged(({ registry, layer }) =>
      set(registry, layerKey('shop', layer.digest), ''),
    );
    const undo = new UndoList();
    await runRepair(store, { undo });
    const repaired = contentOf(store);
    expect((await runUndo(store, undo, { dryRun: true })).outcomes).toEqual({ planned: 1 });
    expect(contentOf(store)).toEqual(repaired);
    const { undoRepair } = await import('../../src/operations/repair/undo.ts');
    const record = { location: store.location, identity: store.identity, entries: undo.entries };
    const refused = undoRepair(intact, record, {
      dryRun: false,
      observer: { phase() {}, progress() {}, notice() {}, async record() {} },
      approve: async () => true,
    });
    await expect(refused).rejects.toMatchObject({ code: 'STORES_SWAPPED' });
  });
});

describe('repair --from an intact copy', () => {
  it('makes every tag pullable again, after random damage that left a trace', async () => {
    let mended = 0;
    for (let seed = 0; seed < 25; seed += 1) {
      const { registry } = randomRegistry(`repair ${seed}`, 20);
      const random = new Random(`repair ${seed}`);
      const intact = openMemory({ objects: registry.objects });
      const store = openMemory({ objects: registry.objects, pageSize: 1 + random.below(30) });
      const wholeTags = await pullableTags(store);
      const keys = [...store.objects.keys()].filter((key) => key.startsWith('docker/registry/v2/')).sort();
      const hurtTags = new Set<string>();
      for (let damage = 0; damage < 8; damage += 1) {
        damageOne(store, random.pick(keys), random, hurtTags);
      }
      const broken = wholeTags.length - (await pullableTags(store)).length;
      const repaired = await runRepair(store, { other: intact });
      expect({ seed, tags: await pullableTags(store) }).toEqual({ seed, tags: wholeTags });
      expect(notPullable(await observe(store, { readData: wholeData }))).toEqual([]);
      expect(repaired.outcomes.failed ?? 0).toBe(0);
      expect((await runRepair(store, { other: intact })).steps).toEqual([]);
      mended += broken;
    }
    expect(mended).toBeGreaterThan(25);
  });
});

describe('repair that is killed or interrupted', () => {
  function manyDamages() {
    return damaged(({ registry, index, child, layer, otherLayer, image }) => {
      registry.objects.delete(blobKey(layer.digest));
      set(registry, blobKey(otherLayer.digest), flipped(otherLayer.bytes));
      set(registry, layerKey('shop', layer.digest), '');
      set(registry, revisionKey('shop', image.digest), `${image.digest}\n`);
      registry.objects.delete(revisionKey('multi', child.digest));
      registry.objects.delete(revisionKey('multi', index.digest));
      registry.objects.delete(indexKey('multi', 'latest', index.digest));
      set(registry, currentKey('shop', 'v1'), '');
      registry.push('fine', 'v1', registry.image());
    });
  }

  it('leaves a store that is no worse, after any write, and ends in the same state when it is run again', async () => {
    const whole = manyDamages();
    await runRepair(whole.store, { other: whole.intact });
    const goal = contentOf(whole.store);
    let kills = 0;
    for (let crashAt = 1; ; crashAt += 1) {
      const { store, intact } = manyDamages();
      const before = contentOf(store);
      const pullable = await pullableTags(store);
      const undo = new UndoList();
      let writes = 0;
      const crashing = withHooks(store, {
        after: (call) => {
          writes += isMutation(call) ? 1 : 0;
          if (isMutation(call) && writes === crashAt) {
            throw new Error('killed');
          }
        },
      });
      const end = await runRepair(crashing, { other: intact, undo }).then(
        () => 'ended',
        () => 'killed',
      );
      expect(await pullableTags(store)).toEqual(expect.arrayContaining(pullable));
      await runRepair(store, { other: intact, undo });
      expect(contentOf(store)).toEqual(goal);
      await runUndo(store, undo);
      expect(contentOf(store)).toEqual(asUndone(undo, before, goal));
      if (end === 'ended') {
        break;
      }
      kills += 1;
    }
    expect(kills).toBeGreaterThan(7);
  });

  it('says that it was interrupted, and goes on the next time', async () => {
    const { store, intact } = manyDamages();
    const controller = new AbortController();
    const interrupting = withHooks(store, {
      after: ({ operation }) => {
        if (operation === 'write') {
          controller.abort();
        }
      },
    });
    const { end } = await runRepair(interrupting, {
      other: intact,
      signal: controller.signal,
      concurrency: 1,
    });
    expect(end).toBe('interrupted');
    expect((await runRepair(store, { other: intact })).end).toBe('done');
    expect(notPullable(await observe(store, { readData: wholeData }))).toEqual([]);
  });
});

/** Deletes, empties, cuts off or changes a file. Of a tag's files only one, for a tag without any leaves no trace. */
function damageOne(store: MemoryDriver, key: string, random: Random, hurtTags: Set<string>): void {
  const tag = /^.*\/_manifests\/tags\/[^/]+\//.exec(key)?.[0];
  const bytes = store.objects.get(key);
  if (bytes === undefined || key.includes('/_uploads/') || (tag !== undefined && hurtTags.has(tag))) {
    return;
  }
  if (tag !== undefined) {
    hurtTags.add(tag);
  }
  switch (random.below(4)) {
    case 0:
      store.objects.delete(key);
      break;
    case 1:
      store.objects.set(key, new Uint8Array());
      break;
    case 2:
      store.objects.set(key, bytes.subarray(0, random.below(Math.max(1, bytes.length))));
      break;
    default:
      // A digest that is another valid digest leaves no trace in a tag's link.
      store.objects.set(key, bytes.length === 0 || key.endsWith('/current/link') ? bytes : flipped(bytes));
  }
}

describe('the order of a repair', () => {
  it('is blobs, layer links, images, indexes, index entries and tags', async () => {
    const { store, intact, index, child, layer, image } = damaged(
      ({ registry, index, child, layer, image }) => {
        registry.objects.delete(blobKey(layer.digest));
        set(registry, layerKey('shop', layer.digest), '');
        set(registry, revisionKey('shop', image.digest), '');
        registry.objects.delete(indexKey('multi', 'latest', index.digest));
        registry.objects.delete(revisionKey('multi', child.digest));
        registry.objects.delete(revisionKey('multi', index.digest));
        set(registry, currentKey('shop', 'v1'), '');
      },
    );
    const { steps } = await runRepair(store, { other: intact, concurrency: 1 });
    const at = (key: string) => steps.findIndex((step) => step.endsWith(` ${key}`));
    const order = [
      blobKey(layer.digest),
      layerKey('shop', layer.digest),
      revisionKey('shop', image.digest),
      revisionKey('multi', index.digest),
      indexKey('multi', 'latest', index.digest),
      currentKey('shop', 'v1'),
    ].map(at);
    expect(order).toEqual(order.toSorted((left, right) => left - right));
    expect(order).not.toContain(-1);
    expect(at(revisionKey('multi', child.digest))).toBeLessThan(at(revisionKey('multi', index.digest)));
  });
});
