import type { FindingCode } from './findings.ts';
import { REPOSITORIES_PREFIX } from './keys.ts';

/** What the folder is that a marker stands for, as far as its harm depends on it. */
export type MarkerPlace =
  /** `_manifests/tags` itself: a listing of it returns the marker as a tag without a name. */
  | { place: 'tags'; repository: string }
  /** The folder of a tag, or one in it. */
  | { place: 'tag'; repository: string; tag: string }
  /** What the upload purger walks: `repositories`, a group, a repository, its `_uploads` and all below that. */
  | { place: 'walked' }
  | { place: 'elsewhere' };

/** `folder` is the marker's key without the slash at its end. */
export function markerPlace(folder: string): MarkerPlace {
  if (!`${folder}/`.startsWith(REPOSITORIES_PREFIX)) {
    return { place: 'elsewhere' };
  }
  const below = folder.slice(REPOSITORIES_PREFIX.length);
  const ownStart = below.indexOf('/_');
  if (ownStart < 0) {
    return { place: 'walked' };
  }
  const repository = below.slice(0, ownStart);
  const own = below.slice(ownStart + 1);
  if (own === '_manifests/tags') {
    return { place: 'tags', repository };
  }
  const tag = TAG_FOLDER.exec(own)?.[1];
  if (tag !== undefined) {
    return { place: 'tag', repository, tag };
  }
  return own === '_uploads' || own.startsWith('_uploads/') ? { place: 'walked' } : { place: 'elsewhere' };
}

const TAG_FOLDER = /^_manifests\/tags\/([^/]+)(?:\/|$)/;

export type MarkerCode = Extract<FindingCode, `marker-${string}`>;

export interface MarkerSurroundings {
  /**
   * The driver's name, or `gcs` for a bucket of Google's: what a marker does depends on how the registry lists that
   * kind of store.
   */
  store: string;
  /** Whether the tag whose folder it marks has any link, so that it is listed in any case. */
  tagHasLinks: boolean;
  sizeBytes: number;
}

/**
 * What a key that ends in a slash does to a registry. Seen on Docker Distribution 2.8.3 with S3 for each place;
 * for Azure by the code of the drivers.
 */
export function classifyMarker(
  folder: string,
  { store, tagHasLinks, sizeBytes }: MarkerSurroundings,
): MarkerCode {
  if (sizeBytes > 0) {
    return 'marker-with-content';
  }
  const where = markerPlace(folder);
  if (where.place === 'tags') {
    return 'marker-empty-tag';
  }
  if (where.place === 'tag' && !tagHasLinks) {
    return 'marker-ghost-tag';
  }
  if (store === 'azure' || store === 'gcs') {
    return 'marker-lists-itself';
  }
  return where.place === 'walked' ? 'marker-purger-panic' : 'marker-harmless';
}
