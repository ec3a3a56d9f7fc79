import { setMaxListeners } from 'node:events';
import pLimit from 'p-limit';
import type { Driver, ObjectStat } from '../../drivers/driver.ts';
import { isDriverError } from '../../drivers/errors.ts';
import type { Digest } from '../../layout/digest.ts';
import { blobDataKey, fromRepository, parsePath, type RegistryPath } from '../../layout/paths.ts';
import { Contradiction, readUnlessAbsent } from '../absence.ts';
import { type Limit, limitTo } from '../concurrency.ts';
import { copyBlob, SMALL_BLOB_BYTES } from '../copy-blob.ts';
import { BlobProver } from '../prove-blob.ts';
import type { DigestSet } from '../digest-set.ts';
import type { OnBytes } from '../metered-body.ts';
import type { Observer, ReportRecord } from '../observer.ts';
import { addCount, type KindCounts } from '../counts.ts';

/** Objects that take longer than this to send are few at a time, so that their parts fit in memory. */
const LARGE_BYTES = 32 * 1024 * 1024;
const LARGE_AT_ONCE = 4;
/** So are those that are streamed: each holds a megabyte or two, and so many fill any connection. */
const STREAMED_AT_ONCE = 32;
/** So many failures in a row for want of an answer, or of the right to write, are the store's and not the objects'. */
const STORE_FAILURES_IN_A_ROW_MAX = 50;

export interface Problem {
  key: string;
  message: string;
}

export type CopyOutcome = 'copied' | 'vanished' | 'failed';

/** What a blob is, seen from a link that needs it. */
export type BlobState = 'present' | 'missing' | 'failed';

/** How many problems are kept for messages; all of them are in the report. */
const PROBLEMS_KEPT = 1000;

export interface Tally {
  copied: KindCounts;
  /** Could not be copied. */
  failed: number;
  failures: Problem[];
  /** Not published because something that they need failed in this run. */
  heldBack: number;
  /** Not published because the source itself lacks what they need. */
  incomplete: number;
  incompletes: Problem[];
  /** Gone from the source since they were listed. */
  vanished: number;
  /** Layer links without a blob and tag index links without a revision: harmless, copied as they are. */
  dangling: number;
  deleted: KindCounts;
  /** Wanted in the plan, but found at the source again when they were to be deleted, or published with since. */
  reappeared: number;
}

/**
 * The state of one run: what is known of blobs, what was done, and the limits. Each object's outcome passes
 * through `settle`, which counts, reports and decides whether the run can go on.
 */
export class Run {
  readonly tally: Tally = {
    copied: {},
    failed: 0,
    failures: [],
    heldBack: 0,
    incomplete: 0,
    incompletes: [],
    vanished: 0,
    dangling: 0,
    deleted: {},
    reappeared: 0,
  };
  readonly source: Driver;
  readonly target: Driver;
  readonly signal: AbortSignal;
  /** Bounds the driver calls of the whole run. Only single calls run in it, never something that waits for another. */
  readonly limit: Limit;
  readonly includeIncomplete: boolean;
  /** Decides everything as a run does, and writes nothing. */
  readonly dryRun: boolean;
  readonly observer: Observer;
  /** Of what the plan deletes, that which something published in this run needs. It stays, whatever the source says by then. */
  readonly needed = new Set<string>();
  readonly #doomed: ReadonlySet<string>;
  readonly #large = pLimit(LARGE_AT_ONCE);
  readonly #streamed = pLimit(STREAMED_AT_ONCE);
  readonly #known: DigestSet;
  readonly #failedBlobs = new Set<Digest>();
  readonly #lookups = new Map<Digest, Promise<BlobState>>();
  readonly #stop = new AbortController();
  #storeFailuresInARow = 0;

