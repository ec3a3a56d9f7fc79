import type { StoreIdentity } from '../../drivers/driver.ts';

/** One change of a repair, with what it takes to put it back. Written down before it is made. */
export type UndoEntry =
  | LinkChange
  | BlobChange
  /** What cannot be put back: uploads and temporary files, which nobody needs. Only for the record. */
  | { change: 'remove'; key: string; sizeBytes: number };

export interface LinkChange {
  change: 'link';
  key: string;
  /** Base64 of the former bytes; null where there was nothing. */
  former: string | null;
  /** The text that was written. */
  written: string;
}

export interface BlobChange {
  change: 'blob';
  key: string;
  /** Where the former bytes are kept, and their digest; null where there was nothing. */
  former: { key: string; digest: string; sizeBytes: number } | null;
  /** Of the blob that was written, null where it was only moved aside. */
  writtenBytes: number | null;
}

/** Keeps the entries. `append` returns when the entry is on the disk. */
export interface UndoLog {
  append(entry: UndoEntry): Promise<void>;
}

/** What an undo file holds. */
export interface UndoRecord {
  /** The store that was repaired, as the user would write it. */
  location: string;
  identity: StoreIdentity;
  entries: UndoEntry[];
}
