import type { Digest } from '../../layout/digest.ts';

const SHA256 = 'sha256:';
const HASH_BYTES = 32;
const NAME_MAX_BYTES = 128;
const FIRST_CHUNK_BYTES = 512;
const LAST_CHUNK_BYTES = 1024 * 1024;

/**
 * Tags and what they stand for, in the bytes that this takes: about 50 for each. As objects they would take 20 times
 * as much, and a repository that is pushed to by every build has hundreds of thousands.
 */
export class TagList {
  readonly #chunks: Buffer[] = [];
  #usedBytes = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** `tag` is what `isTagName` takes. False, and nothing is added, for a digest that is not SHA-256. */
  add(tag: string, digest: Digest): boolean {
    if (!digest.startsWith(SHA256)) {
      return false;
    }
    const chunk = this.#roomFor(1 + NAME_MAX_BYTES + HASH_BYTES);
    const nameBytes = chunk.write(tag, this.#usedBytes + 1, 'latin1');
    chunk[this.#usedBytes] = nameBytes;
    chunk.write(digest.slice(SHA256.length), this.#usedBytes + 1 + nameBytes, 'hex');
    this.#usedBytes += 1 + nameBytes + HASH_BYTES;
    this.#length += 1;
    return true;
  }

  /** In the order in which they were added. Nothing is added meanwhile. */
  *[Symbol.iterator](): Generator<{ tag: string; digest: Digest }> {
    for (const [index, chunk] of this.#chunks.entries()) {
      const endBytes = index === this.#chunks.length - 1 ? this.#usedBytes : chunk.length;
      let position = 0;
      // A chunk that was left because the next one might not have fitted ends with a zero.
      while (position < endBytes && chunk[position] !== 0) {
        const nameEnd = position + 1 + (chunk[position] ?? 0);
        const end = nameEnd + HASH_BYTES;
        const digest = `${SHA256}${chunk.toString('hex', nameEnd, end)}` as Digest;
        yield { tag: chunk.toString('latin1', position + 1, nameEnd), digest };
        position = end;
      }
    }
  }

  #roomFor(bytes: number): Buffer {
    const last = this.#chunks.at(-1);
    if (last !== undefined && this.#usedBytes + bytes <= last.length) {
      return last;
    }
    const next = Buffer.alloc(
      last === undefined ? FIRST_CHUNK_BYTES : Math.min(last.length * 2, LAST_CHUNK_BYTES),
    );
    this.#chunks.push(next);
    this.#usedBytes = 0;
    return next;
  }
}
