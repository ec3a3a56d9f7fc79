import type { ObjectStat } from '../../drivers/driver.ts';
import { type Digest, parseDigest } from '../../layout/digest.ts';
import type { RegistryPath } from '../../layout/paths.ts';
import { tagsPrefix } from '../../layout/paths.ts';
import { type ListedLink, listedLink, provesLink } from './links.ts';
import { TagList } from './tag-list.ts';

export interface TagListing {
  current?: ObjectStat;
  index: Map<Digest, ListedLink>;
}

export interface UploadListing {
  startedAt?: ObjectStat;
  objects: number;
  sizeBytes: number;
  /** The latest of its files, where the store tells. */
  modifiedAtMs?: number;
  key: string;
}

/** A marker, and the folder that it stands for. */
export interface MarkerListing {
  folder: string;
  object: ObjectStat;
}

/**
 * A repository's own keys, sorted out by kind. One of these, whole, is what the check holds: so it holds no more of a
 * link than that it is as it should be, and of a tag with which all is well no more than its name and its digest.
 */
export class RepositoryListing {
  readonly repository: string;
  readonly layers = new Map<Digest, ListedLink>();
  readonly revisions = new Map<Digest, ListedLink>();
  /** Tags whose links say what they should, and lead to revision links that do. Complete once `whole` was called. */
  readonly soundTags = new TagList();
  /** All others. Complete once `whole` was called. */
  readonly tags = new Map<string, TagListing>();
  readonly signatures: { revision: Digest; digest: Digest; listed: ListedLink }[] = [];
  readonly uploads = new Map<string, UploadListing>();
  readonly markers: MarkerListing[] = [];
  /** Names directly below the folder of the tags that come from something else than a tag's links. */
  readonly strayTagNames = new Map<string, string>();
  /** Names directly below the folder of the tags in which there is an empty folder, or that are one. */
  readonly emptyTagNames = new Set<string>();
  #hasObjects = false;
  /** The tag whose keys are coming: they stand together. */
  #lastTag: { name: string; listing: TagListing } | undefined;

  constructor(repository: string) {
    this.repository = repository;
  }

  get hasObjects(): boolean {
    return this.#hasObjects;
  }

  /** Ends the listing: nothing comes any more. */
  whole(): this {
    this.#endTag();
    return this;
  }

  addEmptyFolder(key: string): void {
    const name = this.#tagNameIn(key);
    if (name !== undefined && name !== '') {
      this.emptyTagNames.add(name);
    }
  }

  /** Takes an object of this repository. False for what is not to be judged with it. */
  add(path: RegistryPath, object: ObjectStat): boolean {
    this.#hasObjects = true;
    switch (path.kind) {
      case 'layer-link':
        this.layers.set(path.digest, listedLink(object, path.digest));
        return true;
      case 'revision-link':
        this.revisions.set(path.digest, listedLink(object, path.digest));
        return true;
      case 'tag-current':
        this.#tag(path.tag).current = object;
        return true;
      case 'tag-index':
        this.#tag(path.tag).index.set(path.digest, listedLink(object, path.digest));
        return true;
      case 'signature-link':
        this.signatures.push({
          revision: path.revision,
          digest: path.digest,
          listed: listedLink(object, path.digest),
        });
        return true;
      case 'upload':
        this.#addUpload(path.uploadId, path.file, object);
        return true;
      case 'directory-marker':
        this.markers.push({ folder: path.folder, object });
        return true;
      default:
        this.#noteTagName(object.key);
        return false;
    }
  }

  #tag(tag: string): TagListing {
    if (this.#lastTag?.name === tag) {
      return this.#lastTag.listing;
    }
    this.#endTag();
    const listing: TagListing = { index: new Map<Digest, ListedLink>() };
    this.#lastTag = { name: tag, listing };
    return listing;
  }

  #endTag(): void {
    const last = this.#lastTag;
    this.#lastTag = undefined;
    if (last !== undefined && !this.#addSound(last.name, last.listing)) {
      this.tags.set(last.name, last.listing);
    }
  }

  /** Revisions come before tags in a listing, so that here all of them are known. */
  #addSound(tag: string, { current, index }: TagListing): boolean {
    const digest = listedDigest(current, index);
    if (digest === undefined || !index.has(digest)) {
      return false;
    }
    for (const [entry, listed] of index) {
      if (listed !== 'right' || this.revisions.get(entry) !== 'right') {
        return false;
      }
    }
    return this.soundTags.add(tag, digest);
  }

  #addUpload(uploadId: string, file: string, object: ObjectStat): void {
    const upload = this.uploads.get(uploadId) ?? { objects: 0, sizeBytes: 0, key: object.key };
    upload.objects += 1;
    upload.sizeBytes += object.sizeBytes;
    if (file === 'startedat') {
      upload.startedAt = object;
    }
    if (object.modifiedAtMs !== undefined) {
      upload.modifiedAtMs = Math.max(upload.modifiedAtMs ?? 0, object.modifiedAtMs);
    }
    this.uploads.set(uploadId, upload);
  }

  #noteTagName(key: string): void {
    const name = this.#tagNameIn(key);
    if (name !== undefined) {
      this.strayTagNames.set(name, key);
    }
  }

  #tagNameIn(key: string): string | undefined {
    const prefix = tagsPrefix(this.repository);
    return key.startsWith(prefix) ? (key.slice(prefix.length).split('/')[0] ?? '') : undefined;
  }
}

/** What a tag's current link says, where the listing proves it: by the content, or by its MD5, which tells one of the index. */
export function listedDigest(
  current: ObjectStat | undefined,
  index: Iterable<readonly [Digest, unknown]>,
): Digest | undefined {
  if (current?.content !== undefined) {
    return parseDigest(current.content);
  }
  if (current?.md5 !== undefined) {
    for (const [digest] of index) {
      if (provesLink(current, digest)) {
        return digest;
      }
    }
  }
  return undefined;
}
