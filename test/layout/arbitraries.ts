import fc from 'fast-check';
import { type Digest, parseDigest } from '../../src/layout/digest.ts';

/** A digest, however it is spelled in the test; fails where the text is none. */
export function digestOf(text: string): Digest {
  const digest = parseDigest(text);
  if (digest === undefined) {
    throw new TypeError(`not a digest: ${text}`);
  }
  return digest;
}

const HEX_LENGTHS = { sha256: 64, sha384: 96, sha512: 128 } as const;

/** `count` random characters out of `alphabet`. */
export function characters(alphabet: string, count: number): fc.Arbitrary<string> {
  return fc.string({ unit: oneOf(alphabet), minLength: count, maxLength: count });
}

/** Any one character of `alphabet`. */
export function oneOf(alphabet: string): fc.Arbitrary<string> {
  return fc.constantFrom(...Array.from(alphabet));
}

export const algorithms = fc.constantFrom('sha256', 'sha384', 'sha512');

export const digests: fc.Arbitrary<Digest> = algorithms
  .chain((algorithm) =>
    characters('0123456789abcdef', HEX_LENGTHS[algorithm]).map((hex) => `${algorithm}:${hex}`),
  )
  .map(digestOf);

const words = fc.string({ unit: oneOf('abz019'), minLength: 1, maxLength: 4 });
const components = fc
  .array(fc.tuple(words, fc.constantFrom('.', '_', '__', '-', '---')), { minLength: 1, maxLength: 3 })
  .map((pairs) => pairs.map(([word, separator], index) => (index === 0 ? word : separator + word)).join(''));

export const repositories = fc
  .tuple(
    fc.option(fc.constantFrom('Foo', 'Reg.Example.com', 'A-B'), { nil: undefined, freq: 5 }),
    fc.array(components, { minLength: 1, maxLength: 4 }),
  )
  .map(([host, path]) => (host === undefined ? path : [host, ...path]).join('/'));

export const tags = fc
  .tuple(oneOf('aZ0_'), fc.string({ unit: oneOf('aZ0_.-'), maxLength: 127 }))
  .map(([first, rest]) => first + rest);
