import type { Driver } from '../../drivers/driver.ts';
import { isDriverError } from '../../drivers/errors.ts';
import { type Digest, MAX_LINK_BYTES, readLink } from '../../layout/digest.ts';

/** What is larger is no link, and is not kept in an undo file. */
const MAX_FORMER_BYTES = 64 * 1024;

/** The digest that a link holds; undefined where there is none, or none that a registry can read. */
export async function readLinkAt(
  store: Driver,
  key: string,
  signal: AbortSignal | undefined,
): Promise<Digest | undefined> {
  try {
    const link = readLink(await store.readSmall(key, MAX_LINK_BYTES, { signal }));
    return link.valid ? link.digest : undefined;
  } catch (error) {
    if (isDriverError(error, 'NOT_FOUND', 'CHANGED')) {
      return undefined;
    }
    throw error;
  }
}

/** The bytes under a key, as they are to be put back; undefined where there is nothing. */
export async function readFormer(
  store: Driver,
  key: string,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | 'too-large' | undefined> {
  try {
    return await store.readSmall(key, MAX_FORMER_BYTES, { signal });
  } catch (error) {
    if (isDriverError(error, 'NOT_FOUND')) {
      return undefined;
    }
    if (isDriverError(error, 'CHANGED')) {
      return 'too-large';
    }
    throw error;
  }
}
