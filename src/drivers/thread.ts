import { setMaxListeners } from 'node:events';
import { Worker, type ResourceLimits } from 'node:worker_threads';

export interface ThreadOptions<Reply> {
  /** The module that runs in it: see `programBeside`. */
  program: URL;
  /** What it does, for messages: `hashes`. */
  purpose: string;
  resourceLimits?: ResourceLimits;
  /** Whether a request has been answered with this, and no more will come. */
  isLast: (reply: Reply) => boolean;
  /** The thread has ended: it was closed, or something is badly wrong. */
  onEnd: () => void;
}

export interface ThreadCall<Reply> {
  signal?: AbortSignal | undefined;
  /** Called with each answer that is not the last. */
  onReply?: ((reply: Reply) => void) | undefined;
  /** Called when the signal was aborted: nobody waits for the answer any more. */
  onAbort?: ((job: number) => void) | undefined;
}

interface Pending<Reply> {
  resolve: (reply: Reply) => void;
  reject: (error: unknown) => void;
  onReply: ThreadCall<Reply>['onReply'];
}

/**
 * One other thread, seen from this one. Requests have numbers, under which they are answered in whatever order. It
 * keeps the process alive only while something is asked of it.
 */
export class Thread<Request, Reply extends { job: number }> {
  readonly #worker: Worker;
  readonly #options: ThreadOptions<Reply>;
  readonly #pending = new Map<number, Pending<Reply>>();
  #nextJob = 0;
  #ended: Error | undefined;

  constructor(options: ThreadOptions<Reply>) {
    this.#options = options;
    this.#worker = startWorker(options);
    this.#worker.on('message', (reply: Reply) => this.#take(reply));
    this.#worker.on('error', (error) => this.#end(error));
    this.#worker.on('exit', () => this.#end(undefined));
    this.#worker.unref();
  }

  /**
   * Sends a request and waits for its last answer.
   * @throws the signal's reason as soon as it is aborted; an Error when the thread ends before it has answered.
   */
  async ask(
    request: (job: number) => Request,
    { signal, onReply, onAbort }: ThreadCall<Reply> = {},
  ): Promise<Reply> {
    signal?.throwIfAborted();
    if (this.#ended !== undefined) {
      throw this.#ended;
    }
    const job = this.#nextJob;
    this.#nextJob += 1;
    const leave = (): void => {
      onAbort?.(job);
      this.#pending.get(job)?.reject(signal?.reason);
    };
    if (signal !== undefined) {
      // A job for each of dozens of blobs or folders is no leak.
      setMaxListeners(0, signal);
      signal.addEventListener('abort', leave);
    }
    this.#worker.ref();
    try {
      return await new Promise<Reply>((resolve, reject) => {
        this.#pending.set(job, { resolve, reject, onReply });
        this.tell(request(job));
      });
    } finally {
      signal?.removeEventListener('abort', leave);
      this.#pending.delete(job);
      if (this.#pending.size === 0) {
        this.#worker.unref();
      }
    }
  }

  /** Sends a request that has no answer. */
  tell(request: Request): void {
    this.#worker.postMessage(request);
  }

  /** Ends it, whatever it is doing. What was asked and not answered is thrown to those who wait. */
  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #take(reply: Reply): void {
    const pending = this.#pending.get(reply.job);
    if (this.#options.isLast(reply)) {
      pending?.resolve(reply);
    } else {
      pending?.onReply?.(reply);
    }
  }

  #end(cause: unknown): void {
    const { purpose, onEnd } = this.#options;
    this.#ended ??= new Error(`A thread that ${purpose} has ended before its work was done.`, { cause });
    for (const { reject } of this.#pending.values()) {
      reject(this.#ended);
    }
    onEnd();
  }
}

/** The module of this name beside another, of which `import.meta.url` is given: as it was compiled, or among the sources. */
export function programBeside(moduleUrl: string, name: string): URL {
  return new URL(`./${name}${moduleUrl.endsWith('.ts') ? '.ts' : '.js'}`, moduleUrl);
}

/** The one of several threads that has least on hand. */
export function leastLoaded<Each extends { load: number }>(threads: Iterable<Each>): Each | undefined {
  let best: Each | undefined;
  for (const thread of threads) {
    if (best === undefined || thread.load < best.load) {
      best = thread;
    }
  }
  return best;
}

function startWorker<Reply>({ program, resourceLimits = {} }: ThreadOptions<Reply>): Worker {
  if (!program.pathname.endsWith('.ts')) {
    return new Worker(program, { resourceLimits });
  }
  // Among the sources, as tests and `npm run dev` run them. A thread inherits no loader of TypeScript.
  const script = JSON.stringify(program.href);
  const start = `import('tsx/esm/api').then(({ register }) => { register(); return import(${script}); });`;
  return new Worker(start, { resourceLimits, eval: true });
}
