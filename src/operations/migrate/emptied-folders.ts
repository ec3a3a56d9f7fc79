import type { CallOptions, Driver, FolderListing } from '../../drivers/driver.ts';
import { REPOSITORIES_PREFIX, repositoryOf, repositoryPrefix } from '../../layout/paths.ts';
import { forEachConcurrently } from '../concurrency.ts';
import { SafetyRefusal } from '../errors.ts';
import type { Plan } from './plan.ts';

/**
 * Refuses to delete what a disk holds that was not mounted from the start: it leaves an empty folder where it belongs.
 * A registry deletes tags and revisions, and never a repository, so it leaves no such folder of its own; an object store
 * has none at all.
 * @throws SafetyRefusal SOURCE_EMPTY.
 */
export async function assertNoEmptiedFolders(
  source: Driver,
  plan: Plan,
  { concurrency, signal }: CallOptions & { concurrency: number },
): Promise<void> {
  const listings = new Map<string, Promise<FolderListing>>();
  const listed = (folder: string): Promise<FolderListing> => {
    const listing = listings.get(folder) ?? source.listFolder(folder, { signal });
    listings.set(folder, listing);
    return listing;
  };

  await forEachConcurrently(losingRepositories(plan), concurrency, async (repository) => {
    let parent = REPOSITORIES_PREFIX;
    for (const folder of foldersOf(repository)) {
      if (!(await listed(parent)).folders.includes(folder)) {
        return;
      }
      const { folders, objects } = await listed(folder);
      if (folders.length + objects.length === 0) {
        throw emptied(source, folder, plan);
      }
      parent = folder;
    }
  });
}

/** The repositories of which the plan deletes tags or revisions. */
function losingRepositories({ deletions }: Plan): Set<string> {
  const keys = [...(deletions.get('tag-current') ?? []), ...(deletions.get('revision-link') ?? [])];
  return new Set(keys.flatMap((key) => repositoryOf(key) ?? []));
}

/** Those that a repository's folder lies in, below the one of all repositories, and itself. */
function foldersOf(repository: string): string[] {
  const parts = repository.split('/');
  return parts.map((_, index) => repositoryPrefix(parts.slice(0, index + 1).join('/')));
}

function emptied(source: Driver, folder: string, { deletions }: Plan): SafetyRefusal {
  const tags = countBelow(folder, deletions.get('tag-current'));
  const revisions = countBelow(folder, deletions.get('revision-link'));
  const found = tags > 0 ? counted(tags, 'tag') : counted(revisions, 'manifest revision');
  return new SafetyRefusal(
    'SOURCE_EMPTY',
    `${folder.slice(0, -1)} is an empty folder at the source (${source.location}), and the target has ${found} below it that would be deleted. Nothing was copied or deleted. Is its disk mounted? If its repositories are really gone, remove the empty folder and run again.`,
  );
}

function countBelow(folder: string, keys: readonly string[] = []): number {
  return keys.filter((key) => key.startsWith(folder)).length;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
