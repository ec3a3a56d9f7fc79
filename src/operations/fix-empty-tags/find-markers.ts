import type { ObjectStat } from '../../drivers/driver.ts';
import { DriverError } from '../../drivers/errors.ts';
import { compareKeys } from '../../drivers/keys.ts';
import { classifyMarker, type MarkerCode, markerPlace } from '../../layout/markers.ts';
import { isContent } from '../../layout/order.ts';
import { parsePath, repositoryOf, REPOSITORIES_PREFIX, tagsPrefix } from '../../layout/paths.ts';

/** An object that stands for a folder, and what it does to a registry. */
export interface Marker {
  key: string;
  /** `folder-stub`: what stands for the folder may be the folder itself (ADLS Gen2). */
  code: MarkerCode | 'folder-stub';
  sizeBytes: number;
  /** The repository, or the group of repositories, that the folder is of or in. */
  repository?: string;
  tag?: string;
}

export interface MarkerFinderOptions {
  /** What kind of store it is, as `classifyMarker` tells them apart. */
  store: string;
  /** Whether the account has folders of its own; undefined where that is not known. */
  hierarchicalNamespace: boolean | undefined;
}

export interface MarkerFinder {
  /** Takes the next object of a listing; gives the markers that are decided by now. */
  next(object: ObjectStat): Marker[];
  /** The markers that only the end of a listing without error decides. */
  end(): Marker[];
}

/**
 * Classes the markers of one listing as it goes by. What stands for the folder of a tag is held back until all keys
 * in that folder went by, for it makes a ghost tag only where there is no link among them. They stand together.
 * @throws DriverError BAD_LISTING where keys do not ascend: a link could come later than its folder.
 */
export function markerFinder(options: MarkerFinderOptions): MarkerFinder {
  let held: { prefix: string; objects: ObjectStat[]; hasLinks: boolean } | undefined;
  let previous: string | undefined;

  function release(): Marker[] {
    const { objects = [], hasLinks = false } = held ?? {};
    held = undefined;
    return objects.map((object) => describeMarker(object, options, hasLinks));
  }

  return {
    next(object) {
      assertAscending(previous, object.key);
      previous = object.key;
      const released = held === undefined || object.key.startsWith(held.prefix) ? [] : release();
      const path = parsePath(object.key);
      if (path.kind !== 'directory-marker') {
        if (held !== undefined) {
          held.hasLinks ||= isContent(path);
        }
        return object.isFolderStub === true
          ? [...released, describeMarker(object, options, false)]
          : released;
      }
      const where = markerPlace(path.folder);
      if (where.place !== 'tag') {
        return [...released, describeMarker(object, options, false)];
      }
      held ??= { prefix: `${tagsPrefix(where.repository)}${where.tag}/`, objects: [], hasLinks: false };
      held.objects.push(object);
      return released;
    },
    end: release,
  };
}

function describeMarker(
  object: ObjectStat,
  { store, hierarchicalNamespace }: MarkerFinderOptions,
  tagHasLinks: boolean,
): Marker {
  const { key, sizeBytes } = object;
  const folder = key.endsWith('/') ? key.slice(0, -1) : key;
  const where = markerPlace(folder);
  const repository = 'repository' in where ? where.repository : repositoryAt(folder);
  return {
    key,
    code: isFolderItself(object, hierarchicalNamespace)
      ? 'folder-stub'
      : classifyMarker(folder, { store, tagHasLinks, sizeBytes }),
    sizeBytes,
    ...(repository !== undefined && { repository }),
    ...(where.place === 'tag' && { tag: where.tag }),
  };
}

/**
 * On an account with a hierarchical namespace the object is the folder, and deleting it is deleting a folder.
 * Where that is not known, the metadata that such folders bear is taken for it, though rclone writes it, too.
 */
function isFolderItself(
  { key, isFolderStub }: ObjectStat,
  hierarchicalNamespace: boolean | undefined,
): boolean {
  if (hierarchicalNamespace === true) {
    return true;
  }
  return isFolderStub === true && (hierarchicalNamespace === undefined || !key.endsWith('/'));
}

function repositoryAt(folder: string): string | undefined {
  const name = folder.startsWith(REPOSITORIES_PREFIX) ? folder.slice(REPOSITORIES_PREFIX.length) : '';
  return repositoryOf(folder) ?? (name === '' || name.startsWith('_') ? undefined : name);
}

function assertAscending(previous: string | undefined, key: string): void {
  if (previous !== undefined && compareKeys(previous, key) >= 0) {
    throw new DriverError(
      'BAD_LISTING',
      `The listing is not in order: ${JSON.stringify(key)} came after ${JSON.stringify(previous)}. Nothing can be concluded from it.`,
      { driver: 'store', operation: 'list', key },
    );
  }
}
