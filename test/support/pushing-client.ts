import { createHash } from 'node:crypto';
import { Pool } from 'undici';
import { Random } from '../../fixtures/random-registry.ts';
import { deterministicBytes } from './images.ts';

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
/** The last of them must go well. */
const PUSHES_MAX = 5;
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';

interface Pushed {
  digest: string;
  size: number;
  mediaType: string;
}

interface AnyManifest {
  schemaVersion: number;
  mediaType: string;
  config?: Pushed;
  layers?: Pushed[];
  manifests?: Pushed[];
}

/**
 * A client that does to a registry, over HTTP, what its users do all day: pushes, retags and deletes, one at a time,
 * in the order in which skopeo and docker make their requests. What it does depends on its seed alone.
 */
export class PushingClient {
  readonly #pool: Pool;
  readonly #random: Random;
  readonly #seed: string;
  readonly #pushed = new Map<string, Pushed[]>();
  #made = 0;

  constructor(address: string, seed: string) {
    this.#pool = new Pool(`http://${address}`, { connections: 2 });
    this.#random = new Random(seed);
    this.#seed = seed;
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  /** Does one random thing. */
  async act(): Promise<void> {
    const repository = this.#random.pick(['app', 'app/web', 'a-b', `own/${this.#seed}`]);
    const known = this.#pushed.get(repository) ?? [];
    const action = this.#random.below(10);
    if (known.length < 2 || action < 5) {
      await this.#pushImage(repository, this.#tag());
    } else if (action < 6) {
      await this.#pushIndex(repository);
    } else if (action < 8) {
      await this.#retag(repository, this.#random.pick(known));
    } else {
      await this.#deleteManifest(repository, this.#random.pick(known));
    }
  }

  #tag(): string {
    return this.#random.pick(['latest', 'v1', 'v2', 'v3', `${this.#seed}-own`]);
  }

  async #pushImage(repository: string, reference: string): Promise<Pushed> {
    this.#made += 1;
    const name = `${this.#seed} ${this.#made}`;
    const layers = await Promise.all(
      // The first of a few layers that many images share, as base images are.
      [`base ${this.#random.below(4)}`, name].map(async (layer) =>
        this.#blob(repository, deterministicBytes(layer, 2000)),
      ),
    );
    const config = await this.#blob(repository, Buffer.from(JSON.stringify({ created_by: name })));
    return this.#manifest(repository, reference, {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { ...config, mediaType: 'application/vnd.oci.image.config.v1+json' },
      layers: layers.map((layer) => ({ ...layer, mediaType: 'application/vnd.oci.image.layer.v1.tar' })),
    });
  }

  async #pushIndex(repository: string): Promise<void> {
    const manifests = [
      await this.#pushImage(repository, 'digest'),
      await this.#pushImage(repository, 'digest'),
    ];
    await this.#manifest(repository, this.#tag(), { schemaVersion: 2, mediaType: OCI_INDEX, manifests });
  }

  async #manifest(repository: string, reference: string, manifest: AnyManifest): Promise<Pushed> {
    const bytes = Buffer.from(JSON.stringify(manifest));
    const { mediaType } = manifest;
    const pushed = { digest: digestOf(bytes), size: bytes.length, mediaType };
    const name = reference === 'digest' ? pushed.digest : reference;
    await this.#putManifest(`/v2/${repository}/manifests/${name}`, bytes, mediaType);
    if (reference !== 'digest') {
      // Children of an index are not deleted by users who keep the index.
      this.#pushed.set(repository, [...(this.#pushed.get(repository) ?? []), pushed]);
    }
    return pushed;
  }

  /**
   * The registry's filesystem driver empties a link before it writes it again (distribution 2.8, `driver.go`,
   * `PutContent`): who reads it in that moment, because another client pushes the same layer, is told that the blob
   * is unknown. Whose push fails pushes again.
   */
  async #putManifest(path: string, bytes: Buffer, mediaType: string): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const statuses = attempt < PUSHES_MAX ? [201, 400] : [201];
      const { statusCode, bytes: answer } = await this.#expect(statuses, 'PUT', path, bytes, mediaType);
      if (statusCode === 201) {
        return;
      }
      if (!answer.includes('MANIFEST_BLOB_UNKNOWN') && !answer.includes('MANIFEST_UNKNOWN')) {
        throw new Error(`PUT ${path} was answered with ${statusCode}: ${answer.toString()}`);
      }
    }
  }

  /** Fetches a manifest and puts it under another tag. Another client may have deleted it. */
  async #retag(repository: string, { digest, mediaType }: Pushed): Promise<void> {
    const path = `/v2/${repository}/manifests/${digest}`;
    const { statusCode, bytes } = await this.#expect(
      [200, 404],
      'GET',
      path,
      undefined,
      undefined,
      mediaType,
    );
    if (statusCode === 200) {
      await this.#putManifest(`/v2/${repository}/manifests/${this.#tag()}`, bytes, mediaType);
    }
  }

  async #deleteManifest(repository: string, pushed: Pushed): Promise<void> {
    this.#pushed.set(
      repository,
      (this.#pushed.get(repository) ?? []).filter((other) => other !== pushed),
    );
    // 500 is what the registry answers when a tag of the manifest is taken away or moved by someone else meanwhile.
    await this.#expect([202, 404, 500], 'DELETE', `/v2/${repository}/manifests/${pushed.digest}`);
  }

  async #blob(repository: string, content: Buffer): Promise<{ digest: string; size: number }> {
    const digest = digestOf(content);
    const { headers } = await this.#expect([202], 'POST', `/v2/${repository}/blobs/uploads/`);
    const location = new URL(String(headers['location']), 'http://registry');
    location.searchParams.set('digest', digest);
    await this.#expect(
      [201],
      'PUT',
      `${location.pathname}${location.search}`,
      content,
      'application/octet-stream',
    );
    return { digest, size: content.length };
  }

  async #expect(
    statuses: number[],
    method: 'GET' | 'PUT' | 'POST' | 'DELETE',
    path: string,
    body?: Buffer,
    contentType?: string,
    accept?: string,
  ) {
    const {
      statusCode,
      headers,
      body: answer,
    } = await this.#pool.request({
      method,
      path,
      body: body ?? null,
      headers: {
        ...(contentType === undefined ? {} : { 'content-type': contentType }),
        ...(accept === undefined ? {} : { accept }),
      },
    });
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (!statuses.includes(statusCode)) {
      throw new Error(`${method} ${path} was answered with ${statusCode}: ${bytes.toString()}`);
    }
    return { statusCode, headers, bytes };
  }
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
