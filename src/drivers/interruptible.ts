import { setMaxListeners } from 'node:events';

/**
 * Passes chunks on, and fails with the signal's reason as soon as it is aborted, even while the source gives
 * nothing. The source is told to end but not waited for: it may be stuck in a read that never returns.
 */
export function interruptible<T>(chunks: AsyncIterable<T>, signal: AbortSignal): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const source = chunks[Symbol.asyncIterator]();
      // One listener and no Promise.race: reactions would pile up on a promise that lives as long as the body.
      let interrupt: ((reason: unknown) => void) | undefined;
      const onAbort = (): void => interrupt?.(signal.reason);
      signal.addEventListener('abort', onAbort);
      const end = (): void => {
        signal.removeEventListener('abort', onAbort);
      };
      return {
        async next() {
          signal.throwIfAborted();
          const result = await new Promise<IteratorResult<T>>((resolve, reject) => {
            interrupt = reject;
            source.next().then(resolve, reject);
          });
          if (result.done === true) {
            end();
          }
          return result;
        },
        async return() {
          end();
          // What a source that nobody reads any more still has to say is of no use.
          source.return?.().catch(() => {});
          return { done: true, value: undefined };
        },
      };
    },
  };
}

const known = new WeakSet<AbortSignal>();

/** Lets many requests at once listen to one signal, without Node's warning of a leak. */
export function allowManyListeners(signal: AbortSignal): void {
  if (!known.has(signal)) {
    known.add(signal);
    setMaxListeners(0, signal);
  }
}
