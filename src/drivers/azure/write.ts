import { hash } from 'node:crypto';
import { bodySizeBytes, corruptError, provenBody, throwIfAborted } from '../body.ts';
import type { Body, ContentDigest } from '../driver.ts';
import type { DriverErrorDetails } from '../errors.ts';
import { writeInBlocks, type AzureBlockWriting } from './blocks.ts';
import { azureError, serviceCodeOf, type AzureCall, type AzurePlace } from './errors.ts';
import { withSignal } from './requests.ts';
import type { AzureConnection } from './connection.ts';

export interface AzureWriting extends AzureTarget, AzureBlockWriting {
  /** Bodies up to this size go as one Put Blob, and are in memory meanwhile. */
  singlePutMaxBytes: number;
}

/** Where requests go that are not of the hot path. */
export type AzureTarget = Pick<AzureConnection, 'sdk' | 'place'>;

/**
 * Puts a blob. Azure knows no SHA-256, so the bytes are hashed here:
 * - up to `singlePutMaxBytes` they are read whole, proven, and sent as one Put Blob, whose MD5 the service checks;
 * - longer ones are staged as blocks, each with an MD5 that the service checks, and become the blob by
 *   Put Block List only once length and digest are proven.
 *
 * Blocks staged by a write that failed are no part of any blob: no reader and no listing shows them, and Azure
 * drops them a week later (REST reference, "Put Block"). There is no request that drops them sooner and leaves
 * the blob as it is: only a Put Blob under the name would.
 */
export async function writeBlob(
  writing: AzureWriting,
  name: string,
  body: Body,
  expectedDigest: ContentDigest | undefined,
  call: AzureCall,
): Promise<void> {
  const details = { driver: 'azure', operation: call.operation, key: call.key ?? '' };
  throwIfAborted(call.signal, details);
  const chunks = (): AsyncGenerator<Uint8Array> =>
    provenBody(body, { expectedDigest, signal: call.signal, details });
  const sizeBytes = bodySizeBytes(body);
  if (sizeBytes <= writing.singlePutMaxBytes) {
    const content =
      body instanceof Uint8Array
        ? provenBytes(body, expectedDigest, details)
        : await readWhole(chunks(), sizeBytes);
    const md5 = hash('md5', content, 'base64');
    const put = (): Promise<void> => writing.requests.put(name, content, md5, call.signal);
    await replacingOtherTypes(writing, name, call, put, async () => {});
    return;
  }
  await replacingOtherTypes(
    writing,
    name,
    call,
    () => writeInBlocks(writing, name, body, expectedDigest, call),
    () => drain(chunks()),
  );
}

/**
 * Makes a blob by `write`, and where that fails because an append blob (as registries write layers) or a page
 * blob has the name, removes that first. Azure can neither convert a blob nor stage blocks beside it, so between
 * the removal and the end of the write readers find nothing: the one write that is not atomic. It happens only when
 * such a blob has to be replaced, which is when its content is wrong. `prove` runs before the removal, so
 * that a body which turns out wrong costs nothing.
 */
export async function replacingOtherTypes(
  { sdk, place }: AzureTarget,
  name: string,
  call: AzureCall,
  write: () => Promise<void>,
  prove: () => Promise<void>,
): Promise<void> {
  try {
    await mapped(write, place, call);
  } catch (error) {
    if (serviceCodeOf(error) !== 'InvalidBlobType') {
      throw error;
    }
    await prove();
    await mapped(() => deleteOtherType(sdk, name, call.signal), place, call);
    await mapped(write, place, call);
  }
}

async function deleteOtherType(
  sdk: AzureTarget['sdk'],
  name: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { client } = await sdk();
  const blob = client.getBlobClient(name);
  const { blobType, etag } = await blob.getProperties(withSignal(signal));
  if (blobType !== 'BlockBlob' && etag !== undefined) {
    await blob.delete({ conditions: { ifMatch: etag }, deleteSnapshots: 'include', ...withSignal(signal) });
  }
}

/** What `provenBody` does, for bytes that are there already; by chunks it took 2 us more for each link. */
function provenBytes(
  content: Uint8Array,
  expectedDigest: ContentDigest | undefined,
  details: DriverErrorDetails,
): Uint8Array {
  if (expectedDigest !== undefined) {
    const actual = hash(expectedDigest.algorithm, content, 'hex');
    if (actual !== expectedDigest.hex) {
      throw corruptError(expectedDigest, actual, details);
    }
  }
  return content;
}

async function readWhole(chunks: AsyncIterable<Uint8Array>, sizeBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) {
    parts.push(chunk);
  }
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts, sizeBytes);
}

async function drain(chunks: AsyncGenerator<Uint8Array>): Promise<void> {
  while ((await chunks.next()).done !== true) {
    // Proven as it passes; the bytes are not needed.
  }
}

async function mapped(action: () => Promise<void>, place: AzurePlace, call: AzureCall): Promise<void> {
  try {
    await action();
  } catch (error) {
    throw azureError(error, place, call);
  }
}
