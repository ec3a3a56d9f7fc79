import { createHash, hash } from 'node:crypto';
import type { Driver, ObjectStat } from '../../drivers/driver.ts';
import { DriverError } from '../../drivers/errors.ts';
import type { Digest } from '../../layout/digest.ts';
import { digestParts, formatLink } from '../../layout/digest.ts';
import { confirmAbsent } from '../absence.ts';
import { forEachConcurrently } from '../concurrency.ts';
import { copyBlob } from '../copy-blob.ts';
import { isObjectFailure } from '../object-failure.ts';
import type { Observer } from '../observer.ts';
import { readFormer } from './link-files.ts';
import { inPhases } from './phases.ts';
import type {
  AbortStep,
  CorruptBlob,
  FetchStep,
  LinkStep,
  QuarantineStep,
  RemoveStep,
  RepairStep,
} from './steps.ts';
import type { BlobChange, LinkChange, UndoLog } from './undo-log.ts';

/** `changed`: not what it was when it was planned, so it was left. `held-back`: something that it needs failed. */
export type StepOutcome = 'planned' | 'done' | 'already' | 'changed' | 'held-back' | 'failed';

export interface CarryOutOptions {
  store: Driver;
  other: Driver | undefined;
  undo: UndoLog;
  dryRun: boolean;
  concurrency: number;
  signal?: AbortSignal | undefined;
  observer: Pick<Observer, 'phase' | 'progress'>;
  /** Told of each step once it is settled, with the error's message if it failed. */
  settled: (step: RepairStep, outcome: StepOutcome, message?: string) => Promise<void>;
}

/**
 * Makes the planned changes, one phase after another. Each is looked at once more before: what is no longer as it was
 * planned is left, for somebody else has mended or changed it. What needs something that failed is held back.
 */
export async function carryOut(steps: readonly RepairStep[], options: CarryOutOptions): Promise<void> {
  const { concurrency, observer, dryRun, settled, signal } = options;
  const failed = { blobs: new Set<Digest>(), repositories: new Set<string>() };

  async function run(step: RepairStep): Promise<void> {
    signal?.throwIfAborted();
    if (dryRun) {
      await settled(step, 'planned');
      return;
    }
    if (step.kind === 'link' && isHeldBack(step)) {
      await fail(step, 'held-back', 'something that it needs could not be mended');
      return;
    }
    try {
      const outcome = await perform(step, options);
      if (outcome === 'changed') {
        note(step);
      }
      observer.progress({ objects: 1 });
      await settled(step, outcome);
    } catch (error) {
      if (!isObjectFailure(error)) {
        throw error;
      }
      await fail(step, 'failed', error.message);
    }
  }

  async function fail(step: RepairStep, outcome: 'failed' | 'held-back', message: string): Promise<void> {
    note(step);
    observer.progress({ objects: 1 });
    await settled(step, outcome, message);
  }

  /** What depends on this one is not to be written. */
  function note(step: RepairStep): void {
    if (step.kind === 'fetch' || step.kind === 'quarantine') {
      failed.blobs.add(step.digest);
      step.repositories.forEach((repository) => failed.repositories.add(repository));
    }
    if (step.repository !== undefined) {
      failed.repositories.add(step.repository);
    }
  }

  /** Within a repository a later phase leads to what is in the earlier ones. */
  function isHeldBack(step: LinkStep): boolean {
    const isInFailed = step.repository !== undefined && failedBefore.has(step.repository);
    return isInFailed || failed.blobs.has(step.content);
  }

  let failedBefore = new Set<string>();
  for (const phase of inPhases(steps)) {
    failedBefore = new Set(failed.repositories);
    await forEachConcurrently(phase, concurrency, run);
  }
}

async function perform(step: RepairStep, options: CarryOutOptions): Promise<StepOutcome> {
  switch (step.kind) {
    case 'link':
      return writeLink(step, options);
    case 'fetch':
      return fetchBlob(step, options);
    case 'quarantine':
      return quarantine(step, options);
    case 'remove':
      return remove(step, options);
    case 'abort':
      return abort(step, options);
  }
}

async function writeLink(
  { key, content, former }: LinkStep,
  { store, undo, signal }: CarryOutOptions,
): Promise<StepOutcome> {
  const text = formatLink(content);
  const bytes = new TextEncoder().encode(text);
  const current = await readFormer(store, key, signal);
  // The store's own MD5 proves that it has the right bytes, whatever came of them here.
  if (isSame(current, bytes) || (await store.stat(key, { signal }))?.md5 === hash('md5', bytes, 'hex')) {
    return 'already';
  }
  if (!isSame(current, former)) {
    return 'changed';
  }
  await makeNoted(
    undo,
    {
      change: 'link',
      key,
      former: former === undefined ? null : Buffer.from(former).toString('base64'),
      written: text,
    },
    () => store.write(key, bytes, { signal }),
  );
  return 'done';
}

/**
 * Notes a change, makes it, and marks it as made: of one that failed, or was made by a process that died, an undo must
 * not take for the repair's what a push has brought since.
 */
async function makeNoted(
  undo: UndoLog,
  change: LinkChange | BlobChange,
  make: () => Promise<unknown>,
): Promise<void> {
  await undo.append({ ...change, isMarked: true });
  await make();
  await undo.append({ change: 'made', key: change.key });
}

