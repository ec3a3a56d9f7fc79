import type { ObjectKind } from '../observer.ts';
import type { KindCounts } from '../counts.ts';
import { DigestSet } from '../digest-set.ts';
import { KeySum } from '../key-sum.ts';
import { Spool } from '../spool.ts';
import { RepositorySpool } from './repository-spool.ts';

/** Why an object is copied: it is not at the target, or is there with another size or content. */
export type CopyReason = 'missing' | 'size' | 'content';

export interface PlannedCopy {
  key: string;
  sizeBytes: number;
  reason: CopyReason;
}

/** What differs in one repository, by phase of the copy. */
export interface RepositoryPlan {
  repository: string;
  /** Layer links, and the signature and tarsum links of old registries. */
  layers: PlannedCopy[];
  revisions: PlannedCopy[];
  tagIndexes: PlannedCopy[];
  tagCurrents: PlannedCopy[];
}

/** What is at a store and never copied, counted by kind: uploads, markers, temporaries, foreign files. */
export interface NotContent {
  source: KindCounts;
  target: KindCounts;
}

export interface RepositoryTally {
  repository: string;
  tags: number;
  revisions: number;
  layers: number;
  deletions: number;
}

/** A part of a store that could not be listed. */
export interface ListingFailure {
  prefix: string;
  error: Error;
}

/** Everything that a run will do, before it does anything. */
export interface Plan {
  blobs: Spool<PlannedCopy>;
  /** Lockfiles and a pull-through cache's state. */
  others: PlannedCopy[];
  repositories: RepositorySpool;
  foreign: Spool<PlannedCopy>;
  /** Keys at the target that the source does not have, by kind. */
  deletions: Map<ObjectKind, string[]>;
  /** Objects that only the target has, in a run that does not delete. */
  keptAtTarget: number;
  /** Of these the lockfiles, with which the one that is copied may be at odds. */
  keptLockfiles: string[];
  /** Temporary files of an interrupted run of regtool at the target. */
  leftovers: string[];
  toCopy: KindCounts;
  equal: KindCounts;
  /** Tags of `toCopy` that stand for something else at the target; of the first the names, as `repository:tag`. */
  movedTags: { count: number; samples: string[] };
  /** Content at the source and at the target, in objects. */
  sourceObjects: number;
  targetObjects: number;
  /** The revision links that the listing saw at the source, in a run that deletes. */
  sourceRevisions: KeySum;
  repositoryTallies: RepositoryTally[];
  notContent: NotContent;
  /** The first foreign keys and folders, for messages; all of them are in the report. */
  foreignSamples: string[];
  listingFailures: ListingFailure[];
  /** Only some repositories were looked at. */
  isSelection: boolean;
  /** At least one repository was looked at, on either side; at the source, one that has content. */
  hasRepositories: boolean;
  hasSourceRepositories: boolean;
  /** The first names of those that were left out. */
  unselectedSamples: string[];
  /** Blobs that are at the target with the right size. */
  knownBlobs: DigestSet;
}

/** 27 MB at most, of which a registry takes as much as its blobs need; registries with more blobs than this cost a request for each further one that is looked for. */
const KNOWN_BLOBS_MAX = 1_000_000;

/** @param isSelection of `Plan`. To be ended by `disposePlan`. */
export function emptyPlan(isSelection: boolean): Plan {
  return {
    isSelection,
    hasRepositories: false,
    hasSourceRepositories: false,
    unselectedSamples: [],
    blobs: new Spool(),
    others: [],
    repositories: new RepositorySpool(),
    foreign: new Spool(),
    deletions: new Map(),
    keptAtTarget: 0,
    keptLockfiles: [],
    leftovers: [],
    toCopy: {},
    equal: {},
    movedTags: { count: 0, samples: [] },
    sourceObjects: 0,
    targetObjects: 0,
    sourceRevisions: new KeySum(),
    repositoryTallies: [],
    notContent: { source: {}, target: {} },
    foreignSamples: [],
    listingFailures: [],
    knownBlobs: new DigestSet(KNOWN_BLOBS_MAX),
  };
}

/** GitLab's registry does not start on a store that has both lockfiles. */
export function hasLockfilesAtOdds(plan: Plan): boolean {
  const fromSource = (plan.toCopy.lockfile?.objects ?? 0) + (plan.equal.lockfile?.objects ?? 0);
  return fromSource > 0 && plan.keptLockfiles.length > 0;
}

export function deletionCount(plan: Plan): number {
  return [...plan.deletions.values()].reduce((sum, keys) => sum + keys.length, 0);
}

/** What others may need of that which a plan deletes: blobs, layer links and revision links. */
export function doomedKeys({ deletions }: Plan): Set<string> {
  const doomed = new Set<string>();
  for (const kind of ['blob-data', 'layer-link', 'revision-link'] as const) {
    for (const key of deletions.get(kind) ?? []) {
      doomed.add(key);
    }
  }
  return doomed;
}

export async function disposePlan(plan: Plan): Promise<void> {
  await Promise.all([plan.blobs.dispose(), plan.repositories.dispose(), plan.foreign.dispose()]);
}
