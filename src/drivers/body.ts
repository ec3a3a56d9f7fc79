import { createHash } from 'node:crypto';
import { DriverError, type DriverErrorDetails } from './errors.ts';
import type { Body, ContentDigest, IntoMemory } from './driver.ts';

/** How long a body is, in bytes, before it is opened. */
export function bodySizeBytes(body: Body): number {
  return body instanceof Uint8Array ? body.byteLength : body.sizeBytes;
}

/** The body as chunks, whichever form it has. */
export async function* bodyChunks(body: Body, into?: IntoMemory): AsyncGenerator<Uint8Array> {
  if (body instanceof Uint8Array) {
    yield body;
    return;
  }
  yield* body.open(into);
}

export interface ProvenBodyOptions {
  expectedDigest?: ContentDigest | undefined;
  signal?: AbortSignal | undefined;
  /** Names the write in errors. */
  details: DriverErrorDetails;
}

/**
 * Passes a body through while proving it: its length is what it said, and its digest is the expected one.
 * The last chunk is withheld until both are known, so a consumer that completes a write at the end of
 * this stream never completes one with wrong bytes.
 * @throws DriverError CHANGED for a wrong length, CORRUPT for a wrong digest, ABORTED.
 */
export async function* provenBody(body: Body, options: ProvenBodyOptions): AsyncGenerator<Uint8Array> {
  const { expectedDigest, signal, details } = options;
  const hash = expectedDigest === undefined ? undefined : createHash(expectedDigest.algorithm);
  const sizeBytes = bodySizeBytes(body);
  let seenBytes = 0;
  let withheld: Uint8Array | undefined;
  for await (const chunk of bodyChunks(body)) {
    throwIfAborted(signal, details);
    if (chunk.byteLength === 0) {
      continue;
    }
    if (withheld !== undefined) {
      yield withheld;
    }
    seenBytes += chunk.byteLength;
    if (seenBytes > sizeBytes) {
      throw changedError(sizeBytes, `at least ${seenBytes}`, details);
    }
    hash?.update(chunk);
    withheld = chunk;
  }
  throwIfAborted(signal, details);
  if (seenBytes !== sizeBytes) {
    throw changedError(sizeBytes, `${seenBytes}`, details);
  }
  if (expectedDigest !== undefined && hash !== undefined) {
    const actual = hash.digest('hex');
    if (actual !== expectedDigest.hex) {
      throw corruptError(expectedDigest, actual, details);
    }
  }
  if (withheld !== undefined) {
    yield withheld;
  }
}

/** The error for bytes that are not what their digest says. */
export function corruptError(
  expected: ContentDigest,
  actualHex: string,
  details: DriverErrorDetails,
): DriverError {
  return new DriverError(
    'CORRUPT',
    `${details.key ?? 'The object'}: the bytes that were read have ${expected.algorithm}:${actualHex}, not the expected ${expected.algorithm}:${expected.hex}; they were not written.`,
    details,
  );
}

/** Throws ABORTED when the caller's signal was aborted. */
export function throwIfAborted(signal: AbortSignal | undefined, details: DriverErrorDetails): void {
  if (signal?.aborted === true) {
    throw new DriverError('ABORTED', 'Interrupted.', { ...details, cause: signal.reason });
  }
}

/** The error for a body that is not as long as it said. */
export function changedError(
  expectedBytes: number,
  actualBytes: string,
  details: DriverErrorDetails,
): DriverError {
  return new DriverError(
    'CHANGED',
    `${details.key ?? 'The object'} gave ${actualBytes} bytes where ${expectedBytes} were announced: it changed while it was read; run again.`,
    details,
  );
}
