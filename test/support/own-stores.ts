import { type AzureOptions, openAzure } from '../../src/drivers/azure.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { openS3, type S3Options } from '../../src/drivers/s3.ts';
import type { AzuriteAccess, RgwAccess } from '../servers/index.ts';

/** A test's own bucket of the shared S3 store, with its owner's keys. */
export function openBucket(
  { endpoint, region, accessKey, secretKey }: RgwAccess,
  bucket: string,
  { root = '', ...options }: Partial<S3Options> = {},
): Promise<Driver> {
  return openS3({
    bucket,
    root,
    location: root === '' ? `s3://${bucket}` : `s3://${bucket}/${root}`,
    endpoint,
    region,
    accessKeyId: accessKey,
    secretAccessKey: secretKey,
    ...options,
  });
}

/** A test's own container of the shared Azure service, with the account's key. */
export function openContainer(
  azurite: AzuriteAccess,
  container: string,
  { root = '', ...options }: Partial<AzureOptions> = {},
): Promise<Driver> {
  return openAzure({
    container,
    root,
    location: root === '' ? `azure://${container}` : `azure://${container}/${root}`,
    ...azurite,
    ...options,
  });
}
