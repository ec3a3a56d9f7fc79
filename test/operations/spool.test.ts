import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
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
