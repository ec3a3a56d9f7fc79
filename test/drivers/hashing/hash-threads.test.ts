import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type * as threads from 'node:worker_threads';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { HashThread } from '../../../src/drivers/hashing/hash-thread-handle.ts';
import type { TimeSpent } from '../../../src/drivers/hashing/messages.ts';
import { hashFile, openThreadedHash } from '../../../src/drivers/hashing/hash-threads.ts';

const hexOf = (algorithm: string, content: Uint8Array): string =>
  createHash(algorithm).update(content).digest('hex');

function shared(content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(new SharedArrayBuffer(content.byteLength));
  bytes.set(content);
  return bytes;
}

describe('a content in pieces', () => {
  it.each([
    ['sha256', 'sha256'],
    ['sha512', 'md5'],
  ] as const)('has its %s, and each piece its %s', async (algorithm, pieceAlgorithm) => {
    const pieces = [300_000, 1, 131_072, 0, 500_000].map((sizeBytes) => randomBytes(sizeBytes));
    const hash = openThreadedHash(algorithm, pieceAlgorithm);
    const told = await Promise.all(pieces.map((piece) => hash.update(shared(piece))));
    expect(told).toEqual(pieces.map((piece) => hexOf(pieceAlgorithm, piece)));
    expect(await hash.digest()).toBe(hexOf(algorithm, Buffer.concat(pieces)));
    hash.close();
  });

  it('is kept apart from others, and from those that were given up', async () => {
    const [first, second] = [randomBytes(1000), randomBytes(1000)];
    const left = openThreadedHash('sha256', 'sha256');
    await left.update(shared(first));
    left.close();
    const hashes = Array.from({ length: 20 }, () => openThreadedHash('sha256', 'sha256'));
    for (const piece of [first, second]) {
      await Promise.all(hashes.map((hash) => hash.update(shared(piece))));
    }
    const digests = await Promise.all(hashes.map((hash) => hash.digest()));
    hashes.forEach((hash) => hash.close());
    expect(new Set(digests)).toEqual(new Set([hexOf('sha256', Buffer.concat([first, second]))]));
  });

  it('may have no piece at all', async () => {
    const hash = openThreadedHash('sha256', 'sha256');
    expect(await hash.digest()).toBe(hexOf('sha256', new Uint8Array()));
    hash.close();
  });

  it('is read where it is, not copied when it was given', async () => {
    const bytes = shared(Buffer.alloc(1000));
    const hash = openThreadedHash(undefined, 'sha256');
    const telling = hash.update(bytes);
    expect(bytes.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(await telling).toBe(hexOf('sha256', Buffer.alloc(1000)));
    await expect(hash.digest()).rejects.toThrow(TypeError);
    hash.close();
  });
});

describe('threads', () => {
  it('tell what they spend on reading and on hashing, piece by piece', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'regtool-hash-'));
    const thread = new HashThread({ onEnd: () => undefined, onSpent: (spent) => spents.push(spent) });
    const spents: TimeSpent[] = [];
    try {
      const file = path.join(folder, 'file');
      writeFileSync(file, Buffer.alloc(20 * 1024 * 1024, 7));
      await thread.ask('file', (job) => ({ kind: 'file', job, path: file, algorithm: 'sha256' }));
    } finally {
      rmSync(folder, { recursive: true });
    }
    // After 8 MiB, after 16, and at the end: each tells of itself alone.
    expect(spents).toHaveLength(3);
    for (const { readMs, hashMs } of spents) {
      expect(readMs).toBeGreaterThan(0);
      expect(hashMs).toBeGreaterThan(0);
    }
  });

  afterEach(() => {
    vi.doUnmock('node:worker_threads');
    vi.resetModules();
  });

  it('tell what the system says', async () => {
    await expect(hashFile('/nonexistent/file', 'sha256')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('that end before their work is done fail it, and the next work gets another', async () => {
    const started: unknown[] = [];
    vi.resetModules();
    vi.doMock('node:worker_threads', async (importOriginal) => {
      const original = await importOriginal<typeof threads>();
      class Ending extends original.Worker {
        constructor(script: string, options: object) {
          super(started.length === 0 ? 'throw new Error("no memory")' : script, options);
          started.push(script);
        }
      }
      return { ...original, Worker: Ending };
    });
    const fresh = await import('../../../src/drivers/hashing/hash-threads.ts');
    await expect(fresh.hashFile('/nonexistent/file', 'sha256')).rejects.toThrow(
      'A thread that hashes has ended before its work was done.',
    );
    await expect(fresh.hashFile('/nonexistent/file', 'sha256')).rejects.toMatchObject({ code: 'ENOENT' });
    expect(started).toHaveLength(2);
  });
});
