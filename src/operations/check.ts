import type { Driver } from '../drivers/driver.ts';
import { compareKeys } from '../drivers/keys.ts';
import { findingCodes } from '../layout/findings.ts';
import type { LockfileName } from '../layout/paths.ts';
import { type DataRead, judgeUnneededBlobs, listBlobs, readBlobs } from './check/blobs.ts';
import { judgeRepository, judgeUnlinked } from './check/judge-repository.ts';
import { judgeUpperFolders } from './check/judge-upper-folders.ts';
import { judgeMultipartUploads } from './check/judge-uploads.ts';
import { eachRepository } from './check/repositories.ts';
import {
  type CheckedTag,
  type CheckObserver,
  CheckRun,
  type FindingTally,
  type Unread,
} from './check/run.ts';
import type { KindCounts } from './counts.ts';
import { assertRegistryRoot } from './registry-root.ts';
import { type DataSubset, Sample } from './sample.ts';
import { findShards } from './shards.ts';
import type { OpenAbove } from './where-else.ts';

export type { CheckedTag, CheckObserver, FindingTally, Unread } from './check/run.ts';

/** After a week an upload is abandoned: that is when the registry's own purger takes it (default `age: 168h`). */
export const ABANDONED_AFTER_MS = 168 * 3600 * 1000;

export interface CheckOptions {
  concurrency: number;
  /** Reads the bytes of blobs and proves them against their names. Absent: only manifests are read. */
  readData?: { subset: DataSubset; seed: number } | undefined;
  /** What ages are reckoned from. */
  nowMs: number;
  abandonedAfterMs?: number | undefined;
  /** Opens what the store's root is in, to look for a registry that is not in the store. */
  openAbove?: OpenAbove | undefined;
  signal?: AbortSignal | undefined;
  observer: CheckObserver;
}

export interface CheckResult {
  /** What can be said of the whole: `healthy` allows hints. */
  verdict: 'healthy' | 'warnings' | 'broken' | 'incomplete';
  /** Undefined where GitLab's database has them, so that the store does not tell. */
  tags: { total: number; pullable: number; notPullable: number; unknown: number } | undefined;
  /** The first 1000 of those that are not pullable or of which it is not known. */
  brokenTags: CheckedTag[];
  repositories: number;
  untaggedManifests: number;
  /** By code and severity: errors first, then in the order of docs/findings.md. */
  findings: FindingTally[];
  counts: KindCounts;
  lockfiles: LockfileName[];
  /** What was read with `readData`. */
  dataRead: DataRead | undefined;
  /** The first 1000 parts that could not be read, and how many there are. */
  unreads: Unread[];
  unreadCount: number;
  /** What was not concluded or not looked at, one sentence each. */
  notExamined: string[];
}

/**
 * Reads a store's layout and reports everything that is wrong with it. Never writes.
 *
 * Blobs are listed first, into a compact table; then each repository is listed and judged by itself; then the blobs
 * once more, for what nothing needs. What is missing from a listing is asked for again before it is called missing,
 * so that a registry which takes pushes meanwhile is judged fairly.
 * @throws SafetyRefusal NOT_A_REGISTRY, saying where the registry is if it can be seen from here; OTHER_ROOT.
 * @throws DriverError when the store cannot be reached, or its upper folders cannot be listed.
 */
export async function check(driver: Driver, options: CheckOptions): Promise<CheckResult> {
  const { concurrency, openAbove, signal, observer, abandonedAfterMs = ABANDONED_AFTER_MS } = options;
  await assertRegistryRoot(driver, 'store', { openAbove, signal });
  const run = new CheckRun(driver, { ...options, abandonedAfterMs });
  observer.phase('listing');
  const shards = await findShards(driver, undefined, { concurrency, signal });
  const lockfiles = await judgeUpperFolders(run, shards);
  const isInDatabase = lockfiles.length === 1 && lockfiles[0] === 'database-in-use';
  if (lockfiles.includes('database-in-use')) {
    run.doubtOrphans("GitLab's database may know of images that the store does not");
  }
  const sample =
    options.readData === undefined ? undefined : new Sample(options.readData.subset, options.readData.seed);
  await listBlobs(run, shards.blobs, sample);
  if (run.blobs.isFull) {
    run.doubtOrphans('there are more blobs than are kept track of');
  }
  let dataRead: DataRead | undefined;
  if (sample !== undefined) {
    observer.phase('reading data', { objects: sample.size.blobs, bytes: sample.size.bytes });
    dataRead = await readBlobs(run, shards.blobs, sample);
  }
  observer.phase('repositories');
  await eachRepository(run, shards.repositories, (listing) =>
    isInDatabase ? judgeUnlinked(run, listing) : judgeRepository(run, listing),
  );
  observer.phase('unneeded blobs');
  await judgeUnneededBlobs(run, shards.blobs);
  const uploadsUnknown = await judgeMultipartUploads(run);
  await run.reportGathered();
  observer.phase('');

  const notExamined = [
    ...(isInDatabase ? ["Tags and manifests were not judged: GitLab's database has them."] : []),
    ...(run.orphansUnknown === undefined
      ? []
      : [`Which blobs nothing needs was not concluded: ${run.orphansUnknown}.`]),
    ...(uploadsUnknown === undefined ? [] : [uploadsUnknown]),
  ];
  const { pullable, notPullable, unknown } = run.tags;
  return {
    verdict: verdictOf(run),
    tags: isInDatabase
      ? undefined
      : { total: pullable + notPullable + unknown, pullable, notPullable, unknown },
    brokenTags: run.brokenTags.sort(byName),
    repositories: run.repositories,
    untaggedManifests: run.untaggedManifests,
    findings: [...run.findings.values()].sort(bySeverityAndCode),
    counts: run.counts,
    lockfiles,
    dataRead,
    unreads: run.unreads,
    unreadCount: run.unreadCount,
    notExamined,
  };
}

function verdictOf(run: CheckRun): CheckResult['verdict'] {
  if (run.unreadCount > 0) {
    return 'incomplete';
  }
  const severities = new Set([...run.findings.values()].map(({ severity }) => severity));
  if (severities.has('error')) {
    return 'broken';
  }
  return severities.has('warning') ? 'warnings' : 'healthy';
}

const SEVERITY_RANKS = { error: 0, warning: 1, hint: 2 };

function bySeverityAndCode(left: FindingTally, right: FindingTally): number {
  const bySeverity = SEVERITY_RANKS[left.severity] - SEVERITY_RANKS[right.severity];
  return bySeverity === 0 ? findingCodes.indexOf(left.code) - findingCodes.indexOf(right.code) : bySeverity;
}

function byName(left: CheckedTag, right: CheckedTag): number {
  return compareKeys(left.repository, right.repository) || compareKeys(left.tag, right.tag);
}
