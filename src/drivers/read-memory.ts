/**
 * Memory that large files are read into. An allocation of this size begins 16 bytes behind the start of a page (glibc
 * keeps its own note there), and to just there AMD processors of the Zen 3 and Zen 4 families copy the page cache, with
 * the instruction that Linux uses on them, at a fraction of their speed: 1.7 to 2.3 GB for each second of CPU time,
 * against 5 to 10 GB when it begins 64 bytes further on (blocks of 1 to 16 MiB, EPYC). Elsewhere the shift costs nothing.
 * See https://sourceware.org/bugzilla/show_bug.cgi?id=30994 and https://github.com/apache/opendal/issues/3665.
 */
const SHIFT_BYTES = 64;

/** Its bytes are whatever was there before. */
export function readMemory(sizeBytes: number): Buffer {
  return Buffer.allocUnsafeSlow(SHIFT_BYTES + sizeBytes).subarray(SHIFT_BYTES);
}

/** Memory that other threads see as well. */
export function sharedReadMemory(sizeBytes: number): Uint8Array<SharedArrayBuffer> {
  return new Uint8Array(new SharedArrayBuffer(SHIFT_BYTES + sizeBytes), SHIFT_BYTES, sizeBytes);
}
