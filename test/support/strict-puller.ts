import { createHash } from 'node:crypto';
import { Pool } from 'undici';

/** Every kind of manifest, so that the registry converts none. */
const ACCEPT = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

/** What kept a client from pulling. */
export class PullFailure extends Error {}

/**
 * Pulls from a registry over HTTP as the strictest client does: every platform, and every manifest, config and layer
 * compared with its digest and size. A hundred times as fast as a process for each tag.
 */
export class StrictPuller {
  readonly #pool: Pool;

  constructor(address: string) {
    this.#pool = new Pool(`http://${address}`, { connections: 8 });
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  /** Why a tag cannot be pulled, or undefined when it can. */
  async failureOf(repository: string, tag: string): Promise<string | undefined> {
    try {
      await this.#pullManifest(repository, tag);
      return undefined;
    } catch (error) {
      if (error instanceof PullFailure) {
        return error.message;
      }
      throw error;
    }
  }

  async #pullManifest(repository: string, reference: string): Promise<void> {
    const { bytes, headers } = await this.#get(`${repository}/manifests/${reference}`);
    const digest = String(headers['docker-content-digest']);
    verify(bytes, digest);
    if (reference.startsWith('sha256:') && reference !== digest) {
      throw new PullFailure(`asked for ${reference}, and the registry says that it gave ${digest}`);
    }
    const { config, layers = [], manifests = [] } = JSON.parse(bytes.toString()) as AnyManifest;
    const blobs = config === undefined ? layers : [config, ...layers];
    await Promise.all(blobs.map(async (blob) => this.#pullBlob(repository, blob)));
    for (const child of manifests) {
      await this.#pullManifest(repository, child.digest);
    }
  }

  async #pullBlob(repository: string, { digest, size }: Descriptor): Promise<void> {
    const { bytes } = await this.#get(`${repository}/blobs/${digest}`);
    verify(bytes, digest);
    if (bytes.length !== size) {
      throw new PullFailure(`${digest} is of ${bytes.length} bytes, not ${size}`);
    }
  }

  async #get(path: string) {
    const { statusCode, headers, body } = await this.#pool.request({
      method: 'GET',
      path: `/v2/${path}`,
      headers: { accept: ACCEPT },
    });
    const bytes = Buffer.from(await body.arrayBuffer());
    if (statusCode !== 200) {
      throw new PullFailure(`${path}: ${statusCode} ${bytes.toString()}`);
    }
    return { bytes, headers };
  }
}

interface Descriptor {
  digest: string;
  size: number;
}

interface AnyManifest {
  config?: Descriptor;
  layers?: Descriptor[];
  manifests?: { digest: string }[];
}

function verify(bytes: Buffer, digest: string): void {
  const algorithm = digest.startsWith('sha512:') ? 'sha512' : 'sha256';
  const actual = `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
  if (actual !== digest) {
    throw new PullFailure(`what should be ${digest} is ${actual}`);
  }
}
