/**
 * What a set of keys adds up to, whatever their order: two listings of the same keys give equal sums, in the memory of
 * three numbers. Of different sets the sums agree once in 2^64. No protection from somebody who chooses the keys.
 */
export class KeySum {
  #count = 0;
  #low = 0;
  #high = 0;

  add(key: string): void {
    // FNV-1a (Fowler, Noll and Vo), from two beginnings, and with the position mixed into the second.
    let low = 0x811c9dc5;
    let high = 0x01000193;
    for (let index = 0; index < key.length; index += 1) {
      const unit = key.charCodeAt(index);
      low = Math.imul(low ^ unit, 0x01000193);
      high = Math.imul(high ^ (unit + index), 0x01000193);
    }
    this.#count += 1;
    this.#low = (this.#low + low) | 0;
    this.#high = (this.#high + high) | 0;
  }

  equals(other: KeySum): boolean {
    return this.#count === other.#count && this.#low === other.#low && this.#high === other.#high;
  }
}
