import type { Driver } from '../../drivers/driver.ts';
import { type Digest, digestParts } from '../../layout/digest.ts';
import { parsePath } from '../../layout/paths.ts';
import { confirmAbsent } from '../absence.ts';
import { SafetyRefusal } from '../errors.ts';
import { isObjectFailure } from '../object-failure.ts';
import type { Observer } from '../observer.ts';
import { assertRegistryRoot } from '../registry-root.ts';
import { ProvedBlobs } from './blobs.ts';
import { readFormer } from './link-files.ts';
import type { BlobChange, LinkChange, UndoChange, UndoEntry, UndoRecord } from './undo-log.ts';

/**
 * `already`: it is as it was before the repair. `changed`: neither that nor, for sure, what the repair wrote, so it is
 * left.
 */
export type UndoOutcome = 'planned' | 'done' | 'already' | 'changed' | 'not-kept' | 'failed';

export interface UndoneRecord {
  type: 'undo';
  action: 'write-back' | 'remove';
  outcome: UndoOutcome;
  key: string;
  reason?: string;
}

export interface UndoOptions {
  /** Decide everything, change nothing. */
  dryRun: boolean;
  signal?: AbortSignal | undefined;
  observer: Observer<UndoneRecord>;
  /** Told how many objects would be changed before any is. Not asked where none would be. */
  approve: (count: number) => Promise<boolean>;
}

export interface UndoResult {
  end: 'done' | 'declined' | 'interrupted';
  outcomes: Partial<Record<UndoOutcome, number>>;
  failures: { key: string; message: string }[];
  /** In a dry run the first of those that would be put back, in the order of their doing, and how. */
  planned: { key: string; message: string }[];
  /** The first of those that are left as they are, and why. */
  left: { key: string; message: string }[];
}

const KEPT = 1000;
const CHANGED = 'it is neither what the repair wrote nor what was there before';
const NOT_MARKED =
  'whether the repair wrote it or a push since is not known, as the repair failed or ended before it could note that it had';

/**
 * Puts back what a repair changed, the last change first, so that a link goes before the blob that it leads to. What
 * was changed again since is left as it is.
 * @throws SafetyRefusal STORES_SWAPPED when the file is of another store; NOT_A_REGISTRY.
 */
