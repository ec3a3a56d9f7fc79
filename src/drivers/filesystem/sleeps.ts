import { openSync, readSync } from 'node:fs';

const COUNTS = '/proc/thread-self/schedstat';
const COUNTS_MAX_BYTES = 128;

/** Undefined until it is first asked for; null where the system does not tell. Stays open: to open it takes ten times as long as to read it. */
let file: number | null | undefined;
const bytes = Buffer.alloc(COUNTS_MAX_BYTES);

/**
 * How often this thread has been put on a processor: after each sleep until something happened (in a walk, that a disk
 * or a network answered), and a few hundred times a second at most because others had their turn. Times would not tell
 * the sleeps, for on a busy machine, or one of several on the same hardware, every call takes long.
 * Always 0 where the system does not tell. Linux does: the third number of `/proc/<pid>/schedstat`, see
 * Documentation/scheduler/sched-stats.rst of the kernel.
 */
export function countSleeps(): number {
  file ??= openCounts();
  if (file === null) {
    return 0;
  }
  const length = readSync(file, bytes, 0, COUNTS_MAX_BYTES, 0);
  return Number(bytes.toString('latin1', 0, length).split(' ')[2] ?? 0);
}

function openCounts(): number | null {
  try {
    return openSync(COUNTS, 'r');
  } catch {
    // Another system, or a kernel that does not count.
    return null;
  }
}
