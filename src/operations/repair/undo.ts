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
import type { BlobChange, LinkChange, UndoEntry, UndoRecord } from './undo-log.ts';

/** `already`: it is as it was before the repair. `changed`: neither that nor what the repair wrote, so it is left. */
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
}

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
  const result: UndoResult = { end: 'done', outcomes: {}, failures: [] };
  const entries = record.entries.toReversed();
  const blobs = new ProvedBlobs(store, signal);

  async function settle(entry: UndoEntry, outcome: UndoOutcome, reason?: string): Promise<void> {
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

  async function attempt(entry: UndoEntry): Promise<void> {
    try {
      if (entry.change === 'remove') {
        await settle(entry, 'not-kept', 'what --uploads removed is not kept');
        return;
      }
      const state = entry.change === 'link' ? await linkState(entry) : await blobState(entry);
      if (state !== 'written') {
        await settle(entry, state);
      } else if (dryRun) {
        await settle(entry, 'planned');
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

  async function linkState({ key, former, written }: LinkChange): Promise<'written' | 'already' | 'changed'> {
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

  async function blobState({
    key,
    former,
    writtenBytes,
  }: BlobChange): Promise<'written' | 'already' | 'changed'> {
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

  async function asKept(quarantineKey: string): Promise<'written' | 'changed'> {
    if ((await store.stat(quarantineKey, { signal })) !== undefined) {
      return 'written';
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

  const count = entries.filter(({ change }) => change !== 'remove').length;
  if (!dryRun && count > 0 && !(await options.approve(count))) {
    return { ...result, end: 'declined' };
  }
  observer.phase('putting back', { objects: entries.length });
  try {
    for (const entry of entries) {
      signal?.throwIfAborted();
      await attempt(entry);
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

function assertSameStore(store: Driver, { identity, location }: UndoRecord): void {
  const { service, container, root } = store.identity;
  if (service !== identity.service || container !== identity.container || root !== identity.root) {
    throw new SafetyRefusal(
      'STORES_SWAPPED',
      `The undo file is of a repair of ${location}, not of ${store.location}: nothing was put back.`,
    );
  }
}
