import { REGISTRY_ROOT } from './keys.ts';

/** Folders that hold one file of content each, and perhaps a folder with more: see `LEAF_FOLDERS`. */
export interface LeafFolder {
  /** What the key of the folder above looks like. */
  parent: RegExp;
  /** What the folder's own name looks like, with its slash. */
  name: RegExp;
  /** The file. */
  file: string;
  /** What else in such a folder may be content, or may hold some. */
  unless: readonly string[];
  /** The one folder in it that may hold content. */
  folder?: string | undefined;
}

const REPOSITORY = 'repositories/(?:[^/_][^/]*/)+';
const HEX = '[0-9a-f]{64}';

/**
 * The folders of which only one file can be content, whatever else lies in them: registries read nothing of a
 * blob's folder but `data`, and nothing of a link's folder but `link`. They are nine in ten of all folders, and
 * whoever needs to hear of content alone can ask for these files without reading the folders.
 *
 * A tag's folder has the link of what it stands for now, and a folder with those of all that it ever stood for.
 *
 * A revision's folder may hold the signatures of a registry up to 2.4 as well, and those are content.
 */
export const LEAF_FOLDERS: readonly LeafFolder[] = [
  leafFolder('blobs/sha256/[0-9a-f]{2}/', HEX, 'data'),
  leafFolder(`${REPOSITORY}_layers/sha256/`, HEX, 'link'),
  leafFolder(`${REPOSITORY}_manifests/revisions/sha256/`, HEX, 'link', ['signatures']),
  { ...leafFolder(`${REPOSITORY}_manifests/tags/`, '[^/]+', 'current/link'), folder: 'index/' },
  leafFolder(`${REPOSITORY}_manifests/tags/[^/]+/`, 'current', 'link'),
  leafFolder(`${REPOSITORY}_manifests/tags/[^/]+/index/sha256/`, HEX, 'link'),
];

function leafFolder(parent: string, name: string, file: string, unless: readonly string[] = []): LeafFolder {
  return { parent: new RegExp(`^${REGISTRY_ROOT}${parent}$`), name: new RegExp(`^${name}/$`), file, unless };
}