function isSame(left: Uint8Array | 'too-large' | undefined, right: Uint8Array | undefined): boolean {
  if (left === undefined || left === 'too-large' || right === undefined) {
    return left === right;
  }
  return Buffer.compare(left, right) === 0;
}

async function fetchBlob(step: FetchStep, options: CarryOutOptions): Promise<StepOutcome> {
  const { store, other, undo, signal } = options;
  const { key, digest, sizeBytes, replaces } = step;
  if (other === undefined) {
    throw new TypeError('A blob is fetched only from another store.');
  }
  const stat = await statForSure(store, key, signal);
  if (replaces === undefined && stat !== undefined) {
    // A push has brought it meanwhile, or a repair that was interrupted.
    return stat.sizeBytes === sizeBytes ? 'already' : 'changed';
  }
  if (replaces !== undefined && (stat === undefined || !(await keepAside(key, stat, replaces, options)))) {
    return 'changed';
  }
  await makeNoted(undo, { change: 'blob', key, former: formerOf(replaces), writtenBytes: sizeBytes }, () =>
    copyBlob(other, store, digest, sizeBytes, signal),
  );
  return 'done';
}

async function quarantine({ key, corrupt }: QuarantineStep, options: CarryOutOptions): Promise<StepOutcome> {
  const { store, undo, signal } = options;
  const stat = await statForSure(store, key, signal);
  if (stat === undefined) {
    return 'already';
  }
  if (!(await keepAside(key, stat, corrupt, options))) {
    return 'changed';
  }
  await makeNoted(undo, { change: 'blob', key, former: formerOf(corrupt), writtenBytes: null }, () =>
    removeExactly(store, [key], signal),
  );
  return 'done';
}

function formerOf(corrupt: CorruptBlob | undefined) {
  return corrupt === undefined
    ? null
    : { key: corrupt.quarantineKey, digest: corrupt.actual, sizeBytes: corrupt.sizeBytes };
}

/** What is told of an object; undefined only where it is not listed either. */
async function statForSure(
  store: Driver,
  key: string,
  signal: AbortSignal | undefined,
): Promise<ObjectStat | undefined> {
  const stat = await store.stat(key, { signal });
  if (stat === undefined) {
    await confirmAbsent(store, key, { signal });
  }
  return stat;
}

/**
 * Copies a corrupt blob to its place in the quarantine, proved against the digest that it really has. False where it
 * is not that blob any more.
 * @throws DriverError CHANGED where the store's own MD5 tells that the blob is not what was read of it: damage on the
 * way is none of the blob.
 */
async function keepAside(
  key: string,
  { sizeBytes, etag, modifiedAtMs }: ObjectStat,
  corrupt: CorruptBlob,
  { store, signal }: CarryOutOptions,
): Promise<boolean> {
  if (sizeBytes !== corrupt.sizeBytes) {
    return false;
  }
  let readMd5 = createHash('md5');
  async function* open(): AsyncGenerator<Uint8Array> {
    readMd5 = createHash('md5');
    for await (const chunk of store.read(key, { signal })) {
      readMd5.update(chunk);
      yield chunk;
    }
  }
  const expectedDigest = digestParts(corrupt.actual);
  await store.write(corrupt.quarantineKey, { sizeBytes, open }, { expectedDigest, signal });
  const kept = await store.stat(corrupt.quarantineKey, { signal });
  const after = await store.stat(key, { signal });
  // That the MD5 of the copy is that of its bytes shows that this store's are no mere tags that look like it.
  if (kept?.md5 === readMd5.digest('hex') && after?.md5 !== undefined && after.md5 !== kept.md5) {
    throw new DriverError(
      'CHANGED',
      `${store.location} gave other bytes of ${key} than it says that it has: it is not corrupt there, but on its way here.`,
      { driver: store.name, operation: 'read', key },
    );
  }
  // A folder has no ETags: there the time tells of a blob that was mended meanwhile.
  return (
    after !== undefined &&
    after.sizeBytes === sizeBytes &&
    after.etag === etag &&
    after.modifiedAtMs === modifiedAtMs
  );
}

async function remove(
  { objects }: RemoveStep,
  { store, undo, signal }: CarryOutOptions,
): Promise<StepOutcome> {
  const present: ObjectStat[] = [];
  for (const object of objects) {
    const stat = await statForSure(store, object.key, signal);
    if (stat === undefined) {
      continue;
    }
    // Something writes to it after all.
    if (
      stat.sizeBytes !== object.sizeBytes ||
      stat.etag !== object.etag ||
      stat.modifiedAtMs !== object.modifiedAtMs
    ) {
      return 'changed';
    }
    present.push(object);
  }
  for (const { key, sizeBytes } of present) {
    await undo.append({ change: 'remove', key, sizeBytes });
  }
  await removeExactly(
    store,
    present.map(({ key }) => key),
    signal,
  );
  return present.length === 0 ? 'already' : 'done';
}

async function removeExactly(
  store: Driver,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const [failure] = keys.length === 0 ? [] : await store.delete(keys, { signal });
  if (failure !== undefined) {
    throw failure.error;
  }
}

async function abort({ upload }: AbortStep, { store, signal }: CarryOutOptions): Promise<StepOutcome> {
  await store.abortUpload?.(upload, { signal });
  return 'done';
}
