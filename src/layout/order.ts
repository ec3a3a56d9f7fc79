import type { RegistryPath } from './registry-path.ts';

export type RegistryPathKind = RegistryPath['kind'];

/**
 * The phases of a copy: the kinds at index 0 are all at the target before the first of index 1 is, and so on.
 *
 * A registry is pullable at every instant because each kind refers only to kinds before it, as in the order
 * in which a push writes them (distribution `linkedblobstore.go`, `manifeststore.go`, `tagstore.go`):
 * a link to a layer, to its blob; a revision, to its manifest's blob and, when it is pulled, to the layer
 * links of what the manifest names; a tag's index and `current`, to the revision.
 * Among revisions the manifests named by an index come before it: a matter of content, which the kind
 * cannot tell.
 *
 * Lockfiles come before any repository. A GitLab registry that starts on repositories without their lockfile
 * may take its empty database for the truth, and then every image looks gone. A pull-through cache that starts
 * without its expiry list begins a new one, and never expires what it already had.
 *
 * Legacy content is copied too, since old images need it: tarsum data with the blobs, tarsum and signature
 * links with the layer links.
 */
export const COPY_ORDER: readonly (readonly RegistryPathKind[])[] = [
  ['blob-data', 'tarsum'],
  ['lockfile', 'scheduler-state'],
  ['layer-link', 'signature-link', 'tarsum'],
  ['revision-link'],
  ['tag-index'],
  ['tag-current'],
];

/** The phases of a deletion: whatever refers to a thing goes before the thing. */
export const DELETE_ORDER: readonly (readonly RegistryPathKind[])[] = COPY_ORDER.toReversed();

/**
 * In which phase of `COPY_ORDER` a path is copied. Undefined for what never is: uploads are half a push that
 * only the registry they were begun at can end; markers and temporaries are what tools and crashes left;
 * foreign keys are not the registry's.
 */
export function copyRank(path: RegistryPath): number | undefined {
  if (path.kind === 'tarsum') {
    return RANKS[path.of];
  }
  return RANKS[path.kind];
}

/** Whether a path is part of what a registry serves, and so is copied, compared and counted. */
export function isContent(path: RegistryPath): boolean {
  return copyRank(path) !== undefined;
}

/**
 * Whether a path's name settles its content, so that being there with the right size is being equal.
 * The rest of the content, a tag's `current` link, lockfiles and the expiry list, is rewritten in place and
 * must be compared byte by byte: all `current` links are of the same size.
 */
export function contentNamed(path: RegistryPath): boolean {
  return isContent(path) && !REWRITTEN.has(path.kind);
}

const REWRITTEN: ReadonlySet<RegistryPathKind> = new Set(['tag-current', 'lockfile', 'scheduler-state']);

const RANKS: Readonly<Record<Exclude<RegistryPathKind, 'tarsum'>, number | undefined>> = {
  'blob-data': 0,
  lockfile: 1,
  'scheduler-state': 1,
  'layer-link': 2,
  'signature-link': 2,
  'revision-link': 3,
  'tag-index': 4,
  'tag-current': 5,
  upload: undefined,
  'directory-marker': undefined,
  temporary: undefined,
  foreign: undefined,
};
