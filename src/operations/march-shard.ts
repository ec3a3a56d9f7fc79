import type { CallOptions, ContentWanted, Driver, LeafFolders, ObjectStat } from '../drivers/driver.ts';
import { march, type Pair } from './march.ts';
import type { Shard } from './shards.ts';

export type Side = 'source' | 'target';

export interface MarchShardOptions extends CallOptions {
  /** Told which side's listing failed, before the error goes up. */
  onFailure?: (side: Side) => void;
  /** Of these folders at the source only the one file is needed. The target is always listed in full. */
  sourceLeaves?: readonly LeafFolders[] | undefined;
  /** What comes with its content, on either side that can. */
  content?: ContentWanted | undefined;
}

/**
 * Pairs what a shard holds on both sides. A side that has no such folder is not listed.
 * @throws DriverError of the listing that failed.
 */
export function marchShard(
  source: Driver,
  target: Driver,
  { prefix, inSource, inTarget }: Shard,
  { signal, onFailure, sourceLeaves, content }: MarchShardOptions,
): AsyncGenerator<Pair[]> {
  return march(list(source, inSource, 'source', sourceLeaves), list(target, inTarget, 'target'));

  async function* list(
    store: Driver,
    isThere: boolean,
    side: Side,
    leaves?: readonly LeafFolders[],
  ): AsyncGenerator<ObjectStat[]> {
    if (!isThere) {
      return;
    }
    try {
      for await (const page of store.list(prefix, { signal, leaves, content })) {
        yield page;
        // A page is used up when the next one is asked for. Every generator that it came through still has it, and is
        // suspended with it until that one has come.
        page.length = 0;
      }
    } catch (error) {
      onFailure?.(side);
      throw error;
    }
  }
}
