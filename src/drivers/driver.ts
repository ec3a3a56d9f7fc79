import type { ProbeOptions, StoreProbe } from './probe.ts';

/**
 * The seam between regtool and a store: bytes under keys, and nothing of registries.
 *
 * What every driver guarantees, and `test/drivers/contract.ts` proves:
 * - Keys are exact. `a//b`, a leading or trailing `/`, spaces and non-ASCII come back as they went in;
 *   a driver that cannot hold a key says INVALID_KEY and writes nothing.
 * - Keys are relative to the store's root (the root folder, or bucket + root prefix).
 * - A listing is ascending by the bytes of the key (`compareKeys`), each key once. Whatever stops it
 *   from being complete (an unreadable folder, a dangling link, a page out of order) is thrown:
 *   an absence in a listing that ended without an error is an absence in the store.
 * - A write is atomic: a reader sees the former object or the whole new one, and after a failure
 *   nothing is left over (no half object, no temporary file, no multipart upload).
 * - After a write has returned, the object is durable and every later call sees it.
 * - `delete` is idempotent.
 * - Failures are `DriverError`s; programming mistakes are plain TypeErrors.
 */
export interface Driver {
  /** `filesystem`, `s3`, `azure` or `memory`. */
  readonly name: string;
  /** The store as the user would write it, without secrets: `s3://bucket/root`. For messages. */
  readonly location: string;
  /** Tells whether two drivers see the same objects, and which store can copy from which. */
  readonly identity: StoreIdentity;
  readonly supports: DriverSupports;
  /**
   * Where else in the same container the objects may lie, when none are found here. Only where that depends on
   * settings that are easily mistaken.
   */
  readonly otherRoots?: readonly OtherRoot[];

  /**
   * Every object whose key starts with `prefix` (a plain string prefix, not necessarily a folder),
   * ascending by key bytes, in batches of the store's own page size. No batch is empty. A batch belongs to whoever
   * gets it, who may empty it when done with it: a driver does not look at it again.
   * A prefix under which there is nothing gives no batch.
   * @throws DriverError STORE_NOT_FOUND when the bucket, container or root folder does not exist.
   */
  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectStat[]>;

  /**
   * One level: the objects directly in `folder` and the names of the folders in it.
   * `folder` is '' or ends in `/`. Both lists ascend by key bytes; `folders` holds full prefixes ending in `/`.
   * On stores without folders a folder is what has at least one key below it; a filesystem also names empty ones.
   */
  listFolder(folder: string, options?: FolderOptions): Promise<FolderListing>;

  /** What is known of one object, or undefined when there is none. */
  stat(key: string, options?: CallOptions): Promise<ObjectStat | undefined>;

  /**
   * The object's bytes. A stream that ends early or late against the size that the store told throws CHANGED.
   * @throws DriverError NOT_FOUND when there is no such object.
   */
  read(key: string, options?: ReadOptions): AsyncIterable<Uint8Array>;

  /**
   * The digest, in lower-case hex, of an object's bytes as they are now. Only where the store can have them hashed
   * without their passing through this thread, several objects at once; elsewhere `read` and hash.
   * @throws DriverError as `read`.
   */
  hash?(key: string, algorithm: ContentDigest['algorithm'], options?: HashOptions): Promise<string>;

  /**
   * The whole of a small object in one call.
   * @throws DriverError NOT_FOUND; CHANGED when it is larger than `maxBytes`.
   */
  readSmall(key: string, maxBytes: number, options?: CallOptions): Promise<Uint8Array>;

  /**
   * Puts an object under a key, replacing what was there.
   * With `expectedDigest` the object becomes visible only if its bytes have that digest:
   * the store proves it, or the driver hashes on the way.
   * @throws DriverError CORRUPT when the bytes do not have `expectedDigest`; CHANGED when the body is not `sizeBytes` long.
   */
  write(key: string, body: Body, options?: WriteOptions): Promise<void>;

  /**
   * Copies an object from another place in the same service without moving its bytes through this process.
   * Present only where `supports.serverSideCopy`. Call it only if `canCopyFrom(this, source)`.
   * @throws DriverError PRECONDITION_FAILED when the source object no longer has `source.etag`.
   */
  copyFrom?(source: CopySource, key: string, options?: CallOptions): Promise<void>;

  /**
   * Removes the objects with exactly these keys. Keys that do not exist count as removed.
   * Returns those that could not be removed, each with its error; throws only when nothing is known of any.
   */
  delete(keys: readonly string[], options?: CallOptions): Promise<DeleteFailure[]>;

