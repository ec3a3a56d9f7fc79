import type { Digest } from './digest.ts';
import type { LockfileName } from './keys.ts';

/**
 * What a key in a registry's store is. Keys are relative to the store's root and have no leading slash:
 * `docker/registry/v2/...`. Paths as in distribution `registry/storage/paths.go`.
 */
export type RegistryPath =
  /** The bytes of a layer, a config or a manifest; their digest is the name. */
  | { kind: 'blob-data'; digest: Digest }
  /** Says that a repository has a blob. A `sha512` one may hold the blob's `sha256` digest (an alias). */
  | { kind: 'layer-link'; repository: string; digest: Digest }
  /** Says that a repository has a manifest. */
  | { kind: 'revision-link'; repository: string; digest: Digest }
  /** What a tag stands for now. The one link that is ever rewritten. */
  | { kind: 'tag-current'; repository: string; tag: string }
  /** Says that a tag stands, or once stood, for a manifest. */
  | { kind: 'tag-index'; repository: string; tag: string; digest: Digest }
  /** A signature of a schema 1 manifest, from registries up to 2.4. */
  | { kind: 'signature-link'; repository: string; revision: Digest; digest: Digest }
  | UploadPath
  | TarsumPath
  | { kind: 'lockfile'; name: LockfileName }
  /** A pull-through cache's expiry list. */
  | { kind: 'scheduler-state' }
  | TemporaryPath
  /**
   * A key at or below `docker/` that ends in `/`, and the folder it stands for, without that slash.
   * It is a marker only if it is of zero bytes: a larger one is somebody's data.
   */
  | { kind: 'directory-marker'; key: string; folder: string }
  | { kind: 'foreign'; key: string; reason: ForeignReason };

/**
 * Anything below a repository's `_uploads/`, well-formed or not: `_uploads/<uploadId>/<file>`.
 * In what the registry writes, `uploadId` is a UUID (see `isUploadId`) and `file` is `data`, `startedat` or
 * `hashstates/<algorithm>/<offset>`. An empty `file` means an object `_uploads/<uploadId>` itself.
 */
export interface UploadPath {
  kind: 'upload';
  repository: string;
  uploadId: string;
  file: string;
}

/** What registry 2.0 stored under a tarsum, which is not a digest of the bytes and cannot be checked against them. */
export type TarsumPath =
  | { kind: 'tarsum'; key: string; of: 'blob-data' }
  | { kind: 'tarsum'; key: string; of: 'layer-link'; repository: string };

/** What a crash left of a write to the key `of`: by a registry from 3.1 on a filesystem, or by this tool. */
export interface TemporaryPath {
  kind: 'temporary';
  key: string;
  of: string;
  by: 'registry' | 'regtool';
}

/** Why a key is nothing that a registry wrote. Stable codes, for reports. */
export type ForeignReason =
  /** Not below `docker/registry/`. */
  | 'outside-registry'
  /** Begins with a slash: a store of Azure's legacy root prefix, opened without it. */
  | 'leading-slash'
  /** Holds an empty component, which registries cannot read. */
  | 'double-slash'
  /** Holds a character that registries' storage drivers refuse in any path. */
  | 'driver-grammar'
  /** Where no registry looks. */
  | 'unknown-place'
  /** In the folder of a repository whose name no registry serves. */
  | 'repository-name'
  /** In the folder of a tag whose name no registry serves. */
  | 'tag-name'
  /** Where a digest should be: bad hex, an unknown algorithm, or the wrong two-letter folder. */
  | 'digest'
  /** Data of the registry that came before this layout. */
  | 'v1';
