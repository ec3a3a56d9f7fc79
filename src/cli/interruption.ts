import { setMaxListeners } from 'node:events';

type WatchedSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/** The part of `process` that tells of signals. */
export interface SignalSource {
  on(name: WatchedSignal, listener: (name: NodeJS.Signals) => void): unknown;
  off(name: WatchedSignal, listener: (name: NodeJS.Signals) => void): unknown;
}

export interface InterruptionOptions {
  /** The first signal came: work is being wound up. */
  onFirst: (name: NodeJS.Signals) => void;
  /** Another came: the process is to end now, with this exit code (128 and the signal's number). */
  onSecond: (exitCode: 130 | 143) => void;
  /** The terminal went away, and the process is none of its own: it goes on. */
  onHangupWithoutTerminal?: (() => void) | undefined;
  /** Whether any of the standard streams was a terminal when the process began. */
  hadTerminal: boolean;
  source?: SignalSource | undefined;
}

export interface Interruption {
  /** Aborted by the first signal. */
  signal: AbortSignal;
  /** Leaves signals to Node again. */
  stop(): void;
}

/**
 * Turns the first SIGINT or SIGTERM into an aborted signal, and the second into an end at once.
 *
 * SIGHUP says that the terminal is gone, as when an ssh connection broke. A process of that terminal is interrupted;
 * as the shell and the kernel may both send it, one more of it ends nothing. Without a terminal on any stream the
 * process was detached on purpose, and goes on: Node puts back what `nohup` had set (all signals get their default
 * when it starts), so that `nohup regtool migrate` would end with the ssh session without this.
 */
export function watchInterruption({
  onFirst,
  onSecond,
  onHangupWithoutTerminal,
  hadTerminal,
  source = process,
}: InterruptionOptions): Interruption {
  const controller = new AbortController();
  // Every request in flight listens to it: many at once is how it is meant, and no leak.
  setMaxListeners(0, controller.signal);
  const listener = (name: NodeJS.Signals) => {
    if (name === 'SIGHUP' && !hadTerminal) {
      onHangupWithoutTerminal?.();
      return;
    }
    if (name === 'SIGHUP' && controller.signal.aborted) {
      return;
    }
    if (controller.signal.aborted) {
      onSecond(name === 'SIGTERM' ? 143 : 130);
      return;
    }
    onFirst(name);
    controller.abort(new DOMException('The command was interrupted.', 'AbortError'));
  };
  source.on('SIGINT', listener);
  source.on('SIGTERM', listener);
  source.on('SIGHUP', listener);
  return {
    signal: controller.signal,
    stop() {
      source.off('SIGINT', listener);
      source.off('SIGTERM', listener);
      source.off('SIGHUP', listener);
    },
  };
}
