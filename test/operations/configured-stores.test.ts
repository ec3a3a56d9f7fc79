import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { type FixtureImage, RegistryBuilder } from '../../fixtures/registry-builder.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { formatLocation, parseLocation } from '../../src/drivers/location.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { openStore, resolveLocation } from '../../src/drivers/open.ts';
import { SafetyRefusal } from '../../src/operations/errors.ts';
import { totalOf } from '../../src/operations/counts.ts';
import { findRegistryRoot } from '../../src/operations/find-registry-root.ts';
import { assertRegistryRoot } from '../../src/operations/registry-root.ts';
import {
  createBucket,
  createContainer,
  createRgwUser,
  describeWithServers,
  startDockerRegistry,
} from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { type Call, withHooks } from '../support/hooked-driver.ts';
import { runMigrate } from '../support/migrating.ts';
import { pullableTags } from '../support/pullable.ts';
import { pushImage } from '../support/seed.ts';

/** Above what is copied through memory, so that a store copies it by itself where it can. */
const bigLayerBytes = 700_000;

let folder: string;
const opened: Driver[] = [];

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'regtool-configured-'));
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((driver) => driver.close()));
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** Opens the store that a storage section describes, with nothing in the environment to help. */
async function openConfigured(storage: object): Promise<Driver> {
  const file = path.join(folder, `config-${opened.length}.yml`);
  await writeFile(file, `version: 0.1\nstorage: ${JSON.stringify(storage)}\n`);
  return keep(await openStore(parseLocation(file), { env: {} }));
}

function keep(driver: Driver): Driver {
  opened.push(driver);
  return driver;
}

function smallRegistry(): { registry: RegistryBuilder; big: FixtureImage } {
  const registry = new RegistryBuilder();
  registry.push('group/app', 'v1', registry.image());
  const big = registry.push('group/big', 'latest', registry.image({ layers: 1, layerBytes: bigLayerBytes }));
  return { registry, big };
}

/** Migrates between two roots of one store, and proves that the big blob crossed the wire once, to be hashed. */
async function expectRerooted(source: Driver, target: Driver, big: FixtureImage): Promise<void> {
  const calls: Call[] = [];
  const watch = (driver: Driver): Driver =>
    withHooks(driver, {
      before: (call) => {
        calls.push(call);
      },
    });
  const before = await pullableTags(source);
  const result = await runMigrate(watch(source), watch(target), { delete: { max: { objects: 0 } } });
  expect(result.end).toEqual({ kind: 'done' });
  expect(result.tally.failures).toEqual([]);
  expect(await pullableTags(target)).toEqual(before);
  expect(await pullableTags(source)).toEqual(before);

  const [layer] = big.layers;
  const bigCalls = calls.filter(({ key }) => layer !== undefined && key.includes(layer.digest.slice(7)));
  const blobCalls = bigCalls.filter(({ key }) => key.endsWith('/data')).map(({ operation }) => operation);
  expect(blobCalls.filter((operation) => operation === 'copyFrom')).toHaveLength(1);
  expect(blobCalls.filter((operation) => operation === 'read').length).toBeLessThanOrEqual(1);
  expect(blobCalls).not.toContain('write');

  const again = await runMigrate(source, target, { delete: { max: { objects: 0 } } });
  expect(totalOf(again.tally.copied).objects).toBe(0);
}