  constructor(options: {
    source: Driver;
    target: Driver;
    known: DigestSet;
    /** What the plan deletes and others may need: see `doomedKeys`. */
    doomed: ReadonlySet<string>;
    concurrency: number;
    includeIncomplete: boolean;
    dryRun: boolean;
    signal: AbortSignal | undefined;
    observer: Observer;
  }) {
    this.source = options.source;
    this.target = options.target;
    this.#known = options.known;
    this.#doomed = options.doomed;
    this.limit = limitTo(options.concurrency);
    this.includeIncomplete = options.includeIncomplete;
    this.dryRun = options.dryRun;
    this.observer = options.observer;
    this.signal =
      options.signal === undefined ? this.#stop.signal : AbortSignal.any([options.signal, this.#stop.signal]);
    // Every call in flight listens to it: many at once is how it is meant, and no leak.
    setMaxListeners(0, this.signal);
  }

  /** The error that made the run stop by itself, if one did. */
  get stoppedBy(): unknown {
    return this.#stop.signal.aborted ? this.#stop.signal.reason : undefined;
  }

  /** Whether the plan deletes anything that could be needed. */
  get hasDoomed(): boolean {
    return this.#doomed.size > 0;
  }

  /** Says that something published in this run needs this key at the target. */
  need(key: string): void {
    if (this.#doomed.has(key)) {
      this.needed.add(key);
    }
  }

  /** Runs the copy of one object and settles what came of it. A copy that takes long tells of its bytes meanwhile. */
  async attempt(
    key: string,
    sizeBytes: number,
    copy: (onBytes: OnBytes) => Promise<void>,
    about?: Partial<ReportRecord>,
  ): Promise<CopyOutcome> {
    let underWayBytes = 0;
    const onBytes = (change: number): void => {
      underWayBytes += change;
      this.observer.progress({ bytes: change });
    };
    const copyListed = () => this.#amongItsLike(sizeBytes, () => copy(onBytes));
    try {
      const { source, signal } = this;
      if (!this.dryRun && !(await readUnlessAbsent(source, key, { signal }, copyListed))) {
        this.observer.progress({ bytes: -underWayBytes });
        await this.vanish(key, sizeBytes);
        return 'vanished';
      }
    } catch (error) {
      this.observer.progress({ bytes: -underWayBytes });
      await this.fail(key, error, { sizeBytes, ...about });
      return 'failed';
    }
    this.#storeFailuresInARow = 0;
    const path = parsePath(key);
    addCount(this.tally.copied, path.kind, sizeBytes);
    this.observer.progress({ objects: 1, bytes: sizeBytes - underWayBytes });
    const outcome = this.dryRun ? 'planned' : 'done';
    await this.record(key, { action: 'copy', outcome, sizeBytes, ...about }, path);
    return 'copied';
  }

