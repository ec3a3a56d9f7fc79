import { describe, expect, it } from 'vitest';
import { PartMemory, type PartBuffer } from '../../src/drivers/part-memory.ts';

const details = { driver: 'made up', operation: 'write' };
const idle = new AbortController().signal;

/** Takes buffers from a memory of 100 bytes, and tells which of those that were asked for are there. */
function memoryOf100() {
  const memory = new PartMemory(100);
  const taken = new Map<string, PartBuffer>();
  const failed = new Map<string, unknown>();
  const take = (name: string, sizeBytes: number, signal = idle): void => {
    memory.take(sizeBytes, signal, details).then(
      (buffer) => taken.set(name, buffer),
      (error: unknown) => failed.set(name, error),
    );
  };
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return { take, taken, failed, settle };
}

describe('the memory for parts', () => {
  it('gives no more than its budget, in the order of asking', async () => {
    const { take, taken, settle } = memoryOf100();
    take('a', 60);
    take('b', 40);
    take('c', 60);
    take('d', 10);
    await settle();
    expect([...taken.keys()]).toEqual(['a', 'b']);
    taken.get('b')?.release();
    await settle();
    expect([...taken.keys()]).toEqual(['a', 'b']);
    taken.get('a')?.release();
    await settle();
    expect([...taken.keys()]).toEqual(['a', 'b', 'c', 'd']);
    expect(taken.get('c')?.bytes.byteLength).toBe(60);
  });

  it('gives one larger than the budget to whoever has it alone', async () => {
    const { take, taken, settle } = memoryOf100();
    take('small', 10);
    take('large', 500);
    take('next', 10);
    await settle();
    expect([...taken.keys()]).toEqual(['small']);
    taken.get('small')?.release();
    await settle();
    expect([...taken.keys()]).toEqual(['small', 'large']);
    taken.get('large')?.release();
    await settle();
    expect([...taken.keys()]).toEqual(['small', 'large', 'next']);
  });

  it('lets those behind pass who was interrupted while waiting', async () => {
    const { take, taken, failed, settle } = memoryOf100();
    const controller = new AbortController();
    take('a', 60);
    take('b', 60, controller.signal);
    take('c', 40);
    await settle();
    expect([...taken.keys()]).toEqual(['a']);
    controller.abort();
    await settle();
    expect(failed.get('b')).toMatchObject({ code: 'ABORTED' });
    expect([...taken.keys()]).toEqual(['a', 'c']);
    take('d', 1, controller.signal);
    await settle();
    expect(failed.get('d')).toMatchObject({ code: 'ABORTED' });
  });

  it('uses again what was released, and never what something may write to still', async () => {
    const { take, taken, settle } = memoryOf100();
    take('first', 100);
    await settle();
    taken.get('first')?.release();
    take('second', 100);
    await settle();
    expect(taken.get('second')?.bytes.buffer).toBe(taken.get('first')?.bytes.buffer);
    taken.get('second')?.abandon();
    taken.get('second')?.release();
    take('third', 100);
    await settle();
    expect(taken.get('third')?.bytes.buffer).not.toBe(taken.get('first')?.bytes.buffer);
  });

  it('counts what is given back twice once', async () => {
    const { take, taken, settle } = memoryOf100();
    take('a', 50);
    take('b', 50);
    await settle();
    taken.get('a')?.release();
    taken.get('a')?.release();
    take('c', 50);
    take('d', 50);
    await settle();
    expect([...taken.keys()]).toEqual(['a', 'b', 'c']);
  });
});
