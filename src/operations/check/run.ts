import { setMaxListeners } from 'node:events';
import pLimit, { type LimitFunction } from 'p-limit';
import type { Driver, ListOptions, ObjectStat } from '../../drivers/driver.ts';
import { type DriverErrorCode, isDriverError } from '../../drivers/errors.ts';
import type { Digest } from '../../layout/digest.ts';
import {
  type Finding,
  finding,
  type FindingCode,
  type FindingFacts,
  type Severity,
} from '../../layout/findings.ts';
import { parsePath, type RegistryPath } from '../../layout/paths.ts';
import { confirmAbsent } from '../absence.ts';
import { DigestTable } from '../digest-table.ts';
import { addCount, type KindCounts } from '../counts.ts';
import type { Observer } from '../observer.ts';

/** What is known of blobs takes at most about 160 MB; of further ones the store is asked each time. */
const KNOWN_BLOBS_MAX = 4_000_000;
/** How many of a kind are kept for messages; all of them go to the observer. */
const KEPT_MAX = 1000;
const EXAMPLES_MAX = 20;
/** So many failures in a row for want of an answer mean that the store is away, not that objects are bad. */
const UNAVAILABLE_IN_A_ROW_MAX = 50;

/** A flag of `CheckRun.blobs`: a manifest needs it, or it is one. */
export const NEEDED = 1;
/** A flag of `CheckRun.blobs`: a finding about its content was given with its repository. */
export const REPORTED = 2;

export type TagState = 'pullable' | 'not-pullable' | 'unknown';

export interface CheckedTag {
  repository: string;
  tag: string;
  state: TagState;
  /** What it stands for, where its link can be read. */
  digest?: Digest;
  /** Why it cannot be pulled. */
  codes: FindingCode[];
}

export interface Unread {
  /** The key, or the prefix whose listing failed. */
  key: string;
  message: string;
}

export interface CheckObserver extends Omit<Observer, 'record'> {
  /** Called for each finding, in no certain order. */
  finding(finding: Finding): Promise<void>;
  /** Called for each tag that cannot be pulled, or of which that is not known. */
  brokenTag(tag: CheckedTag): Promise<void>;
  /** Called for each part of the store that could not be read. */
  unread(unread: Unread): Promise<void>;
}

/** Findings of one code and severity. */
export interface FindingTally {
  code: FindingCode;
  severity: Severity;
  /** One for each repository that is hurt. */
  count: number;
  /** How many blobs they are about, each counted once; 0 where they are about something else. */
  blobs: number;
  /** Of the same blob, counted once. */
  sizeBytes: number;
  /** The first few, to show. */
  examples: Finding[];
}

export interface RunOptions {
  concurrency: number;
  nowMs: number;
  abandonedAfterMs: number;
  signal?: AbortSignal | undefined;
  observer: CheckObserver;
}

/** The state of one check: what is known of blobs, and what was found. */
export class CheckRun {
  readonly driver: Driver;
  readonly nowMs: number;
  readonly abandonedAfterMs: number;
  readonly signal: AbortSignal | undefined;
  readonly observer: CheckObserver;
  /** Bounds single driver calls. Nothing that runs in it waits for another call in it. */
  readonly limit: LimitFunction;
  /** Bounds what is listed side by side. */
  readonly listings: LimitFunction;
  /** Every blob that was listed, with its size. */
  readonly blobs = new DigestTable(KNOWN_BLOBS_MAX);
  /** Blobs whose bytes were read and have another digest: that digest. */
  readonly corrupt = new Map<Digest, string>();
  /** A pull-through cache fetches what is missing from upstream. */
  isCache = false;

  readonly counts: KindCounts = {};
  readonly findings = new Map<string, FindingTally>();
  readonly tags = { pullable: 0, notPullable: 0, unknown: 0 };
  repositories = 0;
  /** Manifests without a tag, which are no finding. */
  untaggedManifests = 0;
  readonly brokenTags: CheckedTag[] = [];
  readonly unreads: Unread[] = [];
  unreadCount = 0;
  /** Why it cannot be told which blobs nothing needs: the first reason. */
  orphansUnknown: string | undefined;
  #unavailableInARow = 0;
  /** By code and severity. */
  readonly #reportedBlobs = new Map<string, DigestTable>();
  readonly #gathered = new Map<string, FindingFacts & { sizeBytes: number; objects: number }>();

  constructor(driver: Driver, options: RunOptions) {
    this.driver = driver;
    this.nowMs = options.nowMs;
    this.abandonedAfterMs = options.abandonedAfterMs;
    this.signal = options.signal;
    this.observer = options.observer;
    this.limit = pLimit(options.concurrency);
    this.listings = pLimit(options.concurrency);
    if (this.signal !== undefined) {
      // Every call in flight listens to it: many at once is how it is meant, and no leak.
      setMaxListeners(0, this.signal);
    }
  }

  count(path: RegistryPath, { sizeBytes }: ObjectStat): void {
    addCount(this.counts, path.kind, sizeBytes);
  }

  async report(facts: FindingFacts): Promise<void> {
    await this.#emit(finding(facts));
  }

  /** Something that a pull-through cache fetches again when it is asked for. */
  async reportHealing(facts: FindingFacts): Promise<void> {
    await this.#emit({ ...finding(facts), severity: 'hint' });
  }

