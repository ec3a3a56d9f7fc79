import { type LockfileName, lockfileKey, parsePath } from '../../layout/paths.ts';
import type { ShardMap } from '../shards.ts';
import { judgeStray } from './judge-strays.ts';
import type { CheckRun } from './run.ts';

/** Judges what lies above blobs and repositories, and returns the lockfiles that are there. */
export async function judgeUpperFolders(run: CheckRun, shards: ShardMap): Promise<LockfileName[]> {
  const lockfiles: LockfileName[] = [];
  for (const { source } of shards.loose) {
    if (source === undefined) {
      continue;
    }
    const path = parsePath(source.key);
    run.count(path, source);
    if (path.kind === 'lockfile') {
      lockfiles.push(path.name);
    } else {
      await judgeStray(run, path, source);
    }
    run.isCache ||= path.kind === 'scheduler-state';
  }
  for (const { folder } of shards.foreignFolders) {
    await judgeForeignFolder(run, folder);
  }
  await judgeLockfiles(run, lockfiles);
  return lockfiles;
}

/** What GitLab's registry concludes from them when it starts (`registry/handlers/app.go`, `registry/storage/locks.go`). */
async function judgeLockfiles(run: CheckRun, lockfiles: readonly LockfileName[]): Promise<void> {
  const keys = { database: lockfileKey('database-in-use'), filesystem: lockfileKey('filesystem-in-use') };
  if (lockfiles.length === 2) {
    const detail = 'both say who keeps the metadata, and they contradict each other';
    await run.report({ code: 'lockfile-conflict', detail, paths: [keys.database, keys.filesystem] });
  } else if (lockfiles[0] === 'database-in-use') {
    const detail = 'the lockfile database-in-use is there';
    await run.report({ code: 'lockfile-database-in-use', detail, paths: [keys.database] });
  } else if (lockfiles.length === 0) {
    const detail = 'neither database-in-use nor filesystem-in-use is there';
    await run.report({ code: 'lockfile-absent', detail, paths: [keys.filesystem] });
  }
}

/** A folder beside the registry's own. Looked into only where it may be a misplaced part of a registry. */
async function judgeForeignFolder(run: CheckRun, folder: string): Promise<void> {
  if (folder.startsWith('/') || folder.includes('//')) {
    await run.listAll(folder, {}, async (page) => {
      for (const object of page) {
        const path = parsePath(object.key);
        run.count(path, object);
        await judgeStray(run, path, object);
      }
    });
    return;
  }
  const isVersion1 = folder === 'images/' || folder === 'repositories/';
  await run.report({
    code: isVersion1 ? 'registry-v1-data' : 'foreign-files',
    detail: isVersion1
      ? 'a folder of the former layout is there'
      : "a folder is there that is not the registry's",
    paths: [folder],
  });
}
