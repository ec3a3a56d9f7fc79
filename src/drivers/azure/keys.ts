import { DriverError } from '../errors.ts';

/** Longest blob name (Azure, "Naming and referencing containers, blobs, and metadata"). */
const maxNameCharacters = 1024;

/**
 * The blob name of a key, if Azure stores it as it is given.
 *
 * What the service (not only the SDK) stores under another name, so that a write would replace an object
 * that nobody asked to replace, is refused:
 * - a backslash becomes `/` (Azure/azure-sdk-for-js#5405, versity/versitygw#845);
 * - dots at the end of a path segment are dropped, so that `v1.` is `v1`
 *   (Azure/azure-sdk-for-java#36674, Azure/azure-storage-ruby#191, microsoft/AzureStorageExplorer#2833);
 *   this takes `.` and `..` with it, which URLs fold away;
 * - control characters, U+FFFE and U+FFFF cannot be written in the XML of a listing
 *   (a carriage return comes back as a newline, the others fail it), and lone surrogates not in a URL.
 * @throws DriverError INVALID_KEY
 */
export function blobNameOf(root: string, key: string, operation: string): string {
  const name = root + key;
  const reason = whyNotStorable(name);
  if (reason !== undefined) {
    throw new DriverError(
      'INVALID_KEY',
      `Azure cannot hold the key ${JSON.stringify(key)} as it is: ${reason}.`,
      { driver: 'azure', operation, key },
    );
  }
  return name;
}

function whyNotStorable(name: string): string | undefined {
  if (name === '') {
    return 'it is empty';
  }
  if (name.length > maxNameCharacters) {
    return `with its root it has ${name.length} characters, and a blob name has at most ${maxNameCharacters}`;
  }
  if (name.includes('\\')) {
    return 'the service turns a backslash into a slash';
  }
  if (name.endsWith('.') || name.includes('./')) {
    return 'the service drops dots at the end of a part of the path';
  }
  if (/[\p{Cc}\p{Cs}\uFFFE\uFFFF]/u.test(name)) {
    return 'it has control characters or broken Unicode';
  }
  return undefined;
}

/** A blob name as it stands in a URL: each part percent-encoded, slashes as they are. */
export function encodeName(name: string): string {
  return /^[\w.~/-]*$/u.test(name) ? name : name.split('/').map(encodeURIComponent).join('/');
}
