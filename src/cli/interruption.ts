import { setMaxListeners } from 'node:events';

/** The part of `process` that tells of signals. */
export interface SignalSource {
  on(name: 'SIGINT' | 'SIGTERM', listener: (name: NodeJS.Signals) => void): unknown;
  off(name: 'SIGINT' | 'SIGTERM', listener: (name: NodeJS.Signals) => void): unknown;
}

export interface InterruptionOptions {
  /** The first signal came: work is being wound up. */
  onFirst: () => void;
  /** Another came: the process is to end now, with this exit code (128 and the signal's number). */
  onSecond: (exitCode: 130 | 143) => void;
  source?: SignalSource | undefined;
}

export interface Interruption {
  /** Aborted by the first signal. */
  signal: AbortSignal;
  /** Leaves signals to Node again. */
  stop(): void;
}

/** Turns the first SIGINT or SIGTERM into an aborted signal, and the second into an end at once. */
export function watchInterruption({
  onFirst,
  onSecond,
  source = process,
}: InterruptionOptions): Interruption {
  const controller = new AbortController();
  // Every request in flight listens to it: many at once is how it is meant, and no leak.
  setMaxListeners(0, controller.signal);
  const listener = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      onSecond(name === 'SIGTERM' ? 143 : 130);
      return;
    }
    onFirst();
    controller.abort(new DOMException('The command was interrupted.', 'AbortError'));
  };
  source.on('SIGINT', listener);
  source.on('SIGTERM', listener);
  return {
    signal: controller.signal,
    stop() {
      source.off('SIGINT', listener);
      source.off('SIGTERM', listener);
    },
  };
}
