import { access, constants, stat, statfs } from 'node:fs/promises';
import type { Answer, FolderFacts, ProbeOptions, StoreProbe } from '../probe.ts';
import { filesystemError, systemCode } from './errors.ts';

/** Space, rights and owners of a root folder, which ends in `/`. Writes nothing, also with a scratch prefix. */
export async function probeFolder(root: string, { samplePrefix }: ProbeOptions): Promise<StoreProbe> {
  return { folder: await folderFacts(root, samplePrefix) };
}

async function folderFacts(root: string, samplePrefix: string): Promise<Answer<FolderFacts>> {
  try {
    const [{ bavail, bsize, files, ffree }, { uid, gid, mode }] = await Promise.all([
      statfs(root),
      stat(root),
    ]);
    return {
      value: {
        freeBytes: bavail * bsize,
        // btrfs and others make files as long as there is space, and say 0 of 0.
        freeFiles: files === 0 ? undefined : ffree,
        owner: { uid, gid, mode: mode & 0o7777 },
        runsAsUid: process.geteuid?.() ?? uid,
        isReadable: await may(root, constants.R_OK | constants.X_OK),
        isWritable: await may(root, constants.W_OK | constants.X_OK),
        otherOwners: await otherOwners(root, samplePrefix, uid),
      },
    };
  } catch (error) {
    const failure = filesystemError(error, 'probe', root);
    return { unknown: failure instanceof Error ? failure.message : String(failure) };
  }
}

async function may(path: string, rights: number): Promise<boolean> {
  try {
    await access(path, rights);
    return true;
  } catch (error) {
    if (systemCode(error) === undefined) {
      throw error;
    }
    return false;
  }
}

async function otherOwners(
  root: string,
  samplePrefix: string,
  ownerUid: number,
): Promise<FolderFacts['otherOwners']> {
  const found: FolderFacts['otherOwners'] = [];
  let path = root;
  for (const part of samplePrefix.split('/').filter((name) => name !== '')) {
    path += `${part}/`;
    try {
      const { uid, gid } = await stat(path);
      if (uid !== ownerUid) {
        found.push({ path, uid, gid });
      }
    } catch (error) {
      const code = systemCode(error);
      if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') {
        break;
      }
      throw error;
    }
  }
  return found;
}
