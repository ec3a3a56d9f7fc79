import { readFileSync } from 'node:fs';
import path from 'node:path';
import pLimit from 'p-limit';
import { createTemporaryFolder, runProgram } from '../servers/process.ts';
import { buildImage, digestOf, type BuiltImage, type Digest, type ImageOptions } from './images.ts';

/**
 * Builds an image and pushes it under a tag. Returns the digest of its manifest.
 * @throws Error with what skopeo said.
 */
export async function pushImage(
  address: string,
  repository: string,
  tag: string,
  options: ImageOptions,
): Promise<Digest> {
  const folder = createTemporaryFolder('regtool-push');
  try {
    return await pushBuilt(
      address,
      `${repository}:${tag}`,
      buildImage(path.join(folder.path, 'image'), options),
    );
  } finally {
    folder.remove();
  }
}

/**
 * Pushes what `buildImage` or `buildIndex` wrote, byte for byte. `reference` is `repository:tag`.
 * @throws Error with what skopeo said.
 */
export async function pushBuilt(address: string, reference: string, image: BuiltImage): Promise<Digest> {
  await skopeo(
    'copy',
    '--quiet',
    '--all',
    '--preserve-digests',
    '--dest-tls-verify=false',
    `dir:${image.folder}`,
    `docker://${address}/${reference}`,
  );
  return image.digest;
}

/**
 * Copies a tag within a registry, byte for byte. Blobs that the other repository has are mounted.
 * @throws Error with what skopeo said.
 */
export async function copyTag(address: string, from: string, to: string): Promise<void> {
  await skopeo(
    'copy',
    '--quiet',
    '--all',
    '--preserve-digests',
    '--src-tls-verify=false',
    '--dest-tls-verify=false',
    `docker://${address}/${from}`,
    `docker://${address}/${to}`,
  );
}

/**
 * Deletes the manifest that a tag stands for, and so every tag of it in the repository.
 * @throws Error with what skopeo said.
 */
export async function deleteTag(address: string, reference: string): Promise<void> {
  await skopeo('delete', '--tls-verify=false', `docker://${address}/${reference}`);
}

/**
 * Pulls each `repository:tag` whole, every platform of it: skopeo checks each blob and each child manifest
 * against the digest that names it. Returns the digest of what each tag points at, computed from its bytes.
 * @throws Error that names the first tag that cannot be pulled, with what skopeo said.
 */
export async function pullAll(address: string, references: Iterable<string>): Promise<Map<string, Digest>> {
  const limit = pLimit(4);
  const pulls = Array.from(references, async (reference) =>
    limit(async () => [reference, await pull(address, reference)] as const),
  );
  return new Map(await Promise.all(pulls));
}

/** Tells whether a tag can be pulled whole, and if not what skopeo said. */
export async function canPull(
  address: string,
  repository: string,
  tag: string,
): Promise<{ ok: boolean; error?: string }> {
  try {
    await pull(address, `${repository}:${tag}`);
    return { ok: true };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}

async function pull(address: string, reference: string): Promise<Digest> {
  const folder = createTemporaryFolder('regtool-pull');
  try {
    await skopeo(
      'copy',
      '--quiet',
      '--all',
      '--src-tls-verify=false',
      `docker://${address}/${reference}`,
      `dir:${folder.path}`,
    );
    return digestOf(readFileSync(path.join(folder.path, 'manifest.json')));
  } finally {
    folder.remove();
  }
}

/**
 * skopeo remembers where it saw which blob, for root in /var/lib/containers, and would then skip or mount
 * blobs by what another registry at the same address once had. Told that it runs without root it keeps
 * that memory in XDG_DATA_HOME, here a folder for each call.
 */
async function skopeo(...args: string[]): Promise<void> {
  const home = createTemporaryFolder('regtool-skopeo');
  try {
    await runProgram('skopeo', ['--insecure-policy', '--tmpdir', home.path, ...args], {
      ...process.env,
      HOME: home.path,
      XDG_DATA_HOME: home.path,
      XDG_RUNTIME_DIR: home.path,
      _CONTAINERS_ROOTLESS_UID: '1000',
    });
  } finally {
    home.remove();
  }
}
