import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Driver, HashOptions } from '../../src/drivers/driver.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { hashObject } from '../../src/operations/hash-object.ts';

const THREAD = 'hashed by a thread';

/** A store that could have objects hashed elsewhere, and notes how it is asked. */
async function openNoting(content: Uint8Array): Promise<{ driver: Driver; asked: string[] }> {
  const memory = openMemory();
  await memory.write('key', content);
  const asked: string[] = [];
  const driver: Driver = {
    ...memory,
    readSmall(key, maxBytes, options) {
      asked.push('readSmall');
      return memory.readSmall(key, maxBytes, options);
    },
    hash(_key: string, _algorithm: string, { sizeBytes }: HashOptions = {}) {
      asked.push(`hash of ${sizeBytes}`);
      return Promise.resolve(THREAD);
    },
  };
  return { driver, asked };
}

const hexOf = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');

describe('hashing an object', () => {
  it('reads a small one whole, and tells how much it was', async () => {
    const content = randomBytes(32 * 1024);
    const { driver, asked } = await openNoting(content);
    const seen: number[] = [];
    const onSeen = (bytes: number): unknown => seen.push(bytes);
    expect(await hashObject(driver, 'key', 'sha256', { sizeBytes: 32 * 1024, onSeen })).toBe(hexOf(content));
    expect(asked).toEqual(['readSmall']);
    expect(seen).toEqual([32 * 1024]);
  });

  it('leaves one that is large, or of unknown size, to the store’s threads', async () => {
    const { driver, asked } = await openNoting(randomBytes(10));
    expect(await hashObject(driver, 'key', 'sha256', { sizeBytes: 32 * 1024 + 1 })).toBe(THREAD);
    expect(await hashObject(driver, 'key', 'sha256')).toBe(THREAD);
    expect(asked).toEqual(['hash of 32769', 'hash of undefined']);
  });

  it('hashes the whole of one that is larger than it was thought to be', async () => {
    const content = randomBytes(200_000);
    const { driver, asked } = await openNoting(content);
    expect(await hashObject(driver, 'key', 'sha256', { sizeBytes: 10 })).toBe(THREAD);
    expect(asked).toEqual(['readSmall', 'hash of 10']);
    const { hash: _, ...withoutThreads } = driver;
    expect(await hashObject(withoutThreads, 'key', 'sha256', { sizeBytes: 10 })).toBe(hexOf(content));
  });

  it('does not hide that it is gone', async () => {
    const { driver } = await openNoting(randomBytes(10));
    await expect(hashObject(driver, 'other', 'sha256', { sizeBytes: 10 })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});
