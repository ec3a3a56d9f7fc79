/**
 * What is handed to a connection at once: over TLS it is held once more in its encrypted form, and a slow line must
 * take it within the time that the store is given to answer.
 */
export const SLICE_BYTES = 512 * 1024;

/** A long body for a connection, without a copy. */
export async function* slices(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.byteLength; start += SLICE_BYTES) {
    yield bytes.subarray(start, start + SLICE_BYTES);
  }
}
