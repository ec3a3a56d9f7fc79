import { setMaxListeners } from 'node:events';
import type { Driver, StoreSettings } from '../drivers/driver.ts';
import { parsePath } from '../layout/paths.ts';
import { forEachConcurrently } from './concurrency.ts';
import { type Marker, markerFinder } from './fix-empty-tags/find-markers.ts';
import { removeMarkers } from './fix-empty-tags/remove-markers.ts';
import { isObjectFailure } from './object-failure.ts';
import type { Observer } from './observer.ts';
import { assertRegistryRoot } from './registry-root.ts';
import { findShards } from './shards.ts';
import { Spool } from './spool.ts';
import type { OpenAbove } from './where-else.ts';

export type { Marker } from './fix-empty-tags/find-markers.ts';

export type MarkerClass = Marker['code'];

/** One line of the report. */
export interface MarkerRecord extends Marker {
  type: 'marker';
  action: 'remove' | 'leave';
  /** `vanished`: gone since it was listed. `changed`: no longer an empty marker, so it was left. */
  outcome: 'planned' | 'done' | 'failed' | 'vanished' | 'changed' | 'left';
  reason?: string;
}

export interface FixEmptyTagsOptions {
  /** Decide everything, remove nothing. */
  dryRun: boolean;
  /** Remove also what does no harm. */
  allMarkers: boolean;
  /** Opens what the store's root is in, to look for a registry that is not in the store. */
  openAbove?: OpenAbove | undefined;
  concurrency: number;
  signal?: AbortSignal | undefined;
  observer: Observer<MarkerRecord>;
  /** Sees the plan before anything is removed, and says whether to go on. Not asked where nothing would be. */
  approve: (plan: MarkerPlan) => Promise<boolean>;
}

export interface MarkerProblem {
  key: string;
  message: string;
}

export interface RepositoryMarkers {
  repository: string;
  /** How many of each class that are to be removed. */
  counts: Partial<Record<MarkerClass, number>>;
}

export interface MarkerPlan {
  /** Set where the store cannot hold markers at all: its folders are real. Nothing was listed then. */
  hasRealFolders: boolean;
  settings: StoreSettings;
  /** All that were found, by what they do. */
  found: Partial<Record<MarkerClass, number>>;
  /** The first few of each class. */
  samples: Partial<Record<MarkerClass, Marker[]>>;
  toRemove: number;
  repositories: RepositoryMarkers[];
  /** Parts of the store that could not be listed, so that markers in them were not seen. */
  notListed: MarkerProblem[];
}

export interface FixEmptyTagsResult {
  plan: MarkerPlan;
  end: 'done' | 'declined' | 'interrupted';
  removed: number;
  vanished: number;
  /** No longer zero bytes when they were to be removed. */
  changed: number;
  failed: number;
  /** The first of those that could not be removed. */
  failures: MarkerProblem[];
}

/** Whether a marker of this class harms some registry on this kind of store, and may be removed without loss. */
export function isHarmful(code: MarkerClass): boolean {
  return HARMFUL.has(code);
}

const HARMFUL: ReadonlySet<MarkerClass> = new Set<MarkerClass>([
  'marker-empty-tag',
  'marker-ghost-tag',
  'marker-purger-panic',
  'marker-lists-itself',
]);

const SAMPLES_MAX = 5;

/**
 * Removes the zero-byte objects with a slash at their end that make a registry list tags without name or content, or
 * crash. Lists everything first; then removes each by its exact key, after another look at it.
 * @throws SafetyRefusal NOT_A_REGISTRY; DriverError when the store cannot be read at all.
 */
export async function fixEmptyTags(store: Driver, options: FixEmptyTagsOptions): Promise<FixEmptyTagsResult> {
  const { openAbove, signal, observer } = options;
  if (signal !== undefined) {
    // Every call in flight listens to it: many at once is how it is meant, and no leak.
    setMaxListeners(0, signal);
  }
  await assertRegistryRoot(store, 'store', { openAbove, signal });
  const markers = new Spool<Marker>();
  try {
    const plan = await findMarkers(store, markers, options);
    const result: FixEmptyTagsResult = {
      plan,
      end: 'done',
      removed: 0,
      vanished: 0,
      changed: 0,
      failed: 0,
      failures: [],
    };
    if (plan.toRemove > 0 && !(await options.approve(plan))) {
      return { ...result, end: 'declined' };
    }
    await removeMarkers(store, markers, result, options);
    return result;
  } finally {
    observer.phase('');
    await markers.dispose();
  }
}

async function findMarkers(
  store: Driver,
  markers: Spool<Marker>,
  options: FixEmptyTagsOptions,
): Promise<MarkerPlan> {
  const { signal, observer, concurrency } = options;
  const plan: MarkerPlan = {
    hasRealFolders: store.supports.emptyFolders,
    settings: {},
    found: {},
    samples: {},
    toRemove: 0,
    repositories: [],
    notListed: [],
  };
  if (plan.hasRealFolders) {
    return plan;
  }
  plan.settings = (await store.describe?.({ signal })) ?? {};
  const repositories = new Map<string, RepositoryMarkers>();
  const finderOptions = { store: kindOf(store), hierarchicalNamespace: plan.settings.hierarchicalNamespace };

  async function take(found: readonly Marker[]): Promise<void> {
    for (const marker of found) {
      await note(marker);
    }
  }

  async function note(marker: Marker): Promise<void> {
    const { code, repository } = marker;
    plan.found[code] = (plan.found[code] ?? 0) + 1;
    const samples = (plan.samples[code] ??= []);
    if (samples.length < SAMPLES_MAX) {
      samples.push(marker);
    }
    if (!isToBeRemoved(code, options)) {
      await observer.record({ type: 'marker', action: 'leave', outcome: 'left', ...marker });
      return;
    }
    plan.toRemove += 1;
    if (repository !== undefined) {
      const tally = repositories.get(repository) ?? { repository, counts: {} };
      tally.counts[code] = (tally.counts[code] ?? 0) + 1;
      repositories.set(repository, tally);
    }
    await markers.append(marker);
  }

  observer.phase('looking for folder markers');
  const { repositories: shards, blobs, loose } = await findShards(store, undefined, { concurrency, signal });
  const finder = markerFinder(finderOptions);
  for (const { key, source } of loose) {
    // A marker of something else in the same bucket is none of the registry's.
    if (source !== undefined && parsePath(key).kind !== 'foreign') {
      await take(finder.next(source));
    }
  }
  await take(finder.end());
  await forEachConcurrently([...shards, ...blobs], concurrency, async ({ prefix }) => {
    const inShard = markerFinder(finderOptions);
    try {
      for await (const page of store.list(prefix, { signal })) {
        for (const object of page) {
          await take(inShard.next(object));
        }
        observer.progress({ objects: page.length });
      }
      await take(inShard.end());
    } catch (error) {
      if (!isObjectFailure(error)) {
        throw error;
      }
      plan.notListed.push({ key: prefix, message: error.message });
    }
  });
  plan.repositories = [...repositories.values()].sort((left, right) =>
    left.repository < right.repository ? -1 : 1,
  );
  return plan;
}

function isToBeRemoved(code: MarkerClass, { allMarkers }: FixEmptyTagsOptions): boolean {
  return isHarmful(code) || (allMarkers && code === 'marker-harmless');
}

/** The kind of store as the registry's drivers tell them apart: a bucket of Google's is listed by its `gcs` driver. */
function kindOf({ name, identity }: Driver): string {
  return name === 's3' && /(?:^|[./@])storage\.googleapis\.com/.test(identity.service) ? 'gcs' : name;
}
