import type { ObjectKind } from '../operations/observer.ts';

/** What each kind of object is called in output, in the order in which it is copied. */
export const kindNames: Readonly<Record<ObjectKind, string>> = {
  'blob-data': 'blobs',
  tarsum: 'tarsum files',
  lockfile: 'lockfiles',
  'scheduler-state': 'cache state',
  'layer-link': 'layer links',
  'signature-link': 'signature links',
  'revision-link': 'manifest revisions',
  'tag-index': 'tag index links',
  'tag-current': 'tags',
  upload: 'upload files',
  'directory-marker': 'directory markers',
  temporary: 'temporary files',
  foreign: 'foreign files',
};

export const kindsInOrder = Object.keys(kindNames) as ObjectKind[];
