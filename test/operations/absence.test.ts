import { describe, expect, test } from 'vitest';
import { DriverError } from '../../src/drivers/errors.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { Contradiction, readUnlessAbsent } from '../../src/operations/absence.ts';

const KEY = 'docker/registry/v2/blobs/a';

const notFound = (operation: string): DriverError =>
  new DriverError('NOT_FOUND', 'There is no such object.', { driver: 'made up', operation, key: KEY });

/** A store that has these objects, and a read of which so many fail as if the object were not there. */
function readingOf({ listed, failures, operation = 'read' }: Setting) {
  const store = openMemory({ objects: new Map(listed.map((key) => [key, Buffer.from('x')])) });
  let reads = 0;
  const reading = readUnlessAbsent(store, KEY, {}, async () => {
    reads += 1;
    if (reads <= failures) {
      throw notFound(operation);
    }
    return 'content';
  });
  return { reading, reads: () => reads };
}

interface Setting {
  listed: string[];
  failures: number;
  operation?: string;
}

describe('an object that a live store says is not there', () => {
  test('is absent where it is not listed either', async () => {
    const { reading, reads } = readingOf({ listed: [`${KEY}/data`], failures: 1 });
    expect(await reading).toBeUndefined();
    expect(reads()).toBe(1);
  });

  test('is read again where it has come back', async () => {
    const { reading, reads } = readingOf({ listed: [KEY], failures: 1 });
    expect(await reading).toEqual({ value: 'content' });
    expect(reads()).toBe(2);
  });

  test('is neither there nor absent where it is listed all the same, again and again', async () => {
    const { reading } = readingOf({ listed: [KEY], failures: 100 });
    await expect(reading).rejects.toBeInstanceOf(Contradiction);
  });

  test('is no statement about the source where it is the writing that says it', async () => {
    const { reading, reads } = readingOf({ listed: [], failures: 1, operation: 'write' });
    await expect(reading).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(reads()).toBe(1);
  });
});
