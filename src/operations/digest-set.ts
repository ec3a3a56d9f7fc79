import { DigestTable } from './digest-table.ts';

/**
 * A set of digests in 21 to 27 bytes each, with a ceiling: once `maxEntries` are in, further ones are not taken.
 * So `has` answering true is certain (but for a collision of 128 bits of a hash), and answering false
 * means "not known": the caller asks the store.
 */
export class DigestSet {
  readonly #table: DigestTable;

  constructor(maxEntries: number) {
    this.#table = new DigestTable(maxEntries, false);
  }

  get size(): number {
    return this.#table.size;
  }

  /** Whether the ceiling was reached, so that a `false` of `has` says nothing. */
  get isFull(): boolean {
    return this.#table.isFull;
  }

  /** `digest` is `<algorithm>:<hex>`. */
  add(digest: string): void {
    this.#table.set(digest, 0);
  }

  has(digest: string): boolean {
    return this.#table.get(digest) !== undefined;
  }
}
