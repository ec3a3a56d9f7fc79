import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ReadPace } from '../../src/drivers/filesystem/read-pace.ts';
import { openSmallReader } from '../../src/drivers/filesystem/read-small.ts';

const { SHORT_BYTES } = vi.hoisted(() => ({ SHORT_BYTES: 100 }));

/** A disk that gives at most so many bytes for each read of another thread, as file systems behind a network may. */
vi.mock(import('node:fs'), async (importOriginal) => {
  const fs = await importOriginal();
  const { promisify } = await import('node:util');
  const readShort = (file: number, bytes: Buffer, offset: number, length: number, position: number) =>
    Promise.resolve({
      bytesRead: fs.readSync(file, bytes, offset, Math.min(length, SHORT_BYTES), position),
      buffer: bytes,
    });
  return {
    ...fs,
    read: Object.assign(fs.read.bind(fs), { [promisify.custom]: readShort }) as typeof fs.read,
  };
});

/** A pace by which every read but the first few is waited for. */
function slowPace(): ReadPace {
  let nowMs = 0;
  let sleeps = 0;
  const pace = new ReadPace({ now: () => nowMs, sleeps: () => sleeps });
  while (!pace.isWaiting()) {
    pace.timed(() => {
      nowMs += 10;
      sleeps += 1;
    });
  }
  return pace;
}

describe('a small file on a disk that gives fewer bytes than were asked for', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'regtool-short-reads-'));
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each([
    { sizeBytes: 0, maxBytes: 10_000 },
    { sizeBytes: SHORT_BYTES - 1, maxBytes: 10_000 },
    { sizeBytes: SHORT_BYTES, maxBytes: 10_000 },
    { sizeBytes: SHORT_BYTES + 1, maxBytes: 10_000 },
    { sizeBytes: 4095, maxBytes: 10_000 },
    { sizeBytes: 4096, maxBytes: 10_000 },
    { sizeBytes: 9999, maxBytes: 10_000 },
    { sizeBytes: 300, maxBytes: 300 },
  ])('of $sizeBytes bytes is read whole', async ({ sizeBytes, maxBytes }) => {
    const file = path.join(folder, String(sizeBytes));
    const content = Buffer.from(Array.from({ length: sizeBytes }, (_, index) => (index * 7) % 251));
    writeFileSync(file, content);
    const read = openSmallReader(slowPace()).read(file, maxBytes);
    expect(read).toBeInstanceOf(Promise);
    const found = await read;
    expect('bytes' in found && Buffer.compare(Buffer.from(found.bytes), content)).toBe(0);
  });

  it('that is too large is said to be so', async () => {
    const file = path.join(folder, 'large');
    writeFileSync(file, Buffer.alloc(301));
    await expect(openSmallReader(slowPace()).read(file, 300)).resolves.toEqual({ tooLargeBytes: 301 });
  });
});