describeWithServers('a container of Azure, opened by a configuration', ['azurite'], (servers) => {
  const azure = (container: string, parameters: object = {}) => {
    const { accountName: accountname, accountKey: accountkey, serviceUrl: serviceurl } = servers.azurite;
    return { azure: { accountname, accountkey, serviceurl, container, ...parameters } };
  };

  async function filled(parameters: object): Promise<{ container: string; big: FixtureImage }> {
    const container = await createContainer(servers.azurite);
    const { registry, big } = smallRegistry();
    await registry.writeTo(await openConfigured(azure(container, parameters)));
    return { container, big };
  }

  it('is found with keys that begin with a slash by every configuration that says so', async () => {
    const { container } = await filled({ legacyrootprefix: true });
    const settings = [
      { trimlegacyrootprefix: false },
      { legacyrootprefix: true },
      { trimlegacyrootprefix: false, legacyrootprefix: true, rootdirectory: '/' },
    ];
    for (const parameters of settings) {
      const store = await openConfigured(azure(container, parameters));
      expect(store.identity.root).toBe('/');
      await expect(assertRegistryRoot(store, 'source', {})).resolves.toMatchObject({ hasBlobs: true });
    }
    const version2 = await openConfigured({ azure_v2: azure(container, { legacyrootprefix: true }).azure });
    await expect(findRegistryRoot(version2, {})).resolves.toMatchObject({ exists: true });
  });

  it.each([
    [{}, 'OTHER_ROOT'],
    [{ rootdirectory: '/' }, 'OTHER_ROOT'],
    [{ trimlegacyrootprefix: true }, 'NOT_A_REGISTRY'],
    [{ legacyrootprefix: false }, 'NOT_A_REGISTRY'],
    [{ rootdirectory: 'opt' }, 'NOT_A_REGISTRY'],
  ])('with keys that begin with a slash, and %j, says where they are', async (parameters, code) => {
    const { container } = await filled({ legacyrootprefix: true });
    const store = await openConfigured(azure(container, parameters));
    const refusal: unknown = await assertRegistryRoot(store, 'source', {}).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(SafetyRefusal);
    expect(refusal).toMatchObject({ code });
    const { message } = refusal as SafetyRefusal;
    expect(message).toContain('"/docker/registry/v2/"');
    expect(message).toContain('legacyrootprefix=true');
    expect(message).not.toContain(servers.azurite.accountKey);
  });

  it('with keys that begin without one says so to a configuration for the legacy layout', async () => {
    const { container } = await filled({ rootdirectory: '/opt/' });
    const store = await openConfigured(
      azure(container, { rootdirectory: 'opt', trimlegacyrootprefix: false }),
    );
    await expect(assertRegistryRoot(store, 'source', {})).rejects.toThrow(
      /begin with "opt\/docker\/registry\/v2\/".*legacyrootprefix=false/,
    );
  });

  it('is no target while a registry lies under the other root, unless the target names its root', async () => {
    const { container } = await filled({ legacyrootprefix: true });
    const source = openMemory({ objects: smallRegistry().registry.objects });
    const target = await openConfigured(azure(container));
    await expect(runMigrate(source, target)).rejects.toMatchObject({ code: 'OTHER_ROOT' });
    await expect(findRegistryRoot(target, {})).resolves.toMatchObject({ exists: false });

    const decided = await openConfigured(azure(container, { trimlegacyrootprefix: true }));
    await expect(runMigrate(source, decided)).resolves.toMatchObject({ end: { kind: 'done' } });
  });

  it.each([
    [{ trimlegacyrootprefix: false }, { trimlegacyrootprefix: true }],
    [{ legacyrootprefix: true }, {}],
    [{ trimlegacyrootprefix: true }, { trimlegacyrootprefix: false }],
    [
      { rootdirectory: 'old', legacyrootprefix: false },
      { rootdirectory: 'new/root', legacyrootprefix: true },
    ],
  ])('is re-rooted in place from %j to %j', async (from, to) => {
    const { container, big } = await filled(from);
    const source = await openConfigured(azure(container, from));
    await expectRerooted(source, await openConfigured(azure(container, to)), big);
  });

  it('is found from a location as from a configuration', async () => {
    const { container } = await filled({ legacyrootprefix: true });
    const { accountName, accountKey, serviceUrl } = servers.azurite;
    const env = { AZURE_STORAGE_ACCOUNT: accountName, AZURE_STORAGE_KEY: accountKey };
    const open = async (parameters: string) =>
      keep(
        await openStore(parseLocation(`azure://${container}?serviceurl=${serviceUrl}${parameters}`), { env }),
      );
    const decided = await open('&trimlegacyrootprefix=false');
    await expect(assertRegistryRoot(decided, 'source', {})).resolves.toMatchObject({ exists: true });
    await expect(assertRegistryRoot(await open(''), 'source', {})).rejects.toThrow(/legacyrootprefix=true/);
  });
});

