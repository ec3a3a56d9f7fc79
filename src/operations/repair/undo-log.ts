import type { StoreIdentity } from '../../drivers/driver.ts';

/** A line of the file: a change with what it takes to put it back, which is written down before it is made, or a mark. */
export type UndoEntry = UndoChange | MadeMark;

export type UndoChange =
  | LinkChange
  | BlobChange
  /** What cannot be put back: uploads and temporary files, which nobody needs. Only for the record. */
  | { change: 'remove'; key: string; sizeBytes: number };

/** The last change of this key before it was made. */
export interface MadeMark {
  change: 'made';
  key: string;
}

interface ChangeBase {
  key: string;
  /** A mark follows once the change is made. Absent in files of former versions, whose changes all count as made. */
  isMarked?: true | undefined;
}

export interface LinkChange extends ChangeBase {
  change: 'link';
  /** Base64 of the former bytes; null where there was nothing. */
  former: string | null;
  /** The text that was written. */
  written: string;
}

export interface BlobChange extends ChangeBase {
  change: 'blob';
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
