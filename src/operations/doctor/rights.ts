/** What a store can be asked to do, each with a right of its own. */
export type Action =
  | 'list'
  | 'head'
  | 'get'
  | 'put'
  | 'delete'
  | 'copy'
  | 'multipart'
  | 'abort'
  | 'list-uploads';

/** S3: "Actions defined by Amazon S3", Service Authorization Reference. */
const s3Rights: Readonly<Record<Action, string>> = {
  list: 's3:ListBucket on the bucket',
  head: 's3:GetObject on its objects (and s3:ListBucket, without which an absent object is answered with 403, too)',
  get: 's3:GetObject on its objects (with SSE-KMS also kms:Decrypt)',
  put: 's3:PutObject on its objects (with SSE-KMS also kms:GenerateDataKey)',
  delete: 's3:DeleteObject on its objects',
  copy: 's3:GetObject and s3:PutObject on its objects',
  multipart: 's3:PutObject on its objects (with SSE-KMS also kms:Decrypt)',
  abort: 's3:AbortMultipartUpload on its objects',
  'list-uploads': 's3:ListBucketMultipartUploads on the bucket',
};

const azureReader = 'the role Storage Blob Data Reader on the container, or a SAS with read (r) and list (l)';
const azureWriter =
  'the role Storage Blob Data Contributor on the container, or a SAS with add, create, write and delete (acwd)';

const azureRights: Readonly<Record<Action, string>> = {
  list: azureReader,
  head: azureReader,
  get: azureReader,
  put: azureWriter,
  delete: azureWriter,
  copy: azureWriter,
  multipart: azureWriter,
  abort: azureWriter,
  'list-uploads': azureReader,
};

const folderRights: Readonly<Partial<Record<Action, string>>> = {
  list: 'the right to read and enter the folder and all below it',
  head: 'the right to enter the folder and all below it',
  get: 'the right to read its files',
  put: 'the right to write to the folder and all below it',
  delete: 'the right to write to the folder and all below it',
};

/** What to give to credentials that may not do something: an IAM action, an Azure role, a right on a folder. */
export function rightFor(storeName: string, action: Action): string {
  switch (storeName) {
    case 's3':
      return s3Rights[action];
    case 'azure':
      return azureRights[action];
    default:
      return folderRights[action] ?? 'the right to do so';
  }
}
