import type { ObjectStat } from '../../drivers/driver.ts';
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
      const whole = current;
      current = undefined;
      if (whole !== undefined) {
        await judge(whole);
      }
    };
    const isWhole = await run.listAll(prefix, async (page) => {
      for (const object of page) {
        const path = parsePath(object.key);
        run.count(path, object);
        const repository = ownerOf(path, object);
        if (repository !== undefined && repository !== current?.repository) {
          await finish();
          current = new RepositoryListing(repository);
        }
        if (repository === undefined || current?.add(path, object) !== true) {
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

/** The repository that an object is judged with. */
function ownerOf(path: RegistryPath, { key, isFolderStub }: ObjectStat): string | undefined {
  if (isFolderStub === true && path.kind !== 'directory-marker') {
    return undefined;
  }
  const repository = fromRepository(path) ?? repositoryOf(key);
  return repository !== undefined && isRepositoryName(repository) ? repository : undefined;
}
