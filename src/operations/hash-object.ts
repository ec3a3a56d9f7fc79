import { createHash } from 'node:crypto';
import type { ContentDigest, Driver, HashOptions } from '../drivers/driver.ts';

/**
 * The digest, in lower-case hex, of an object's bytes: hashed in other threads where the store can do that, else here.
 * @throws DriverError NOT_FOUND; CHANGED when the object ends early.
 */
export async function hashObject(
  driver: Driver,
  key: string,
  algorithm: ContentDigest['algorithm'],
  { signal, onSeen }: HashOptions = {},
): Promise<string> {
  if (driver.hash !== undefined) {
    return driver.hash(key, algorithm, { signal, onSeen });
  }
  const hash = createHash(algorithm);
  let seenBytes = 0;
  for await (const chunk of driver.read(key, { signal })) {
    hash.update(chunk);
    seenBytes += chunk.byteLength;
    onSeen?.(seenBytes);
  }
  return hash.digest('hex');
}
