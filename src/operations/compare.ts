import { createHash, hash as hashOnce } from 'node:crypto';
import type { Driver, ObjectStat } from '../drivers/driver.ts';

/**
 * Whether two objects hold the same bytes. Equal MD5s from listings prove it. Different ones prove nothing:
 * where a bucket encrypts by default an ETag only looks like an MD5 (S3 API reference, Object), so the bytes
 * are read. Never compares times.
 */
export async function sameContent(
  source: StoredObject,
  target: StoredObject,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (source.stat.sizeBytes !== target.stat.sizeBytes) {
    return false;
  }
  const told = await Promise.all([md5Of(source, signal), md5Of(target, signal)]);
  if (told[0] === told[1]) {
    return true;
  }
  const read = await Promise.all([
    source.stat.md5 === undefined ? told[0] : readMd5(source, signal),
    target.stat.md5 === undefined ? told[1] : readMd5(target, signal),
  ]);
  return read[0] === read[1];
}

/** Lowercase hex: the store's own where the listing told it, else of the bytes, which are read. */
export async function md5Of(object: StoredObject, signal: AbortSignal | undefined): Promise<string> {
  return object.stat.md5 ?? readMd5(object, signal);
}

interface StoredObject {
  driver: Driver;
  stat: ObjectStat;
}

/** A tag is 71 bytes: opening a stream for each would be half of the CPU time of a pass in which nothing changed. */
const SMALL_BYTES = 4096;
/** What it may have grown to meanwhile, and still be read. */
const READ_WHOLE_MAX_BYTES = 64 * 1024;

async function readMd5({ driver, stat }: StoredObject, signal: AbortSignal | undefined): Promise<string> {
  if (stat.content !== undefined) {
    return hashOnce('md5', Buffer.from(stat.content, 'latin1'), 'hex');
  }
  if (stat.sizeBytes <= SMALL_BYTES) {
    return hashOnce('md5', await driver.readSmall(stat.key, READ_WHOLE_MAX_BYTES, { signal }), 'hex');
  }
  const hash = createHash('md5');
  for await (const chunk of driver.read(stat.key, { signal })) {
    hash.update(chunk);
  }
  return hash.digest('hex');
}
