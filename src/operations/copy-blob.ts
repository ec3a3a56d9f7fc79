import { corruptError } from '../drivers/body.ts';
import type { ContentDigest, Driver } from '../drivers/driver.ts';
import { DriverError, isDriverError } from '../drivers/errors.ts';
import { canCopyFrom } from '../drivers/keys.ts';
import { digestParts, type Digest } from '../layout/digest.ts';
import { blobDataKey } from '../layout/paths.ts';
import { hashObject } from './hash-object.ts';
import { meteredBody, type OnBytes } from './metered-body.ts';

/** Blobs up to this size go through memory in one piece; larger ones are streamed. */
export const SMALL_BLOB_BYTES = 256 * 1024;

/**
 * Copies a blob and proves it against its name before it is visible at the target (invariant 5).
 * Within one service the bytes stay there: the store's own SHA-256 is asked for, or else they are read and
 * hashed once, and then exactly that version is copied by the store.
 * @param onBytes told of what passes through this process, as it does.
 * @throws DriverError CORRUPT when the source's bytes do not have the digest; NOT_FOUND when they are gone.
 */
export async function copyBlob(
  source: Driver,
  target: Driver,
  digest: Digest,
  sizeBytes: number,
  signal: AbortSignal | undefined,
  onBytes: OnBytes = () => undefined,
): Promise<void> {
  try {
    await copyProven(source, target, digest, sizeBytes, signal, onBytes);
  } catch (error) {
    throw isDriverError(error, 'CORRUPT') && !error.retryable ? corruptAt(source, digest, error) : error;
  }
}

/** What is damaged on its way to a store is `retryable`: of what is left the fault is the source's. */
function corruptAt(source: Driver, digest: Digest, cause: DriverError): DriverError {
  const key = blobDataKey(digest);
  return new DriverError(
    'CORRUPT',
    `${key} is corrupt in ${source.location}: its bytes do not have the digest that is its name. It was not copied. \`regtool repair --quarantine\` moves it aside, so that a push heals it (a push alone does not); \`--from OTHER\` brings it from a store that has it.`,
    { driver: source.name, operation: 'copy', key, cause },
  );
}

async function copyProven(
  source: Driver,
  target: Driver,
  digest: Digest,
  sizeBytes: number,
  signal: AbortSignal | undefined,
  onBytes: OnBytes,
): Promise<void> {
  const key = blobDataKey(digest);
  const expectedDigest = digestParts(digest);
  if (sizeBytes <= SMALL_BLOB_BYTES) {
    const bytes = await source.readSmall(key, Math.max(sizeBytes, 1), { signal });
    assertSize(source, key, bytes, sizeBytes);
    await target.write(key, bytes, { expectedDigest, signal });
    return;
  }
  if (canCopyFrom(target, source) && deniedSources.get(target)?.has(source) !== true) {
    const etag = await proveAtSource(source, key, expectedDigest, signal);
    if (await copyWithinService(source, target, key, sizeBytes, etag, signal)) {
      return;
    }
  }
  await target.write(
    key,
    meteredBody({ sizeBytes, open: (into) => source.read(key, { signal, into }) }, onBytes),
    {
      expectedDigest,
      signal,
    },
  );
}

/**
 * Sources that a target's credentials may not read: each store may have its own, from its own configuration.
 * Remembered, so that their blobs are not all read twice.
 */
const deniedSources = new WeakMap<Driver, WeakSet<Driver>>();

/**
 * False where the service cannot copy this object by itself after all, such as one too large for it, or one that
 * the target's credentials may not read.
 */
async function copyWithinService(
  source: Driver,
  target: Driver,
  key: string,
  sizeBytes: number,
  etag: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    await target.copyFrom?.({ identity: source.identity, key, sizeBytes, etag }, key, { signal });
    return true;
  } catch (error) {
    if (isDriverError(error, 'PERMISSION_DENIED')) {
      deniedSources.set(target, (deniedSources.get(target) ?? new WeakSet()).add(source));
      return false;
    }
    if (isDriverError(error, 'UNSUPPORTED')) {
      return false;
    }
    throw error;
  }
}

/** A small object whole, refusing one that is no longer of the size it was listed with. */
export async function readExactly(
  source: Driver,
  key: string,
  sizeBytes: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const bytes = await source.readSmall(key, Math.max(sizeBytes, 1), { signal });
  assertSize(source, key, bytes, sizeBytes);
  return bytes;
}

function assertSize(source: Driver, key: string, bytes: Uint8Array, sizeBytes: number): void {
  if (bytes.byteLength !== sizeBytes) {
    throw new DriverError('CHANGED', `${key} changed its size while it was copied; run again.`, {
      driver: source.name,
      operation: 'read',
      key,
    });
  }
}

/** The ETag of the version of the object that was shown to have the digest. */
async function proveAtSource(
  source: Driver,
  key: string,
  expected: ContentDigest,
  signal: AbortSignal | undefined,
): Promise<string> {
  const stat = await source.stat(key, { signal });
  const details = { driver: source.name, operation: 'copy', key };
  if (stat?.etag === undefined) {
    throw new DriverError('NOT_FOUND', `${key} is no longer at the source.`, details);
  }
  if (stat.sha256 !== undefined && expected.algorithm === 'sha256') {
    if (stat.sha256 !== expected.hex) {
      throw corruptError(expected, stat.sha256, details);
    }
    return stat.etag;
  }
  const actual = await hashObject(source, key, expected.algorithm, { signal });
  if (actual !== expected.hex) {
    throw corruptError(expected, actual, details);
  }
  return stat.etag;
}
