import type { CallOptions, Driver } from '../../drivers/driver.ts';
import { overlap } from '../../drivers/keys.ts';
import { allEnded } from '../concurrency.ts';
import { SafetyRefusal } from '../errors.ts';
import type { RegistryRoot } from '../find-registry-root.ts';
import { folderInsideRegistry } from '../inside-registry.ts';
import { assertRootIsDecided } from '../other-root.ts';
import { assertRegistryRoot } from '../registry-root.ts';
import type { OpenAbove } from '../where-else.ts';
import { lockfileKey } from '../../layout/paths.ts';
import { deletionCount, type Plan } from './plan.ts';

/** The most that a run may delete: so many objects, or so many percent of the target's content. */
export type MaxDelete = { objects: number } | { percent: number };

/** A retag or two and their manifests are a few percent; a wrong source is nearly everything. */
export const DEFAULT_MAX_DELETE: MaxDelete = { percent: 10 };

/** Everything of a registry's but a pull-through cache's state lies below it. */
const DOCKER_FOLDER = 'docker/';

export const DATABASE_LOCKFILE = lockfileKey('database-in-use');

/**
 * What can be refused before anything is listed. Gives what the source's upper folders tell.
 * @throws SafetyRefusal STORES_OVERLAP, NOT_A_REGISTRY, OTHER_ROOT.
 */
export async function assertStores(
  source: Driver,
  target: Driver,
  {
    includesForeign = false,
    openAboveSource,
    ...options
  }: CallOptions & { includesForeign?: boolean; openAboveSource?: OpenAbove | undefined },
): Promise<RegistryRoot> {
  const found = overlap(source.identity, target.identity);
  if (found === 'same') {
    throw new SafetyRefusal(
      'STORES_OVERLAP',
      `Source and target are the same store (${source.location}): nothing was done. Name another target.`,
    );
  }
  const mayMeet = includesForeign || source.name === 'filesystem' || contentOverlaps(source, target);
  if (found !== 'none' && mayMeet) {
    const [inner, outer] = found === 'first-inside-second' ? [source, target] : [target, source];
    throw new SafetyRefusal(
      'STORES_OVERLAP',
      `${inner.location} lies inside ${outer.location}, so one would be changed by the other: nothing was done. Choose stores that do not overlap.`,
    );
  }
  // Side by side, as each waits for a distant store; the first that refuses is told of.
  const [root] = await allEnded([
    assertRegistryRoot(source, 'source', {
      ...options,
      openAbove: openAboveSource,
      besides: target.identity,
    }),
    assertRootIsDecided(target, 'target', { ...options, besides: source.identity }),
    assertNotInside(target, options),
  ]);
  return root;
}

/**
 * A target may be empty, but not a folder inside a registry: the copy would lie in the midst of that one, where no
 * registry reads it.
 */
async function assertNotInside(target: Driver, options: CallOptions): Promise<void> {
  const folder = await folderInsideRegistry(target, options);
  if (folder !== undefined) {
    throw new SafetyRefusal(
      'OTHER_ROOT',
      `The target ${target.location} is the folder ${JSON.stringify(folder)} inside a registry, and a copy below it would be read by none. Nothing was touched. Name the folder, or bucket and rootdirectory, that holds docker/ itself.`,
    );
  }
}

/**
 * Whether one store's registry lies inside of the other's. Roots alone may well lie inside of one another: a
 * registry takes only what is below `docker/` at its root, and deletes touch nothing else, so that a container can be
 * re-rooted in place.
 */
function contentOverlaps(source: Driver, target: Driver): boolean {
  const [first, second] = [source, target].map(({ identity }) => ({
    ...identity,
    root: `${identity.root}${DOCKER_FOLDER}`,
  }));
  return first !== undefined && second !== undefined && overlap(first, second) !== 'none';
}

/**
 * A pattern that matches nothing is a slip of the pen: what it should have matched would look as if it were copied.
 * @throws SafetyRefusal NOTHING_SELECTED.
 */
