import type { RegistryPath } from '../layout/paths.ts';

/** Kinds of what is copied, deleted or found, as they are shown and reported. */
export type ObjectKind = RegistryPath['kind'];

/** One line of a report: an object and what was, or would be, done with it. */
export interface ReportRecord {
  type: 'object';
  /** `list`: a part of a store that could not be listed. */
  action: 'copy' | 'rewrite' | 'delete' | 'hold-back' | 'leave' | 'clean-up' | 'list';
  /** `planned` in a dry run; `vanished`: gone from the source since it was listed. */
  outcome: 'planned' | 'done' | 'failed' | 'held-back' | 'vanished' | 'left';
  kind: ObjectKind | 'prefix';
  /** For a `prefix`: what all the keys of the part begin with. */
  key: string;
  repository?: string;
  tag?: string;
  sizeBytes?: number;
  /** Why: the difference that was found, or what went wrong. */
  reason?: string;
  /** For a tag that moved: what it stood for at the target before, and what it stands for now. */
  formerDigest?: string;
  digest?: string;
}

export interface PhaseTotals {
  objects?: number;
  bytes?: number;
}

/** How an operation tells of its progress. Everything is optional to listen to; nothing is awaited but `record`. */
export interface Observer<Record = ReportRecord> {
  phase(name: string, totals?: PhaseTotals): void;
  progress(done: { objects?: number; bytes?: number }): void;
  /** Something the operator should see at once, one sentence. */
  notice(sentence: string): void;
  /** Called for each object that the operation has something to say about. */
  record(record: Record): Promise<void>;
}

export const silentObserver: Observer<unknown> = {
  phase() {},
  progress() {},
  notice() {},
  async record() {},
};
