import { throwIfAborted } from '../body.ts';
import type { CallOptions } from '../driver.ts';

/** Folders below `root` whose path ends in `ending`, without looking into those found. Links are not followed. */
export async function* findFolders(
  root: string,
  ending: string,
  { depthMax, signal }: CallOptions & { depthMax: number },
): AsyncGenerator<string> {
  // Only where a registry is looked for: it takes 50 ms of CPU time to load.
  const { default: fastGlob } = await import('fast-glob');
  const path = ending.replace(/\/$/, '');
  const found = fastGlob.stream(`**/${fastGlob.escapePath(path)}`, {
    cwd: root,
    onlyDirectories: true,
    followSymbolicLinks: false,
    dot: true,
    deep: depthMax,
    // A blob store has a folder for each digest: none of them holds another registry.
    ignore: ['**/blobs/sha256/**', '**/repositories/**'],
    suppressErrors: true,
  });
  for await (const folder of found) {
    throwIfAborted(signal, { driver: 'filesystem', operation: 'listFolder' });
    yield `${String(folder)}/`;
  }
}
