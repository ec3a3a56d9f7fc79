/** What to look at beyond the store's settings. */
export interface ProbeOptions {
  signal?: AbortSignal | undefined;
  /** Keys below it are what the store is used for: a few of them, and the folders that lead to them, are looked at. */
  samplePrefix: string;
  /**
   * Try also what writes: only under this prefix, which ends in `/` and which the caller clears afterwards.
   * Absent: nothing is written.
   */
  scratchPrefix?: string | undefined;
}

/** What came out, or why it is not known, one sentence. `missing`: the right that would tell. */
export type Answer<T> = { value: T } | { unknown: string; missing?: string | undefined };

/**
 * What a store tells of itself besides holding objects. A question that makes no sense for a kind of store is absent;
 * one that was refused is answered `unknown`.
 */
export interface StoreProbe {
  /** The proxy through which it is reached, without its credentials, and what names it; absent where it is reached directly. */
  proxy?: { address: string; variable: string } | undefined;
  /** Where the credentials came from, in words; none on a filesystem. */
  credentials?: Answer<string> | undefined;
  /** The store's clock minus this machine's, to the second. */
  clockAheadMs?: Answer<number> | undefined;
  region?: Answer<string> | undefined;
  /** How the store encrypts by itself: `AES256`, `aws:kms`, the name of a scope; `none`. */
  encryption?: Answer<string> | undefined;
  /** Whether objects can be kept from being deleted: object lock, an immutability policy, a legal hold. */
  objectLock?: Answer<boolean> | undefined;
  lifecycle?: Answer<Lifecycle> | undefined;
  /** Of the first objects below the sample's prefix, how many lie where they cannot be read at once. */
  archived?: Answer<{ looked: number; archived: number }> | undefined;
  /** How it lists what lies below the sample's prefix. */
  lists?: Answer<ListDialect> | undefined;
  /** Azure: for how many days deleted blobs are kept and paid for; 0 when they are not. */
  keepsDeletedDays?: Answer<number> | undefined;
  folder?: Answer<FolderFacts> | undefined;
  writes?: WriteProbe | undefined;
}

export interface Lifecycle {
  /** Days after which parts of an unfinished upload are removed; undefined without such a rule. */
  abortsUploadsAfterDays: number | undefined;
  /** Storage classes to which rules move objects and from which they cannot be read at once. */
  archivesTo: string[];
  /** Whether a rule removes current objects by age. */
  expiresObjects: boolean;
}

/** How a store lists, as far as reading shows: undefined is what too few objects, or the kind of store, do not tell. */
export interface ListDialect {
  /** As its vendor calls it: `ListObjectsV2`. */
  speaks: string;
  /** A page's token leads to the next page. */
  continues: boolean | undefined;
  /** Keys are encoded when that is asked for, so that any key can stand in the answer. */
  encodesKeys: boolean | undefined;
  /** With a delimiter, folders are listed in the place of what is in them. */
  groups: boolean | undefined;
  /** Keys come in the order of their bytes. */
  ascends: boolean | undefined;
}

/** How a store deletes many objects at once; undefined is what could not be told. */
export interface DeleteDialect {
  /** Keys in one request at most; 1 where it takes no more. */
  batchKeys: number;
  /** S3: by which header a request may prove its list of keys. */
  proofs: readonly string[];
  /** Asked to be quiet, it names no key that was deleted. */
  keepsQuiet: boolean | undefined;
  /** Asked for it, it names each key that was deleted. */
  tellsEach: boolean | undefined;
  /** What it said was deleted is gone. */
  removes: boolean | undefined;
}

/** What the operating system says of a root folder. */
export interface FolderFacts {
  freeBytes: number;
  /** Files that can still be made; undefined where the file system has no such limit. */
  freeFiles: number | undefined;
  /** Of the root folder; `mode` holds the permission bits only. */
  owner: { uid: number; gid: number; mode: number };
  /** The user as whom this process writes. */
  runsAsUid: number;
  isReadable: boolean;
  isWritable: boolean;
  /** Folders on the way to the sample's prefix that belong to another user than the root folder. */
  otherOwners: { path: string; uid: number; gid: number }[];
}

/** What came of requests that write. Those that are to be refused are answered with whether they were. */
export interface WriteProbe {
  /** A body whose hash is not the one in the signature (`x-amz-content-sha256`) is refused. */
  refusesWrongPayloadHash?: Answer<boolean> | undefined;
  /** A body whose checksum (`x-amz-checksum-sha256`, Content-MD5) is not the one sent with it is refused. */
  refusesWrongChecksum?: Answer<boolean> | undefined;
  /** The SHA-256 that came with an object is kept and told. */
  keepsSha256?: Answer<boolean> | undefined;
  /** `If-None-Match: *` keeps an existing object from being overwritten. */
  honoursIfNoneMatch?: Answer<boolean> | undefined;
  /** An object that is written in parts. */
  multipart?: Answer<true> | undefined;
  /** A multipart upload that is given up. */
  abort?: Answer<true> | undefined;
  /** Unfinished multipart uploads are listed. */
  listUploads?: Answer<true> | undefined;
  deletes?: Answer<DeleteDialect> | undefined;
  /** Azure: what is written gets a version of its own, and older ones stay. */
  keepsVersions?: Answer<boolean> | undefined;
}
