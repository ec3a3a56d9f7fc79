import { createHash, randomFillSync } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';

const NAMESPACES = 40;
const LAYERS = 8;
const IMAGES_PER_REPOSITORY = 10;

/** A registry on a local disk that holds what it says, in as many files as a real one, with small layers. */
export class BenchRegistry {
  readonly folder: string;
  readonly #salt: string;
  readonly #folders = new Set<string>();
  #images = 0;
  #objects = 0;

  /** @param salt keeps apart what two registries hold. */
  constructor(folder: string, salt: string) {
    this.folder = folder;
    this.#salt = salt;
  }

  get objects(): number {
    return this.#objects;
  }

  /** Adds images until there are at least so many objects more. */
  grow(objects: number): void {
    const wanted = this.#objects + objects;
    while (this.#objects < wanted) {
      this.#addImage(
        Array.from({ length: LAYERS }, (_, index) => {
          const about = `${this.#salt} image ${this.#images} layer ${index}. `;
          return this.#addBlob(Buffer.from(about.repeat(4)));
        }),
      );
    }
  }

  /** Adds one image with layers of random bytes. */
  addLargeImage(layers: number, layerBytes: number): void {
    this.#addImage(Array.from({ length: layers }, () => this.#addLargeBlob(layerBytes)));
  }

  #addImage(layers: Blob[]): void {
    const number = this.#images;
    this.#images += 1;
    const repositoryNumber = Math.floor(number / IMAGES_PER_REPOSITORY);
    const repository = `repositories/group${repositoryNumber % NAMESPACES}/project${repositoryNumber}`;
    const tag = `v${number % IMAGES_PER_REPOSITORY}`;
    const config = this.#addBlob(Buffer.from(JSON.stringify({ salt: this.#salt, number })));
    const manifest = this.#addBlob(Buffer.from(JSON.stringify(manifestOf(config, layers))));
    for (const { hex } of [...layers, config]) {
      this.#write(`${repository}/_layers/sha256/${hex}/link`, `sha256:${hex}`);
    }
    const link = `sha256:${manifest.hex}`;
    const manifests = `${repository}/_manifests`;
    this.#write(`${manifests}/revisions/sha256/${manifest.hex}/link`, link);
    this.#write(`${manifests}/tags/${tag}/index/sha256/${manifest.hex}/link`, link);
    this.#write(`${manifests}/tags/${tag}/current/link`, link);
  }

  #addBlob(content: Buffer): Blob {
    const hex = createHash('sha256').update(content).digest('hex');
    this.#write(`blobs/sha256/${hex.slice(0, 2)}/${hex}/data`, content);
    return { hex, sizeBytes: content.byteLength };
  }

  /** Its name is known at the end only: the same bytes are made twice, and never held. */
  #addLargeBlob(sizeBytes: number): Blob {
    const piece = randomFillSync(Buffer.alloc(PIECE_BYTES));
    const hash = createHash('sha256');
    const pieces = Math.ceil(sizeBytes / PIECE_BYTES);
    for (let index = 0; index < pieces; index += 1) {
      piece.writeUInt32LE(index);
      hash.update(piece);
    }
    const hex = hash.digest('hex');
    const file = openSync(this.#path(`blobs/sha256/${hex.slice(0, 2)}/${hex}/data`), 'w');
    for (let index = 0; index < pieces; index += 1) {
      piece.writeUInt32LE(index);
      writeSync(file, piece);
    }
    closeSync(file);
    this.#objects += 1;
    return { hex, sizeBytes: pieces * PIECE_BYTES };
  }

  #write(key: string, content: string | Buffer): void {
    writeFileSync(this.#path(key), content);
    this.#objects += 1;
  }

  #path(key: string): string {
    const filePath = path.join(this.folder, 'docker/registry/v2', key);
    const folder = path.dirname(filePath);
    if (!this.#folders.has(folder)) {
      mkdirSync(folder, { recursive: true });
      // Folders of digests are used once; remembering them would cost more than it saves.
      if (!folder.includes('/sha256/')) {
        this.#folders.add(folder);
      }
    }
    return filePath;
  }
}

interface Blob {
  hex: string;
  sizeBytes: number;
}

const PIECE_BYTES = 1024 * 1024;

function manifestOf(config: Blob, layers: Blob[]) {
  return {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: describe(config, 'application/vnd.oci.image.config.v1+json'),
    layers: layers.map((layer) => describe(layer, 'application/vnd.oci.image.layer.v1.tar')),
  };
}

function describe({ hex, sizeBytes }: Blob, mediaType: string) {
  return { mediaType, digest: `sha256:${hex}`, size: sizeBytes };
}
