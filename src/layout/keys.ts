import { type Digest, digestFolders } from './digest.ts';

/** Everything that the registry keeps, except the lockfiles and a pull-through cache's state, is below this. */
export const REGISTRY_ROOT = 'docker/registry/v2/';
export const BLOBS_PREFIX = 'docker/registry/v2/blobs/';
export const REPOSITORIES_PREFIX = 'docker/registry/v2/repositories/';
/** GitLab's lockfiles, beside `v2` and not in it. */
export const LOCKFILES_PREFIX = 'docker/registry/lockfiles/';
/** A pull-through cache's expiry list, at the root of the store. */
export const SCHEDULER_STATE_KEY = 'scheduler-state.json';

export type LockfileName = 'database-in-use' | 'filesystem-in-use';

export function lockfileKey(name: LockfileName): string {
  return LOCKFILES_PREFIX + name;
}

/** `blobs/<algorithm>/<first two of hex>/<hex>/data`. */
export function blobDataKey(digest: Digest): string {
  const colon = digest.indexOf(':');
  const shard = digest.slice(colon + 1, colon + 3);
  return `${BLOBS_PREFIX}${digest.slice(0, colon)}/${shard}/${digest.slice(colon + 1)}/data`;
}

export function layerLinkKey(repository: string, digest: Digest): string {
  return `${repositoryPrefix(repository)}_layers/${digestFolders(digest)}/link`;
}

export function revisionLinkKey(repository: string, digest: Digest): string {
  return `${repositoryPrefix(repository)}_manifests/revisions/${digestFolders(digest)}/link`;
}

export function signatureLinkKey(repository: string, revision: Digest, digest: Digest): string {
  return `${repositoryPrefix(repository)}_manifests/revisions/${digestFolders(revision)}/signatures/${digestFolders(digest)}/link`;
}

export function tagCurrentKey(repository: string, tag: string): string {
  return `${tagsPrefix(repository)}${tag}/current/link`;
}

export function tagIndexKey(repository: string, tag: string, digest: Digest): string {
  return `${tagsPrefix(repository)}${tag}/index/${digestFolders(digest)}/link`;
}

/** The folder of a repository, with a slash. Repositories nested in it are below this prefix too. */
export function repositoryPrefix(repository: string): string {
  return `${REPOSITORIES_PREFIX}${repository}/`;
}

/**
 * The prefix of exactly a repository's own keys, `<name>/_`: a nested repository's next component never
 * begins with `_`. Having a common prefix, they also stand together in any listing.
 */
export function ownPrefix(repository: string): string {
  return `${REPOSITORIES_PREFIX}${repository}/_`;
}

/** The folder that holds one folder for each tag. */
export function tagsPrefix(repository: string): string {
  return `${REPOSITORIES_PREFIX}${repository}/_manifests/tags/`;
}

/**
 * The repository that a key below `repositories/` belongs to: the components before the first that begins
 * with `_`. Undefined where there is none. Cheap, so the name is not checked: see `isRepositoryName`.
 */
export function repositoryOf(key: string): string | undefined {
  if (!key.startsWith(REPOSITORIES_PREFIX)) {
    return undefined;
  }
  const end = key.indexOf('/_', REPOSITORIES_PREFIX.length - 1);
  return end < REPOSITORIES_PREFIX.length ? undefined : key.slice(REPOSITORIES_PREFIX.length, end);
}
