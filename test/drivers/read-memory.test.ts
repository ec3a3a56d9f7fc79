import { describe, expect, it } from 'vitest';
import { readMemory, sharedReadMemory } from '../../src/drivers/read-memory.ts';

describe.each([
  { kind: 'of this thread', take: readMemory },
  { kind: 'of all threads', take: sharedReadMemory },
])('memory $kind that files are read into', ({ take }) => {
  it.each([1, 4096, 512 * 1024, 8 * 1024 * 1024])('has the %i bytes that were asked for', (sizeBytes) => {
    const bytes = take(sizeBytes);
    expect(bytes.byteLength).toBe(sizeBytes);
    bytes[sizeBytes - 1] = 7;
    expect(bytes.at(-1)).toBe(7);
  });

  it('begins beyond the 16th byte of a page, which is where the processor would copy slowly to', () => {
    // Of the allocation, which begins there.
    expect(take(1024 * 1024).byteOffset).toBeGreaterThanOrEqual(32);
  });

  it('overlaps with none that was given before', () => {
    const first = take(100).fill(1);
    take(100).fill(2);
    expect(first.every((byte) => byte === 1)).toBe(true);
  });
});

it('is seen by other threads where that is said', () => {
  expect(sharedReadMemory(10).buffer).toBeInstanceOf(SharedArrayBuffer);
});
