/** Two thirds full is where open addressing begins to search long. */
const FILL_LIMIT = 0.66;
const WORDS = 4;
const FIRST_CAPACITY = 1024;

/**
 * A set of digests in 16 bytes each, with a ceiling: once `maxEntries` are in, further ones are not taken.
 * So `has` answering true is certain (but for a collision of 128 bits of a hash), and answering false
 * means "not known": the caller asks the store.
 */
export class DigestSet {
  readonly #maxEntries: number;
  #words = new Uint32Array(FIRST_CAPACITY * WORDS);
  #used = new Uint8Array(FIRST_CAPACITY);
  #size = 0;

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  get size(): number {
    return this.#size;
  }

  /** Whether the ceiling was reached, so that a `false` of `has` says nothing. */
  get isFull(): boolean {
    return this.#size >= this.#maxEntries;
  }

  /** `digest` is `<algorithm>:<hex>`. */
  add(digest: string): void {
    if (this.isFull) {
      return;
    }
    if (this.#size >= this.#used.length * FILL_LIMIT) {
      this.#grow();
    }
    this.#insert(wordsOf(digest));
  }

  has(digest: string): boolean {
    return this.#used[this.#slotOf(wordsOf(digest))] === 1;
  }

  #insert(words: Words): void {
    const slot = this.#slotOf(words);
    if (this.#used[slot] === 0) {
      this.#used[slot] = 1;
      this.#words.set(words, slot * WORDS);
      this.#size += 1;
    }
  }

  /** The slot that holds these words, or the free one where they belong. */
  #slotOf(words: Words): number {
    const mask = this.#used.length - 1;
    let slot = words[0] & mask;
    while (this.#used[slot] === 1 && !this.#holds(slot, words)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #holds(slot: number, words: Words): boolean {
    const start = slot * WORDS;
    return words.every((word, index) => this.#words[start + index] === word);
  }

  #grow(): void {
    const [words, used] = [this.#words, this.#used];
    this.#words = new Uint32Array(words.length * 2);
    this.#used = new Uint8Array(used.length * 2);
    this.#size = 0;
    for (let slot = 0; slot < used.length; slot += 1) {
      if (used[slot] === 1) {
        const start = slot * WORDS;
        this.#insert([
          words[start] ?? 0,
          words[start + 1] ?? 0,
          words[start + 2] ?? 0,
          words[start + 3] ?? 0,
        ]);
      }
    }
  }
}

type Words = [number, number, number, number];

/** The first 128 bits of the hash. */
function wordsOf(digest: string): Words {
  const start = digest.indexOf(':') + 1;
  const word = (index: number) => Number.parseInt(digest.slice(start + index * 8, start + index * 8 + 8), 16);
  return [word(0), word(1), word(2), word(3)];
}
