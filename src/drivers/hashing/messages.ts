import type { ContentDigest } from '../driver.ts';

export type ContentAlgorithm = ContentDigest['algorithm'];
/** What a store checks a part by: S3 by SHA-256, Azure by MD5. */
export type PieceAlgorithm = 'sha256' | 'md5';

/** What a thread that hashes is asked. Each job has a number, under which it is answered. */
export type HashRequest =
  /** Hash a file of this machine. */
  | { kind: 'file'; job: number; path: string; algorithm: ContentAlgorithm }
  /** Leave off hashing that file. It is not answered any more, or was just before. */
  | { kind: 'leave'; job: number }
  /** The next bytes of a content that comes in pieces, in memory that both threads see. */
  | {
      kind: 'piece';
      job: number;
      content: number;
      /** Of the whole content; undefined where nobody will ask. */
      algorithm: ContentAlgorithm | undefined;
      bytes: Uint8Array;
      /** Of these bytes alone. */
      pieceAlgorithm: PieceAlgorithm;
    }
  /** The digest of a content whose pieces have all been given. */
  | { kind: 'end'; job: number; content: number; algorithm: ContentAlgorithm }
  /** Nobody will ask for the digest of that content. */
  | { kind: 'drop'; content: number };

/** What a thread did with its time since it last told of the file. */
export interface TimeSpent {
  /** In system calls that open or read it. */
  readMs: number;
  hashMs: number;
}

export type HashReply =
  /** How far a file has come. */
  | { kind: 'seen'; job: number; seenBytes: number; spent: TimeSpent }
  /** `seenBytes` is less than `sizeBytes` of a file that became shorter meanwhile. */
  | { kind: 'file'; job: number; hex: string; sizeBytes: number; seenBytes: number; spent: TimeSpent }
  | { kind: 'piece'; job: number; hex: string }
  | { kind: 'end'; job: number; hex: string }
  /** `code` is the system's, such as ENOENT. */
  | { kind: 'failed'; job: number; message: string; code: string | undefined };