export async function undoRepair(
  store: Driver,
  record: UndoRecord,
  options: UndoOptions,
): Promise<UndoResult> {
  const { observer, signal, dryRun } = options;
  assertSameStore(store, record);
  await assertRegistryRoot(store, 'store', { signal });
  const result: UndoResult = { end: 'done', outcomes: {}, failures: [], planned: [], left: [] };
  const noted = notedChanges(record.entries).reverse();
  const blobs = new ProvedBlobs(store, signal);

  /** Keys of which a later change was left, or in a dry run would be put back: an earlier one does not tell of them. */
  const settled = new Map<string, 'changed' | 'already'>();

  async function settle(entry: UndoChange, outcome: UndoOutcome, reason?: string): Promise<void> {
    result.outcomes[outcome] = (result.outcomes[outcome] ?? 0) + 1;
    observer.progress({ objects: 1 });
    const action = entry.change === 'remove' || entry.former === null ? 'remove' : 'write-back';
    await observer.record({
      type: 'undo',
      action,
      outcome,
      key: entry.key,
      ...(reason !== undefined && { reason }),
    });
  }

  async function attempt({ entry, isMade }: NotedChange): Promise<void> {
    try {
      if (entry.change === 'remove') {
        await settle(entry, 'not-kept', 'what --uploads removed is not kept');
        return;
      }
      const state = settled.get(entry.key) ?? (await stateOf(entry));
      if (state === 'already') {
        await settle(entry, 'already');
      } else if (state === 'changed') {
        await leave(entry, CHANGED);
      } else if (state === 'written' && !isMade) {
        await leave(entry, NOT_MARKED);
      } else if (dryRun) {
        await plan(entry);
      } else {
        await putBack(entry);
        await settle(entry, 'done');
      }
    } catch (error) {
      if (!isObjectFailure(error)) {
        throw error;
      }
      result.failures.push({ key: entry.key, message: error.message });
      await settle(entry, 'failed', error.message);
    }
  }

  async function plan(entry: LinkChange | BlobChange): Promise<void> {
    settled.set(entry.key, 'already');
    if (result.planned.length < KEPT) {
      result.planned.push({ key: entry.key, message: howToPutBack(entry) });
    }
    await settle(entry, 'planned');
  }

  async function leave(entry: UndoChange, reason: string): Promise<void> {
    settled.set(entry.key, 'changed');
    if (result.left.length < KEPT) {
      result.left.push({ key: entry.key, message: reason });
    }
    await settle(entry, 'changed', reason);
  }

  async function stateOf(entry: LinkChange | BlobChange): Promise<ChangeState> {
    return entry.change === 'link' ? linkState(entry) : blobState(entry);
  }

  async function linkState({ key, former, written }: LinkChange): Promise<ChangeState> {
    const current = await readFormer(store, key, signal);
    if (current === 'too-large') {
      return 'changed';
    }
    const base64 = current === undefined ? null : Buffer.from(current).toString('base64');
    if (base64 === former) {
      return 'already';
    }
    return base64 === Buffer.from(written).toString('base64') ? 'written' : 'changed';
  }

  async function blobState({ key, former, writtenBytes }: BlobChange): Promise<ChangeState> {
    const path = parsePath(key);
    if (path.kind !== 'blob-data') {
      return 'changed';
    }
    blobs.forget(path.digest);
    const blob = await blobs.state(path.digest);
    switch (blob.state) {
      case 'missing':
        return former === null ? 'already' : await asKept(former.key);
      case 'corrupt':
        return blob.actual === former?.digest ? 'already' : 'changed';
      case 'proved':
        return writtenBytes === null ? 'changed' : 'written';
      case 'unread':
        throw blob.error;
    }
  }

  async function asKept(quarantineKey: string): Promise<ChangeState> {
    if ((await store.stat(quarantineKey, { signal })) !== undefined) {
      return 'kept';
    }
    await confirmAbsent(store, quarantineKey, { signal });
    return 'changed';
  }

  async function putBack(entry: LinkChange | BlobChange): Promise<void> {
    if (entry.former === null) {
      await removeExactly(entry.key);
    } else if (entry.change === 'link') {
      await store.write(entry.key, Buffer.from(entry.former, 'base64'), { signal });
    } else {
      const { key: quarantineKey, digest, sizeBytes } = entry.former;
      const body = { sizeBytes, open: () => store.read(quarantineKey, { signal }) };
      await store.write(entry.key, body, { expectedDigest: digestParts(digest as Digest), signal });
      await removeExactly(quarantineKey);
    }
  }

  async function removeExactly(key: string): Promise<void> {
    const [failure] = await store.delete([key], { signal });
    if (failure !== undefined) {
      throw failure.error;
    }
  }

  const count = noted.filter(({ entry }) => entry.change !== 'remove').length;
  if (!dryRun && count > 0 && !(await options.approve(count))) {
    return { ...result, end: 'declined' };
  }
  observer.phase('putting back', { objects: noted.length });
  try {
    for (const change of noted) {
      signal?.throwIfAborted();
      await attempt(change);
    }
  } catch (error) {
    if (signal?.aborted !== true) {
      throw error;
    }
    result.end = 'interrupted';
  } finally {
    observer.phase('');
  }
  return result;
}

/** What a change has come to: `written` is what the repair was to write, `kept` is gone and in the quarantine. */
type ChangeState = 'written' | 'kept' | 'already' | 'changed';

function howToPutBack({ change, former }: LinkChange | BlobChange): string {
  if (former === null) {
    return 'remove it';
  }
  return change === 'link' ? 'write back what it held' : 'bring it back from the quarantine';
}

interface NotedChange {
  entry: UndoChange;
  /** Known to have been made. Else it may have been, or not. */
  isMade: boolean;
}

/** The changes in the order of their noting. */
function notedChanges(entries: readonly UndoEntry[]): NotedChange[] {
  const noted: NotedChange[] = [];
  const latest = new Map<string, NotedChange>();
  for (const entry of entries) {
    if (entry.change === 'made') {
      const marked = latest.get(entry.key);
      if (marked !== undefined) {
        marked.isMade = true;
      }
    } else {
      const change = { entry, isMade: entry.change === 'remove' || entry.isMarked !== true };
      noted.push(change);
      latest.set(entry.key, change);
    }
  }
  return noted;
}

function assertSameStore(store: Driver, { identity, location }: UndoRecord): void {
  const { service, container, root } = store.identity;
  if (service !== identity.service || container !== identity.container || root !== identity.root) {
    throw new SafetyRefusal(
      'STORES_SWAPPED',
      `The undo file is of a repair of ${location}, not of ${store.location}: nothing was put back.`,
    );
  }
}
