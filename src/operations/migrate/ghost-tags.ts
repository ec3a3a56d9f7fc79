import { REPOSITORIES_PREFIX } from '../../layout/paths.ts';
import type { Run } from './run.ts';

/**
 * Removes tag folders of a filesystem target that hold no file. A registry lists each folder below `tags/` as a
 * tag, and a process that is killed between removing a tag's last link and its folders leaves such a ghost,
 * which no listing of objects shows.
 */
export async function removeGhostTags(
  run: Run,
  selects: ((repository: string) => boolean) | undefined,
  folder: string = REPOSITORIES_PREFIX,
): Promise<void> {
  const { target, signal } = run;
  if (target.removeEmptyFolder === undefined) {
    return;
  }
  const { folders } = await run.limit(() => target.listFolder(folder, { signal }));
  for (const each of folders) {
    const name = each.slice(folder.length);
    if (name === '_manifests/') {
      if (selects?.(folder.slice(REPOSITORIES_PREFIX.length, -1)) !== false) {
        await removeGhostsIn(run, `${each}tags/`);
      }
    } else if (!name.startsWith('_')) {
      await removeGhostTags(run, selects, each);
    }
  }
}

async function removeGhostsIn(run: Run, tagsFolder: string): Promise<void> {
  const { target, signal, dryRun } = run;
  const { folders } = await run.limit(() => target.listFolder(tagsFolder, { signal }));
  for (const folder of folders) {
    if (
      (await hasFile(run, folder)) ||
      (!dryRun && !(await target.removeEmptyFolder?.(folder, { signal })))
    ) {
      continue;
    }
    await run.record(folder, {
      action: 'clean-up',
      outcome: dryRun ? 'planned' : 'done',
      reason: 'an empty tag folder, which a registry lists as a tag',
    });
  }
}

async function hasFile(run: Run, folder: string): Promise<boolean> {
  if ((await run.target.stat(`${folder}current/link`, { signal: run.signal })) !== undefined) {
    return true;
  }
  for await (const page of run.target.list(folder, { signal: run.signal })) {
    return page.length > 0;
  }
  return false;
}