  /** Counts an object into one finding for all of a group, for what comes in large numbers. */
  gather(code: FindingCode, group: string, detail: string, { key, sizeBytes }: ObjectStat): void {
    const id = `${code} ${group}`;
    const facts = this.#gathered.get(id) ?? { code, detail, paths: [], sizeBytes: 0, objects: 0 };
    facts.objects += 1;
    facts.sizeBytes += sizeBytes;
    if (facts.paths.length < EXAMPLES_MAX) {
      facts.paths.push(key);
    }
    this.#gathered.set(id, facts);
  }

  async reportGathered(): Promise<void> {
    for (const facts of this.#gathered.values()) {
      await this.report(facts);
    }
    this.#gathered.clear();
  }

  async tag(tag: CheckedTag): Promise<void> {
    if (tag.state === 'pullable') {
      this.tags.pullable += 1;
      return;
    }
    this.tags[tag.state === 'unknown' ? 'unknown' : 'notPullable'] += 1;
    if (this.brokenTags.length < KEPT_MAX) {
      this.brokenTags.push(tag);
    }
    await this.observer.brokenTag(tag);
  }

  /** One driver call, within the limit. */
  async call<T>(action: () => Promise<T>): Promise<T> {
    const result = await this.limit(action);
    this.#unavailableInARow = 0;
    return result;
  }

  /**
   * Notes that a part of the store could not be read.
   * @throws what is no failure of that part: an interruption, a store that is gone or went away, a bug.
   */
  async noteUnread(key: string, error: unknown): Promise<void> {
    if (!isDriverError(error) || FATAL.has(error.code)) {
      throw error;
    }
    this.signal?.throwIfAborted();
    this.#unavailableInARow += AWAY.has(error.code) ? 1 : 0;
    if (this.#unavailableInARow > UNAVAILABLE_IN_A_ROW_MAX) {
      throw error;
    }
    const unread = { key, message: error.message };
    this.unreadCount += 1;
    if (this.unreads.length < KEPT_MAX) {
      this.unreads.push(unread);
    }
    this.doubtOrphans('parts of the store could not be read');
    await this.observer.unread(unread);
  }

  /**
   * Whether what the store said is not there is to be believed: of what it listed a moment ago, only if it does not list
   * it any more. If not, that is noted as unread.
   */
  async isReallyGone(key: string, { wasListed }: { wasListed: boolean }): Promise<boolean> {
    if (!wasListed) {
      return true;
    }
    try {
      await this.call(() => confirmAbsent(this.driver, key, { signal: this.signal }));
      return true;
    } catch (error) {
      await this.noteUnread(key, error);
      return false;
    }
  }

  doubtOrphans(reason: string): void {
    this.orphansUnknown ??= reason;
  }

  /** Lists everything below a prefix. A failure is noted, and false returned: what came before it was handed on. */
  async listAll(
    prefix: string,
    options: ListOptions,
    take: (page: ObjectStat[]) => Promise<void>,
  ): Promise<boolean> {
    try {
      for await (const page of this.driver.list(prefix, { ...options, signal: this.signal })) {
        await take(page);
        // As `marchShard`: else each listing would hold it while it waits for the next one.
        page.length = 0;
      }
      return true;
    } catch (error) {
      await this.noteUnread(prefix, error);
      return false;
    }
  }

  async #emit(found: Finding): Promise<void> {
    const id = `${found.code} ${found.severity}`;
    const tally = this.findings.get(id) ?? {
      code: found.code,
      severity: found.severity,
      count: 0,
      blobs: 0,
      sizeBytes: 0,
      examples: [],
    };
    const isRepeated = this.#isRepeatedBlob(id, found);
    tally.count += 1;
    tally.blobs += isAboutBlob(found) && !isRepeated ? 1 : 0;
    tally.sizeBytes += isRepeated ? 0 : (found.sizeBytes ?? 0);
    if (tally.examples.length < EXAMPLES_MAX) {
      tally.examples.push(found);
    }
    this.findings.set(id, tally);
    await this.observer.finding(found);
  }

  /** Whether the same was found of the same blob before, with another repository. */
  #isRepeatedBlob(id: string, found: Finding): boolean {
    const path = parsePath(found.paths[0] ?? '');
    if (path.kind !== 'blob-data' || found.repository === undefined) {
      return false;
    }
    const known = this.#reportedBlobs.get(id) ?? new DigestTable(KNOWN_BLOBS_MAX, false);
    this.#reportedBlobs.set(id, known);
    const isRepeated = known.get(path.digest) !== undefined;
    known.set(path.digest, 0);
    return isRepeated;
  }
}

function isAboutBlob({ paths }: Finding): boolean {
  return parsePath(paths[0] ?? '').kind === 'blob-data';
}

const FATAL: ReadonlySet<DriverErrorCode> = new Set(['ABORTED', 'STORE_NOT_FOUND', 'UNAUTHENTICATED']);

const AWAY: ReadonlySet<DriverErrorCode> = new Set(['UNAVAILABLE', 'RATE_LIMITED']);

/** Whether an object is not there. */
export function isGone(error: unknown): boolean {
  return isDriverError(error, 'NOT_FOUND');
}
