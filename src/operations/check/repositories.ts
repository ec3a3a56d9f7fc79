import type { ListOptions, ObjectStat } from '../../drivers/driver.ts';
import { MAX_LINK_BYTES } from '../../layout/digest.ts';
import { fromRepository, parsePath, type RegistryPath, repositoryOf } from '../../layout/paths.ts';
import { isRepositoryName } from '../../layout/names.ts';
import type { Shard } from '../shards.ts';
import { judgeStray } from './judge-strays.ts';
import { RepositoryListing } from './repository-listing.ts';
import type { CheckRun } from './run.ts';

/**
 * Lists the repositories and hands each on as soon as it is whole. A repository's own keys stand together in any
 * listing, for they begin with `<name>/_`. One whose listing broke off is not judged: an absence would prove nothing.
 */
export async function eachRepository(
  run: CheckRun,
  shards: readonly Shard[],
  judge: (listing: RepositoryListing) => Promise<void>,
): Promise<void> {
  await run.listings.map(shards, async ({ prefix }) => {
    let current: RepositoryListing | undefined;
    const finish = async () => {
      const ended = current;
      current = undefined;
      // Where there are no more than folders, there is no repository.
      if (ended?.hasObjects === true) {
        await judge(ended.whole());
      }
    };
    const listingOf = async (repository: string): Promise<RepositoryListing> => {
      if (current?.repository === repository) {
        return current;
      }
      await finish();
      current = new RepositoryListing(repository);
      return current;
    };
    const isWhole = await run.listAll(prefix, LIST_OPTIONS, async (page) => {
      for (const object of page) {
        if (object.isEmptyFolder === true) {
          const repository = repositoryOf(object.key);
          if (repository !== undefined) {
            (await listingOf(repository)).addEmptyFolder(object.key);
          }
          continue;
        }
        const path = parsePath(object.key);
        run.count(path, object);
        const repository = ownerOf(path, object);
        const listing =
          repository === undefined || repository === current?.repository
            ? current
            : await listingOf(repository);
        if (repository === undefined || listing?.add(path, object) !== true) {
          await judgeStray(run, path, object);
        }
      }
      run.observer.progress({ objects: page.length });
    });
    if (isWhole) {
      await finish();
    }
  });
}

/** Links are read while they are listed, where that is as good as asking for their size. */
const LIST_OPTIONS: ListOptions = {
  content: { ending: '/link', maxBytes: MAX_LINK_BYTES },
  emptyFolders: true,
};

/** The repository that an object is judged with. */
function ownerOf(path: RegistryPath, { key, isFolderStub }: ObjectStat): string | undefined {
  if (isFolderStub === true && path.kind !== 'directory-marker') {
    return undefined;
  }
  const repository = fromRepository(path) ?? repositoryOf(key);
  return repository !== undefined && isRepositoryName(repository) ? repository : undefined;
}
