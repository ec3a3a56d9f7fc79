/**
 * Runs `action` on each item with at most `width` at once. Items are pulled as places become free, so the
 * input may be endless in memory terms. The first error stops the pulling and is thrown once the actions
 * that were under way have ended.
 */
export async function forEachConcurrently<T>(
  items: AsyncIterable<T> | Iterable<T>,
  width: number,
  action: (item: T) => Promise<unknown>,
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

/**
 * As `Promise.all`, but for when it throws: once all have ended. So nothing is still written to a store when whoever
 * asked for it goes on, closes the store, and lets another run have it.
 */
export async function allEnded<T extends readonly unknown[]>(
  promises: T,
): Promise<{ -readonly [index in keyof T]: Awaited<T[index]> }> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

/**
 * The items of all groups in one row, for `forEachConcurrently`. The next group is asked for when the one before is
 * used up. An async generator would take four promises for each item in place of one.
 */
export function inOneRow<T>(groups: AsyncIterable<Iterable<T>>): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = groups[Symbol.asyncIterator]();
      let items: Iterator<T> | undefined;
      /** Whoever finds nothing left waits for the same next group. */
      let asked: Promise<boolean> | undefined;

      async function nextGroup(): Promise<boolean> {
        const group = await iterator.next();
        asked = undefined;
        if (group.done === true) {
          return false;
        }
        items = group.value[Symbol.iterator]();
        return true;
      }

      return {
        async next() {
          for (;;) {
            const item = items?.next();
            if (item !== undefined && item.done !== true) {
              return item;
            }
            asked ??= nextGroup();
            if (!(await asked)) {
              return { done: true, value: undefined };
            }
          }
        },
        async return() {
          await iterator.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}

/** Runs actions with at most so many under way; those that wait begin in the order in which they came. */
export type Limit = <T>(action: () => Promise<T>) => Promise<T>;

/**
 * For calls that are made for every link. An action that finds a place costs one promise, where `p-limit` makes
 * several and lets each action wait for a turn of the queue.
 */
export function limitTo(width: number): Limit {
  let free = width;
  const waiting: (() => void)[] = [];
  return async (action) => {
    if (free > 0) {
      free -= 1;
    } else {
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
      });
    }
    try {
      return await action();
    } finally {
      const next = waiting.shift();
      if (next === undefined) {
        free += 1;
      } else {
        next();
      }
    }
  };
}
