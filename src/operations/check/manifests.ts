import { createHash } from 'node:crypto';
import { isDriverError } from '../../drivers/errors.ts';
import { type Digest, digestParts } from '../../layout/digest.ts';
import type { FindingCode } from '../../layout/findings.ts';
import { type Manifest, MAX_MANIFEST_BYTES, parseManifest } from '../../layout/manifest.ts';
import { blobDataKey } from '../../layout/paths.ts';
import { type CheckRun, isGone } from './run.ts';

export type ManifestState =
  | { state: 'whole'; manifest: Manifest }
  | { state: 'broken'; code: BrokenManifestCode; detail: string; sizeBytes?: number }
  /** The store did not give it. That was noted. */
  | { state: 'unread' };

export type BrokenManifestCode = Extract<
  FindingCode,
  'manifest-blob-missing' | 'manifest-empty' | 'manifest-corrupt' | 'manifest-unparsable'
>;

/** Reads the blob of a manifest, and proves it against its digest: it is small, and everything hangs on it. */
export async function readManifest(run: CheckRun, digest: Digest): Promise<ManifestState> {
  const key = blobDataKey(digest);
  let bytes: Uint8Array;
  try {
    bytes = await run.call(() => run.driver.readSmall(key, MAX_MANIFEST_BYTES, { signal: run.signal }));
  } catch (error) {
    if (isGone(error)) {
      const wasListed = run.blobs.get(digest) !== undefined;
      if (!(await run.isReallyGone(key, { wasListed }))) {
        return { state: 'unread' };
      }
      return { state: 'broken', code: 'manifest-blob-missing', detail: 'its bytes are not in the store' };
    }
    if (isDriverError(error, 'CHANGED') && (run.blobs.get(digest) ?? 0) > MAX_MANIFEST_BYTES) {
      const detail = `it has more than the ${MAX_MANIFEST_BYTES} bytes that registries take`;
      return { state: 'broken', code: 'manifest-unparsable', detail };
    }
    await run.noteUnread(key, error);
    return { state: 'unread' };
  }
  return judgeManifest(digest, bytes);
}

function judgeManifest(digest: Digest, bytes: Uint8Array): ManifestState {
  const sizeBytes = bytes.byteLength;
  if (sizeBytes === 0) {
    return { state: 'broken', code: 'manifest-empty', detail: 'it is empty', sizeBytes };
  }
  const { algorithm, hex } = digestParts(digest);
  const actual = createHash(algorithm).update(bytes).digest('hex');
  if (actual !== hex) {
    const detail = `the digest of its bytes is ${algorithm}:${actual}`;
    return { state: 'broken', code: 'manifest-corrupt', detail, sizeBytes };
  }
  const parsed = parseManifest(bytes);
  return parsed.ok
    ? { state: 'whole', manifest: parsed }
    : { state: 'broken', code: 'manifest-unparsable', detail: parsed.detail, sizeBytes };
}
