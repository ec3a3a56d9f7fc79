import { programBeside, Thread } from '../thread.ts';
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

/** One thread that hashes. */
export class HashThread {
  readonly #thread: Thread<HashRequest, HashReply>;
  readonly #events: ThreadEvents;
  /** Files and contents that it has on hand. */
  load = 0;

  constructor(events: ThreadEvents) {
    this.#events = events;
    this.#thread = new Thread({
      program: programBeside(import.meta.url, 'hash-thread'),
      purpose: 'hashes',
      isLast: ({ kind }) => kind !== 'seen',
      onEnd: () => events.onEnd(this),
    });
  }

  /** @throws an Error with the system's `code` where a system call failed; else as `Thread.ask`. */
  async ask<Kind extends HashReply['kind']>(
    kind: Kind,
    request: (job: number) => HashRequest,
    { signal, onSeen }: AskOptions = {},
  ): Promise<Reply<Kind>> {
    const reply = await this.#thread.ask(request, {
      signal,
      onReply: (seen) => {
        this.#note(seen);
        if (seen.kind === 'seen') {
          onSeen?.(seen.seenBytes);
        }
      },
      onAbort: (job) => this.tell({ kind: 'leave', job }),
    });
    this.#note(reply);
    if (reply.kind === 'failed') {
      const { message, code } = reply;
      throw Object.assign(new Error(message), code === undefined ? {} : { code });
    }
    if (reply.kind !== kind) {
      throw new TypeError(`A thread answered "${reply.kind}" to "${kind}".`);
    }
    return reply as Reply<Kind>;
  }

  /** Sends a request that has no answer. */
  tell(request: HashRequest): void {
    this.#thread.tell(request);
  }

  #note(reply: HashReply): void {
    if ('spent' in reply) {
      this.#events.onSpent(reply.spent);
    }
  }
}
