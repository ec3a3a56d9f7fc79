import { setMaxListeners } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { HashReply, HashRequest, TimeSpent } from './messages.ts';

export interface AskOptions {
  signal?: AbortSignal | undefined;
  /** Told now and then how many bytes of a file have been hashed. */
  onSeen?: ((seenBytes: number) => void) | undefined;
}

type Reply<Kind extends HashReply['kind']> = Extract<HashReply, { kind: Kind }>;

export interface ThreadEvents {
  /** The thread has ended, which it does only where something is badly wrong. */
  onEnd(thread: HashThread): void;
  /** Called with each of its answers about a file. */
  onSpent(spent: TimeSpent): void;
}

interface Pending {
  resolve: (reply: HashReply) => void;
  reject: (error: unknown) => void;
  onSeen: AskOptions['onSeen'];
}

/** One thread that hashes, seen from this one. It keeps the process alive only while something is asked of it. */
export class HashThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #events: ThreadEvents;
  #nextJob = 0;
  #ended: Error | undefined;
  /** Files and contents that it has on hand. */
  load = 0;

  constructor(events: ThreadEvents) {
    this.#events = events;
    this.#worker = startThread();
    this.#worker.on('message', (reply: HashReply) => this.#take(reply));
    this.#worker.on('error', (error) => this.#end(error));
    this.#worker.on('exit', () => this.#end(undefined));
    this.#worker.unref();
  }

  /**
   * Sends a request and waits for its answer, in whatever order others are answered.
   * @throws an Error with the system's `code` where a system call failed; the signal's reason as soon as it is aborted.
   */
  async ask<Kind extends HashReply['kind']>(
    kind: Kind,
    request: (job: number) => HashRequest,
    { signal, onSeen }: AskOptions = {},
  ): Promise<Reply<Kind>> {
    signal?.throwIfAborted();
    if (this.#ended !== undefined) {
      throw this.#ended;
    }
    const job = this.#nextJob;
    this.#nextJob += 1;
    const onAbort = (): void => {
      this.tell({ kind: 'leave', job });
      this.#pending.get(job)?.reject(signal?.reason);
    };
    if (signal !== undefined) {
      // A job for each of dozens of blobs is no leak.
      setMaxListeners(0, signal);
      signal.addEventListener('abort', onAbort);
    }
    this.#worker.ref();
    try {
      const reply = await new Promise<HashReply>((resolve, reject) => {
        this.#pending.set(job, { resolve, reject, onSeen });
        this.tell(request(job));
      });
      if (reply.kind !== kind) {
        throw new TypeError(`A thread answered "${reply.kind}" to "${kind}".`);
      }
      return reply as Reply<Kind>;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#pending.delete(job);
      if (this.#pending.size === 0) {
        this.#worker.unref();
      }
    }
  }

  /** Sends a request that has no answer. */
  tell(request: HashRequest): void {
    this.#worker.postMessage(request);
  }

  #take(reply: HashReply): void {
    const pending = this.#pending.get(reply.job);
    if ('spent' in reply) {
      this.#events.onSpent(reply.spent);
    }
    if (reply.kind === 'seen') {
      pending?.onSeen?.(reply.seenBytes);
    } else if (reply.kind === 'failed') {
      const { message, code } = reply;
      pending?.reject(Object.assign(new Error(message), code === undefined ? {} : { code }));
    } else {
      pending?.resolve(reply);
    }
  }

  #end(cause: unknown): void {
    this.#ended ??= new Error('A thread that hashes has ended before its work was done.', { cause });
    for (const { reject } of this.#pending.values()) {
      reject(this.#ended);
    }
    this.#events.onEnd(this);
  }
}

function startThread(): Worker {
  if (import.meta.url.endsWith('.js')) {
    return new Worker(new URL('./hash-thread.js', import.meta.url));
  }
  // Among the sources, as tests and `npm run dev` run them. A thread inherits no loader of TypeScript.
  const script = JSON.stringify(new URL('./hash-thread.ts', import.meta.url).href);
  const start = `import('tsx/esm/api').then(({ register }) => { register(); return import(${script}); });`;
  return new Worker(start, { eval: true });
}
