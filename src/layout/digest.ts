/** The hashes that registries accept (go-digest algorithm.go); `sha256` is the one they store under. */
export type DigestAlgorithm = 'sha256' | 'sha384' | 'sha512';

declare const digestBrand: unique symbol;

/** A content digest as the registry writes it: `<algorithm>:<lowercase hex>`, of the right length. */
export type Digest = string & { readonly [digestBrand]: true };

export interface DigestParts {
  algorithm: DigestAlgorithm;
  /** Lowercase. */
  hex: string;
}

/** Returns the text as a digest, or undefined when a registry would not take it for one. */
export function parseDigest(text: string): Digest | undefined {
  return isDigest(text) ? text : undefined;
}

export function isDigest(text: string): text is Digest {
  const hexCount = hexCountAfter(text.slice(0, ALGORITHM_LENGTH));
  const hexStart = ALGORITHM_LENGTH + 1;
  return (
    hexCount > 0 &&
    text.length === hexStart + hexCount &&
    text[ALGORITHM_LENGTH] === ':' &&
    isLowerHex(text.slice(hexStart))
  );
}

export function digestParts(digest: Digest): DigestParts {
  return {
    algorithm: digest.slice(0, ALGORITHM_LENGTH) as DigestAlgorithm,
    hex: digest.slice(ALGORITHM_LENGTH + 1),
  };
}

/** How many hex characters a digest of this algorithm has. */
export function hexLength(algorithm: DigestAlgorithm): number {
  return HEX_LENGTHS[algorithm];
}

/** The digest of nothing. Its blob is the only one that may be of zero bytes. */
export const EMPTY_BLOB_DIGEST =
  'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' as Digest;

/**
 * Reads a digest out of a key: its algorithm at `start`, then `gap` characters that the caller checks
 * (the slash between two folders; in a blob's key also its two-letter folder), then its hex.
 * It ends at `start + digest.length - 1 + gap`, and what follows is the caller's to check too.
 */
export function digestAt(key: string, start: number, gap: number): Digest | undefined {
  const algorithmEnd = start + ALGORITHM_LENGTH;
  const algorithm = key.slice(start, algorithmEnd);
  const hexCount = hexCountAfter(algorithm);
  const hex = key.slice(algorithmEnd + gap, algorithmEnd + gap + hexCount);
  return hexCount > 0 && hex.length === hexCount && isLowerHex(hex)
    ? (`${algorithm}:${hex}` as Digest)
    : undefined;
}

/** The digest as two folders: `<algorithm>/<hex>`. */
export function digestFolders(digest: Digest): string {
  return `${digest.slice(0, ALGORITHM_LENGTH)}/${digest.slice(ALGORITHM_LENGTH + 1)}`;
}

/** What a link file says, or why the registry cannot read it. */
export type LinkContent = { valid: true; digest: Digest } | BrokenLink;

export interface BrokenLink {
  valid: false;
  problem: LinkProblem;
  /** The words with which the registry fails on this link, in its log and in the detail of its 500 answer. */
  registryError: string;
  /** The digest that it would be if the whitespace at its end were not there. Set only for `trailing-newline`. */
  meant?: Digest;
}

export type LinkProblem =
  /** Zero bytes: what a crash of a registry that writes in place leaves. */
  | 'empty'
  /** A digest followed by whitespace: what an editor or `echo` leaves. */
  | 'trailing-newline'
  /** A known algorithm and too few or too many characters after it. */
  | 'length'
  /** The shape of a digest, of an algorithm that registries do not know. */
  | 'algorithm'
  /** Anything else. */
  | 'format';

/** No link is longer than 135 bytes; what is larger than this is none, and need not be read. */
export const MAX_LINK_BYTES = 1024;

/** How long a valid link to a digest of this algorithm is. */
export function linkSizeBytes(algorithm: DigestAlgorithm): number {
  return algorithm.length + 1 + hexLength(algorithm);
}

/** What the registry writes into a link: the digest and nothing else, no newline. */
export function formatLink(digest: Digest): string {
  return digest;
}

/**
 * Decides about a link file as the registry does: the bytes are the digest, exactly
 * (distribution `readlink`; go-digest `Parse`, whose three errors are told apart here).
 */
export function readLink(content: Uint8Array | string): LinkContent {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  const text = oneCharacterPerByte(bytes);
  const digest = parseDigest(text);
  return digest === undefined ? explain(text) : { valid: true, digest };
}

const HEX_LENGTHS: Readonly<Record<DigestAlgorithm, number>> = { sha256: 64, sha384: 96, sha512: 128 };

// All three names are of the same length, which lets a digest be found by counting.
const ALGORITHM_LENGTH = 6;

// Searching for what is not hex is several times as fast as looking at each character in turn.
const NOT_LOWER_HEX = /[^0-9a-f]/;

/** How many hex characters follow this algorithm's name: none, if registries do not know it. */
function hexCountAfter(algorithm: string): number {
  switch (algorithm) {
    case 'sha256':
    case 'sha384':
    case 'sha512':
      return HEX_LENGTHS[algorithm];
    default:
      return 0;
  }
}

/** Upper case is no digest: go-digest refuses it. */
function isLowerHex(text: string): boolean {
  return !NOT_LOWER_HEX.test(text);
}

const ERROR_FORMAT = 'invalid checksum digest format';
const ERROR_LENGTH = 'invalid checksum digest length';
const ERROR_ALGORITHM = 'unsupported digest algorithm';

/** The shape of any digest, known or not (go-digest `DigestRegexpAnchored`). */
const DIGEST_SHAPE = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;

function explain(text: string): BrokenLink {
  if (text === '') {
    return { valid: false, problem: 'empty', registryError: ERROR_FORMAT };
  }
  const registryError = goDigestError(text);
  const meant = parseDigest(text.trimEnd());
  if (meant !== undefined) {
    return { valid: false, problem: 'trailing-newline', registryError, meant };
  }
  return { valid: false, problem: PROBLEMS[registryError], registryError };
}

const PROBLEMS = {
  [ERROR_FORMAT]: 'format',
  [ERROR_LENGTH]: 'length',
  [ERROR_ALGORITHM]: 'algorithm',
} as const;

/** Which of go-digest's errors a text gives that is not a digest. */
function goDigestError(text: string): keyof typeof PROBLEMS {
  const colon = text.indexOf(':');
  if (colon <= 0 || colon === text.length - 1) {
    return ERROR_FORMAT;
  }
  const algorithm = text.slice(0, colon);
  if (algorithm !== 'sha256' && algorithm !== 'sha384' && algorithm !== 'sha512') {
    return DIGEST_SHAPE.test(text) ? ERROR_ALGORITHM : ERROR_FORMAT;
  }
  const encoded = text.slice(colon + 1);
  return encoded.length === hexLength(algorithm) ? ERROR_FORMAT : ERROR_LENGTH;
}

/** Go counts bytes, and a digest is ASCII: one character per byte keeps both the length and the verdict. */
function oneCharacterPerByte(content: Uint8Array): string {
  return new TextDecoder('latin1').decode(content);
}
