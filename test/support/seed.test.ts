import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  createBucket,
  describeWithServers,
  startDockerRegistry,
  type DockerRegistry,
} from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { canPull, pullAll, pushImage, seedRegistry, type SeedResult } from './seed.ts';

const LARGE_LAYER_BYTES = 12 * 2 ** 20;

describeWithServers('a seeded registry on a filesystem', ['docker-registry', 'skopeo'], () => {
  const folder = createTemporaryFolder('regtool-seed-test');
  const layout = path.join(folder.path, 'docker/registry/v2');
  let registry: DockerRegistry;
  let seed: SeedResult;

  beforeAll(async () => {
    registry = await startDockerRegistry({ storage: { filesystem: { rootdirectory: folder.path } } });
    seed = await seedRegistry(registry.address, { largeLayerBytes: LARGE_LAYER_BYTES });
  });
  afterAll(async () => {
    await registry.stop();
    folder.remove();
  });

  test('gives back every tag with the digest that was pushed', async () => {
    expect(await pullAll(registry.address, seed.tags.keys())).toEqual(seed.tags);
  });

  test('has every shape of repository, tag and manifest', async () => {
    expect([...seed.tags.keys()].sort()).toEqual([
      'a/b/c/d/e/f-g__h.i:t-1_2.3',
      'big/blob:large',
      'docker/v2s2:1.0',
      'group/project/multi:latest',
      'group/project/my/image:latest',
      'library/app:1.0',
      'library/app:1.1',
      'library/app:2.0',
      'library/app:latest',
      'team.one/app_x:v1',
    ]);
    expect(await mediaType('group/project/multi', 'latest')).toContain('vnd.oci.image.index.v1');
    expect(await mediaType('docker/v2s2', '1.0')).toContain('vnd.docker.distribution.manifest.v2');
    expect(await mediaType(seed.untagged.repository, seed.untagged.digest)).toContain(
      'vnd.oci.image.manifest.v1',
    );
  });

  test('stores blobs under the digests that the seed names', () => {
    for (const digest of [seed.largeBlob.digest, seed.sha512Blob.digest, ...seed.deleted.blobs]) {
      expect(
        `sha256:${createHash('sha256')
          .update(readFileSync(blobData(digest)))
          .digest('hex')}`,
      ).toBe(digest);
    }
    expect(statSync(blobData(seed.largeBlob.digest)).size).toBeGreaterThan(LARGE_LAYER_BYTES);
    expect(statSync(blobData(seed.emptyBlob.digest)).size).toBe(0);
  });

  test('keeps interrupted uploads', () => {
    for (const repository of seed.interruptedUploads) {
      const uploads = path.join(layout, 'repositories', repository, '_uploads');
      const sizes = readdirSync(uploads).map((id) => statSync(path.join(uploads, id, 'data')).size);
      expect(sizes).toEqual([10_000]);
    }
  });

  test('cannot serve the manifest that was deleted', async () => {
    const url = `http://${registry.address}/v2/${seed.deleted.repository}/manifests/${seed.deleted.digest}`;
    expect((await fetch(url)).status).toBe(404);
  });

  test('takes later pushes, which can be pulled', async () => {
    const digest = await pushImage(registry.address, 'later/push', 'v2', { seed: 'later', layers: 3 });
    expect(await pullAll(registry.address, ['later/push:v2'])).toEqual(new Map([['later/push:v2', digest]]));
    expect(await canPull(registry.address, 'later/push', 'v2')).toEqual({ ok: true });
  });

  test('cannot be pulled from where a blob is damaged or a tag is missing', async () => {
    const options = { seed: 'to be damaged', layers: 1 };
    await pushImage(registry.address, 'damaged/image', 'v1', options);
    const [layer] = await layersOf('damaged/image', 'v1');
    const data = blobData(layer?.digest ?? '');
    const bytes = readFileSync(data);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    writeFileSync(data, bytes);
    expect(await canPull(registry.address, 'damaged/image', 'v1')).toMatchObject({ ok: false });
    expect(await canPull(registry.address, 'damaged/image', 'v2')).toMatchObject({
      ok: false,
      error: expect.stringContaining('manifest unknown') as string,
    });
  });

  function blobData(digest: string): string {
    const hex = digest.replace('sha256:', '');
    return path.join(layout, 'blobs/sha256', hex.slice(0, 2), hex, 'data');
  }

  async function mediaType(repository: string, reference: string): Promise<string | null> {
    return (await fetchManifest(repository, reference)).headers.get('content-type');
  }

  async function layersOf(repository: string, reference: string): Promise<{ digest: string }[]> {
    const manifest = (await (await fetchManifest(repository, reference)).json()) as {
      layers: { digest: string }[];
    };
    return manifest.layers;
  }

  async function fetchManifest(repository: string, reference: string): Promise<Response> {
    return fetch(`http://${registry.address}/v2/${repository}/manifests/${reference}`, {
      headers: {
        accept: [
          'application/vnd.oci.image.index.v1+json',
          'application/vnd.oci.image.manifest.v1+json',
          'application/vnd.docker.distribution.manifest.v2+json',
        ].join(', '),
      },
    });
  }
});

describeWithServers('a registry on S3', ['rgw', 'docker-registry', 'skopeo'], (servers) => {
  test('takes pushes until it is read-only, and pulls always', async () => {
    const { endpoint, region, accessKey, secretKey } = servers.rgw;
    const s3 = {
      bucket: await createBucket(servers.rgw),
      region,
      regionendpoint: endpoint,
      accesskey: accessKey,
      secretkey: secretKey,
    };
    const writable = await startDockerRegistry({ storage: { s3 } });
    const digest = await pushImage(writable.address, 'some/image', 'v1', { seed: 's3' });
    await writable.stop();

    const registry = await startDockerRegistry({ storage: { s3 }, readonly: true });
    try {
      expect((await pullAll(registry.address, ['some/image:v1'])).get('some/image:v1')).toBe(digest);
      await expect(pushImage(registry.address, 'some/image', 'v2', { seed: 'more' })).rejects.toThrow(
        'StatusCode: 405',
      );
    } finally {
      await registry.stop();
    }
  });
});

describeWithServers('a registry with a wrong configuration', ['docker-registry'], () => {
  test('says in its error why it did not start', async () => {
    const storage = { filesystem: { rootdirectory: '/dev/null' } };
    await expect(startDockerRegistry({ storage, extra: { http: 'wrong' } })).rejects.toThrow(
      /docker-registry ended with 1[^]*configuration/,
    );
  });
});