describeWithServers('a bucket of S3, opened by a configuration', ['rgw'], (servers) => {
  it('is re-rooted in place', async () => {
    const bucket = await createBucket(servers.rgw);
    const { accessKey: accesskey, secretKey: secretkey, region, endpoint } = servers.rgw;
    const s3 = { bucket, region, accesskey, secretkey, regionendpoint: endpoint };
    const { registry, big } = smallRegistry();
    const source = await openConfigured({ s3 });
    await registry.writeTo(source);
    const target = await openConfigured({
      s3_v2: { ...s3, rootdirectory: '/new/root/', checksum_disabled: true },
    });
    expect(target.identity.root).toBe('new/root/');
    await expectRerooted(source, target, big);
  });

  it('is copied to a bucket of another user, whose credentials may not read the source', async () => {
    const { accessKey: accesskey, secretKey: secretkey, region, endpoint } = servers.rgw;
    const stranger = await createRgwUser();
    const place = { region, regionendpoint: endpoint };
    const { registry } = smallRegistry();
    registry.push('group/more', 'latest', registry.image({ layers: 1, layerBytes: bigLayerBytes }));
    const source = await openConfigured({
      s3: { ...place, accesskey, secretkey, bucket: await createBucket(servers.rgw) },
    });
    await registry.writeTo(source);
    const bucket = await createBucket({ ...servers.rgw, ...stranger });
    const target = await openConfigured({
      s3: { ...place, accesskey: stranger.accessKey, secretkey: stranger.secretKey, bucket },
    });
    const copies: string[] = [];
    const watched = withHooks(target, {
      before: ({ operation, key }) => {
        if (operation === 'copyFrom') {
          copies.push(key);
        }
      },
    });
    const result = await runMigrate(source, watched, { concurrency: 1 });
    expect(result.tally.failures).toEqual([]);
    expect(await pullableTags(target)).toEqual(await pullableTags(source));
    expect(copies).toHaveLength(1);
  });

  it('shows nothing of its credentials when they are wrong', async () => {
    const { region, endpoint } = servers.rgw;
    const bucket = await createBucket(servers.rgw);
    const wrong = { accesskey: 'AKIAIOSFODNN7EXAMPLE', secretkey: 'wJalrXUtnFEMIbPxRfiCYEXAMPLEKEY' };
    const store = await openConfigured({ s3: { bucket, region, regionendpoint: endpoint, ...wrong } });
    const failure: unknown = await findRegistryRoot(store, {}).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'UNAUTHENTICATED' });
    const shown = `${String(failure)} ${JSON.stringify(failure)} ${store.location} ${JSON.stringify(store)}`;
    expect(shown).not.toContain(wrong.accesskey);
    expect(shown).not.toContain(wrong.secretkey);
  });
});

describeWithServers(
  'the configuration of a running docker-registry',
  ['rgw', 'docker-registry', 'skopeo'],
  (servers) => {
    it.each(['filesystem', 's3'] as const)('is a source, with storage in %s', async (driver) => {
      const storage = createTemporaryFolder('regtool-configured-source');
      const { accessKey: accesskey, secretKey: secretkey, region, endpoint } = servers.rgw;
      const bucket = await createBucket(servers.rgw);
      const registry = await startDockerRegistry({
        storage:
          driver === 'filesystem'
            ? { filesystem: { rootdirectory: storage.path } }
            : {
                s3: { bucket, region, regionendpoint: endpoint, accesskey, secretkey, rootdirectory: '/a/b' },
              },
      });
      try {
        const digests = [
          await pushImage(registry.address, 'group/app', 'v1', { seed: 'app' }),
          await pushImage(registry.address, 'group/big', 'latest', {
            seed: 'big',
            layers: 1,
            layerBytes: bigLayerBytes,
          }),
        ];
        const source = keep(await openStore(parseLocation(registry.configPath), { env: {} }));
        const target = openMemory();
        const result = await runMigrate(source, target);
        expect(result.end).toEqual({ kind: 'done' });
        const tags = await pullableTags(target);
        expect(tags).toHaveLength(2);
        expect(digests.every((digest) => JSON.stringify(tags).includes(digest))).toBe(true);

        const resolved = await resolveLocation(parseLocation(registry.configPath), { env: {} });
        expect(resolved.configuration).toEqual({
          path: registry.configPath,
          settings: { readOnly: false, deleteEnabled: true, redirectDisabled: true },
          notices: [],
        });
        const shown = `${formatLocation(resolved.location)} ${source.location} ${JSON.stringify(resolved)}`;
        expect(shown).not.toContain(secretkey);
        expect(shown).not.toContain(accesskey);
      } finally {
        await registry.stop();
        storage.remove();
      }
    });
  },
);
