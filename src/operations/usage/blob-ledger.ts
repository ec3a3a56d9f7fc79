import { DigestTable } from '../digest-table.ts';

/** In `#owners`: no repository has linked the blob so far. Repositories are numbered from 1. */
const NOBODY = 0;
/** In `#owners`: several repositories have. */
const SEVERAL = 0xffff_ffff;
const FIRST_CAPACITY = 1024;

/** What a link of a repository means for the sums, once its blob is known. */
export interface Claim {
  /** Tells the blob from all others: a repository that links it twice gets the same number twice. */
  blob: number;
  sizeBytes: number;
  /** Whether no other repository has linked it so far. */
  isFirst: boolean;
  /** The repository that linked it first and alone until now, and no longer does. */
  formerOwner: number | undefined;
}

/** How many blobs, and how large they are together. */
export interface BlobSum {
  blobs: number;
  bytes: number;
}

/**
 * Which blobs there are, and by how many repositories each is linked: none, one, or several. About 40 bytes a blob,
 * up to `maxBlobs` of them: further ones are not known, and `isFull` says so.
 */
export class BlobLedger {
  /** The place of each blob in the lists below. */
  readonly #places: DigestTable;
  #sizes = new Float64Array(FIRST_CAPACITY);
  #owners = new Uint32Array(FIRST_CAPACITY);

  constructor(maxBlobs: number) {
    this.#places = new DigestTable(maxBlobs);
  }

  get isFull(): boolean {
    return this.#places.isFull;
  }

  /** Takes a blob that was listed. `digest` is `<algorithm>:<hex>`. */
  add(digest: string, sizeBytes: number): void {
    const place = this.#places.size;
    if (this.isFull || this.#places.get(digest) !== undefined) {
      return;
    }
    if (place === this.#sizes.length) {
      this.#grow();
    }
    this.#places.set(digest, place);
    this.#sizes[place] = sizeBytes;
  }

  has(digest: string): boolean {
    return this.#places.get(digest) !== undefined;
  }

  /** Notes that a repository, numbered from 1, links a blob. Undefined where the blob is not known. */
  claim(digest: string, repository: number): Claim | undefined {
    const blob = this.#places.get(digest);
    if (blob === undefined) {
      return undefined;
    }
    const owner = this.#owners[blob] ?? NOBODY;
    const isFirst = owner === NOBODY;
    const isShared = !isFirst && owner !== repository;
    this.#owners[blob] = isShared ? SEVERAL : repository;
    return {
      blob,
      sizeBytes: this.#sizes[blob] ?? 0,
      isFirst,
      formerOwner: isShared && owner !== SEVERAL ? owner : undefined,
    };
  }

  /** All blobs, by how many repositories link them. */
  sums(): Record<'unlinked' | 'linkedOnce' | 'shared', BlobSum> {
    const sums = {
      unlinked: { blobs: 0, bytes: 0 },
      linkedOnce: { blobs: 0, bytes: 0 },
      shared: { blobs: 0, bytes: 0 },
    };
    for (let blob = 0; blob < this.#places.size; blob += 1) {
      const owner = this.#owners[blob];
      const sum = owner === NOBODY ? sums.unlinked : owner === SEVERAL ? sums.shared : sums.linkedOnce;
      sum.blobs += 1;
      sum.bytes += this.#sizes[blob] ?? 0;
    }
    return sums;
  }

  #grow(): void {
    const [sizes, owners] = [this.#sizes, this.#owners];
    this.#sizes = new Float64Array(sizes.length * 2);
    this.#owners = new Uint32Array(owners.length * 2);
    this.#sizes.set(sizes);
    this.#owners.set(owners);
  }
}