  /** Multipart uploads that were begun under a prefix and neither completed nor aborted. Only where `supports.multipartUploads`. */
  listUploads?(prefix: string, options?: CallOptions): AsyncIterable<PendingUpload[]>;

  /** Aborts one of them. One that is gone counts as aborted. */
  abortUpload?(upload: PendingUpload, options?: CallOptions): Promise<void>;

  /** What is set for the store as a whole. Only where a store has such settings. */
  describe?(options?: CallOptions): Promise<StoreSettings>;

  /**
   * Asks the store what only its own requests tell: clock, encryption, lifecycle rules, free space; with
   * `scratchPrefix` also what it checks of a write. Never throws for a single refusal, which is an answer.
   */
  probe?(options: ProbeOptions): Promise<StoreProbe>;

  /**
   * Removes a folder that has no file in it at any depth, with the folders in it. One that has a file, or gets
   * one meanwhile, stays as it is. Only where `supports.emptyFolders`. Tells whether it is gone.
   */
  removeEmptyFolder?(folder: string, options?: CallOptions): Promise<boolean>;

  /**
   * The folders, as prefixes ending in `/`, whose path ends in this one, no deeper than so many levels below the
   * root. For advice to a person only: what cannot be read is passed over. Only where the store can search by
   * itself; elsewhere `listFolder` level by level does it.
   */
  findFolders?(ending: string, options: CallOptions & { depthMax: number }): AsyncIterable<string>;

  /** Ends connections. The driver is not used afterwards. */
  close(): Promise<void>;
}

/** The same container under another root. */
export interface OtherRoot {
  /** The prefix of every key there, as the store has it. */
  readonly root: string;
  /** What leads there, in the words of a location: `legacyrootprefix=true`. */
  readonly setting: string;
  /** The user's own settings say that the objects are not there. */
  readonly ruledOut: boolean;
  /** The store there, over the same connections: it ends when the driver is closed, and needs no close of its own. */
  open(): Driver;
}

export interface CallOptions {
  signal?: AbortSignal | undefined;
}

export interface FolderOptions extends CallOptions {
  position?: ListPosition | undefined;
}

/**
 * How far a listing has got, for `withRetry`, which repeats it after a failure. Begins empty, and is kept by a driver
 * whose store lists page by page and can go on in the midst; given one with a mark, the driver begins there.
 * Once the mark is set nothing that can be repeated may fail until the page before it is handed on.
 */
export interface ListPosition {
  /** The store's own word for the page after those that were handed on; none before the first page and after the last. */
  mark?: string | undefined;
  /** What `listFolder` found in the pages before it. */
  found?: FolderListing | undefined;
  /** Pages in a row, the last ones, that had no key. */
  emptyPages?: number | undefined;
}

export interface ListOptions extends CallOptions {
  position?: ListPosition | undefined;
  /**
   * Folders of which the caller needs no more than one file (and perhaps a folder), whose name it knows. What else lies in them may be
   * left out of the listing, and nothing beside: a filesystem then asks for the file, and need not read the folder.
   * Other stores ignore it.
   */
  leaves?: readonly LeafFolders[] | undefined;
  /**
   * Files whose keys end like this come with their content, if they are no larger than so much and reading them there and then
   * costs little more than asking for their size. Others come without, and stores that answer requests ignore it.
   */
  content?: ContentWanted | undefined;
  /** Names folders with nothing in them too, where a store keeps such: see `ObjectStat.isEmptyFolder`. */
  emptyFolders?: boolean | undefined;
}

/** Plain data, as `LeafFolders`. */
export interface ContentWanted {
  ending: string;
  maxBytes: number;
}

/** Some folders of the same kind. Plain data, which can be handed to another thread. */
export interface LeafFolders {
  /** What the key of the folder that holds them looks like; it ends in `/`. */
  parent: RegExp;
  /** What the names of the folders themselves look like, each ending in `/`. */
  name: RegExp;
  /** The file that the caller needs. Where it is missing, or no plain file, the folder is listed whole. */
  file: string;
  /** A folder that holds any of these, too, is listed whole. */
  unless: readonly string[];
  /**
   * The one folder in it, with its slash, of which the caller needs what is in it as well. It comes after the file in
   * the order of keys. Where it is missing, or no plain folder, the whole is listed.
   */
  folder?: string | undefined;
}

export interface ReadOptions extends CallOptions {
  into?: IntoMemory | undefined;
}

