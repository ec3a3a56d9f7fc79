import type { ObjectCannedACL, ServerSideEncryption, StorageClass } from '@aws-sdk/client-s3';
import type { S3Options } from '../s3.ts';

/** The registry's driver labels everything so; some tools decide by it what to compress or convert. */
const CONTENT_TYPE = 'application/octet-stream';

/** What every new object is given, as parameters of the SDK's commands. */
export interface ObjectParameters {
  ContentType: string;
  ServerSideEncryption?: ServerSideEncryption;
  SSEKMSKeyId?: string;
  StorageClass?: StorageClass;
  ACL?: ObjectCannedACL;
}

/**
 * The registry's own parameters, read as the registry reads them: `keyid` counts only with `encrypt`,
 * and the storage class `NONE` sends no header (for stores that know no storage classes).
 */
export function objectParameters(options: S3Options): ObjectParameters {
  const { encrypt, keyId, storageClass, objectAcl } = options;
  const parameters: ObjectParameters = { ContentType: CONTENT_TYPE };
  if (encrypt === true) {
    parameters.ServerSideEncryption = keyId === undefined ? 'AES256' : 'aws:kms';
    if (keyId !== undefined) {
      parameters.SSEKMSKeyId = keyId;
    }
  }
  if (storageClass !== undefined && storageClass !== 'NONE') {
    parameters.StorageClass = storageClass as StorageClass;
  }
  if (objectAcl !== undefined) {
    parameters.ACL = objectAcl as ObjectCannedACL;
  }
  return parameters;
}

/** The same as headers of a PUT, names and values in turn. */
export function objectHeaders(options: S3Options): string[] {
  const parameters = objectParameters(options);
  const named = {
    'content-type': parameters.ContentType,
    'x-amz-server-side-encryption': parameters.ServerSideEncryption,
    'x-amz-server-side-encryption-aws-kms-key-id': parameters.SSEKMSKeyId,
    'x-amz-storage-class': parameters.StorageClass,
    'x-amz-acl': parameters.ACL,
  };
  return Object.entries(named).flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
}
