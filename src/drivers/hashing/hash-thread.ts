import { createHash, type Hash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import { readMemory } from '../read-memory.ts';
import type { HashReply, HashRequest, TimeSpent } from './messages.ts';

// What runs in each thread of `hash-threads.ts`: started as a thread, never imported.

/**
 * Stays in the processor's cache between being read and being hashed. By SHA-256 from the page cache, 12 GiB in two
 * threads at once, each did 1.2 to 1.3 GB a second in blocks of 64 to 256 KiB and 1.26 to 1.35 in blocks of 512 KiB to
 * 2 MiB, where the bare hash of one block does 1.5.
 */
const BLOCK_BYTES = 512 * 1024;
/** After so many bytes of a file other jobs get their turn, and a file that nobody waits for any more is left. */
const TURN_BYTES = 8 * 1024 * 1024;

type Request<Kind extends HashRequest['kind']> = Extract<HashRequest, { kind: Kind }>;

const block = readMemory(BLOCK_BYTES);
/** Hashes of whole contents that are under way. */
const contents = new Map<number, Hash>();
const files = new Set<number>();
const left = new Set<number>();

parentPort?.on('message', (request: HashRequest) => {
  switch (request.kind) {
    case 'file':
      void settle(request.job, () => hashFile(request));
      return;
    case 'leave':
      if (files.has(request.job)) {
        left.add(request.job);
      }
      return;
    case 'piece':
      void settle(request.job, () => hashPiece(request));
      return;
    case 'end':
      void settle(request.job, () => endContent(request));
      return;
    case 'drop':
      contents.delete(request.content);
  }
});

async function settle(
  job: number,
  work: () => HashReply | undefined | Promise<HashReply | undefined>,
): Promise<void> {
  try {
    const reply = await work();
    if (reply !== undefined) {
      answer(reply);
    }
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    answer({ kind: 'failed', job, message, code });
  }
}

/** Synchronous reads cost a few microseconds each, where asynchronous ones would cost more than the hash of a block. */
async function hashFile({ job, path, algorithm }: Request<'file'>): Promise<HashReply | undefined> {
  const hash = createHash(algorithm);
  let spent: TimeSpent = { readMs: 0, hashMs: 0 };
  let markedAtMs = performance.now();
  const file = openSync(path, 'r');
  files.add(job);
  try {
    const sizeBytes = fstatSync(file).size;
    let seenBytes = 0;
    let turnBytes = 0;
    while (seenBytes < sizeBytes) {
      const bytesRead = readSync(file, block, 0, Math.min(BLOCK_BYTES, sizeBytes - seenBytes), null);
      if (bytesRead === 0) {
        break;
      }
      const readAtMs = performance.now();
      hash.update(bytesRead === BLOCK_BYTES ? block : block.subarray(0, bytesRead));
      const hashedAtMs = performance.now();
      spent.readMs += readAtMs - markedAtMs;
      spent.hashMs += hashedAtMs - readAtMs;
      markedAtMs = hashedAtMs;
      seenBytes += bytesRead;
      turnBytes += bytesRead;
      if (turnBytes >= TURN_BYTES) {
        turnBytes = 0;
        answer({ kind: 'seen', job, seenBytes, spent });
        await setImmediate();
        if (left.has(job)) {
          return undefined;
        }
        spent = { readMs: 0, hashMs: 0 };
        markedAtMs = performance.now();
      }
    }
    return { kind: 'file', job, hex: hash.digest('hex'), sizeBytes, seenBytes, spent };
  } finally {
    closeSync(file);
    files.delete(job);
    left.delete(job);
  }
}

/** Both hashes go over each block while it is in the cache. */
function hashPiece({ job, content, algorithm, bytes, pieceAlgorithm }: Request<'piece'>): HashReply {
  const whole = algorithm === undefined ? undefined : (contents.get(content) ?? createHash(algorithm));
  if (whole !== undefined) {
    contents.set(content, whole);
  }
  const piece = createHash(pieceAlgorithm);
  for (let start = 0; start < bytes.byteLength; start += BLOCK_BYTES) {
    const next = bytes.subarray(start, start + BLOCK_BYTES);
    whole?.update(next);
    piece.update(next);
  }
  return { kind: 'piece', job, hex: piece.digest('hex') };
}

function endContent({ job, content, algorithm }: Request<'end'>): HashReply {
  const hash = contents.get(content) ?? createHash(algorithm);
  contents.delete(content);
  return { kind: 'end', job, hex: hash.digest('hex') };
}

function answer(reply: HashReply): void {
  parentPort?.postMessage(reply);
}
