import { createHash } from 'node:crypto';
import type { Driver, ObjectStat } from '../drivers/driver.ts';

/**
 * Whether two objects of the same size hold the same bytes. An MD5 that a store's listing proves is compared
 * first; what remains unknown is read. Never compares times.
 */
export async function sameContent(
  source: { driver: Driver; stat: ObjectStat },
  target: { driver: Driver; stat: ObjectStat },
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (source.stat.sizeBytes !== target.stat.sizeBytes) {
    return false;
  }
  const [left, right] = await Promise.all([md5Of(source, signal), md5Of(target, signal)]);
  return left === right;
}

/** Lowercase hex: the store's own where the listing told it, else of the bytes, which are read. */
export async function md5Of(
  { driver, stat }: { driver: Driver; stat: ObjectStat },
  signal: AbortSignal | undefined,
): Promise<string> {
  if (stat.md5 !== undefined) {
    return stat.md5;
  }
  const hash = createHash('md5');
  for await (const chunk of driver.read(stat.key, { signal })) {
    hash.update(chunk);
  }
  return hash.digest('hex');
}
