/**
 * Runs `action` on each item with at most `width` at once. Items are pulled as places become free, so the
 * input may be endless in memory terms. The first error stops the pulling and is thrown once the actions
 * that were under way have ended.
 */
export async function forEachConcurrently<T>(
  items: AsyncIterable<T> | Iterable<T>,
  width: number,
  action: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  let stopped = false;
  const failures: unknown[] = [];

  async function worker(): Promise<void> {
    while (!stopped) {
      const next = await iterator.next();
      if (next.done === true) {
        stopped = true;
        return;
      }
      await action(next.value);
    }
  }

  async function guardedWorker(): Promise<void> {
    try {
      await worker();
    } catch (error) {
      stopped = true;
      failures.push(error);
    }
  }

  await Promise.all(Array.from({ length: width }, guardedWorker));
  if (failures.length > 0) {
    await iterator.return?.();
    throw failures[0];
  }
}
