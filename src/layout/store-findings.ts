import type { FindingDescription } from './finding-description.ts';

const MANIFEST_UNKNOWN = '404 MANIFEST_UNKNOWN "manifest unknown"';
const MARKERS = 'regtool fix-empty-tags STORE';

/** What else can be in a store: stray keys, folder markers, leftovers and lockfiles. */
export const storeFindings = {
  'key-leading-slash': {
    severity: 'warning',
    title: 'keys that begin with a slash',
    clientSees: 'nothing of what is stored there',
    cause: "The tree, or a second one, is in Azure's legacy layout, or was copied with a prefix of /.",
    remedy:
      'on Azure open the store with ?legacyrootprefix=true to see that tree; if it is the one in use, set legacyrootprefix in the registry, else remove it by hand',
  },
  'key-double-slash': {
    severity: 'warning',
    title: 'keys with an empty component (//)',
    clientSees: 'nothing of what is stored there',
    cause: 'A copy to a prefix that ended in a slash already.',
    remedy: 'regtool check with that prefix as the root tells whether it is whole; move or remove it by hand',
  },
  'key-outside-grammar': {
    severity: 'warning',
    title: 'keys with characters that no registry can address',
    clientSees:
      'nothing in pulls; below repositories/ the catalog and garbage collection may end with "invalid path"',
    cause: "Something that is not the registry's, such as the folders of a NAS or lost+found.",
    remedy: 'move it out of the store by hand',
  },
  'key-digest-invalid': {
    severity: 'warning',
    title: 'files where a digest should be and is none',
    clientSees: 'nothing in pulls; garbage collection may end with "invalid checksum digest"',
    cause:
      'A folder that was renamed, or a file in the wrong two-letter folder, by something that is not a registry.',
    remedy: 'move it out of the store by hand',
  },
  'repository-name-invalid': {
    severity: 'warning',
    title: 'repository with a name that no registry serves',
    clientSees: 'nothing can be pulled from it; garbage collection ends with "failed to parse repo name"',
    cause: 'The folder was made or renamed by something that is not a registry.',
    remedy: 'move the folder out of the store by hand, or give it a valid name (lower case, no spaces)',
  },
  'file-unexpected': {
    severity: 'hint',
    title: 'file where the registry looks for none',
    clientSees: 'nothing',
    cause: "Somebody's or some tool's file, such as .DS_Store.",
    remedy: 'none is needed; it can be removed by hand',
  },
  'foreign-files': {
    severity: 'hint',
    title: 'files beside the registry',
    clientSees: 'nothing',
    cause: 'The store holds other things than a registry. They were not looked at.',
    remedy: 'none is needed',
  },
  'registry-v1-data': {
    severity: 'hint',
    title: 'data of the registry of version 1',
    clientSees: 'nothing: no current registry reads it',
    cause: 'The store was once that of docker-registry 0.x.',
    remedy: 'none is needed; it can be removed by hand',
  },
  'tarsum-data': {
    severity: 'hint',
    title: 'layers of registry 2.0, named by tarsum',
    clientSees: 'nothing on registries from 2.1 on, which do not read them',
    cause: 'Pushed to a registry 2.0. A tarsum is not a digest of the bytes, so they cannot be checked.',
    remedy: 'none is needed',
  },
  'marker-empty-tag': {
    severity: 'warning',
    title: 'folder marker that makes a tag without a name',
    clientSees:
      'a tag "" in the list of tags with S3, and with Azure up to 3.0; a tag "tags" with GCS and GitLab on Azure. GitLab\'s cleanup and deletion of the repository fail',
    cause: 'AWS DataSync, storage consoles and sync tools write a zero-byte object for each folder.',
    remedy: `${MARKERS}; never delete the tag "" through the API, which deletes every tag`,
  },
  'marker-ghost-tag': {
    severity: 'warning',
    title: 'folder marker that makes a tag which is none',
    clientSees: `the tag is listed, and a pull ends with ${MANIFEST_UNKNOWN}`,
    cause: 'The tag was deleted, and the marker that a tool wrote for its folder stayed.',
    remedy: MARKERS,
  },
  'marker-purger-panic': {
    severity: 'warning',
    title: 'folder marker that crashes the upload purger',
    clientSees:
      'with S3 and Docker Distribution 2.7 to 2.8.3 the whole registry ends within the hour after its start: "panic: runtime error: index out of range [0] with length 0"',
    cause: 'AWS DataSync, storage consoles and sync tools write a zero-byte object for each folder.',
    remedy: `${MARKERS}; until then set maintenance.uploadpurging.enabled to false`,
  },
  'marker-lists-itself': {
    severity: 'warning',
    title: "folder marker that GitLab's Azure driver lists as its own content",
    clientSees:
      'walks of the store (garbage collection, catalog) may not end, or end with "slice bounds out of range"',
    cause: 'A tool wrote a zero-byte object for each folder, with a slash at its end.',
    remedy: MARKERS,
  },
  'marker-harmless': {
    severity: 'hint',
    title: 'folder marker that does no harm',
    clientSees: 'nothing',
    cause: 'AWS DataSync, storage consoles and sync tools write a zero-byte object for each folder.',
    remedy: `none is needed; ${MARKERS} --all-markers removes it`,
  },
  'marker-with-content': {
    severity: 'warning',
    title: 'object whose key ends in a slash and that has content',
    clientSees: 'the same as of a folder marker in its place',
    cause: 'It is not a folder marker, for those are of zero bytes. No registry wrote it.',
    remedy: 'look at it, and move it out of the store by hand',
  },
  'folder-stub': {
    severity: 'warning',
    title: 'folders of a hierarchical namespace (hdi_isfolder)',
    clientSees: 'pulls work; pushes and deletes may end with 500, "DirectoryIsNotEmpty" in the log',
    cause:
      'The storage account has a hierarchical namespace (ADLS Gen2), which registries do not support, or a tool wrote stubs for folders.',
    remedy:
      'leave them alone: there they are the folders. Move the registry to an account without hierarchical namespace',
  },
  'temporary-file': {
    severity: 'hint',
    title: 'temporary file',
    clientSees: 'nothing',
    cause: 'A registry from 3.1 on, or regtool, was ended while it wrote; or it is writing now.',
    remedy: 'regtool repair STORE --uploads, when nothing writes to the store',
  },
  'upload-abandoned': {
    severity: 'hint',
    title: 'upload that was begun and never finished',
    clientSees: 'nothing',
    cause:
      'A push was interrupted more than a week ago, and the purger of the registry did not run (it is off, or the registry is read-only).',
    remedy: 'regtool repair STORE --uploads',
  },
  'upload-unpurgeable': {
    severity: 'hint',
    title: 'abandoned upload that the registry never purges',
    clientSees: 'nothing',
    cause: 'Its startedat file is missing or cannot be read, which is what the purger goes by.',
    remedy: 'regtool repair STORE --uploads',
  },
  'multipart-upload-abandoned': {
    severity: 'hint',
    title: 'multipart upload that was begun and never finished',
    clientSees: 'nothing: it is not an object, and it is billed',
    cause:
      'A push or a copy was interrupted more than a week ago, and the bucket has no lifecycle rule that aborts such uploads.',
    remedy: 'regtool repair STORE --uploads; and a lifecycle rule that aborts incomplete multipart uploads',
  },
  'lockfile-conflict': {
    severity: 'warning',
    title: 'both GitLab lockfiles',
    clientSees:
      'the GitLab registry does not start (from 18.10 on, and some versions before): "database-in-use and filesystem-in-use lockfiles present"; Docker Distribution does not mind',
    cause: 'An import into the metadata database was interrupted, or two stores were copied into one.',
    remedy:
      'find out whether the registry used its metadata database; remove one lockfile by hand, and keep the other: docker/registry/lockfiles/filesystem-in-use goes if it did, docker/registry/lockfiles/database-in-use if it did not',
  },
  'lockfile-database-in-use': {
    severity: 'hint',
    title: 'GitLab keeps the metadata of this registry in its database',
    clientSees: 'what the database says: links in the store are not read any more, and may be stale',
    cause:
      'The metadata database is in use. Tags, manifests and orphans cannot be told from the store alone, so only blobs were checked.',
    remedy: 'none is needed; back the database up together with the store',
  },
  'lockfile-absent': {
    severity: 'hint',
    title: 'no GitLab lockfile',
    clientSees:
      'nothing, unless it is a GitLab registry that starts with its database preferred (the default of GitLab 19): then every image looks gone',
    cause:
      "Normal for Docker Distribution, which has none. A GitLab registry's may have been lost in a copy.",
    remedy:
      'for a GitLab registry without metadata database copy docker/registry/lockfiles/filesystem-in-use from the former store, or start the registry once with database.enabled: false',
  },
  'pull-through-cache': {
    severity: 'hint',
    title: 'pull-through cache',
    clientSees: 'nothing: what is missing is fetched from upstream again',
    cause:
      'scheduler-state.json at the root says so. A cache holds what was asked for, so that missing parts are normal and are given as hints.',
    remedy: 'none is needed',
  },
} as const satisfies Record<string, FindingDescription>;
