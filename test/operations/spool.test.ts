import { mkdtempSync, readdirSync, readlinkSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { Spool } from '../../src/operations/spool.ts';

async function drain<T>(spool: Spool<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of spool) {
    items.push(item);
  }
  return items;
}

/** The descriptor that listed the folder is closed by the time that it is looked at. */
function isPlanFile(descriptor: string): boolean {
  try {
    return readlinkSync(descriptor).includes('regtool-plan-');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      return false;
    }
    throw error;
  }
}

describe('Spool', () => {
  it.each([
    ['in memory', 1_000_000],
    ['through a file', 50],
    ['with every item in the file', 1],
  ])('gives back what was put in, in order and as often as asked, %s', async (_, memoryBytes) => {
    const spool = new Spool<{ key: string }>(memoryBytes);
    const items = Array.from({ length: 100 }, (__, index) => ({ key: `n${index} "quoted" \u2028 \n end` }));
    for (const item of items) {
      await spool.append(item);
    }
    expect(spool.length).toBe(100);
    expect(await drain(spool)).toEqual(items);
    expect(await drain(spool)).toEqual(items);
    await spool.dispose();
  });

  it('keeps the order of appends that overlap', async () => {
    const spool = new Spool<number>(10);
    await Promise.all(Array.from({ length: 500 }, (_, index) => spool.append(index)));
    expect(await drain(spool)).toEqual(Array.from({ length: 500 }, (_, index) => index));
    await spool.dispose();
  });

  it.skipIf(process.platform !== 'linux')(
    'throws when its file gives back less than was put in',
    async () => {
      for (const share of [0, 0.5, 0.999]) {
        const spool = new Spool<string>(1);
        for (let index = 0; index < 100; index += 1) {
          await spool.append(`object ${index}`);
        }
        // The file has no name any more, but the system shows what this process has open.
        const own = readdirSync('/proc/self/fd')
          .map((fd) => `/proc/self/fd/${fd}`)
          .find((fd) => isPlanFile(fd));
        truncateSync(own ?? '', Math.floor(statSync(own ?? '').size * share));
        await expect(drain(spool)).rejects.toThrow(/of the 100 entries/);
        await spool.dispose();
      }
    },
  );

  it('leaves no file behind, even while it is in use', async () => {
    const own = mkdtempSync(join(tmpdir(), 'regtool-spool-'));
    vi.stubEnv('TMPDIR', own);
    const spool = new Spool<string>(1);
    await spool.append('a private repository');
    vi.unstubAllEnvs();
    expect(readdirSync(own)).toEqual([]);
    expect(await drain(spool)).toEqual(['a private repository']);
    await spool.dispose();
    rmSync(own, { recursive: true });
  });
});
