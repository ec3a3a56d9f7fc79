import type { ObjectStat, PendingUpload } from '../../drivers/driver.ts';
import type { Digest } from '../../layout/digest.ts';
import type { FindingCode } from '../../layout/findings.ts';

interface StepBase {
  /** The object that is changed; of an upload, its folder. */
  key: string;
  /** The finding that it mends. */
  code: FindingCode;
  repository?: string | undefined;
  tags: readonly string[];
  /** What is done and why, in one sentence for the plan. */
  reason: string;
}

/** Writes a link. */
export interface LinkStep extends StepBase {
  kind: 'link';
  content: Digest;
  /** What was there when it was planned. Undefined: nothing. */
  former: Uint8Array | undefined;
  /** Of a revision link: 0 for an image, for an index one more than the highest of what it names. */
  depth: number;
}

interface BlobStep extends StepBase {
  /** All that need the blob: if it is not mended, nothing more is written there. */
  repositories: Set<string>;
}

/** Copies a blob from the other store, in place of a corrupt one or of none. */
export interface FetchStep extends BlobStep {
  kind: 'fetch';
  digest: Digest;
  sizeBytes: number;
  /** The corrupt blob, which is kept. */
  replaces?: CorruptBlob | undefined;
}

/** Moves a corrupt blob aside. */
export interface QuarantineStep extends BlobStep {
  kind: 'quarantine';
  digest: Digest;
  corrupt: CorruptBlob;
}

export interface CorruptBlob {
  /** The digest that its bytes do have. */
  actual: Digest;
  sizeBytes: number;
  /** Where it is kept. */
  quarantineKey: string;
}

/** Removes what a crash left, each file by its exact key. */
export interface RemoveStep extends StepBase {
  kind: 'remove';
  objects: ObjectStat[];
}

/** Ends a multipart upload that nobody will. */
export interface AbortStep extends StepBase {
  kind: 'abort';
  upload: PendingUpload;
}

export type RepairStep = LinkStep | FetchStep | QuarantineStep | RemoveStep | AbortStep;

/** A finding that stays as it is. */
export interface LeftFinding {
  code: FindingCode;
  severity: 'error' | 'warning' | 'hint';
  key: string;
  repository?: string | undefined;
  tags: readonly string[];
  /** Why, and what mends it. */
  reason: string;
}

/** Where corrupt blobs are kept: at the root of the store, where no registry looks. */
export const QUARANTINE_PREFIX = 'regtool-quarantine/';

/** The same corrupt bytes have the same place, and others another, so that nothing is ever overwritten there. */
export function quarantineKey(blobKey: string, actual: Digest): string {
  return `${QUARANTINE_PREFIX}${blobKey}.${actual.replace(':', '-')}`;
}
