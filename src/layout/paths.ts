import { type Digest, digestAt } from './digest.ts';
import {
  BLOBS_PREFIX,
  blobDataKey,
  layerLinkKey,
  lockfileKey,
  repositoryPrefix,
  REPOSITORIES_PREFIX,
  revisionLinkKey,
  SCHEDULER_STATE_KEY,
  signatureLinkKey,
  tagCurrentKey,
  tagIndexKey,
} from './keys.ts';
import { isRepositoryName, isTagName } from './names.ts';
import type { RegistryPath, UploadPath } from './registry-path.ts';
import { parseUncommonKey } from './uncommon.ts';

export {
  BLOBS_PREFIX,
  blobDataKey,
  layerLinkKey,
  LOCKFILES_PREFIX,
  type LockfileName,
  lockfileKey,
  ownPrefix,
  REGISTRY_ROOT,
  REPOSITORIES_PREFIX,
  repositoryOf,
  repositoryPrefix,
  revisionLinkKey,
  signatureLinkKey,
  tagCurrentKey,
  tagIndexKey,
  tagsPrefix,
} from './keys.ts';
export type { ForeignReason, RegistryPath } from './registry-path.ts';

/** Says what a key is. Total: any string is something, and `formatPath` gives the string back. */
export function parsePath(key: string): RegistryPath {
  return parseBlobKey(key) ?? parseRepositoryKey(key) ?? parseUncommonKey(key);
}

/** The key of a path; the inverse of `parsePath`. */
export function formatPath(path: RegistryPath): string {
  switch (path.kind) {
    case 'blob-data':
      return blobDataKey(path.digest);
    case 'layer-link':
      return layerLinkKey(path.repository, path.digest);
    case 'revision-link':
      return revisionLinkKey(path.repository, path.digest);
    case 'tag-current':
      return tagCurrentKey(path.repository, path.tag);
    case 'tag-index':
      return tagIndexKey(path.repository, path.tag, path.digest);
    case 'signature-link':
      return signatureLinkKey(path.repository, path.revision, path.digest);
    case 'upload':
      return formatUpload(path);
    case 'lockfile':
      return lockfileKey(path.name);
    case 'scheduler-state':
      return SCHEDULER_STATE_KEY;
    case 'tarsum':
    case 'temporary':
    case 'directory-marker':
    case 'foreign':
      return path.key;
  }
}

/** The repository that a path is part of; undefined for what belongs to none, and for what is not well-formed. */
export function fromRepository(path: RegistryPath): string | undefined {
  return 'repository' in path ? path.repository : undefined;
}

function formatUpload({ repository, uploadId, file }: UploadPath): string {
  const folder = `${repositoryPrefix(repository)}_uploads/${uploadId}`;
  return file === '' ? folder : `${folder}/${file}`;
}

/** `<algorithm>/<xx>/<hex>/data`, where xx begins hex. */
function parseBlobKey(key: string): RegistryPath | undefined {
  if (!beginsWith(key, BLOBS_PREFIX)) {
    return undefined;
  }
  const digest = digestAt(key, BLOBS_PREFIX.length, SHARD_GAP);
  if (digest === undefined) {
    return undefined;
  }
  const gapStart = BLOBS_PREFIX.length + ALGORITHM_LENGTH;
  const hexStart = gapStart + SHARD_GAP;
  const hasItsShard =
    key.charCodeAt(gapStart) === SLASH &&
    key.charCodeAt(gapStart + 1) === key.charCodeAt(hexStart) &&
    key.charCodeAt(gapStart + 2) === key.charCodeAt(hexStart + 1) &&
    key.charCodeAt(gapStart + 3) === SLASH;
  return hasItsShard && endsAt(key, BLOBS_PREFIX.length + digest.length - 1 + SHARD_GAP, '/data')
    ? { kind: 'blob-data', digest }
    : undefined;
}

