import { constants } from 'node:os';
import { DriverError, type DriverErrorCode } from '../errors.ts';

/** What a failed system call means to regtool, and what the operator can do about it. */
const meanings: Record<
  string,
  { code: DriverErrorCode; sentence: (path: string) => string; retryable?: true }
> = {
  ENOENT: { code: 'NOT_FOUND', sentence: (path) => `${path} does not exist.` },
  EACCES: {
    code: 'PERMISSION_DENIED',
    sentence: (path) => `${path} may not be accessed by this user: run as the registry's user or as root.`,
  },
  EPERM: {
    code: 'PERMISSION_DENIED',
    sentence: (path) => `${path} may not be changed by this user: run as the registry's user or as root.`,
  },
  EROFS: {
    code: 'PERMISSION_DENIED',
    sentence: (path) => `${path} is on a file system that is mounted read-only.`,
  },
  ENOSPC: {
    code: 'STORE_FULL',
    sentence: (path) => `No space is left on the file system that holds ${path}.`,
  },
  EDQUOT: {
    code: 'STORE_FULL',
    sentence: (path) => `The disk quota is used up on the file system that holds ${path}.`,
  },
  EFBIG: {
    code: 'STORE_FULL',
    sentence: (path) => `${path} is larger than its file system or a limit allows.`,
  },
  EMFILE: {
    code: 'UNAVAILABLE',
    retryable: true,
    sentence: () => 'Too many files are open: lower --concurrency or raise the limit (ulimit -n).',
  },
  ENFILE: {
    code: 'UNAVAILABLE',
    retryable: true,
    sentence: () => 'Too many files are open on this machine: end what holds them, or raise fs.file-max.',
  },
  ENOMEM: {
    code: 'UNAVAILABLE',
    retryable: true,
    sentence: (path) => `The system has no memory left for its work at ${path}.`,
  },
  EBUSY: { code: 'UNAVAILABLE', retryable: true, sentence: (path) => `${path} is in use by the system.` },
  ELOOP: { code: 'BAD_LISTING', sentence: (path) => `${path} is a symbolic link that leads in a circle.` },
  ENAMETOOLONG: {
    code: 'INVALID_KEY',
    sentence: (path) => `${path} is longer than a file system path may be.`,
  },
  EILSEQ: {
    code: 'INVALID_KEY',
    sentence: (path) => `${path} has a name that this file system cannot hold.`,
  },
  EISDIR: {
    code: 'INVALID_KEY',
    sentence: (path) => `${path} is a folder, and a file system cannot hold a file of the same name.`,
  },
  ENOTDIR: {
    code: 'INVALID_KEY',
    sentence: (path) => `${path} cannot be a file: a part of its path is a file already, not a folder.`,
  },
  EEXIST: {
    code: 'INVALID_KEY',
    sentence: (path) => `${path} cannot be a file: a part of its path is a file already, not a folder.`,
  },
  // Of the store, not a bug; but a damaged disk is not asked again and again.
  EIO: {
    code: 'UNAVAILABLE',
    sentence: (path) => `The disk reports an input/output error at ${path}: see dmesg.`,
  },
  EUCLEAN: {
    code: 'UNAVAILABLE',
    sentence: (path) =>
      `The file system that holds ${path} is damaged: see dmesg, and have it checked (fsck).`,
  },
  ENODEV: { code: 'UNAVAILABLE', sentence: (path) => `The disk that holds ${path} is gone: see dmesg.` },
  ENXIO: { code: 'UNAVAILABLE', sentence: (path) => `The disk that holds ${path} is gone: see dmesg.` },
  ENOTCONN: {
    code: 'UNAVAILABLE',
    sentence: (path) => `The program behind the mount that holds ${path} has ended: mount it again.`,
  },
  ETIMEDOUT: {
    code: 'UNAVAILABLE',
    retryable: true,
    sentence: (path) => `The file system that holds ${path} does not answer: check the mount.`,
  },
  EHOSTDOWN: {
    code: 'UNAVAILABLE',
    retryable: true,
    sentence: (path) => `The file system that holds ${path} does not answer: check the mount.`,
  },
  ESTALE: {
    code: 'UNAVAILABLE',
    retryable: true,
    sentence: (path) => `The network file system lost track of ${path} (stale file handle): check the mount.`,
  },
};

/**
 * Errors of which Node says only a number, `Unknown system error -122`, as libuv has no names for them (its
 * UV_ERRNO_MAP). EUCLEAN is what ext4 and XFS say of a damaged file system on Linux (errno(3)).
 */
const NAMELESS: ReadonlyMap<number, string> = new Map([
  [constants.errno.EDQUOT, 'EDQUOT'],
  [constants.errno.ESTALE, 'ESTALE'],
  ...(process.platform === 'linux' ? ([[117, 'EUCLEAN']] as const) : []),
]);

/** The system's own code of an error (`ENOENT`), if it has one. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') {
    return undefined;
  }
  const [, number] = /^Unknown system error -(\d+)$/.exec(error.code) ?? [];
  return NAMELESS.get(Number(number)) ?? error.code;
}

/** Turns the error of a system call into a `DriverError`; other errors pass unchanged. */
export function filesystemError(error: unknown, operation: string, path: string, key?: string): unknown {
  const code = systemCode(error);
  if (error instanceof DriverError || code === undefined) {
    return error;
  }
  const meaning = meanings[code];
  const details = { driver: 'filesystem', operation, cause: error, ...(key === undefined ? {} : { key }) };
  if (meaning === undefined) {
    return new DriverError('UNEXPECTED', `${path}: the system says ${code}.`, details);
  }
  return new DriverError(meaning.code, meaning.sentence(path), {
    ...details,
    retryable: meaning.retryable ?? false,
  });
}
