import { createHash } from 'node:crypto';
import path from 'node:path';
import pLimit, { type LimitFunction } from 'p-limit';
import { createTemporaryFolder } from '../servers/process.ts';
import {
  buildImage,
  buildIndex,
  deterministicBytes,
  digestOf,
  type BuiltImage,
  type Digest,
  type ImageOptions,
} from './images.ts';
import { pushBuilt } from './skopeo.ts';

export { canPull, pullAll, pushImage } from './skopeo.ts';

export interface SeedOptions {
  /** Size of the one large layer, which does not compress. Default 80 MiB. */
  largeLayerBytes?: number;
}

/** What the registry holds after `seedRegistry`. */
export interface SeedResult {
  /** `repository:tag` to the digest of the manifest that it points at: 10 tags in 7 repositories. */
  tags: Map<string, Digest>;
  /** A manifest that lost its tag to another one, and is still whole. */
  untagged: { repository: string; digest: Digest };
  /** A manifest that was deleted through the API. Its blobs stay, and nothing refers to them. */
  deleted: { repository: string; digest: Digest; blobs: Digest[] };
  /** The index, its images and their blobs. */
  index: { repository: string; tag: string; digest: Digest; children: Digest[]; blobs: Digest[] };
  /** Repositories with an upload that was begun and never finished. The second has nothing else. */
  interruptedUploads: [string, string];
  /** Blobs linked in `library/app` that no manifest names: one of no bytes, one that was pushed by its SHA-512. */
  emptyBlob: { repository: string; digest: Digest };
  sha512Blob: { repository: string; digest: Digest; sha512: `sha512:${string}` };
  /** The layer of `largeLayerBytes` and a little more. */
  largeBlob: { repository: string; digest: Digest };
}

/**
 * Fills an empty registry with one of everything that registries hold: images that share layers, a tag that was
 * moved, deep and odd names, an index, a Docker schema 2 image, a large layer, a deleted manifest, interrupted
 * uploads, an empty blob and one uploaded by SHA-512. The same content each time.
 * Deleting must be enabled in the registry.
 * @throws Error with what skopeo or the registry answered.
 */
export async function seedRegistry(address: string, options: SeedOptions = {}): Promise<SeedResult> {
  const folder = createTemporaryFolder('regtool-seed');
  try {
    return await fill(address, folder.path, options.largeLayerBytes ?? 80 * 2 ** 20);
  } finally {
    folder.remove();
  }
}

