import { closeSync } from 'node:fs';
import { isatty } from 'node:tty';

export interface LostTerminal {
  /** Whether any of the standard streams was a terminal when the process began. */
  readonly hadTerminal: boolean;
  /** To be called when the terminal is gone; again is as once. */
  leave(): void;
}

/**
 * Lets the process end in order after its terminal went away. Such a terminal answers each write with EIO, which oclif
 * would throw: output goes nowhere instead. And Node aborts itself (SIGABRT) at the end where it cannot put a terminal
 * back as it found it (ResetStdio in its node.cc); of one that is closed by then, it does not ask.
 */
export function watchTerminal(): LostTerminal {
  // Asked now, as one that is gone no longer counts as a terminal.
  const terminals = [0, 1, 2].filter((file) => isatty(file));
  let isLost = false;
  return {
    hadTerminal: terminals.length > 0,
    leave() {
      if (isLost) {
        return;
      }
      isLost = true;
      for (const stream of [process.stdout, process.stderr].filter(({ fd }) => terminals.includes(fd))) {
        stream.write = writeNowhere;
      }
      process.once('exit', () => {
        for (const file of terminals) {
          closeSync(file);
        }
      });
    },
  };
}

function writeNowhere(_: unknown, ...rest: unknown[]): boolean {
  const callback = rest.at(-1);
  if (typeof callback === 'function') {
    callback();
  }
  return true;
}