/** `<name>/_layers/...`, `<name>/_manifests/...` or `<name>/_uploads/...`. */
function parseRepositoryKey(key: string): RegistryPath | undefined {
  if (!beginsWith(key, REPOSITORIES_PREFIX)) {
    return undefined;
  }
  // No component of a name begins with `_`, so the first that does ends the name.
  const nameEnd = key.indexOf('/_', REPOSITORIES_PREFIX.length);
  if (nameEnd < 0) {
    return undefined;
  }
  const repository = key.slice(REPOSITORIES_PREFIX.length, nameEnd);
  if (!isNameAgain(repository)) {
    return undefined;
  }
  if (key.startsWith(LAYERS, nameEnd)) {
    return parseLayer(key, nameEnd + LAYERS.length, repository);
  }
  if (key.startsWith(REVISIONS, nameEnd)) {
    return parseRevision(key, nameEnd + REVISIONS.length, repository);
  }
  if (key.startsWith(TAGS, nameEnd)) {
    return parseTag(key, nameEnd + TAGS.length, repository);
  }
  return key.startsWith(UPLOADS, nameEnd)
    ? parseUpload(key, nameEnd + UPLOADS.length, repository)
    : undefined;
}

let lastName = '';
let lastIsName = false;

/** As `isRepositoryName`, remembering the last answer: the keys of a repository come one after another. */
function isNameAgain(name: string): boolean {
  if (name !== lastName) {
    lastName = name;
    lastIsName = isRepositoryName(name);
  }
  return lastIsName;
}

function parseLayer(key: string, start: number, repository: string): RegistryPath | undefined {
  const digest = digestFoldersAt(key, start);
  if (digest === undefined) {
    return undefined;
  }
  return endsAt(key, start + digest.length, '/link') ? { kind: 'layer-link', repository, digest } : undefined;
}

function parseRevision(key: string, start: number, repository: string): RegistryPath | undefined {
  const revision = digestFoldersAt(key, start);
  if (revision === undefined) {
    return undefined;
  }
  const revisionEnd = start + revision.length;
  if (endsAt(key, revisionEnd, '/link')) {
    return { kind: 'revision-link', repository, digest: revision };
  }
  if (!key.startsWith(SIGNATURES, revisionEnd)) {
    return undefined;
  }
  const digestStart = revisionEnd + SIGNATURES.length;
  const digest = digestFoldersAt(key, digestStart);
  if (digest === undefined || !endsAt(key, digestStart + digest.length, '/link')) {
    return undefined;
  }
  return { kind: 'signature-link', repository, revision, digest };
}

function parseTag(key: string, start: number, repository: string): RegistryPath | undefined {
  const tagEnd = key.indexOf('/', start);
  if (tagEnd < 0) {
    return undefined;
  }
  const tag = key.slice(start, tagEnd);
  if (!isTagName(tag)) {
    return undefined;
  }
  if (endsAt(key, tagEnd, '/current/link')) {
    return { kind: 'tag-current', repository, tag };
  }
  if (!key.startsWith(INDEX, tagEnd)) {
    return undefined;
  }
  const digestStart = tagEnd + INDEX.length;
  const digest = digestFoldersAt(key, digestStart);
  if (digest === undefined || !endsAt(key, digestStart + digest.length, '/link')) {
    return undefined;
  }
  return { kind: 'tag-index', repository, tag, digest };
}

function parseUpload(key: string, start: number, repository: string): UploadPath | undefined {
  // A key that ends in a slash stands for a folder, and such a marker makes the registry's purger crash.
  if (key.endsWith('/')) {
    return undefined;
  }
  const idEnd = key.indexOf('/', start);
  return idEnd < 0
    ? { kind: 'upload', repository, uploadId: key.slice(start), file: '' }
    : { kind: 'upload', repository, uploadId: key.slice(start, idEnd), file: key.slice(idEnd + 1) };
}

/** The digest spelled as two folders, `<algorithm>/<hex>`. It ends `digest.length` characters after `start`. */
function digestFoldersAt(key: string, start: number): Digest | undefined {
  const digest = digestAt(key, start, 1);
  return key.charCodeAt(start + ALGORITHM_LENGTH) === SLASH ? digest : undefined;
}

/** As `startsWith`, which compares one character after another where `===` compares memory. Every key passes here. */
function beginsWith(key: string, prefix: string): boolean {
  return key.slice(0, prefix.length) === prefix;
}

/** Whether the key ends with exactly this from `start` on. */
function endsAt(key: string, start: number, ending: string): boolean {
  return key.length === start + ending.length && key.endsWith(ending);
}

const LAYERS = '/_layers/';
const REVISIONS = '/_manifests/revisions/';
const TAGS = '/_manifests/tags/';
const UPLOADS = '/_uploads/';
const SIGNATURES = '/signatures/';
const INDEX = '/index/';

const ALGORITHM_LENGTH = 'sha256'.length;
/** In a blob's key `/xx/` stands between algorithm and hex. */
const SHARD_GAP = '/xx/'.length;
const SLASH = 0x2f;
