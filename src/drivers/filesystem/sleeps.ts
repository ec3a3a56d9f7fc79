import { openSync, readSync } from 'node:fs';

const COUNTS = '/proc/thread-self/status';
const COUNTS_MAX_BYTES = 8192;
const COUNT = '\nvoluntary_ctxt_switches:';

/** Undefined until it is first asked for; null where the system does not tell. Stays open: to open it takes as long as to read it. */
let file: number | null | undefined;
const bytes = Buffer.alloc(COUNTS_MAX_BYTES);

/**
 * How often this thread has given up its processor to wait until something happened: in a walk or a read, that a disk
 * or a network answered. Times would not tell that, for on a busy machine, or one of several on the same hardware, every
 * call takes long; nor does the shorter `schedstat`, which counts as well how often others had their turn: beside a
 * store on the same two cores that was after every 130 us.
 * Always 0 where the system does not tell. Linux does: `voluntary_ctxt_switches`, see proc_pid_status(5). To ask takes
 * some 10 us.
 */
export function countSleeps(): number {
  file ??= openCounts();
  if (file === null) {
    return 0;
  }
  const length = readSync(file, bytes, 0, COUNTS_MAX_BYTES, 0);
  const text = bytes.toString('latin1', 0, length);
  const at = text.lastIndexOf(COUNT);
  return at === -1 ? 0 : Number.parseInt(text.slice(at + COUNT.length), 10);
}

function openCounts(): number | null {
  try {
    return openSync(COUNTS, 'r');
  } catch {
    // Another system.
    return null;
  }
}
