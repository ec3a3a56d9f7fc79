import type { Driver } from '../../drivers/driver.ts';
import { DriverError, isDriverError } from '../../drivers/errors.ts';
import { confirmAbsent } from '../absence.ts';
import { type Digest, MAX_LINK_BYTES, readLink } from '../../layout/digest.ts';

/** What is larger is no link, and is not kept in an undo file. */
const MAX_FORMER_BYTES = 64 * 1024;

/**
 * The digest that a link holds; undefined where there is none, or none that a registry can read.
 * @throws DriverError also when the store contradicts itself about the link.
 */
export async function readLinkAt(
  store: Driver,
  key: string,
  signal: AbortSignal | undefined,
): Promise<Digest | undefined> {
  const bytes = await readWhole(store, key, MAX_LINK_BYTES, signal);
  if (bytes === undefined || bytes === 'too-large') {
    return undefined;
  }
  const link = readLink(bytes);
  return link.valid ? link.digest : undefined;
}

/**
 * The bytes under a key, as they are to be put back; undefined where there is nothing.
 * @throws DriverError also when the store contradicts itself about them.
 */
export async function readFormer(
  store: Driver,
  key: string,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | 'too-large' | undefined> {
  return readWhole(store, key, MAX_FORMER_BYTES, signal);
}

/** What is decided on this content, and kept for an undo, must be all of it: the store is asked in two ways. */
async function readWhole(
  store: Driver,
  key: string,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | 'too-large' | undefined> {
  let bytes: Uint8Array | undefined;
  try {
    bytes = await store.readSmall(key, maxBytes, { signal });
  } catch (error) {
    if (isDriverError(error, 'NOT_FOUND')) {
      await confirmAbsent(store, key, { signal });
      return undefined;
    }
    if (!isDriverError(error, 'CHANGED')) {
      throw error;
    }
  }
  const sizeBytes = (await store.stat(key, { signal }))?.sizeBytes;
  const isAsSaid = bytes === undefined ? (sizeBytes ?? 0) > maxBytes : bytes.byteLength === sizeBytes;
  if (!isAsSaid) {
    const given = bytes === undefined ? `more than ${maxBytes}` : String(bytes.byteLength);
    throw new DriverError(
      'CHANGED',
      `${store.location} gave ${given} bytes of ${key}, and says that it has ${sizeBytes ?? 'none'}: run again.`,
      { driver: store.name, operation: 'readSmall', key },
    );
  }
  return bytes ?? 'too-large';
}
