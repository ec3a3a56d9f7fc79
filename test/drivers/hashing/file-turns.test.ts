import { describe, expect, it } from 'vitest';
import { FileTurns } from '../../../src/drivers/hashing/file-turns.ts';

interface Turn {
  sizeBytes: number;
  end: () => void;
}

/** Asks for a turn for a file of each size, and tells which have begun. */
function take(turns: FileTurns, ...sizesBytes: number[]): Turn[] {
  const begun: Turn[] = [];
  for (const sizeBytes of sizesBytes) {
    void turns.take(sizeBytes, () => new Promise<void>((end) => begun.push({ sizeBytes, end })));
  }
  return begun;
}

async function settle(): Promise<void> {
  for (let round = 0; round < 10; round += 1) {
    await Promise.resolve();
  }
}

const sizesOf = (begun: Turn[]): number[] => begun.map(({ sizeBytes }) => sizeBytes);

describe('turns of files that are hashed', () => {
  it('go to two files for each core, and then to the largest that waits', async () => {
    const turns = new FileTurns(1);
    const begun = take(turns, 5, 4, 1, 9, 3, 9);
    await settle();
    expect(sizesOf(begun)).toEqual([5, 4]);
    for (let index = 0; index < 4; index += 1) {
      begun[index]?.end();
      await settle();
    }
    expect(sizesOf(begun)).toEqual([5, 4, 9, 9, 3, 1]);
  });

  it('are given back by one that fails', async () => {
    const turns = new FileTurns(1);
    const failing = [1, 2].map((size) => turns.take(size, () => Promise.reject(new Error('unreadable'))));
    await expect(Promise.allSettled(failing)).resolves.toMatchObject([
      { status: 'rejected' },
      { status: 'rejected' },
    ]);
    const begun = take(turns, 3);
    await settle();
    expect(sizesOf(begun)).toEqual([3]);
  });

  it('go to more files at once where threads wait for a disk, and to fewer when they no longer do', async () => {
    const turns = new FileTurns(2);
    const begun = take(turns, ...Array.from({ length: 20 }, () => 1));
    await settle();
    expect([turns.threads, begun.length]).toEqual([2, 4]);
    turns.note({ readMs: 15, hashMs: 85 });
    await settle();
    expect([turns.threads, begun.length]).toEqual([2, 4]);
    turns.note({ readMs: 200, hashMs: 50 });
    await settle();
    expect([turns.threads, begun.length]).toEqual([4, 8]);
    turns.note({ readMs: 10, hashMs: 500 });
    begun.forEach(({ end }) => end());
    await settle();
    expect([turns.threads, begun.length]).toEqual([2, 12]);
  });

  it('go by what was lately: hours of waiting are soon outweighed', () => {
    const turns = new FileTurns(2);
    for (let index = 0; index < 1000; index += 1) {
      turns.note({ readMs: 900, hashMs: 100 });
    }
    expect(turns.threads).toBe(4);
    for (let index = 0; index < 10; index += 1) {
      turns.note({ readMs: 100, hashMs: 900 });
    }
    expect(turns.threads).toBe(2);
  });

  it('never go to fewer threads than there are cores', () => {
    const turns = new FileTurns(16);
    turns.note({ readMs: 9, hashMs: 1 });
    expect(turns.threads).toBe(16);
  });
});
