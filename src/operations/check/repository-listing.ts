import type { ObjectStat } from '../../drivers/driver.ts';
import type { Digest } from '../../layout/digest.ts';
import type { RegistryPath } from '../../layout/paths.ts';
import { tagsPrefix } from '../../layout/paths.ts';

export interface TagListing {
  current?: ObjectStat;
  index: Map<Digest, ObjectStat>;
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

/** A repository's own keys, sorted out by kind. One of these, whole, is what the check holds. */
export class RepositoryListing {
  readonly repository: string;
  readonly layers = new Map<Digest, ObjectStat>();
  readonly revisions = new Map<Digest, ObjectStat>();
  readonly tags = new Map<string, TagListing>();
  readonly signatures: { revision: Digest; digest: Digest; object: ObjectStat }[] = [];
  readonly uploads = new Map<string, UploadListing>();
  readonly markers: MarkerListing[] = [];
  /** Names directly below the folder of the tags that come from something else than a tag's links. */
  readonly strayTagNames = new Map<string, string>();

  constructor(repository: string) {
    this.repository = repository;
  }

  /** Takes an object of this repository. False for what is not to be judged with it. */
  add(path: RegistryPath, object: ObjectStat): boolean {
    switch (path.kind) {
      case 'layer-link':
        this.layers.set(path.digest, object);
        return true;
      case 'revision-link':
        this.revisions.set(path.digest, object);
        return true;
      case 'tag-current':
        this.#tag(path.tag).current = object;
        return true;
      case 'tag-index':
        this.#tag(path.tag).index.set(path.digest, object);
        return true;
      case 'signature-link':
        this.signatures.push({ revision: path.revision, digest: path.digest, object });
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
    const listing = this.tags.get(tag) ?? { index: new Map<Digest, ObjectStat>() };
    this.tags.set(tag, listing);
    return listing;
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
    const prefix = tagsPrefix(this.repository);
    if (key.startsWith(prefix)) {
      this.strayTagNames.set(key.slice(prefix.length).split('/')[0] ?? '', key);
    }
  }
}
