import { classifyMarker, markerPlace } from '../../layout/markers.ts';
import { isTagName } from '../../layout/names.ts';
import { tagsPrefix } from '../../layout/paths.ts';
import { markerDetail } from './judge-strays.ts';
import type { RepositoryListing } from './repository-listing.ts';
import type { CheckRun } from './run.ts';

/**
 * What makes a registry list tags that are none. It takes every name directly below the folder of the tags for a tag
 * (distribution `tagStore.All`): a folder marker's, a stray file's, on a filesystem also an empty folder's.
 */
export async function judgeTagNames(run: CheckRun, listing: RepositoryListing): Promise<void> {
  const { repository, markers } = listing;
  const tags = tagsAmong(listing, [
    ...markers.map(({ folder }) => tagOfMarker(folder)),
    ...listing.strayTagNames.keys(),
    ...listing.emptyTagNames,
  ]);
  for (const { folder, object } of markers) {
    const tag = tagOfMarker(folder);
    const tagHasLinks = tag !== undefined && tags.has(tag);
    const code = classifyMarker(folder, { store: run.driver.name, tagHasLinks, sizeBytes: object.sizeBytes });
    await run.report({
      code,
      detail: markerDetail(folder),
      paths: [object.key],
      repository,
      tags: tag === undefined ? [] : [tag],
      sizeBytes: object.sizeBytes,
    });
  }
  for (const [name, key] of [...listing.strayTagNames, ...(await emptyTagFolders(run, listing, tags))]) {
    if (tags.has(name) || name === '') {
      continue;
    }
    const isName = isTagName(name);
    const detail = isName
      ? `the name ${JSON.stringify(name)} has no link below it`
      : `${JSON.stringify(name)} is no name for a tag`;
    const code = isName || !hasLinks(key) ? 'tag-ghost' : 'tag-name-invalid';
    await run.report({ code, detail, paths: [key], repository, tags: [name] });
  }
}

function hasLinks(key: string): boolean {
  return key.endsWith('/link');
}

function tagOfMarker(folder: string): string | undefined {
  const where = markerPlace(folder);
  return where.place === 'tag' ? where.tag : undefined;
}

/** Which of these names are those of tags with links. */
function tagsAmong({ tags, soundTags }: RepositoryListing, names: (string | undefined)[]): Set<string> {
  const wanted = new Set(names);
  const found = new Set<string>();
  if (wanted.size > 0) {
    for (const { tag } of soundTags) {
      if (wanted.has(tag)) {
        found.add(tag);
      }
    }
    for (const name of wanted) {
      if (name !== undefined && tags.has(name)) {
        found.add(name);
      }
    }
  }
  return found;
}

/**
 * Only a filesystem keeps empty folders: deleting a tag by hand, file by file, leaves them. What the listing saw of
 * them is looked at again, for it may have come in the middle of a deletion.
 */
async function emptyTagFolders(
  run: CheckRun,
  listing: RepositoryListing,
  tags: ReadonlySet<string>,
): Promise<[string, string][]> {
  const { repository, emptyTagNames, strayTagNames } = listing;
  const isSuspect = (name: string) => emptyTagNames.has(name) && !tags.has(name) && !strayTagNames.has(name);
  if (![...emptyTagNames].some(isSuspect)) {
    return [];
  }
  const prefix = tagsPrefix(repository);
  try {
    const { folders } = await run.call(() => run.driver.listFolder(prefix, { signal: run.signal }));
    return folders
      .map((folder): [string, string] => [folder.slice(prefix.length, -1), folder])
      .filter(([name]) => isSuspect(name));
  } catch (error) {
    await run.noteUnread(prefix, error);
    return [];
  }
}
