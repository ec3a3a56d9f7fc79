import type { Driver } from '../../drivers/driver.ts';
import type { Digest } from '../../layout/digest.ts';
import { parsePath } from '../../layout/paths.ts';
import { forEachConcurrently } from '../concurrency.ts';
import { BlobProver } from '../prove-blob.ts';
import type { Sample } from '../sample.ts';
import type { Shard } from '../shards.ts';
import type { Spool } from '../spool.ts';
import { judgeBlob, proveOrGone } from './judge-blob.ts';
import type { Outcome } from './outcome.ts';
import type { Candidate } from './records.ts';

export interface ReadBlobsOptions {
  concurrency: number;
  signal: AbortSignal | undefined;
  outcome: Outcome;
  candidates: Spool<Candidate>;
  sample: Sample;
  blobShards: readonly Shard[];
}

/** Blobs at the target that were proved right or wrong. */
export interface ReadTally {
  blobs: number;
  bytes: number;
  /** Of these, by the store's own SHA-256 instead of their bytes. */
  byStore: number;
}

interface ListedBlob {
  digest: Digest;
  key: string;
  sizeBytes: number;
}

/**
 * Proves the blobs of a sample at the target against their names. One that is wrong there is hashed at the source
 * too, to tell on which side it is corrupt. Lists the target's blobs once more instead of keeping them.
 */
export async function readBlobs(
  source: Driver,
  target: Driver,
  { concurrency, signal, outcome, candidates, sample, blobShards }: ReadBlobsOptions,
): Promise<ReadTally> {
  const { observer } = outcome;
  const tally: ReadTally = { blobs: 0, bytes: 0, byStore: 0 };
  const provers = {
    source: new BlobProver(source, { signal }),
    target: new BlobProver(target, {
      signal,
      onBytes: (bytes) => {
        observer.progress({ bytes });
      },
    }),
  };
  observer.phase('reading blobs', { objects: sample.size.blobs, bytes: sample.size.bytes });
  await forEachConcurrently(chosenBlobs(), concurrency, async (blob) => {
    await prove(blob);
    observer.progress({ objects: 1 });
  });
  return tally;

  async function* chosenBlobs(): AsyncGenerator<ListedBlob> {
    for (const { prefix } of blobShards) {
      const pages = target.list(prefix, { signal })[Symbol.asyncIterator]();
      try {
        for (;;) {
          const page = await outcome.attempt('target', prefix, () => pages.next());
          if (page === undefined || page.value.done === true) {
            break;
          }
          for (const { key, sizeBytes } of page.value.value) {
            const path = parsePath(key);
            if (path.kind === 'blob-data' && sample.includes(path.digest)) {
              yield { digest: path.digest, key, sizeBytes };
            }
          }
        }
      } finally {
        await pages.return?.();
      }
    }
  }

  async function prove({ digest, key, sizeBytes }: ListedBlob): Promise<void> {
    const attempt = await outcome.attempt('target', key, () =>
      proveOrGone(provers.target, digest, sizeBytes),
    );
    if (attempt === undefined) {
      return;
    }
    const proof = attempt.value;
    if (proof === undefined) {
      await candidates.append({ problem: 'missing', key });
      return;
    }
    tally.blobs += 1;
    tally.bytes += sizeBytes;
    tally.byStore += proof.by === 'store' ? 1 : 0;
    if (proof.matches) {
      return;
    }
    const found = await outcome.attempt('source', key, () => source.stat(key, { signal }));
    const sourceSizeBytes = found?.value?.sizeBytes;
    if (sourceSizeBytes !== undefined && sourceSizeBytes !== sizeBytes) {
      // The listings have shown as much, and both sides are hashed when it is looked at again.
      return;
    }
    const sizes = { sourceSizeBytes, targetSizeBytes: sizeBytes };
    const judgement = await judgeBlob(digest, sizes, provers, outcome, proof);
    if (typeof judgement === 'object') {
      await outcome.differ(key, {
        ...judgement,
        ...(sourceSizeBytes === undefined ? {} : { sourceSizeBytes }),
        targetSizeBytes: sizeBytes,
      });
    }
  }
}
