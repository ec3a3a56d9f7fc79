import { isDriverError } from '../../drivers/errors.ts';
import type { Digest } from '../../layout/digest.ts';
import { blobDataKey } from '../../layout/paths.ts';
import type { BlobProof, BlobProver } from '../prove-blob.ts';
import type { Outcome } from './outcome.ts';
import type { Problem } from './records.ts';

export interface Judgement {
  problem: Extract<Problem, `corrupt-${string}`>;
  sourceDigest?: string;
  targetDigest?: string;
  reason?: string;
}

export interface BlobSizes {
  /** Undefined when the source does not have it. */
  sourceSizeBytes: number | undefined;
  targetSizeBytes: number;
}

/**
 * Hashes a blob on both sides and says which of them is not what its name says. `targetProof` saves reading the
 * target again. `unknown` when a side that decides could not be read, which is then taken down; `gone` when one was deleted
 * meanwhile.
 */
export async function judgeBlob(
  digest: Digest,
  { sourceSizeBytes, targetSizeBytes }: BlobSizes,
  provers: { source: BlobProver; target: BlobProver },
  outcome: Outcome,
  targetProof?: BlobProof,
): Promise<Judgement | 'right' | 'unknown' | 'gone'> {
  const key = blobDataKey(digest);
  const [left, right] = await Promise.all([
    sourceSizeBytes === undefined
      ? { value: undefined }
      : outcome.attempt('source', key, () => proveOrGone(provers.source, digest, sourceSizeBytes)),
    targetProof === undefined
      ? outcome.attempt('target', key, () => proveOrGone(provers.target, digest, targetSizeBytes))
      : { value: targetProof },
  ]);
  const source = left?.value;
  const target = right?.value;
  const digests = {
    ...(source === undefined ? {} : { sourceDigest: source.actual }),
    ...(target === undefined ? {} : { targetDigest: target.actual }),
  };
  if (source?.matches === false) {
    const problem = target?.matches === false ? 'corrupt-at-both' : 'corrupt-at-source';
    return { problem, ...digests };
  }
  if (target?.matches !== false) {
    if (left === undefined || right === undefined) {
      return 'unknown';
    }
    return source !== undefined && target !== undefined ? 'right' : 'gone';
  }
  return {
    problem: 'corrupt-at-target',
    ...digests,
    ...(left === undefined
      ? { reason: 'The source could not be read, so it may be corrupt there too.' }
      : {}),
    ...(left !== undefined && source === undefined ? { reason: 'The source does not have this blob.' } : {}),
  };
}

/**
 * Undefined when the blob is gone.
 * @throws DriverError UNAVAILABLE also when the store lists it all the same.
 */
export async function proveOrGone(
  prover: BlobProver,
  digest: Digest,
  sizeBytes: number,
): Promise<BlobProof | undefined> {
  try {
    return await prover.prove(digest, sizeBytes);
  } catch (error) {
    if (isDriverError(error, 'NOT_FOUND')) {
      await prover.confirmAbsent(digest);
      return undefined;
    }
    throw error;
  }
}
