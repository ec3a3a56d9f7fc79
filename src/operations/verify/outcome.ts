import { isDriverError, type DriverError } from '../../drivers/errors.ts';
import { compareKeys } from '../../drivers/keys.ts';
import type { Side } from '../march-shard.ts';
import type { ObjectKind, Observer } from '../observer.ts';
import {
  aboutObject,
  type Difference,
  type Newer,
  type Problem,
  type Unread,
  type VerifyRecord,
} from './records.ts';

/** A total, and the first few in order of importance. All of them went to the observer. */
export interface Kept<Item> {
  total: number;
  first: Item[];
}

export type DifferenceCounts = Partial<Record<Problem, Partial<Record<ObjectKind, number>>>>;

const KEPT = 50;
/** So many requests in a row without an answer mean that the store is away. */
const UNAVAILABLE_IN_A_ROW_MAX = 50;
/** Keys of corrupt blobs that are remembered, 20 MB or so: of more than these some may be told twice. */
const CORRUPT_MAX = 100_000;

/** Collects what a verification finds, in constant memory: each finding is counted and handed to the observer. */
export class Outcome {
  readonly observer: Observer<VerifyRecord>;
  readonly differencesBy: DifferenceCounts = {};
  /** Looked like differences, and no longer were when they were looked at again. */
  settled = 0;
  /** Reported as the listings said, because there were too many to look at each again. */
  notLookedAgain = 0;
  readonly #differences = new First<Difference>(KEPT, byImportance);
  readonly #newer = new First<Newer>(KEPT, byKey);
  readonly #unread = new First<Unread>(KEPT, byKey);
  readonly #corrupt = new Set<string>();
  #unavailableInARow = 0;

  constructor(observer: Observer<VerifyRecord>) {
    this.observer = observer;
  }

  get differences(): Kept<Difference> {
    return this.#differences.kept;
  }

  get newer(): Kept<Newer> {
    return this.#newer.kept;
  }

  get unread(): Kept<Unread> {
    return this.#unread.kept;
  }

  async differ(key: string, about: Omit<Difference, 'type' | 'key' | 'kind'>): Promise<void> {
    const difference: Difference = { type: 'difference', ...aboutObject(key), ...about };
    const { problem, kind } = difference;
    if (problem.startsWith('corrupt')) {
      // Its MD5 in a listing tells of it, and so does reading it.
      if (this.#corrupt.has(key)) {
        return;
      }
      if (this.#corrupt.size < CORRUPT_MAX) {
        this.#corrupt.add(key);
      }
    }
    const counts = (this.differencesBy[problem] ??= {});
    counts[kind] = (counts[kind] ?? 0) + 1;
    this.#differences.add(difference);
    await this.observer.record(difference);
  }

  async isNewer(key: string, problem: Newer['problem']): Promise<void> {
    const newer: Newer = { type: 'newer', ...aboutObject(key), problem };
    this.#newer.add(newer);
    await this.observer.record(newer);
  }

  /**
   * Runs an action on one object or prefix of one side. A failure that concerns only that is taken down, and gives
   * undefined.
   * @throws what ends the whole verification: an interruption, a store that is away or does not let us in, a bug.
   */
  async attempt<Result>(
    side: Side,
    key: string,
    action: () => Promise<Result>,
  ): Promise<{ value: Result } | undefined> {
    try {
      const value = await action();
      this.#unavailableInARow = 0;
      return { value };
    } catch (error) {
      this.#throwIfHopeless(error);
      await this.#takeDown(side, key, error);
      return undefined;
    }
  }

  /** The same for an action of which the caller learns only on failure which side it concerns. */
  async attemptShard(prefix: string, action: (blame: (side: Side) => void) => Promise<void>): Promise<void> {
    let blamed: Side = 'source';
    try {
      await action((side) => {
        blamed = side;
      });
    } catch (error) {
      this.#throwIfHopeless(error);
      await this.#takeDown(blamed, prefix, error);
    }
  }

  async #takeDown(side: Side, key: string, error: DriverError): Promise<void> {
    const unread: Unread = { type: 'unread', side, key, message: error.message };
    this.#unread.add(unread);
    await this.observer.record(unread);
  }

  #throwIfHopeless(error: unknown): asserts error is DriverError {
    if (!isDriverError(error) || isDriverError(error, 'ABORTED', 'STORE_NOT_FOUND', 'UNAUTHENTICATED')) {
      throw error;
    }
    this.#unavailableInARow = isDriverError(error, 'UNAVAILABLE') ? this.#unavailableInARow + 1 : 0;
    if (this.#unavailableInARow > UNAVAILABLE_IN_A_ROW_MAX) {
      throw error;
    }
  }
}

/** The first few of many, in an order of their own. */
class First<Item> {
  readonly #max: number;
  readonly #compare: (a: Item, b: Item) => number;
  #items: Item[] = [];
  #total = 0;

  constructor(max: number, compare: (a: Item, b: Item) => number) {
    this.#max = max;
    this.#compare = compare;
  }

  add(item: Item): void {
    this.#total += 1;
    this.#items.push(item);
    if (this.#items.length >= this.#max * 20) {
      this.#items = this.kept.first;
    }
  }

  get kept(): Kept<Item> {
    return { total: this.#total, first: this.#items.toSorted(this.#compare).slice(0, this.#max) };
  }
}

/** What hurts most comes first: wrong bytes, then tags, then blobs, then the links below them. */
const IMPORTANCE: readonly ObjectKind[] = [
  'lockfile',
  'tag-current',
  'blob-data',
  'revision-link',
  'layer-link',
];

function byImportance(a: Difference, b: Difference): number {
  return importance(a) - importance(b) || byKey(a, b);
}

function importance({ problem, kind }: Difference): number {
  const place = IMPORTANCE.indexOf(kind);
  return problem.startsWith('corrupt') ? -1 : place === -1 ? IMPORTANCE.length : place;
}

function byKey(a: { key: string }, b: { key: string }): number {
  return compareKeys(a.key, b.key);
}
