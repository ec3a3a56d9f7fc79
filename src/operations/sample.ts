import { hash } from 'node:crypto';

/** Which blobs' bytes are read: so many percent of all, or as many as have so many bytes together. */
export type DataSubset = { percent: number } | { bytes: number };

export interface SampleSize {
  blobs: number;
  bytes: number;
}

/**
 * A place in the order that a seed gives to all digests: from 0 to below 1, evenly spread, the same in every
 * process. Whoever does not know the seed cannot tell which blobs come first.
 */
export function sampleRank(digest: string, seed: number): number {
  return Number.parseInt(hash('sha256', `${seed} ${digest}`, 'hex').slice(0, 12), 16) / 2 ** 48;
}

/** So many parts of the seeded order have their bytes counted. Registries below this size are cut exactly. */
const PARTS = 65_536;

/**
 * The same choice of blobs for the same seed, whatever the order in which they are listed, in constant memory.
 * First every blob is counted, then each is asked for.
 *
 * A percentage takes the blobs whose rank is below it. A number of bytes takes blobs in the seeded order as long
 * as they fit, and ends at the first that does not; one that is larger than all the bytes is passed over.
 */
export class Sample {
  readonly subset: DataSubset;
  readonly seed: number;
  readonly #blobs = new Float64Array(PARTS);
  readonly #bytes = new Float64Array(PARTS);
  #chosen: Chosen | undefined;

  constructor(subset: DataSubset, seed: number) {
    this.subset = subset;
    this.seed = seed;
  }

  /** Takes a blob into account. Not after `size` or `includes`. */
  count(digest: string, sizeBytes: number): void {
    if ('percent' in this.subset && !this.#isBelowPercentage(digest)) {
      return;
    }
    const part = this.#partOf(digest);
    this.#blobs[part] = (this.#blobs[part] ?? 0) + 1;
    this.#bytes[part] = (this.#bytes[part] ?? 0) + sizeBytes;
  }

  includes(digest: string): boolean {
    return 'percent' in this.subset
      ? this.#isBelowPercentage(digest)
      : this.#choose().parts[this.#partOf(digest)] === 1;
  }

  /** What was chosen of all that was counted. */
  get size(): SampleSize {
    return this.#choose().size;
  }

  #isBelowPercentage(digest: string): boolean {
    const percent = 'percent' in this.subset ? this.subset.percent : 0;
    return percent >= 100 || sampleRank(digest, this.seed) < percent / 100;
  }

  #partOf(digest: string): number {
    return Math.floor(sampleRank(digest, this.seed) * PARTS);
  }

  #choose(): Chosen {
    this.#chosen ??= this.#chooseParts('bytes' in this.subset ? this.subset.bytes : Number.POSITIVE_INFINITY);
    return this.#chosen;
  }

  #chooseParts(budgetBytes: number): Chosen {
    const parts = new Uint8Array(PARTS);
    const size = { blobs: 0, bytes: 0 };
    for (const [part, bytes] of this.#bytes.entries()) {
      const blobs = this.#blobs[part] ?? 0;
      if (size.bytes + bytes <= budgetBytes) {
        parts[part] = 1;
        size.blobs += blobs;
        size.bytes += bytes;
      } else if (bytes <= budgetBytes) {
        break;
      }
    }
    return { parts, size };
  }
}

interface Chosen {
  parts: Uint8Array;
  size: SampleSize;
}
