import { type Digest, digestParts, EMPTY_BLOB_DIGEST } from '../../layout/digest.ts';
import { BLOBS_PREFIX, blobDataKey, parsePath } from '../../layout/paths.ts';
import { BlobProver } from '../prove-blob.ts';
import type { Sample } from '../sample.ts';
import type { Shard } from '../shards.ts';
import { judgeStray } from './judge-strays.ts';
import { type CheckRun, isGone, NEEDED, REPORTED } from './run.ts';

/** Lists every blob, so that what manifests need can be looked up. */
export async function listBlobs(run: CheckRun, shards: readonly Shard[], sample?: Sample): Promise<void> {
  await run.listings.map(shards, async ({ prefix }) =>
    run.listAll(prefix, {}, async (page) => {
      for (const object of page) {
        const path = parsePath(object.key);
        run.count(path, object);
        if (path.kind === 'blob-data' && object.isFolderStub !== true) {
          run.blobs.set(path.digest, object.sizeBytes);
          sample?.count(path.digest, object.sizeBytes);
        } else {
          await judgeStray(run, path, object);
        }
      }
      run.observer.progress({ objects: page.length });
    }),
  );
}

export interface DataRead {
  blobs: number;
  bytes: number;
}

/** Proves the chosen blobs, and notes those whose bytes do not have the digest that they are named by. */
export async function readBlobs(run: CheckRun, shards: readonly Shard[], sample: Sample): Promise<DataRead> {
  const done: DataRead = { blobs: 0, bytes: 0 };
  const prover = new BlobProver(run.driver, {
    signal: run.signal,
    onBytes: (bytes) => {
      done.bytes += bytes;
      run.observer.progress({ bytes });
    },
  });

  function count(): void {
    done.blobs += 1;
    run.observer.progress({ objects: 1 });
  }

  async function prove(digest: Digest, sizeBytes: number): Promise<void> {
    try {
      const { matches, actual } = await run.call(() => prover.prove(digest, sizeBytes));
      count();
      if (!matches) {
        run.corrupt.set(digest, actual);
      }
    } catch (error) {
      const key = blobDataKey(digest);
      if (!isGone(error)) {
        await run.noteUnread(key, error);
      } else {
        await run.isReallyGone(key, { wasListed: true });
      }
    }
  }

  await run.listings.map(shards, async ({ prefix }) =>
    run.listAll(prefix, {}, async (page) => {
      await Promise.all(
        page.map(async ({ key, sizeBytes, isFolderStub }) => {
          const path = parsePath(key);
          if (path.kind !== 'blob-data' || isFolderStub === true || !sample.includes(path.digest)) {
            return;
          }
          if (sizeBytes > 0) {
            await prove(path.digest, sizeBytes);
          } else {
            // An empty one is told without reading.
            count();
          }
        }),
      );
    }),
  );
  return done;
}

/**
 * Lists blobs once more: those with bad content that no repository has a link to, and, unless something stands in the
 * way of telling, those that nothing needs. Only in folders that have such a blob, for which no more is known of it than
 * half of its name. A blob that came since the first listing is left out.
 */
export async function judgeUnneededBlobs(run: CheckRun, shards: readonly Shard[]): Promise<void> {
  const suspects = suspectFolders(run);
  const toList = shards.filter(
    ({ prefix }) => suspects.has(prefix.slice(-3, -1)) || !prefix.startsWith(SHA256_PREFIX),
  );
  await run.listings.map(toList, async ({ prefix }) =>
    run.listAll(prefix, {}, async (page) => {
      for (const { key, sizeBytes } of page) {
        const path = parsePath(key);
        if (path.kind === 'blob-data' && run.blobs.get(path.digest) !== undefined) {
          await judgeUnneededBlob(run, path.digest, sizeBytes);
        }
      }
    }),
  );
}

const SHA256_PREFIX = `${BLOBS_PREFIX}sha256/`;

/** The two-letter folders of all blobs of which `judgeUnneededBlob` may have something to say. */
function suspectFolders(run: CheckRun): Set<string> {
  const folders = new Set([...run.corrupt.keys()].map((digest) => digestParts(digest).hex.slice(0, 2)));
  run.blobs.forEach((firstByte, sizeBytes, flags) => {
    const isNeeded = (flags & NEEDED) !== 0;
    if (sizeBytes === 0 || (!isNeeded && run.orphansUnknown === undefined)) {
      folders.add(firstByte.toString(16).padStart(2, '0'));
    }
  });
  return folders;
}

async function judgeUnneededBlob(run: CheckRun, digest: Digest, sizeBytes: number): Promise<void> {
  const facts = { paths: [blobDataKey(digest)], digest, sizeBytes };
  if (!run.blobs.hasFlag(digest, REPORTED)) {
    const actual = run.corrupt.get(digest);
    if (sizeBytes === 0 && digest !== EMPTY_BLOB_DIGEST) {
      await run.report({ ...facts, code: 'blob-empty', detail: 'it has no bytes' });
    } else if (actual !== undefined) {
      await run.report({ ...facts, code: 'blob-corrupt', detail: `the digest of its bytes is ${actual}` });
    }
  }
  if (run.orphansUnknown === undefined && !run.blobs.hasFlag(digest, NEEDED)) {
    await run.report({ ...facts, code: 'blob-orphan', detail: 'no manifest in the store names it' });
  }
}
