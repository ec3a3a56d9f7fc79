/** Two thirds full is where open addressing begins to search long. */
const FILL_LIMIT = 0.66;
/** The first 128 bits of the hash. */
const WORDS = 4;
const WORD_DIGITS = 8;
const ZERO = 0x30;
const NINE = 0x39;
/** The code of the letter a, less ten. */
const TEN_LESS_THAN_A = 0x57;
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
  /** What is looked for. One for all calls: it is used before another begins. */
  readonly #wanted = new Uint32Array(WORDS);

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
    this.#insert(this.#slotOf(digest), number, 0);
  }

  get(digest: string): number | undefined {
    const slot = this.#slotOf(digest);
    return this.#used[slot] === 1 ? this.#numbers[slot] : undefined;
  }

  /** Sets flags, a bit mask below 256, of a digest that is in; does nothing for one that is not. */
  flag(digest: string, mask: number): void {
    const slot = this.#slotOf(digest);
    if (this.#used[slot] === 1) {
      this.#flags[slot] = (this.#flags[slot] ?? 0) | mask;
    }
  }

  /** Calls back for every digest: the first byte of its hash, its number and its flags. */
  forEach(take: (firstByte: number, number: number, flags: number) => void): void {
    for (let slot = 0; slot < this.#used.length; slot += 1) {
      if (this.#used[slot] === 1) {
        take((this.#words[slot * WORDS] ?? 0) >>> 24, this.#numbers[slot] ?? 0, this.#flags[slot] ?? 0);
      }
    }
  }

  hasFlag(digest: string, mask: number): boolean {
    return ((this.#flags[this.#slotOf(digest)] ?? 0) & mask) === mask;
  }

  /** Fills a slot that `#slotOf` or `#slotOfWanted` gave. */
  #insert(slot: number, number: number, flags: number): void {
    this.#numbers[slot] = number;
    if (this.#used[slot] === 0) {
      this.#used[slot] = 1;
      this.#flags[slot] = flags;
      this.#words.set(this.#wanted, slot * WORDS);
      this.#size += 1;
    }
  }

  #slotOf(digest: string): number {
    const start = digest.indexOf(':') + 1;
    for (let index = 0; index < WORDS; index += 1) {
      this.#wanted[index] = wordAt(digest, start + index * WORD_DIGITS);
    }
    return this.#slotOfWanted();
  }

  /** The slot that holds the wanted words, or the free one where they belong. */
  #slotOfWanted(): number {
    const wanted = this.#wanted;
    const words = this.#words;
    const mask = this.#used.length - 1;
    let slot = (wanted[0] ?? 0) & mask;
    while (this.#used[slot] === 1) {
      const start = slot * WORDS;
      if (
        words[start] === wanted[0] &&
        words[start + 1] === wanted[1] &&
        words[start + 2] === wanted[2] &&
        words[start + 3] === wanted[3]
      ) {
        break;
      }
      slot = (slot + 1) & mask;
    }
    return slot;
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
        for (let index = 0; index < WORDS; index += 1) {
          this.#wanted[index] = words[slot * WORDS + index] ?? 0;
        }
        this.#insert(this.#slotOfWanted(), numbers[slot] ?? 0, flags[slot] ?? 0);
      }
    }
  }
}

/** Eight hex digits as a number. Every blob and every layer of a manifest passes here: `parseInt` of slices took half as much again. */
function wordAt(digest: string, start: number): number {
  let word = 0;
  for (let index = start; index < start + WORD_DIGITS; index += 1) {
    const code = digest.charCodeAt(index);
    word = (word << 4) | (code <= NINE ? code - ZERO : code - TEN_LESS_THAN_A);
  }
  return word >>> 0;
}