  #amongItsLike(sizeBytes: number, copy: () => Promise<void>): Promise<void> {
    if (sizeBytes <= SMALL_BLOB_BYTES) {
      return copy();
    }
    return sizeBytes > LARGE_BYTES ? this.#large(copy) : this.#streamed(copy);
  }

  /** Counts and reports a failure; rethrows what must end the run. */
  async fail(key: string, error: unknown, about?: Partial<ReportRecord>): Promise<void> {
    if (!(error instanceof Error)) {
      throw error;
    }
    if (!isDriverError(error)) {
      this.#stop.abort(error);
      throw error;
    }
    if (error.code === 'ABORTED') {
      throw error;
    }
    this.tally.failed += 1;
    keep(this.tally.failures, { key, message: error.message });
    this.observer.progress({ objects: 1 });
    await this.record(key, { action: 'copy', outcome: 'failed', ...about, reason: error.message });
    const mayNotWrite = error.code === 'PERMISSION_DENIED' && error.operation === 'write';
    // A store that contradicts itself has answered.
    const isUnanswered = error.code === 'UNAVAILABLE' && !(error instanceof Contradiction);
    this.#storeFailuresInARow = isUnanswered || mayNotWrite ? this.#storeFailuresInARow + 1 : 0;
    const isHopeless = isDriverError(error, 'STORE_NOT_FOUND', 'UNAUTHENTICATED', 'STORE_FULL');
    if (isHopeless || this.#storeFailuresInARow >= STORE_FAILURES_IN_A_ROW_MAX) {
      this.#stop.abort(error);
      throw error;
    }
  }

  /** Counts and reports what was deleted from the source since it was listed. */
  async vanish(key: string, sizeBytes: number): Promise<void> {
    this.tally.vanished += 1;
    this.observer.progress({ objects: 1, bytes: sizeBytes });
    await this.record(key, { action: 'copy', outcome: 'vanished', sizeBytes });
  }

  /** Counts and reports what is not published because something it needs failed here. */
  async holdBack(key: string, reason: string): Promise<void> {
    this.tally.heldBack += 1;
    this.observer.progress({ objects: 1 });
    await this.record(key, { action: 'hold-back', outcome: 'held-back', reason });
  }

  /** Counts and reports what is not published because the source lacks something it needs. */
  async leaveIncomplete(key: string, reason: string): Promise<void> {
    this.tally.incomplete += 1;
    keep(this.tally.incompletes, { key, message: reason });
    this.observer.progress({ objects: 1 });
    await this.record(key, { action: 'hold-back', outcome: 'held-back', reason });
  }

  record(
    key: string,
    about: Pick<ReportRecord, 'action' | 'outcome'> & Partial<ReportRecord>,
    path: RegistryPath = parsePath(key),
  ): Promise<void> {
    const repository = fromRepository(path);
    return this.observer.record({
      type: 'object',
      kind: path.kind,
      key,
      ...(repository === undefined ? undefined : { repository }),
      ...('tag' in path ? { tag: path.tag } : undefined),
      ...about,
    });
  }

  /** Copies a blob that is not at the target yet, and remembers what came of it. */
  async copyBlob(digest: Digest, sizeBytes: number, reason: string): Promise<BlobState> {
    const outcome = await this.attempt(
      blobDataKey(digest),
      sizeBytes,
      (onBytes) => copyBlob(this.source, this.target, digest, sizeBytes, this.signal, onBytes),
      { reason },
    );
    if (outcome === 'copied') {
      this.#known.add(digest);
      return 'present';
    }
    if (outcome === 'vanished') {
      return 'missing';
    }
    this.#failedBlobs.add(digest);
    return 'failed';
  }

  /**
   * Makes sure that a blob which a link refers to is at the target: known from the listing or from this run,
   * found by asking the target, or followed on the spot when it was pushed since the listing.
   */
  async ensureBlob(digest: Digest): Promise<BlobState> {
    if (this.#failedBlobs.has(digest)) {
      return 'failed';
    }
    if (this.#known.has(digest)) {
      return 'present';
    }
    const underWay = this.#lookups.get(digest) ?? this.#lookUp(digest);
    this.#lookups.set(digest, underWay);
    try {
      return await underWay;
    } finally {
      this.#lookups.delete(digest);
    }
  }

  /** The source has lost it, so nothing says how large it should be: only its bytes can. */
  async #proveAtTarget(digest: Digest, sizeBytes: number): Promise<BlobState> {
    const prover = new BlobProver(this.target, { signal: this.signal });
    const { matches } = await this.limit(() => prover.prove(digest, sizeBytes));
    if (matches) {
      this.#known.add(digest);
    }
    return matches ? 'present' : 'missing';
  }

  async #lookUp(digest: Digest): Promise<BlobState> {
    const key = blobDataKey(digest);
    let left: ObjectStat | undefined;
    try {
      const stats = await Promise.all([
        this.limit(() => this.source.stat(key, { signal: this.signal })),
        this.limit(() => this.target.stat(key, { signal: this.signal })),
      ]);
      left = stats[0];
      const right = stats[1];
      if (right !== undefined && left?.sizeBytes === right.sizeBytes) {
        this.#known.add(digest);
        return 'present';
      }
      if (left === undefined) {
        return right === undefined ? 'missing' : await this.#proveAtTarget(digest, right.sizeBytes);
      }
    } catch (error) {
      await this.fail(key, error);
      this.#failedBlobs.add(digest);
      return 'failed';
    }
    // Outside, because a copy counts its own failure.
    const { sizeBytes } = left;
    return this.limit(() => this.copyBlob(digest, sizeBytes, 'not in the listing'));
  }
}

function keep(problems: Problem[], problem: Problem): void {
  if (problems.length < PROBLEMS_KEPT) {
    problems.push(problem);
  }
}
