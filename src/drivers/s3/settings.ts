import type { CallOptions, StoreSettings } from '../driver.ts';
import { isDriverError } from '../errors.ts';
import { refusalBehind } from './refusals.ts';
import { abortable, callSdk, describeCall, type S3Store } from './store.ts';

/**
 * Whether the bucket keeps older versions (GetBucketVersioning, which answers nothing for a bucket that never did).
 * Credentials that may not ask (`s3:GetBucketVersioning`), and stores that do not know the question, leave it open.
 */
export async function describeBucket(store: S3Store, { signal }: CallOptions = {}): Promise<StoreSettings> {
  const { sdk, client } = await store.connection.loadSdk();
  const command = new sdk.GetBucketVersioningCommand({ Bucket: store.options.bucket });
  try {
    const { Status } = await callSdk(store, describeCall('describe'), signal, () =>
      client.send(command, abortable(signal)),
    );
    switch (Status) {
      case 'Enabled':
        return { versioning: 'enabled' };
      case 'Suspended':
        return { versioning: 'suspended' };
      default:
        return { versioning: 'disabled' };
    }
  } catch (error) {
    const isUnknown404 = refusalBehind(error)?.status === 404 && !isDriverError(error, 'STORE_NOT_FOUND');
    if (isDriverError(error, 'PERMISSION_DENIED', 'UNSUPPORTED') || isUnknown404) {
      return {};
    }
    throw error;
  }
}
