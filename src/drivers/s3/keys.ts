import { DriverError, type DriverErrorDetails } from '../errors.ts';

/** S3 User Guide, "Naming Amazon S3 objects": a key is at most 1,024 bytes of UTF-8. Ceph RGW holds the same. */
const MAX_KEY_BYTES = 1024;

/**
 * A key as it stands in a request path: every byte but `/` and the unreserved characters of RFC 3986 is
 * percent-encoded, which is the canonical form of Signature Version 4 too. Nothing is normalised:
 * `//`, `.` and `..` stay as they are.
 */
export function encodeKey(key: string): string {
  if (/^[\w\-.~/]*$/.test(key)) {
    return key;
  }
  return encodeQueryValue(key).replaceAll('%2F', '/');
}

/** Percent-encodes everything but the unreserved characters of RFC 3986. */
export function encodeQueryValue(value: string): string {
  return encodeURIComponent(value).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/**
 * The key as the bucket has it.
 * @throws DriverError INVALID_KEY when S3 cannot hold such a key.
 */
export function toStoredKey(root: string, key: string, details: DriverErrorDetails): string {
  const stored = root + key;
  const problem = problemWithKey(stored);
  if (problem !== undefined) {
    throw new DriverError('INVALID_KEY', `The key ${JSON.stringify(key)} ${problem}.`, details);
  }
  return stored;
}

/**
 * Whether XML 1.0 has no way to carry this key, not even as a character reference (XML 1.0, section 2.2),
 * or parsers disagree about it: such a key is never put into a request body.
 */
export function isXmlUnsafe(key: string): boolean {
  return UNSAFE_IN_XML.test(key);
}

// The control characters are the point of this pattern.
// eslint-disable-next-line no-control-regex
const UNSAFE_IN_XML = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffe\uffff]/;

const LONE_SURROGATE = /\p{Surrogate}/u;

function problemWithKey(stored: string): string | undefined {
  if (stored === '') {
    return 'is empty, which S3 does not allow';
  }
  if (LONE_SURROGATE.test(stored)) {
    return 'holds half a surrogate pair, which has no UTF-8 form';
  }
  // No character takes more than three bytes for each of its code units.
  if (stored.length * 3 > MAX_KEY_BYTES && Buffer.byteLength(stored) > MAX_KEY_BYTES) {
    return `is longer than the ${MAX_KEY_BYTES} bytes that S3 allows, root included`;
  }
  return undefined;
}
