/** Two thirds full is where open addressing begins to search long. */
const FILL_LIMIT = 0.66;
const WORDS = 4;
const FIRST_CAPACITY = 1024;

/**
 * Digests with a number and some flags each, in 25 bytes, with a ceiling: once `maxEntries` are in, further ones are
 * not taken. So what is found is certain (but for a collision of 128 bits of a hash), and what is not found is
 * "not known" once `isFull`.
 */
export class DigestTable {
  readonly #maxEntries: number;
  #words = new Uint32Array(FIRST_CAPACITY * WORDS);
  #used = new Uint8Array(FIRST_CAPACITY);
  #flags = new Uint8Array(FIRST_CAPACITY);
  #numbers = new Float64Array(FIRST_CAPACITY);
  #size = 0;

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  get size(): number {
    return this.#size;
  }

  /** Whether the ceiling was reached, so that "not found" says nothing. */
  get isFull(): boolean {
    return this.#size >= this.#maxEntries;
  }

  /** Adds a digest, `<algorithm>:<hex>`, or replaces its number. */
  set(digest: string, number: number): void {
    if (this.isFull) {
      return;
    }
    if (this.#size >= this.#used.length * FILL_LIMIT) {
      this.#grow();
    }
    this.#insert(wordsOf(digest), number, 0);
  }

  get(digest: string): number | undefined {
    const slot = this.#slotOf(wordsOf(digest));
    return this.#used[slot] === 1 ? this.#numbers[slot] : undefined;
  }

  /** Sets flags, a bit mask below 256, of a digest that is in; does nothing for one that is not. */
  flag(digest: string, mask: number): void {
    const slot = this.#slotOf(wordsOf(digest));
    if (this.#used[slot] === 1) {
      this.#flags[slot] = (this.#flags[slot] ?? 0) | mask;
    }
  }

  hasFlag(digest: string, mask: number): boolean {
    return ((this.#flags[this.#slotOf(wordsOf(digest))] ?? 0) & mask) === mask;
  }

  #insert(words: Words, number: number, flags: number): void {
    const slot = this.#slotOf(words);
    this.#numbers[slot] = number;
    if (this.#used[slot] === 0) {
      this.#used[slot] = 1;
      this.#flags[slot] = flags;
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
    const all = this.#words;
    return (
      all[start] === words[0] &&
      all[start + 1] === words[1] &&
      all[start + 2] === words[2] &&
      all[start + 3] === words[3]
    );
  }

  #grow(): void {
    const [words, used, flags, numbers] = [this.#words, this.#used, this.#flags, this.#numbers];
    const capacity = used.length * 2;
    this.#words = new Uint32Array(capacity * WORDS);
    this.#used = new Uint8Array(capacity);
    this.#flags = new Uint8Array(capacity);
    this.#numbers = new Float64Array(capacity);
    this.#size = 0;
    for (let slot = 0; slot < used.length; slot += 1) {
      if (used[slot] === 1) {
        const start = slot * WORDS;
        const word = (index: number) => words[start + index] ?? 0;
        this.#insert([word(0), word(1), word(2), word(3)], numbers[slot] ?? 0, flags[slot] ?? 0);
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
