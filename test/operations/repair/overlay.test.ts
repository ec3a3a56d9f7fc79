import { describe, expect, it } from 'vitest';
import { Random } from '../../../fixtures/random-registry.ts';
import type { Driver } from '../../../src/drivers/driver.ts';
import { isDriverError } from '../../../src/drivers/errors.ts';
import { openMemory } from '../../../src/drivers/memory.ts';
import { Overlay } from '../../../src/operations/repair/overlay.ts';

const NAMES = ['a', 'a-b', 'a/b', 'a/b/c', 'a.b/c', 'b', 'b/', 'b/x', 'c/d/e/f', 'z'];
const PREFIXES = ['', 'a', 'a/', 'a/b', 'b/', 'c/d/', 'none/'];

async function listed(driver: Driver, prefix: string): Promise<[string, number][]> {
  const found: [string, number][] = [];
  for await (const page of driver.list(prefix)) {
    expect(page).not.toEqual([]);
    found.push(...page.map(({ key, sizeBytes }): [string, number] => [key, sizeBytes]));
  }
  return found;
}

async function bytesOf(driver: Driver, key: string): Promise<string> {
  try {
    const chunks: Uint8Array[] = [];
    for await (const chunk of driver.read(key)) {
      chunks.push(chunk);
    }
    const small = await driver.readSmall(key, 100);
    expect(Buffer.from(small)).toEqual(Buffer.concat(chunks));
    return Buffer.concat(chunks).toString();
  } catch (error) {
    return isDriverError(error) ? error.code : String(error);
  }
}

describe('Overlay', () => {
  it('reads as the store would after the same changes', async () => {
    for (let seed = 0; seed < 60; seed += 1) {
      const random = new Random(`overlay ${seed}`);
      const objects = NAMES.filter(() => random.below(2) === 0).map((key) => [key, `store ${key}`] as const);
      const pageSize = 1 + random.below(4);
      const overlay = new Overlay(openMemory({ objects, pageSize }));
      const expected = openMemory({ objects });
      const other = openMemory({ objects: NAMES.map((key) => [key, `other: ${key}`] as const) });
      for (const key of NAMES.filter(() => random.below(2) === 0)) {
        switch (random.below(3)) {
          case 0:
            overlay.put(key, Buffer.from('put'));
            expected.objects.set(key, Buffer.from('put'));
            break;
          case 1:
            overlay.hide(key);
            expected.objects.delete(key);
            break;
          default:
            overlay.take(key, other, `other: ${key}`.length);
            expected.objects.set(key, Buffer.from(`other: ${key}`));
        }
      }
      for (const prefix of PREFIXES) {
        expect(await listed(overlay.driver, prefix)).toEqual(await listed(expected, prefix));
      }
      for (const folder of ['', 'a/', 'b/', 'c/', 'c/d/']) {
        const level = await overlay.driver.listFolder(folder);
        const wanted = await expected.listFolder(folder);
        expect(level.objects.map(({ key }) => key)).toEqual(wanted.objects.map(({ key }) => key));
        // A folder whose last object is hidden may still be named: there is nothing in it.
        expect(level.folders).toEqual(expect.arrayContaining(wanted.folders));
      }
      for (const key of NAMES) {
        expect(await bytesOf(overlay.driver, key)).toBe(await bytesOf(expected, key));
        expect((await overlay.driver.stat(key))?.sizeBytes).toBe((await expected.stat(key))?.sizeBytes);
      }
    }
  });

  it('changes nothing', async () => {
    const store = openMemory({ objects: [['a', 'b']] });
    const { driver } = new Overlay(store);
    await expect(driver.write('a', Buffer.from('c'))).rejects.toThrow(TypeError);
    await expect(driver.delete(['a'])).rejects.toThrow(TypeError);
    expect(driver.copyFrom).toBeUndefined();
    expect([...store.objects.keys()]).toEqual(['a']);
  });
});
