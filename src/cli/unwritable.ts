import { systemCode } from '../drivers/filesystem/errors.ts';

const reasons: Readonly<Record<string, string>> = {
  EISDIR: 'it is a folder: name a file in it',
  ENOENT: 'its folder does not exist: create it first',
  EACCES: 'permission is denied: choose a place that you may write to',
  EROFS: 'its file system is mounted read-only: choose another disk',
  ENOSPC: 'no space is left: choose another disk',
  EDQUOT: 'the disk quota is used up: choose another disk',
  EIO: 'the disk reports an input/output error: choose another disk, and see dmesg',
};

/** Why a file that the operator named cannot be written, and what to do, for a sentence that ends with it. */
export function whyUnwritable(error: unknown): string {
  const code = systemCode(error) ?? String(error);
  return reasons[code] ?? `the system says ${code}`;
}
