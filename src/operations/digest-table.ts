/** Where open addressing begins to search long. */
const FILL_LIMIT = 0.8;
/** Little, so that little is free: the table is between 64 and 80 percent full, where doubling would leave two thirds free. */
const GROWTH = 1.25;
/** The first 128 bits of the hash. */
const WORDS = 4;
const WORD_DIGITS = 8;
const WORD_VALUES = 2 ** 32;
const ZERO = 0x30;
const NINE = 0x39;
/** The code of the letter a, less ten. */
const TEN_LESS_THAN_A = 0x57;
/** A power of two. Each grows by itself, so that only a 64th of the table is ever there twice. */
const SEGMENTS = 64;
const FIRST_CAPACITY = 16;
/** In the marks of a slot: a digest is there. The bits below are flags. */
const TAKEN = 0x80;

/** The digests whose second word has the same last bits. */
interface Segment {
  /** How many digests are in. */
  size: number;
  /** `WORDS` for each slot. */
  words: Uint32Array;
  marks: Uint8Array;
  /** Without length in a table that holds none, which then reads as zeros. */
  numbers: Float64Array;
}

/**
 * Digests with a number and some flags each, in 31 to 39 bytes, with a ceiling: once `maxEntries` are in, further ones
 * are not taken. So what is found is certain (but for a collision of 128 bits of a hash), and what is not found is
 * "not known" once `isFull`.
 */
export class DigestTable {
  readonly #maxEntries: number;
  readonly #holdsNumbers: boolean;
  readonly #segments: Segment[];
  #size = 0;
  /** What is looked for. One for all calls: it is used before another begins. */
  readonly #wanted = new Uint32Array(WORDS);

  /** @param holdsNumbers false: all numbers are zero, and each digest takes 8 bytes less before what is free. */
  constructor(maxEntries: number, holdsNumbers = true) {
    this.#maxEntries = maxEntries;
    this.#holdsNumbers = holdsNumbers;
    this.#segments = Array.from({ length: SEGMENTS }, () => this.#segment(FIRST_CAPACITY));
  }

  get size(): number {
    return this.#size;
  }

  /** The memory that it takes, free slots included. */
  get sizeBytes(): number {
    return this.#segments.reduce(
      (sum, { words, marks, numbers }) => sum + words.byteLength + marks.byteLength + numbers.byteLength,
      0,
    );
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
    this.#want(digest);
    const segment = this.#wantedSegment();
    const slot = this.#slotOfWanted(segment);
    if (isTaken(segment, slot)) {
      segment.numbers[slot] = number;
      return;
    }
    this.#size += 1;
    if (segment.size < segment.marks.length * FILL_LIMIT) {
      this.#fill(segment, slot, number, TAKEN);
      return;
    }
    const grown = this.#grown(segment);
    this.#want(digest);
    this.#fill(grown, this.#slotOfWanted(grown), number, TAKEN);
  }

  get(digest: string): number | undefined {
    this.#want(digest);
    const segment = this.#wantedSegment();
    const slot = this.#slotOfWanted(segment);
    return isTaken(segment, slot) ? (segment.numbers[slot] ?? 0) : undefined;
  }

  /** Sets flags, a bit mask below 128, of a digest that is in; does nothing for one that is not. */
  flag(digest: string, mask: number): void {
    this.#want(digest);
    const segment = this.#wantedSegment();
    const slot = this.#slotOfWanted(segment);
    if (isTaken(segment, slot)) {
      segment.marks[slot] = (segment.marks[slot] ?? 0) | mask;
    }
  }

  /** Calls back for every digest: the first byte of its hash, its number and its flags. */
  forEach(take: (firstByte: number, number: number, flags: number) => void): void {
    for (const segment of this.#segments) {
      for (let slot = 0; slot < segment.marks.length; slot += 1) {
        if (isTaken(segment, slot)) {
          const firstByte = (segment.words[slot * WORDS] ?? 0) >>> 24;
          take(firstByte, segment.numbers[slot] ?? 0, (segment.marks[slot] ?? 0) & ~TAKEN);
        }
      }
    }
  }

  hasFlag(digest: string, mask: number): boolean {
    this.#want(digest);
    const segment = this.#wantedSegment();
    return ((segment.marks[this.#slotOfWanted(segment)] ?? 0) & mask) === mask;
  }

  #want(digest: string): void {
    const start = digest.indexOf(':') + 1;
    for (let index = 0; index < WORDS; index += 1) {
      this.#wanted[index] = wordAt(digest, start + index * WORD_DIGITS);
    }
  }

  #wantedSegment(): Segment {
    const segment = this.#segments[(this.#wanted[1] ?? 0) & (SEGMENTS - 1)];
    if (segment === undefined) {
      throw new TypeError('There are as many segments as the bits of a mask can tell apart.');
    }
    return segment;
  }

  /** The slot that holds the wanted words, or the free one where they belong. */
  #slotOfWanted({ words, marks }: Segment): number {
    const wanted = this.#wanted;
    const capacity = marks.length;
    // A part of the capacity, as the word is a part of all that it can be. Not by the first word: digests come in the
    // order of their first bytes, and would fill one part of the slots after another.
    let slot = Math.floor(((wanted[2] ?? 0) * capacity) / WORD_VALUES);
    while ((marks[slot] ?? 0) !== 0) {
      const start = slot * WORDS;
      if (
        words[start] === wanted[0] &&
        words[start + 1] === wanted[1] &&
        words[start + 2] === wanted[2] &&
        words[start + 3] === wanted[3]
      ) {
        break;
      }
      slot = slot + 1 === capacity ? 0 : slot + 1;
    }
    return slot;
  }

  /** Puts the wanted words into a free slot that `#slotOfWanted` gave. */
  #fill(segment: Segment, slot: number, number: number, marks: number): void {
    segment.words.set(this.#wanted, slot * WORDS);
    segment.marks[slot] = marks;
    segment.numbers[slot] = number;
    segment.size += 1;
  }

  /** The same segment with more room. What is wanted is another digest afterwards. */
  #grown(segment: Segment): Segment {
    const { words, marks, numbers } = segment;
    Object.assign(segment, this.#segment(Math.ceil(marks.length * GROWTH)));
    for (let slot = 0; slot < marks.length; slot += 1) {
      if ((marks[slot] ?? 0) !== 0) {
        for (let index = 0; index < WORDS; index += 1) {
          this.#wanted[index] = words[slot * WORDS + index] ?? 0;
        }
        this.#fill(segment, this.#slotOfWanted(segment), numbers[slot] ?? 0, marks[slot] ?? 0);
      }
    }
    return segment;
  }

  #segment(capacity: number): Segment {
    return {
      size: 0,
      words: new Uint32Array(capacity * WORDS),
      marks: new Uint8Array(capacity),
      numbers: new Float64Array(this.#holdsNumbers ? capacity : 0),
    };
  }
}

function isTaken({ marks }: Segment, slot: number): boolean {
  return (marks[slot] ?? 0) !== 0;
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
