import { isDriverError } from '../errors.ts';
import { compareKeys } from '../keys.ts';
import type { DeleteDialect, ListDialect, ProbeOptions } from '../probe.ts';
import { elementText } from '../xml.ts';
import { DELETE_BATCH_SIZE, requireDeleteResult, sendContentMd5 } from './deleting.ts';
import { toStoredKey } from './keys.ts';
import { ListingPageError, scanListingPage, type ListingPage } from './listing-page.ts';
import { statObject } from './reading.ts';
import { abortable, callSdk, describeCall, type S3Store } from './store.ts';

/** How the bucket lists, as the driver asks for it: see `listObjects`. Three requests, or four. */
export async function listDialectOf(
  store: S3Store,
  { samplePrefix, signal }: ProbeOptions,
): Promise<ListDialect> {
  const ask = (more: Readonly<Record<string, string>>): Promise<string> =>
    listOnce(store, { prefix: store.options.root + samplePrefix, ...more }, signal);
  const whole = await ask({ 'max-keys': '1000' });
  const short = scanned(await ask({ 'max-keys': '1' }));
  const folders = scanned(await ask({ 'max-keys': '1000', delimiter: '/' }));
  const keys = scanned(whole)?.objects.map(({ key }) => key) ?? [];
  // Version 1 repeats the marker that it was given, and version 2 counts the keys of a page.
  const isV2 = /<(?:KeyCount|NextContinuationToken)>/.test(whole) || !/<Marker\b/.test(whole);
  return {
    speaks: isV2 ? 'ListObjectsV2' : 'ListObjects, which is its version 1',
    continues: short === undefined ? false : await continues(short, ask),
    encodesKeys: elementText(whole, 'EncodingType') === 'url',
    groups: keys.length === 0 || folders === undefined ? undefined : folders.folders.length > 0,
    ascends:
      keys.length < 2
        ? undefined
        : keys.every((key, index) => index === 0 || compareKeys(keys[index - 1] ?? '', key) < 0),
  };
}

/** Whether the page after one of a single key holds another; undefined when there is no second key. */
async function continues(
  first: ListingPage,
  ask: (more: Readonly<Record<string, string>>) => Promise<string>,
): Promise<boolean | undefined> {
  if (first.nextToken === undefined) {
    return undefined;
  }
  const next = scanned(await ask({ 'max-keys': '1', 'continuation-token': first.nextToken }));
  const [before, after] = [first.objects[0]?.key, next?.objects[0]?.key];
  return before !== undefined && after !== undefined && compareKeys(before, after) < 0;
}

async function listOnce(
  store: S3Store,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<string> {
  const all = { 'list-type': '2', 'encoding-type': 'url', ...query };
  const { body } = await store.http.send({ method: 'GET', query: all, signal }, describeCall('probe'));
  return body.toString('utf8');
}

/** Undefined for a page that the driver would not take, such as one that does not say how to go on. */
function scanned(xml: string): ListingPage | undefined {
  try {
    return scanListingPage(Buffer.from(xml));
  } catch (error) {
    if (error instanceof ListingPageError) {
      return undefined;
    }
    throw error;
  }
}

/**
 * How the bucket deletes many keys at once: with the proof of the request that the driver sends (Content-MD5), and
 * with the checksum that others send; whether it keeps quiet or tells of each key, as it is asked to. The objects
 * are written for it, below `prefix`.
 */
export async function deleteDialectOf(
  store: S3Store,
  prefix: string,
  signal: AbortSignal | undefined,
): Promise<DeleteDialect> {
  const withMd5 = [`${prefix}deleted-1`, `${prefix}deleted-2`];
  const withChecksum = [`${prefix}deleted-3`, `${prefix}deleted-4`];
  for (const key of [...withMd5, ...withChecksum]) {
    await putEmpty(store, key, signal);
  }
  const quiet = await deleteBatch(store, withMd5, { md5: true, quiet: true }, signal);
  const telling = await deleteBatch(store, withChecksum, { md5: false, quiet: false }, signal);
  const asDriver = quiet ?? (await deleteBatch(store, withMd5, { md5: true, quiet: false }, signal));
  const claimed = [
    ...(asDriver === undefined ? [] : withMd5),
    ...(telling === undefined ? [] : withChecksum),
  ];
  const left = await Promise.all(claimed.map((key) => statObject(store, key, { signal })));
  return {
    batchKeys: asDriver === undefined ? 1 : DELETE_BATCH_SIZE,
    proofs: [
      ...(asDriver === undefined ? [] : ['Content-MD5']),
      ...(telling === undefined ? [] : ['x-amz-checksum']),
    ],
    keepsQuiet: quiet === undefined ? undefined : quiet.length === 0,
    tellsEach: telling === undefined ? undefined : telling.length === withChecksum.length,
    removes: claimed.length === 0 ? undefined : left.every((there) => there === undefined),
  };
}

/** The keys that the answer names as deleted, or undefined when such a request is refused. */
async function deleteBatch(
  store: S3Store,
  keys: readonly string[],
  { md5, quiet }: { md5: boolean; quiet: boolean },
  signal: AbortSignal | undefined,
): Promise<string[] | undefined> {
  const details = describeCall('probe');
  const { sdk, client } = await store.connection.loadSdk();
  const command = new sdk.DeleteObjectsCommand({
    Bucket: store.options.bucket,
    Delete: {
      Quiet: quiet,
      Objects: keys.map((key) => ({ Key: toStoredKey(store.options.root, key, details) })),
    },
  });
  if (md5) {
    sendContentMd5(command);
  }
  requireDeleteResult(command, store.connection.place, details);
  try {
    const { Deleted = [] } = await callSdk(store, details, signal, () =>
      client.send(command, abortable(signal)),
    );
    return Deleted.flatMap(({ Key }) => Key ?? []);
  } catch (error) {
    if (isDriverError(error, 'UNSUPPORTED', 'UNEXPECTED', 'CORRUPT')) {
      return undefined;
    }
    throw error;
  }
}

async function putEmpty(store: S3Store, key: string, signal: AbortSignal | undefined): Promise<void> {
  const details = describeCall('probe', key);
  const storedKey = toStoredKey(store.options.root, key, details);
  const headers = store.objectHeaders;
  await store.http.send(
    { method: 'PUT', storedKey, headers, body: Buffer.alloc(0), bodyBytes: 0, signal },
    details,
  );
}
