import {
  BLOBS_PREFIX,
  LOCKFILES_PREFIX,
  repositoryOf,
  REPOSITORIES_PREFIX,
  repositoryPrefix,
  SCHEDULER_STATE_KEY,
} from './keys.ts';
import { isDriverPath, isRepositoryName, isTagName } from './names.ts';
import type { ForeignReason, RegistryPath } from './registry-path.ts';

/** What a key is that is neither blob data, nor a well-formed link, nor below a repository's `_uploads/`. */
export function parseUncommonKey(key: string): RegistryPath {
  if (key === SCHEDULER_STATE_KEY) {
    return { kind: 'scheduler-state' };
  }
  if (key === `${LOCKFILES_PREFIX}database-in-use`) {
    return { kind: 'lockfile', name: 'database-in-use' };
  }
  if (key === `${LOCKFILES_PREFIX}filesystem-in-use`) {
    return { kind: 'lockfile', name: 'filesystem-in-use' };
  }
  // A store may hold more than a registry. A marker that belongs to something else is none of ours.
  if (key.endsWith('/') && (isInRegistry(key) || key === 'docker/')) {
    return { kind: 'directory-marker', key, folder: key.slice(0, -1) };
  }
  return parseTemporary(key) ?? parseTarsum(key) ?? { kind: 'foreign', key, reason: foreignReason(key) };
}

const REGISTRY_FOLDER = 'docker/registry/';

function isInRegistry(key: string): boolean {
  return key.startsWith(REGISTRY_FOLDER);
}

const TEMPORARY_SUFFIX = /\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.(regtool\.)?tmp$/;

/** `<any key>.<uuid>.tmp` of distribution 3.1 and later on a filesystem, `<any key>.<uuid>.regtool.tmp` of ours. */
function parseTemporary(key: string): RegistryPath | undefined {
  // No suffix is longer than this, and a short tail keeps the search short.
  const tailStart = Math.max(0, key.length - 64);
  const suffix = key.endsWith('.tmp') ? TEMPORARY_SUFFIX.exec(key.slice(tailStart)) : null;
  if (suffix === null) {
    return undefined;
  }
  const of = key.slice(0, tailStart + suffix.index);
  if (of.endsWith('/') || (!isInRegistry(of) && of !== SCHEDULER_STATE_KEY)) {
    return undefined;
  }
  return { kind: 'temporary', key, of, by: suffix[1] === undefined ? 'registry' : 'regtool' };
}

// `tarsum.v1+sha256:<hex>` became `tarsum/v1/sha256/<hex>` (distribution 2.0, paths.go).
const TARSUM_BLOB = /^tarsum\/[A-Za-z0-9]+\/[A-Za-z0-9]+\/([0-9a-f]{2})\/\1[0-9a-f]+\/data$/;
const TARSUM_LINK = /^_layers\/tarsum\/[A-Za-z0-9]+\/[A-Za-z0-9]+\/[0-9a-f]+\/link$/;

function parseTarsum(key: string): RegistryPath | undefined {
  if (key.startsWith(`${BLOBS_PREFIX}tarsum/`)) {
    return TARSUM_BLOB.test(key.slice(BLOBS_PREFIX.length))
      ? { kind: 'tarsum', key, of: 'blob-data' }
      : undefined;
  }
  const repository = repositoryOf(key);
  if (repository === undefined || !isRepositoryName(repository)) {
    return undefined;
  }
  return TARSUM_LINK.test(key.slice(repositoryPrefix(repository).length))
    ? { kind: 'tarsum', key, of: 'layer-link', repository }
    : undefined;
}

/** Registry v1 kept `images/<id>/...` and `repositories/<namespace>/<name>/...` at the root of its storage. */
const VERSION_1 = /^(?:images\/[0-9a-f]{64}\/|repositories\/)/;

function foreignReason(key: string): ForeignReason {
  if (key.startsWith('/')) {
    return 'leading-slash';
  }
  if (key.startsWith('docker/') && key.includes('//')) {
    return 'double-slash';
  }
  if (!isInRegistry(key)) {
    return VERSION_1.test(key) ? 'v1' : 'outside-registry';
  }
  if (!isDriverPath(key)) {
    return 'driver-grammar';
  }
  if (key.startsWith(BLOBS_PREFIX)) {
    return BLOB_SHAPE.test(key.slice(BLOBS_PREFIX.length)) ? 'digest' : 'unknown-place';
  }
  return key.startsWith(REPOSITORIES_PREFIX) ? repositoryReason(key) : 'unknown-place';
}

// The shapes of well-formed keys with anything in the digest's and the tag's place, so that what is wrong can be named.
const BLOB_SHAPE = /^(?:[^/]+\/){2,3}data$/;
const TAG_SHAPE = /^_manifests\/tags\/([^/]+)\/(?:current\/link$|index\/)/;
const DIGEST_SHAPE =
  /^(?:_layers|_manifests\/revisions(?:\/[^/]+\/[^/]+\/signatures)?|_manifests\/tags\/[^/]+\/index)\/[^/]+\/[^/]+\/link$/;

function repositoryReason(key: string): ForeignReason {
  const repository = repositoryOf(key);
  if (repository === undefined) {
    return key.startsWith('_', REPOSITORIES_PREFIX.length) ? 'repository-name' : 'unknown-place';
  }
  if (!isRepositoryName(repository)) {
    return 'repository-name';
  }
  const rest = key.slice(repositoryPrefix(repository).length);
  const tag = TAG_SHAPE.exec(rest)?.[1];
  if (tag !== undefined && !isTagName(tag)) {
    return 'tag-name';
  }
  return DIGEST_SHAPE.test(rest) ? 'digest' : 'unknown-place';
}
