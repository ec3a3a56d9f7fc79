import type { LostTerminal } from './lost-terminal.ts';
import { whyUnwritable } from './unwritable.ts';
import { UsageError } from './usage-error.ts';

/**
 * Calls `onLost` each time that a standard stream takes nothing more, as on a full disk. A reader that went away is no
 * such thing: `regtool ... | head` goes on, and ends quietly. What is under way is to be wound up when the terminal is
 * gone, which answers with EIO.
 *
 * Listeners that were there are taken away, as oclif's own throws whatever is not EPIPE, in the middle of the work.
 */
export function watchStream(
  stream: NodeJS.WritableStream,
  terminal: LostTerminal,
  onLost: (error: NodeJS.ErrnoException) => void,
): void {
  stream.removeAllListeners('error');
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EIO' && terminal.hadTerminal) {
      terminal.leave();
    } else if (error.code !== 'EPIPE') {
      onLost(error);
    }
  });
}

/** What is said, on stderr, of a result that nobody gets. */
export function outputUnwritable(error: NodeJS.ErrnoException): UsageError {
  const message = `The output cannot be written, as ${whyUnwritable(error)}. What was finished stays; run the same command again.`;
  return new UsageError('REPORT_UNWRITABLE', message, error);
}
