import { createHash } from 'node:crypto';
import { corruptError } from '../drivers/body.ts';
import type { Driver } from '../drivers/driver.ts';
import { digestParts, type Digest } from '../layout/digest.ts';

/**
 * A small blob whole, after its bytes were shown to have the digest that it is named by.
 * @throws DriverError NOT_FOUND; CORRUPT; CHANGED when it is larger than `maxBytes`.
 */
export async function readProven(
  driver: Driver,
  key: string,
  digest: Digest,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const bytes = await driver.readSmall(key, maxBytes, { signal });
  const expected = digestParts(digest);
  const actual = createHash(expected.algorithm).update(bytes).digest('hex');
  if (actual !== expected.hex) {
    throw corruptError(expected, actual, { driver: driver.name, operation: 'read', key });
  }
  return bytes;
}
