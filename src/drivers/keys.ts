import type { Driver, StoreIdentity } from './driver.ts';

/**
 * Orders keys as object stores do: by the bytes of their UTF-8 form (S3 API reference, ListObjectsV2).
 * JavaScript compares UTF-16 code units, which differs only where a surrogate (a character above U+FFFF)
 * meets a character from U+E000 to U+FFFF.
 */
export function compareKeys(left: string, right: string): number {
  // Most comparisons are of keys that are equal, or plain. JavaScript's own operators take a sixth of the loop's time.
  if (left === right) {
    return 0;
  }
  if (!ABOVE_SURROGATES.test(left) || !ABOVE_SURROGATES.test(right)) {
    return left < right ? -1 : 1;
  }
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index += 1) {
    const a = left.charCodeAt(index);
    const b = right.charCodeAt(index);
    if (a !== b) {
      return codePointRank(a) - codePointRank(b);
    }
  }
  return left.length - right.length;
}

/** Sorts in place, as `compareKeys` does; natively, where JavaScript's own order is the same. */
export function sortKeys(keys: string[]): string[] {
  return keys.some((key) => ABOVE_SURROGATES.test(key)) ? keys.sort(compareKeys) : keys.sort();
}

const ABOVE_SURROGATES = /[\ud800-\uffff]/;

/** Moves surrogates above every other code unit, which is where their UTF-8 form sorts. */
function codePointRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** Whether `target.copyFrom` can read what `source` holds. */
export function canCopyFrom(target: Driver, source: Driver): boolean {
  return target.copyFrom !== undefined && target.identity.service === source.identity.service;
}

export type Overlap = 'same' | 'first-inside-second' | 'second-inside-first' | 'none';

/** Whether two stores share objects: the same root, or one root inside the other. */
export function overlap(first: StoreIdentity, second: StoreIdentity): Overlap {
  if (first.service !== second.service || first.container !== second.container) {
    return 'none';
  }
  if (first.root === second.root) {
    return 'same';
  }
  if (first.root.startsWith(second.root)) {
    return 'first-inside-second';
  }
  return second.root.startsWith(first.root) ? 'second-inside-first' : 'none';
}
