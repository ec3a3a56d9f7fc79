import type { FindingDescription } from './finding-description.ts';

const UNKNOWN = '500 UNKNOWN "unknown error"';
const MANIFEST_UNKNOWN = '404 MANIFEST_UNKNOWN "manifest unknown"';
const BLOB_UNKNOWN = '404 BLOB_UNKNOWN "blob unknown to registry"';
const REPAIR = 'regtool repair STORE';
const REPAIR_FROM = 'regtool repair STORE --from OTHER, where OTHER still has it; or push the image again';
const HEAL_BLOB =
  'regtool repair STORE --quarantine moves it aside, so that a push can heal it; with --from OTHER it is fetched again. A push alone does not heal it, for an existing blob is never overwritten';

/** What can be wrong with tags, manifests, layers and blobs. The registry's words are those of Docker Distribution 2.8, as seen on its binary. */
export const contentFindings = {
  'tag-link-empty': {
    severity: 'error',
    title: "tag's link is empty",
    clientSees: `${UNKNOWN} for the tag, with "invalid checksum digest format" in the registry's log; GitLab answers ${MANIFEST_UNKNOWN}`,
    cause:
      'The registry or its machine crashed while the tag was written: it opens the file, empties it, and then writes.',
    remedy:
      'push the tag again; or regtool repair STORE --tags, which proposes the one manifest that the tag can stand for',
  },
  'tag-link-invalid': {
    severity: 'error',
    title: "tag's link is not a digest",
    clientSees: `${UNKNOWN} for the tag, with "invalid checksum digest length", "invalid checksum digest format" or "unsupported digest algorithm" in the registry's log`,
    cause: 'The link was cut off, edited by hand (an editor or echo adds a newline), or damaged on the disk.',
    remedy:
      'push the tag again; or regtool repair STORE --tags, which proposes the one manifest that the tag can stand for',
  },
  'tag-current-missing': {
    severity: 'error',
    title: 'tag without its current link',
    clientSees: `the tag is listed, and a pull ends with ${MANIFEST_UNKNOWN}, with "unknown tag" in its detail`,
    cause:
      'A push or a delete was interrupted, or a copy missed the file. What the tag stood for is known only from its index.',
    remedy:
      'push the tag again, or delete it; or regtool repair STORE --tags, which proposes the one manifest that the tag can stand for',
  },
  'tag-revision-missing': {
    severity: 'error',
    title: 'tag stands for a manifest that its repository does not have',
    clientSees: MANIFEST_UNKNOWN,
    cause:
      'The revision link was not copied, or the manifest was deleted by its digest and the deletion of its tags failed.',
    remedy: `${REPAIR} where the manifest's blob is still there, else ${REPAIR_FROM}`,
  },
  'tag-ghost': {
    severity: 'warning',
    title: 'name that is listed as a tag and is none',
    clientSees: `the name is in the list of tags, and a pull ends with ${MANIFEST_UNKNOWN}`,
    cause:
      'An empty folder or a stray file directly below the folder of the tags, where the registry takes every name for a tag.',
    remedy: 'remove the empty folder or the file by hand (a filesystem: rmdir, not rm -r)',
  },
  'tag-name-invalid': {
    severity: 'warning',
    title: 'tag with a name that no registry serves',
    clientSees: 'the name may be in the list of tags, and cannot be asked for: 404',
    cause: 'The folder was made or renamed by something that is not a registry.',
    remedy: 'move the folder out of the store by hand; if it held an image, push that under a valid name',
  },
  'tag-index-missing': {
    severity: 'hint',
    title: 'tag whose index lacks what it stands for',
    clientSees: 'nothing: pulls do not read the index',
    cause:
      'The index link was not copied. Garbage collection and GitLab use it to find the history of a tag.',
    remedy: REPAIR,
  },
  'tag-index-broken': {
    severity: 'hint',
    title: "broken link in a tag's index",
    clientSees: 'nothing: pulls do not read the index',
    cause:
      'The link is empty, cut off or holds another digest than its folder: a crash or damage on the disk.',
    remedy: REPAIR,
  },
  'tag-index-dangling': {
    severity: 'hint',
    title: "entry in a tag's index for a manifest that is gone",
    clientSees: 'nothing',
    cause: 'Normal: the tag once stood for a manifest that was deleted since.',
    remedy: 'none is needed',
  },
  'revision-link-empty': {
    severity: 'error',
    title: "manifest's link is empty",
    clientSees: `${UNKNOWN} for the manifest, with "invalid checksum digest format" in the log; garbage collection stops with "failed to mark"`,
    cause: 'The registry or its machine crashed while the manifest was pushed.',
    remedy: REPAIR,
  },
  'revision-link-invalid': {
    severity: 'error',
    title: "manifest's link is not a digest",
    clientSees: `${UNKNOWN} for the manifest, with "invalid checksum digest length" or "format" in the log; garbage collection stops with "failed to mark"`,
    cause: 'The link was cut off, edited by hand (an editor or echo adds a newline), or damaged on the disk.',
    remedy: REPAIR,
  },
  'revision-link-mismatch': {
    severity: 'error',
    title: "manifest's link holds another digest than its folder",
    clientSees:
      'another manifest than was asked for, which clients that compare digests refuse, or 404 MANIFEST_UNKNOWN',
    cause: 'Damage on the disk, or links that were edited or restored to the wrong place.',
    remedy: REPAIR,
  },
  'manifest-blob-missing': {
    severity: 'error',
    title: 'manifest whose bytes are missing',
    clientSees: MANIFEST_UNKNOWN,
    cause:
      'An incomplete copy, or garbage collection while a push ran. Do not run garbage collection now: it takes the layers of this manifest for garbage.',
    remedy: REPAIR_FROM,
  },
  'manifest-empty': {
    severity: 'error',
    title: 'manifest of zero bytes',
    clientSees: `${UNKNOWN} with "unexpected end of JSON input" in the log; garbage collection stops with "failed to retrieve manifest"`,
    cause: 'A crash while the manifest was written, a full disk, or a raw copy of a Swift large object.',
    remedy: HEAL_BLOB,
  },
  'manifest-corrupt': {
    severity: 'error',
    title: 'manifest whose bytes do not have its digest',
    clientSees:
      'the registry serves the bytes unchecked; clients that compare digests refuse them, others fail on what is in them',
    cause: 'Damage on the disk or in transfer, or a manifest that was edited by hand.',
    remedy: HEAL_BLOB,
  },
  'manifest-unparsable': {
    severity: 'error',
    title: 'manifest that a registry cannot read',
    clientSees: UNKNOWN,
    cause:
      'The revision link stands for a blob that is no manifest, or one of a kind that registries do not know.',
    remedy: 'delete the manifest by its digest, and push the image again',
  },
  'child-manifest-missing': {
    severity: 'error',
    title: 'index that names a manifest which its repository does not have',
    clientSees: `${MANIFEST_UNKNOWN} for the platform that it is of; other platforms can be pulled`,
    cause:
      'Garbage collection with --delete-untagged by a registry up to 2.8 removes the images of an index (distribution issue 3178); or the revision link was not copied.',
    remedy: `${REPAIR} where the manifest's blob is still there, else ${REPAIR_FROM}`,
  },
  'manifest-schema1': {
    severity: 'warning',
    title: 'manifest of schema 1',
    clientSees:
      'up to Docker Distribution 2.8 it can be pulled, by clients that still know it; from 3.0 it cannot',
    cause:
      'Pushed by a Docker older than 1.10. It stops garbage collection in Docker Distribution 3, and GitLab does not import it into its database.',
    remedy: 'pull and push the image with a current client before an upgrade, or delete it',
  },
  'manifest-linked-as-layer': {
    severity: 'warning',
    title: 'manifest that only a layer link leads to',
    clientSees: `nothing on Docker Distribution 2; ${MANIFEST_UNKNOWN} on Docker Distribution 3 and GitLab`,
    cause:
      'Pushed to a registry of version 2.1.0, which linked manifests as layers; or the revision link was lost.',
    remedy: REPAIR,
  },
  'layer-link-empty': {
    severity: 'error',
    severityUnlessHurting: 'warning',
    title: 'layer link is empty',
    clientSees: `${UNKNOWN} for the blob, in pulls and in pushes of an image that has it`,
    cause: 'The registry or its machine crashed while the layer was pushed.',
    remedy: REPAIR,
  },
  'layer-link-invalid': {
    severity: 'error',
    severityUnlessHurting: 'warning',
    title: 'layer link is not a digest',
    clientSees: `${UNKNOWN} for the blob, in pulls and in pushes of an image that has it`,
    cause: 'The link was cut off, edited by hand (an editor or echo adds a newline), or damaged on the disk.',
    remedy: REPAIR,
  },
  'layer-link-mismatch': {
    severity: 'error',
    severityUnlessHurting: 'warning',
    title: 'layer link holds another digest than its folder',
    clientSees: `another blob than was asked for, which clients refuse ("filesystem layer verification failed"), or ${BLOB_UNKNOWN}`,
    cause:
      'Damage on the disk, or links that were edited or restored to the wrong place. The link of a blob that was pushed by its SHA-512 holds its SHA-256, which is as it should be and is no finding.',
    remedy: REPAIR,
  },
  'layer-link-missing': {
    severity: 'error',
    title: 'blob that a manifest needs is not linked in its repository',
    clientSees: BLOB_UNKNOWN,
    cause: 'An incomplete copy, or the blob was deleted through the API although a manifest needs it.',
    remedy: REPAIR,
  },
  'layer-link-dangling': {
    severity: 'hint',
    title: 'layer link to a blob that is gone',
    clientSees: 'nothing: no manifest needs it',
    cause:
      'Normal: garbage collection of Docker Distribution 2 and of GitLab removes blobs and leaves their links.',
    remedy: 'none is needed',
  },
  'config-blob-missing': {
    severity: 'error',
    title: "image whose config's bytes are missing",
    clientSees: `the manifest, and then ${BLOB_UNKNOWN}`,
    cause: 'An incomplete copy, or garbage collection while a push ran.',
    remedy: REPAIR_FROM,
  },
  'layer-blob-missing': {
    severity: 'error',
    title: 'image with a layer whose bytes are missing',
    clientSees: `the manifest, and then ${BLOB_UNKNOWN}`,
    cause: 'An incomplete copy, or garbage collection while a push ran.',
    remedy: REPAIR_FROM,
  },
  'blob-empty': {
    severity: 'error',
    severityUnlessHurting: 'warning',
    title: 'blob of zero bytes',
    clientSees:
      '200 with no content, which clients refuse: "unexpected EOF", "failed size validation", "filesystem layer verification failed"',
    cause:
      'A crash, a full disk, or a raw copy of a Swift large object, which leaves the manifest of its segments.',
    remedy: HEAL_BLOB,
  },
  'blob-size-wrong': {
    severity: 'error',
    title: 'blob of another size than its manifest says',
    clientSees:
      'content that clients refuse: "unexpected EOF", "failed size validation", "filesystem layer verification failed"',
    cause: 'An interrupted copy, a full disk, or damage on the disk.',
    remedy: HEAL_BLOB,
  },
  'blob-corrupt': {
    severity: 'error',
    severityUnlessHurting: 'warning',
    title: 'blob whose bytes do not have its digest',
    clientSees:
      'content that clients refuse: "filesystem layer verification failed for digest", "image config verification failed for digest"',
    cause:
      'Damage on the disk or in transfer: the registry never checks what it serves. Found only with --read-data.',
    remedy: HEAL_BLOB,
  },
  'blob-orphan': {
    severity: 'hint',
    title: 'blob that no manifest needs',
    clientSees: 'nothing',
    cause:
      'Normal: an image was deleted, or a push was not finished, and garbage collection did not run since. While pushes run it may belong to one of them.',
    remedy:
      "the registry's garbage-collect, with the registry read-only or stopped, once check finds no error",
  },
  'signature-link-broken': {
    severity: 'hint',
    title: 'broken link to a signature of schema 1',
    clientSees: `nothing, except on registries up to 2.4: ${UNKNOWN} for the manifest`,
    cause: 'The link is empty, cut off or holds another digest than its folder.',
    remedy: 'none is needed on a registry from 2.5 on',
  },
} as const satisfies Record<string, FindingDescription>;
