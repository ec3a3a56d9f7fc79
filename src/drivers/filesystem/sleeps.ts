import { readFileSync } from 'node:fs';

/**
 * How often this thread has gone to sleep until something happened: in a walk, that a disk or a network answers.
 * Times would not tell, for on a busy machine, or one of several on the same hardware, every call takes long.
 * 0 where the system does not tell (Linux does: `voluntary_ctxt_switches` in proc_pid_status(5)).
 */
export function countSleeps(): number {
  let status: string;
  try {
    status = readFileSync('/proc/thread-self/status', 'latin1');
  } catch {
    // Another system.
    return 0;
  }
  const [, count] = /^voluntary_ctxt_switches:\s*(\d+)$/m.exec(status) ?? [];
  return Number(count ?? 0);
}
