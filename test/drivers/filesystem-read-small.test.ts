import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ReadPace } from '../../src/drivers/filesystem/read-pace.ts';
import { openSmallReader } from '../../src/drivers/filesystem/read-small.ts';

/** A pace on a clock and a count of sleeps of its own. */
function paceOf({ ms, sleepsPerRead }: { ms: number; sleepsPerRead: number }) {
  let nowMs = 0;
  let sleeps = 0;
  const pace = new ReadPace({ now: () => nowMs, sleeps: () => sleeps });
  const costs = { ms, sleepsPerRead };
  /** Makes so many reads, and tells of each whether it was one that is waited for beside others. */
  const reads = (count: number): boolean[] =>
    Array.from({ length: count }, () => {
      const isWaiting = pace.isWaiting();
      if (!isWaiting) {
        pace.timed(() => {
          nowMs += costs.ms;
          sleeps += costs.sleepsPerRead;
        });
      }
      return isWaiting;
    });
  return { reads, costs };
}

describe('the pace of reads', () => {
  it.each([
    ['in memory', { ms: 0.02, sleepsPerRead: 0 }],
    ['on a busy machine, where each takes long', { ms: 3, sleepsPerRead: 0 }],
    ['on a fast disk', { ms: 0.08, sleepsPerRead: 1 }],
    ['mostly in memory', { ms: 1, sleepsPerRead: 0.25 }],
  ])('of files %s is not waited for beside others', (_, costs) => {
    expect(paceOf(costs).reads(500)).not.toContain(true);
  });

  it('of files that each wait is, once that has shown', () => {
    const { reads } = paceOf({ ms: 0.5, sleepsPerRead: 1 });
    const first = reads(100);
    expect(first.indexOf(true)).toBeGreaterThan(4);
    expect(first.indexOf(true)).toBeLessThan(50);
    expect(first.slice(first.indexOf(true))).not.toContain(false);
  });

  it('is looked at again now and then, and is as before once nothing is waited for', () => {
    const { reads, costs } = paceOf({ ms: 0.5, sleepsPerRead: 1 });
    const slow = reads(20_000);
    expect(slow.slice(100)).toContain(false);
    expect(slow.filter((isWaiting) => isWaiting).length).toBeGreaterThan(19_000);
    costs.ms = 0.02;
    costs.sleepsPerRead = 0;
    reads(5000);
    expect(reads(5000)).not.toContain(true);
  });

  it('does not count the sleeps between reads', () => {
    const clock = { nowMs: 0, sleeps: 0 };
    const pace = new ReadPace({ now: () => clock.nowMs, sleeps: () => clock.sleeps });
    for (let read = 0; read < 500; read += 1) {
      expect(pace.isWaiting()).toBe(false);
      pace.timed(() => (clock.nowMs += 1));
      clock.sleeps += 1;
    }
  });

  it('counts reads that fail as well', () => {
    let nowMs = 0;
    let sleeps = 0;
    const pace = new ReadPace({ now: () => nowMs, sleeps: () => sleeps });
    const fail = () =>
      pace.timed(() => {
        nowMs += 1;
        sleeps += 1;
        throw new Error('no such file');
      });
    for (let read = 0; read < 200; read += 1) {
      if (pace.isWaiting()) {
        return;
      }
      expect(fail).toThrow('no such file');
    }
    expect.fail('Two hundred reads of a millisecond are not waited for beside others.');
  });
});

describe.each(['at once', 'beside others'])('small files that are read %s', (way) => {
  let root: string;
  beforeAll(() => {
    root = mkdtempSync(path.join(tmpdir(), 'regtool-small-'));
  });
  afterAll(() => {
    rmSync(root, { recursive: true, force: true });
  });

  function openReader() {
    const pace = new ReadPace({ now: () => 0, sleeps: () => 0 });
    pace.isWaiting = () => way === 'beside others';
    return openSmallReader(pace);
  }

  it.each([0, 1, 71, 4095, 4096, 4097, 65_536, 65_537, 300_000])(
    'have all of their %d bytes',
    async (size) => {
      const at = path.join(root, `size-${size}`);
      const content = Buffer.from(Array.from({ length: size }, (_, index) => (index * 7) % 251));
      writeFileSync(at, content);
      for (const maxBytes of [size, size + 1, 1_000_000]) {
        const read = await openReader().read(at, maxBytes);
        expect('bytes' in read && content.equals(read.bytes)).toBe(true);
      }
      if (size > 0) {
        expect(await openReader().read(at, size - 1)).toEqual({ tooLargeBytes: size });
      }
    },
  );

  it('leave nothing open, also where they cannot be read', async () => {
    const at = path.join(root, 'there');
    writeFileSync(at, 'content');
    const reader = openReader();
    for (const missing of ['missing', 'there/below']) {
      const reading = async () => reader.read(path.join(root, missing), 10);
      await expect(reading()).rejects.toThrow(missing);
    }
    await Promise.all(Array.from({ length: 20 }, async () => reader.read(at, 10)));
    await Promise.all(Array.from({ length: 20 }, async () => reader.read(at, 3)));
    const open = readdirSync('/proc/self/fd').map((name) => {
      try {
        return readlinkSync(path.join('/proc/self/fd', name));
      } catch {
        // Closed since it was listed.
        return '';
      }
    });
    expect(open).not.toContain(at);
  });

  it('come with a listing only where they are read at once', () => {
    const at = path.join(root, 'listed');
    writeFileSync(at, 'é');
    const listed = openReader().readNow(at, 10);
    expect(listed).toEqual(way === 'at once' ? { sizeBytes: 2, content: 'Ã©' } : undefined);
  });
});
