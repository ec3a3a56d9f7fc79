import path from 'node:path';
import { Random } from '../../fixtures/random-registry.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { type BuiltImage, buildImage, buildIndex } from './images.ts';
import { copyTag, deleteTag, pushBuilt } from './skopeo.ts';

/**
 * A user with skopeo: pushes images and indexes, copies tags from one repository to another, whose blobs are then
 * mounted, and deletes. Much slower than `PushingClient`, and real. What it does depends on its seed alone.
 */
export class SkopeoClient {
  readonly #address: string;
  readonly #random: Random;
  readonly #seed: string;
  readonly #folder = createTemporaryFolder('regtool-skopeo-client');
  /** Tags of its own, which nobody else moves or deletes. */
  #own: string[] = [];
  #made = 0;

  constructor(address: string, seed: string) {
    this.#address = address;
    this.#random = new Random(seed);
    this.#seed = seed;
  }

  async close(): Promise<void> {
    this.#folder.remove();
    await Promise.resolve();
  }

  /** Does one random thing. */
  async act(): Promise<void> {
    const action = this.#random.below(10);
    const [known] = this.#own.length > 0 ? [this.#random.pick(this.#own)] : [];
    if (known === undefined || action < 4) {
      await this.#push(this.#build());
    } else if (action < 6) {
      await this.#push(this.#buildIndex());
    } else if (action < 8) {
      const to = this.#name();
      await copyTag(this.#address, known, to);
      this.#own = [...new Set([...this.#own, to])];
    } else {
      // skopeo deletes the manifest that the tag stands for, and with it every tag of the same in that repository.
      const [repository = ''] = known.split(':');
      this.#own = this.#own.filter((name) => !name.startsWith(`${repository}:`));
      await deleteTag(this.#address, known);
    }
  }

  async #push(image: BuiltImage): Promise<void> {
    const name = this.#name();
    await pushBuilt(this.#address, name, image);
    this.#own = [...new Set([...this.#own, name])];
  }

  #build(): BuiltImage {
    return buildImage(this.#next(), { seed: `${this.#seed} ${this.#made}`, baseSeeds: ['base'] });
  }

  #buildIndex(): BuiltImage {
    const architectures = ['amd64', 'arm64'];
    return buildIndex(
      this.#next(),
      architectures.map((architecture) => ({
        seed: `${this.#seed} ${this.#made} ${architecture}`,
        architecture,
      })),
    );
  }

  #next(): string {
    this.#made += 1;
    return path.join(this.#folder.path, String(this.#made));
  }

  #name(): string {
    const repository = this.#random.pick(['one', 'one/two', 'three']);
    return `skopeo/${this.#seed}/${repository}:${this.#random.pick(['latest', 'v1', 'v2'])}`;
  }
}
