import { availableParallelism } from 'node:os';
import { leastLoaded } from '../thread.ts';
import { FileTurns } from './file-turns.ts';
import { HashThread, type AskOptions } from './hash-thread-handle.ts';
import type { ContentAlgorithm, PieceAlgorithm } from './messages.ts';

/** Threads are started one by one, when there is work and no idle one. More of them than cores hash no faster. */
const THREADS_MAX = availableParallelism();

const threads = new Set<HashThread>();
const fileTurns = new FileTurns(THREADS_MAX);
let nextContent = 0;

export interface HashFileOptions extends AskOptions {
  /** What the file is thought to have. Of those that wait, the largest comes first. */
  sizeBytes?: number | undefined;
}

export interface HashedFile {
  /** Lower case. */
  hex: string;
  /** What the file was said to have when it was opened. */
  sizeBytes: number;
  /** What was read of it: less, when it became shorter meanwhile. */
  seenBytes: number;
}

/**
 * Hashes a file of this machine in another thread, which reads it itself: no byte goes from thread to thread.
 * @throws what the system call threw, with its `code`; the signal's reason as soon as it is aborted.
 */
export async function hashFile(
  filePath: string,
  algorithm: ContentAlgorithm,
  { sizeBytes = 0, ...options }: HashFileOptions = {},
): Promise<HashedFile> {
  return fileTurns.take(sizeBytes, async () => {
    const thread = threadFor(fileTurns.threads);
    thread.load += 1;
    try {
      return await thread.ask('file', (job) => ({ kind: 'file', job, path: filePath, algorithm }), options);
    } finally {
      thread.load -= 1;
    }
  });
}

/** A content that comes in pieces, and is hashed in one other thread while this one does other things. */
export interface ThreadedHash {
  /**
   * Hashes the next piece. It must stay as it is until this resolves, with the hex digest of the piece alone.
   * Calls may overlap; pieces are taken in the order of the calls.
   * @param bytes in shared memory, else they would be copied.
   */
  update(bytes: Uint8Array): Promise<string>;
  /** Hex of all pieces. */
  digest(): Promise<string>;
  /** Gives the thread back. Always to be called at the end. */
  close(): void;
}

/** @param algorithm of the whole content; undefined where its digest is not asked for. */
export function openThreadedHash(
  algorithm: ContentAlgorithm | undefined,
  pieceAlgorithm: PieceAlgorithm,
): ThreadedHash {
  const thread = threadFor(THREADS_MAX);
  thread.load += 1;
  const content = nextContent;
  nextContent += 1;
  return {
    async update(bytes) {
      const { hex } = await thread.ask('piece', (job) => {
        return { kind: 'piece', job, content, algorithm, bytes, pieceAlgorithm };
      });
      return hex;
    },
    async digest() {
      if (algorithm === undefined) {
        throw new TypeError('No digest of the whole content was asked for.');
      }
      const { hex } = await thread.ask('end', (job) => ({ kind: 'end', job, content, algorithm }));
      return hex;
    },
    close() {
      thread.load -= 1;
      thread.tell({ kind: 'drop', content });
    },
  };
}

function threadFor(threadsMax: number): HashThread {
  const best = leastLoaded(threads);
  if (best !== undefined && (best.load === 0 || threads.size >= threadsMax)) {
    return best;
  }
  const thread = new HashThread({
    onEnd: (ended) => threads.delete(ended),
    onSpent: (spent) => fileTurns.note(spent),
  });
  threads.add(thread);
  return thread;
}