export function assertSomethingSelected(plan: Plan): void {
  // What could not be listed may hold what was meant.
  if (!plan.isSelection || plan.hasRepositories || plan.listingFailures.length > 0) {
    return;
  }
  const names = plan.unselectedSamples;
  const others = names.length === 0 ? '' : ` Among those that there are: ${names.join(', ')}.`;
  throw new SafetyRefusal(
    'NOTHING_SELECTED',
    `No repository, of the source or of the target, has a name that --repository matches. Nothing was copied.${others} A * stands for one part of a name, and group/** for all repositories below group.`,
  );
}

/**
 * What a plan with deletes must fulfil before anything is touched (invariant 4).
 * @throws SafetyRefusal SOURCE_EMPTY, LISTING_INCOMPLETE, TOO_MANY_DELETES, STORES_SWAPPED.
 */
export function assertDeletesAllowed(plan: Plan, maxDelete: MaxDelete): void {
  const nothingTouched = 'Nothing was copied or deleted.';
  if (plan.listingFailures.length > 0) {
    throw new SafetyRefusal(
      'LISTING_INCOMPLETE',
      `${partsOf(plan.listingFailures.length)} of the stores could not be listed, so what looks absent may be there. ${nothingTouched} Mend what is named below, or run without --delete.`,
      {
        reasons: plan.listingFailures
          .slice(0, 10)
          .map(({ prefix, error: { message } }) =>
            message.includes(prefix) ? message : `${prefix}: ${message}`,
          ),
      },
    );
  }
  if (plan.deletions.get('lockfile')?.includes(DATABASE_LOCKFILE) === true) {
    throw new SafetyRefusal(
      'STORES_SWAPPED',
      `The target has ${DATABASE_LOCKFILE} and the source does not: the target belongs to a registry with a metadata database, which knows blobs that no link here names. ${nothingTouched} Check that source and target are not swapped.`,
    );
  }
  if (plan.sourceObjects === 0) {
    throw new SafetyRefusal(
      'SOURCE_EMPTY',
      `The source has no content at all. ${nothingTouched} Is its disk mounted?`,
    );
  }
  if (plan.isSelection && !plan.hasSourceRepositories) {
    throw new SafetyRefusal(
      'SOURCE_EMPTY',
      `None of the repositories that --repository selects is at the source, so all that the target has of them would be deleted. ${nothingTouched} Is a part of the source on a disk that is not mounted? What is really gone goes in a run without --repository.`,
    );
  }
  for (const kind of ['blob-data', 'revision-link'] as const) {
    const atSource = (plan.equal[kind]?.objects ?? 0) + (plan.toCopy[kind]?.objects ?? 0);
    const atTarget = plan.deletions.get(kind)?.length ?? 0;
    if (atSource === 0 && atTarget > 0 && !plan.isSelection) {
      throw new SafetyRefusal(
        'SOURCE_EMPTY',
        `The source has not one ${kind === 'blob-data' ? 'blob' : 'manifest revision'}, and the target has ${atTarget} that would be deleted. ${nothingTouched} Is a part of the source on a disk that is not mounted?`,
      );
    }
  }
  const count = deletionCount(plan);
  const allowed =
    'objects' in maxDelete ? maxDelete.objects : Math.floor((plan.targetObjects * maxDelete.percent) / 100);
  if (count > allowed) {
    const limit = 'objects' in maxDelete ? `${maxDelete.objects}` : `${maxDelete.percent}% (${allowed})`;
    throw new SafetyRefusal(
      'TOO_MANY_DELETES',
      `The plan deletes ${count} of the target's ${plan.targetObjects} objects, more than --max-delete ${limit} allows. ${nothingTouched} Check that source and target are not swapped and look at the plan with --dry-run --report FILE --max-delete ${count}; if it is right, run it with --max-delete ${count}.`,
    );
  }
}

function partsOf(count: number): string {
  return count === 1 ? 'A part' : `${count} parts`;
}
