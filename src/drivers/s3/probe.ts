import { DriverError } from '../errors.ts';
import type { Answer, Lifecycle, ProbeOptions, StoreProbe } from '../probe.ts';
import { withoutCredentials } from '../proxy.ts';
import { answer } from './answer.ts';
import { credentialSource } from './credential-source.ts';
import { listDialectOf } from './probe-dialect.ts';
import { probeWrites } from './probe-writes.ts';
import { refusalBehind } from './refusals.ts';
import { abortable, callSdk, describeCall, type S3Store } from './store.ts';

/** Classes from which an object has to be restored before it can be read (S3 User Guide, "Storage classes"). */
const archiveClasses = new Set(['GLACIER', 'DEEP_ARCHIVE']);

/**
 * Asks a bucket for what matters to whoever moves objects into it, each question by itself, so that a missing
 * right hides one answer only.
 */
export async function probeBucket(store: S3Store, options: ProbeOptions): Promise<StoreProbe> {
  const { signal } = options;
  const [credentials, head, encryption, objectLock, lifecycle, archived, lists] = await Promise.all([
    answer('', async () => credentialSource(await store.connection.credentials(), store.options)),
    answer('s3:ListBucket', () => headBucket(store, signal)),
    answer('s3:GetEncryptionConfiguration', () => encryptionOf(store, signal)),
    answer('s3:GetBucketObjectLockConfiguration', () => objectLockOf(store, signal)),
    answer('s3:GetLifecycleConfiguration', () => lifecycleOf(store, signal)),
    answer('s3:ListBucket', () => archivedBelow(store, options)),
    answer('s3:ListBucket', () => listDialectOf(store, options)),
  ]);
  return {
    proxy: withoutCredentials(store.connection.proxy),
    credentials,
    clockAheadMs: 'value' in head ? { value: head.value.clockAheadMs } : head,
    region: regionOf(head, store),
    encryption,
    objectLock,
    lifecycle,
    archived,
    lists,
    ...(options.scratchPrefix === undefined
      ? {}
      : { writes: await probeWrites(store, options.scratchPrefix, signal) }),
  };
}

interface BucketHead {
  clockAheadMs: number;
  region: string | undefined;
}

async function headBucket(store: S3Store, signal: AbortSignal | undefined): Promise<BucketHead> {
  const details = describeCall('probe');
  const sentAtMs = Date.now();
  const { headers } = await store.http.send({ method: 'HEAD', signal }, details);
  const middleMs = (sentAtMs + Date.now()) / 2;
  const dateMs = Date.parse(String(headers['date']));
  if (Number.isNaN(dateMs)) {
    throw new DriverError('UNSUPPORTED', 'The store sends no date with its answers.', details);
  }
  const region = headers['x-amz-bucket-region'];
  // The header counts whole seconds, so on average it is half a second behind.
  return { clockAheadMs: dateMs + 500 - middleMs, region: typeof region === 'string' ? region : undefined };
}

/** Stores that know no regions name none; then what requests are signed for is right, as they were accepted. */
function regionOf(head: Answer<BucketHead>, store: S3Store): Answer<string> {
  return 'value' in head ? { value: head.value.region ?? store.connection.signingRegion } : head;
}

async function encryptionOf(store: S3Store, signal: AbortSignal | undefined): Promise<string> {
  const { sdk, client } = await store.connection.loadSdk();
  const command = new sdk.GetBucketEncryptionCommand({ Bucket: store.options.bucket });
  const none = ['ServerSideEncryptionConfigurationNotFoundError'];
  const found = await unlessAbsent(none, () =>
    callSdk(store, describeCall('probe'), signal, () => client.send(command, abortable(signal))),
  );
  const rule = found?.ServerSideEncryptionConfiguration?.Rules?.[0]?.ApplyServerSideEncryptionByDefault;
  return rule?.SSEAlgorithm ?? 'none';
}

async function objectLockOf(store: S3Store, signal: AbortSignal | undefined): Promise<boolean> {
  const { sdk, client } = await store.connection.loadSdk();
  const command = new sdk.GetObjectLockConfigurationCommand({ Bucket: store.options.bucket });
  const found = await unlessAbsent(
    ['ObjectLockConfigurationNotFoundError', 'NoSuchObjectLockConfiguration'],
    () => callSdk(store, describeCall('probe'), signal, () => client.send(command, abortable(signal))),
  );
  return found?.ObjectLockConfiguration?.ObjectLockEnabled === 'Enabled';
}

async function lifecycleOf(store: S3Store, signal: AbortSignal | undefined): Promise<Lifecycle> {
  const { sdk, client } = await store.connection.loadSdk();
  const command = new sdk.GetBucketLifecycleConfigurationCommand({ Bucket: store.options.bucket });
  const found = await unlessAbsent(['NoSuchLifecycleConfiguration'], () =>
    callSdk(store, describeCall('probe'), signal, () => client.send(command, abortable(signal))),
  );
  const rules = (found?.Rules ?? []).filter(({ Status }) => Status === 'Enabled');
  const days = rules.flatMap(
    ({ AbortIncompleteMultipartUpload }) => AbortIncompleteMultipartUpload?.DaysAfterInitiation ?? [],
  );
  const classes = rules.flatMap(({ Transitions = [] }) =>
    Transitions.flatMap(({ StorageClass }) => StorageClass ?? []),
  );
  return {
    abortsUploadsAfterDays: days.length === 0 ? undefined : Math.min(...days),
    archivesTo: [...new Set<string>(classes)].filter((name) => archiveClasses.has(name)),
    expiresObjects: rules.some(
      ({ Expiration }) => Expiration?.Days !== undefined || Expiration?.Date !== undefined,
    ),
  };
}

/** Undefined where the bucket has no such configuration, which stores say with an error. */
async function unlessAbsent<T>(codes: readonly string[], ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (codes.includes(refusalBehind(error)?.code ?? '')) {
      return undefined;
    }
    throw error;
  }
}

async function archivedBelow(
  store: S3Store,
  { samplePrefix, signal }: ProbeOptions,
): Promise<{ looked: number; archived: number }> {
  const { sdk, client } = await store.connection.loadSdk();
  const { bucket, root } = store.options;
  const command = new sdk.ListObjectsV2Command({
    Bucket: bucket,
    Prefix: root + samplePrefix,
    MaxKeys: 1000,
  });
  const { Contents = [] } = await callSdk(store, describeCall('probe'), signal, () =>
    client.send(command, abortable(signal)),
  );
  const archived = Contents.filter(({ StorageClass = 'STANDARD' }) => archiveClasses.has(StorageClass));
  return { looked: Contents.length, archived: archived.length };
}