async function fill(address: string, folder: string, largeLayerBytes: number): Promise<SeedResult> {
  let images = 0;
  const image = (options: ImageOptions): BuiltImage => {
    images += 1;
    return buildImage(path.join(folder, String(images)), options);
  };
  const baseSeeds = ['base'];
  const appVersion2 = image({ seed: 'app 2.0', baseSeeds });
  const first = image({ seed: 'first image', layers: 1 });
  const trash = image({ seed: 'trash' });
  const big = image({ seed: 'big', layers: 1, layerBytes: largeLayerBytes });
  const multi = buildIndex(path.join(folder, 'multi'), [
    { seed: 'multi amd64', baseSeeds },
    { seed: 'multi arm64', baseSeeds, architecture: 'arm64' },
  ]);
  const movedTag = 'group/project/my/image:latest';
  const trashTag = 'trash/gone:1.0';

  const limit = pLimit(4);
  // One after another within a repository: the registry's filesystem driver empties a link before it writes it,
  // so that a push which looks for a layer that another one is linking just then is answered with 500.
  const repositories = new Map<string, LimitFunction>();
  const push = async (reference: string, built: BuiltImage): Promise<[string, Digest]> => {
    const repository = reference.slice(0, reference.lastIndexOf(':'));
    const inTurn = repositories.get(repository) ?? pLimit(1);
    repositories.set(repository, inTurn);
    return inTurn(async () => limit(async () => [reference, await pushBuilt(address, reference, built)]));
  };
  const emptyBlob = { repository: 'library/app', digest: digestOf(new Uint8Array()) };
  const [tags, , , sha512Blob] = await Promise.all([
    Promise.all([
      // The largest first, so that nothing waits for it in the end.
      push('big/blob:large', big),
      push('library/app:1.0', image({ seed: 'app 1.0', baseSeeds })),
      push('library/app:1.1', image({ seed: 'app 1.1', baseSeeds, layers: 3 })),
      push('library/app:2.0', appVersion2),
      push('library/app:latest', appVersion2),
      push('team.one/app_x:v1', image({ seed: 'team one', baseSeeds })),
      push('a/b/c/d/e/f-g__h.i:t-1_2.3', image({ seed: 'deep' })),
      push('group/project/multi:latest', multi),
      push('docker/v2s2:1.0', image({ seed: 'docker', format: 'docker' })),
      push(movedTag, first).then(async () => push(movedTag, image({ seed: 'second image', layers: 1 }))),
    ]),
    push(trashTag, trash).then(async () => deleteManifest(address, 'trash/gone', trash.digest)),
    uploadBlob(address, emptyBlob.repository, new Uint8Array(), emptyBlob.digest),
    uploadBySha512(address, 'library/app', deterministicBytes('sha512', 2000)),
    interruptUpload(address, 'library/app'),
    interruptUpload(address, 'uploads/only'),
  ]);
  return {
    tags: new Map(tags),
    untagged: { repository: 'group/project/my/image', digest: first.digest },
    deleted: { repository: 'trash/gone', digest: trash.digest, blobs: trash.blobs },
    index: {
      repository: 'group/project/multi',
      tag: 'latest',
      digest: multi.digest,
      children: multi.children,
      blobs: multi.blobs,
    },
    interruptedUploads: ['library/app', 'uploads/only'],
    emptyBlob,
    sha512Blob,
    largeBlob: { repository: 'big/blob', digest: lastOf(big.blobs) },
  };
}

async function deleteManifest(address: string, repository: string, digest: Digest): Promise<void> {
  await request('DELETE', `http://${address}/v2/${repository}/manifests/${digest}`, 202);
}

async function uploadBySha512(address: string, repository: string, content: Buffer) {
  const sha512 = `sha512:${createHash('sha512').update(content).digest('hex')}` as const;
  await uploadBlob(address, repository, content, sha512);
  return { repository, digest: digestOf(content), sha512 };
}

async function uploadBlob(
  address: string,
  repository: string,
  content: Uint8Array,
  digest: string,
): Promise<void> {
  const location = await startUpload(address, repository);
  location.searchParams.set('digest', digest);
  await request('PUT', location, 201, content);
}

async function interruptUpload(address: string, repository: string): Promise<void> {
  const location = await startUpload(address, repository);
  await request('PATCH', location, 202, deterministicBytes(`upload to ${repository}`, 10_000));
}

/** Distribution's HTTP API V2, "Initiate Blob Upload": the answer's Location is where the bytes go. */
async function startUpload(address: string, repository: string): Promise<URL> {
  const started = await request('POST', `http://${address}/v2/${repository}/blobs/uploads/`, 202);
  const location = started.headers.get('location');
  if (location === null) {
    throw new Error(`The registry at ${address} began an upload to ${repository} without saying where.`);
  }
  return new URL(location, `http://${address}`);
}

async function request(
  method: string,
  url: string | URL,
  expectedStatus: number,
  content?: Uint8Array,
): Promise<Response> {
  const response = await fetch(url, {
    method,
    ...(content !== undefined && {
      body: Buffer.from(content),
      headers: { 'content-type': 'application/octet-stream' },
    }),
  });
  const answer = await response.text();
  if (response.status !== expectedStatus) {
    throw new Error(`${method} ${String(url)} was answered with ${response.status}: ${answer}`);
  }
  return response;
}

function lastOf(blobs: Digest[]): Digest {
  const last = blobs.at(-1);
  if (last === undefined) {
    throw new TypeError('An image has at least its config.');
  }
  return last;
}
