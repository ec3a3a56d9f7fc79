import { bodyChunks, bodySizeBytes, changedError, corruptError } from './body.ts';
import type { Body, ContentDigest } from './driver.ts';
import { DriverError, type DriverErrorDetails } from './errors.ts';
import { openThreadedHash } from './hashing/hash-threads.ts';
import type { PieceAlgorithm } from './hashing/messages.ts';
import { allowManyListeners, interruptible } from './interruptible.ts';
import { partMemory, type PartBuffer, type PartMemory } from './part-memory.ts';

/** One piece of a body, ready to be sent. */
export interface Part {
  /** From 0. */
  index: number;
  /** Shared memory, which is another part's as soon as this one was sent. */
  bytes: Uint8Array;
  /** The digest of these bytes alone, lower case. */
  hex: string;
}

export interface SendPartsOptions {
  /** Size of every part but the last. */
  partBytes: number;
  /** What the store checks a part by. */
  partAlgorithm: PieceAlgorithm;
  /** Of the whole body. */
  expectedDigest?: ContentDigest | undefined;
  signal?: AbortSignal | undefined;
  /** Names the write in errors. */
  details: DriverErrorDetails;
  /** Other than the memory that all uploads of the process share: for tests. */
  memory?: PartMemory;
}

/**
 * Cuts a body into parts and sends them, as many at once as the memory for parts allows. While some are on their way,
 * the next are read, straight into their buffer where the body's source can, and hashed in another thread.
 *
 * The last part is sent only when the length and the digest of the whole body are right: nothing is complete before
 * this returns. The first failure, whether of the body, of a part or by the signal, ends everything else, and is
 * thrown when nothing is under way any more, but for a source that does not end.
 * @param send sends one part; its signal is aborted when the others have failed.
 * @throws DriverError CHANGED for a wrong length, CORRUPT for a wrong digest, ABORTED; what the body or `send` threw.
 */
export async function sendParts(
  body: Body,
  options: SendPartsOptions,
  send: (part: Part, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { partAlgorithm, expectedDigest, signal, details } = options;
  const stop = new AbortController();
  allowManyListeners(stop.signal);
  const onAbort = (): void => {
    stop.abort(new DriverError('ABORTED', 'Interrupted.', { ...details, cause: signal?.reason }));
  };
  const hash = openThreadedHash(expectedDigest?.algorithm, partAlgorithm);
  const underWay = new Set<Promise<void>>();
  if (signal !== undefined) {
    allowManyListeners(signal);
    signal.addEventListener('abort', onAbort);
  }
  try {
    if (signal?.aborted === true) {
      onAbort();
    }
    for await (const { index, bytes, isLast, buffer } of cut(body, options, stop.signal)) {
      const sent = sendOne(index, bytes, isLast)
        .catch((error: unknown) => stop.abort(error))
        .finally(() => {
          buffer.release();
          underWay.delete(sent);
        });
      underWay.add(sent);
    }
  } catch (error) {
    // Has no effect where something else failed first.
    stop.abort(error);
  } finally {
    await Promise.all(underWay);
    hash.close();
    signal?.removeEventListener('abort', onAbort);
  }
  stop.signal.throwIfAborted();

  async function sendOne(index: number, bytes: Uint8Array, isLast: boolean): Promise<void> {
    const hex = await hash.update(bytes);
    if (isLast && expectedDigest !== undefined) {
      const actual = await hash.digest();
      if (actual !== expectedDigest.hex) {
        throw corruptError(expectedDigest, actual, details);
      }
    }
    stop.signal.throwIfAborted();
    await send({ index, bytes, hex }, stop.signal);
  }
}

interface CutPart {
  index: number;
  bytes: Uint8Array;
  isLast: boolean;
  buffer: PartBuffer;
}

/** The last part comes only when the body has ended, and with the length that it said. */
async function* cut(
  body: Body,
  { partBytes, details, memory = partMemory }: SendPartsOptions,
  signal: AbortSignal,
): AsyncGenerator<CutPart> {
  const sizeBytes = bodySizeBytes(body);
  let seenBytes = 0;
  let index = 0;
  let buffer = await memory.take(partBytes, signal, details);
  let filled = 0;
  let isHandedOn = false;
  /** Where the source may put the next bytes. */
  const room = (): Uint8Array | undefined => {
    const end = Math.min(partBytes, filled + sizeBytes - seenBytes);
    return filled < end ? buffer.bytes.subarray(filled, end) : undefined;
  };
  try {
    for await (const chunk of interruptible(bodyChunks(body, room), signal)) {
      seenBytes += chunk.byteLength;
      if (seenBytes > sizeBytes) {
        throw changedError(sizeBytes, `at least ${seenBytes}`, details);
      }
      let taken = 0;
      while (taken < chunk.byteLength) {
        const piece = chunk.subarray(taken, taken + partBytes - filled);
        if (!isInPlace(piece, buffer.bytes, filled)) {
          buffer.bytes.set(piece, filled);
        }
        filled += piece.byteLength;
        taken += piece.byteLength;
        const isLast = seenBytes === sizeBytes && taken === chunk.byteLength;
        if (filled === partBytes && !isLast) {
          isHandedOn = true;
          yield { index, bytes: buffer.bytes, isLast, buffer };
          buffer = await memory.take(partBytes, signal, details);
          isHandedOn = false;
          index += 1;
          filled = 0;
        }
      }
    }
    if (seenBytes !== sizeBytes) {
      throw changedError(sizeBytes, `${seenBytes}`, details);
    }
    isHandedOn = true;
    yield { index, bytes: buffer.bytes.subarray(0, filled), isLast: true, buffer };
  } finally {
    if (!isHandedOn) {
      // A source that does not end when it should may write to it still.
      buffer.abandon();
    }
  }
}

/** Whether the source has put a chunk where it belongs. */
function isInPlace(chunk: Uint8Array, part: Uint8Array, filled: number): boolean {
  return chunk.buffer === part.buffer && chunk.byteOffset === part.byteOffset + filled;
}