/**
 * Where the caller would like the next chunk to be: a driver may put it at the start of this memory, and then gives
 * exactly what it put there. Asked for once for each chunk, when that chunk is about to be read; nothing is written
 * there any more once the chunk was given. Undefined: nowhere in particular. Spares large uploads a copy of every byte.
 */
export type IntoMemory = () => Uint8Array | undefined;

export interface HashOptions extends CallOptions {
  /** What the object is thought to have, so that large ones need not come last. */
  sizeBytes?: number | undefined;
  /** Told now and then, and at the end, how many bytes of the object have been hashed; a repeated attempt begins anew. */
  onSeen?: ((seenBytes: number) => void) | undefined;
}

export interface WriteOptions extends CallOptions {
  expectedDigest?: ContentDigest | undefined;
}

/** Lowercase hex of a hash over the whole content. */
export interface ContentDigest {
  algorithm: 'sha256' | 'sha384' | 'sha512';
  hex: string;
}

/**
 * What to write: small content as bytes, anything larger as a stream that can be opened again,
 * so that an attempt that failed midway can be repeated.
 */
export type Body = Uint8Array | StreamBody;

export interface StreamBody {
  sizeBytes: number;
  /** @param into as of `ReadOptions`. */
  open(into?: IntoMemory): AsyncIterable<Uint8Array>;
}

export interface ObjectStat {
  key: string;
  sizeBytes: number;
  /** When the store says it was last written. Never used to compare, only to tell ages. */
  modifiedAtMs?: number | undefined;
  /** The store's tag of this version of the object, without quotes. Changes whenever the object is rewritten. */
  etag?: string | undefined;
  /** The content's MD5, lowercase hex, where the store itself computed it over the whole content. */
  md5?: string | undefined;
  /** The content's SHA-256, lowercase hex, where the store itself computed it over the whole content. From `stat` only. */
  sha256?: string | undefined;
  /** True for a zero-byte stub that stands for a folder without ending in `/` (metadata `hdi_isfolder`). */
  isFolderStub?: boolean | undefined;
  /** True for a folder with nothing in it, and no object: its key ends in `/`. Only in a listing with `emptyFolders`. */
  isEmptyFolder?: boolean | undefined;
  /** All bytes, one character from U+0000 to U+00FF for each. Only in a listing with `content`. */
  content?: string | undefined;
}

export interface FolderListing {
  folders: string[];
  objects: ObjectStat[];
}

export interface DeleteFailure {
  key: string;
  error: Error;
}

export interface CopySource {
  identity: StoreIdentity;
  key: string;
  sizeBytes: number;
  /** Copy only if the source still has this ETag. */
  etag: string;
}

/** Settings that change what a delete or a folder means. What the store does not tell these credentials is absent. */
export interface StoreSettings {
  /** Whether what is deleted or replaced stays as an older version; `suspended`: what was kept before is still there. */
  versioning?: 'enabled' | 'suspended' | 'disabled' | undefined;
  /** Whether folders are things of their own, and the objects that stand for them are those folders (ADLS Gen2). */
  hierarchicalNamespace?: boolean | undefined;
}

export interface PendingUpload {
  key: string;
  uploadId: string;
  startedAtMs: number;
  /** Bytes that its parts take, where the store tells. */
  sizeBytes?: number | undefined;
}

/**
 * Where a store's objects really are. Two drivers with the same `service` can copy from one another;
 * two with the same `service` and `container` whose roots overlap see the same objects.
 */
export interface StoreIdentity {
  /** `filesystem`, `memory:<id>`, or the object store's endpoint and account, without secrets. */
  service: string;
  /** Bucket or container name; '' on a filesystem. */
  container: string;
  /** The prefix of every key, as the store has it: '' or `root/` or `/`; on a filesystem the resolved folder, ending in `/`. */
  root: string;
}

/** What a driver can do, as plain data. Never changes after the driver was opened. */
export interface DriverSupports {
  /** The store refuses bytes that do not have `expectedDigest`, without help of this process, up to this size. 0: never. */
  provesSha256UpToBytes: number;
  /** `copyFrom` is there. */
  serverSideCopy: boolean;
  /** `listUploads` and `abortUpload` are there. */
  multipartUploads: boolean;
  /** Keeps folders without files. */
  emptyFolders: boolean;
  /** Most keys in one request of `delete`. */
  deleteBatchSize: number;
  /** The size that stream bodies are cut into when they are not sent as one. */
  partSizeBytes: number;
}
