import type { ObjectStat } from '../drivers/driver.ts';
import { DriverError } from '../drivers/errors.ts';
import { compareKeys } from '../drivers/keys.ts';

/** One key, and what each side has under it. At least one side is there. */
export interface Pair {
  key: string;
  source: ObjectStat | undefined;
  target: ObjectStat | undefined;
}

/** How many pairs are handed on at once at most. */
const BATCH_SIZE = 1000;

/**
 * Reads two sorted listings in step and pairs what has the same key. Holds one page of each side, and none of a side
 * whose next page it waits for: so a batch is handed on before that, and the next one comes in the same array.
 * Of many listings side by side most are waiting, and what they held meanwhile was more than half of the heap.
 * @throws DriverError BAD_LISTING when a side is not ascending or repeats a key, whatever the driver promised:
 * a merge of unsorted streams would see absences that are none.
 */
export async function* march(
  source: AsyncIterable<ObjectStat[]>,
  target: AsyncIterable<ObjectStat[]>,
): AsyncGenerator<Pair[]> {
  const left = cursor(source, 'source');
  const right = cursor(target, 'target');
  const batch: Pair[] = [];
  try {
    await Promise.all([left.start(), right.start()]);
    while (left.current !== undefined || right.current !== undefined) {
      pairUp(left, right, batch);
      yield batch;
      // Not a new one instead: whoever has just gone through it is suspended with it until the next one comes.
      batch.length = 0;
      await Promise.all([left.isUsedUp && left.nextPage(), right.isUsedUp && right.nextPage()]);
    }
  } finally {
    await Promise.all([left.close(), right.close()]);
  }
}

/** Goes on until a side has used up its page. By itself, so that V8 need not compile what waits along with what is hot. */
function pairUp(left: Cursor, right: Cursor, batch: Pair[]): void {
  do {
    const order = compareHeads(left.current, right.current);
    const source = order <= 0 ? left.current : undefined;
    const target = order >= 0 ? right.current : undefined;
    batch.push({ key: (source ?? target)?.key ?? '', source, target });
    if (source !== undefined) {
      left.advance();
    }
    if (target !== undefined) {
      right.advance();
    }
  } while (!left.isUsedUp && !right.isUsedUp && batch.length < BATCH_SIZE);
}

function compareHeads(source: ObjectStat | undefined, target: ObjectStat | undefined): number {
  if (source === undefined) {
    return 1;
  }
  return target === undefined ? -1 : compareKeys(source.key, target.key);
}

interface Cursor {
  /** Undefined at the end. */
  current: ObjectStat | undefined;
  /** `current` was the last of its page, and the next one has not come. */
  isUsedUp: boolean;
  start(): Promise<void>;
  /** Moves on within the page. */
  advance(): void;
  nextPage(): Promise<void>;
  close(): Promise<void>;
}

/** Walks the objects of a paged listing one by one; a new promise only for a new page. */
function cursor(pages: AsyncIterable<ObjectStat[]>, side: string): Cursor {
  const iterator = pages[Symbol.asyncIterator]();
  let page: ObjectStat[] = [];
  let index = 0;
  const self: Cursor = {
    current: undefined,
    isUsedUp: false,
    start: () => self.nextPage(),
    advance(): void {
      index += 1;
      const next = page[index];
      if (next === undefined) {
        self.isUsedUp = true;
        return;
      }
      assertAscending(self.current, next, side);
      self.current = next;
    },
    async nextPage(): Promise<void> {
      const last = self.current;
      page = [];
      let result = await iterator.next();
      // An empty page is no end: taking it for one would make the rest look absent.
      while (result.done !== true && result.value.length === 0) {
        result = await iterator.next();
      }
      page = result.done === true ? [] : result.value;
      index = 0;
      self.isUsedUp = false;
      self.current = page[0];
      if (self.current !== undefined) {
        assertAscending(last, self.current, side);
      }
    },
    close: async (): Promise<void> => {
      await iterator.return?.();
    },
  };
  return self;
}

function assertAscending(previous: ObjectStat | undefined, next: ObjectStat, side: string): void {
  if (previous !== undefined && compareKeys(previous.key, next.key) >= 0) {
    throw new DriverError(
      'BAD_LISTING',
      `The listing of the ${side} is not in order: ${JSON.stringify(next.key)} came after ${JSON.stringify(previous.key)}. Nothing can be concluded from it.`,
      { driver: side, operation: 'list', key: next.key },
    );
  }
}
