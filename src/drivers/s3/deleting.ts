import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { DeleteObjectsCommand, DeleteObjectsCommandOutput } from '@aws-sdk/client-s3';
import pLimit from 'p-limit';
import type { CallOptions, DeleteFailure } from '../driver.ts';
import { DriverError, type DriverErrorDetails, isDriverError } from '../errors.ts';
import { unconfirmedError } from './granted.ts';
import { isXmlUnsafe, toStoredKey } from './keys.ts';
import { isErrorDocument, parseRefusal, refusalError, type S3Place } from './refusals.ts';
import { abortable, callSdk, describeCall, type S3Store } from './store.ts';

/** S3 API reference, DeleteObjects: at most 1,000 keys. */
export const DELETE_BATCH_SIZE = 1000;

const SINGLE_DELETES_AT_ONCE = 16;

/** Removes exactly these keys. See `Driver.delete`. */
export async function deleteObjects(
  store: S3Store,
  keys: readonly string[],
  { signal }: CallOptions = {},
): Promise<DeleteFailure[]> {
  if (signal?.aborted === true) {
    throw new DriverError('ABORTED', 'Interrupted.', { ...describeCall('delete'), cause: signal.reason });
  }
  const single = keys.filter((key) => isXmlUnsafe(key));
  const many = keys.filter((key) => !isXmlUnsafe(key));
  const batches = single.length === 0 ? [] : [{ batch: single, remove: deleteOneByOne }];
  for (let start = 0; start < many.length; start += DELETE_BATCH_SIZE) {
    batches.push({ batch: many.slice(start, start + DELETE_BATCH_SIZE), remove: deleteTogether });
  }
  const failures: DeleteFailure[] = [];
  for (const [index, { batch, remove }] of batches.entries()) {
    try {
      failures.push(...(await remove(store, batch, signal)));
    } catch (error) {
      if (index === 0 || !(error instanceof Error) || isDriverError(error, 'ABORTED')) {
        throw error;
      }
      failures.push(...batch.map((key) => ({ key, error })));
    }
  }
  return failures;
}

async function deleteTogether(
  store: S3Store,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<DeleteFailure[]> {
  const details = describeCall('delete');
  const { place } = store.connection;
  const { sdk, client } = await store.connection.loadSdk();
  const { bucket, root } = store.options;
  const keyByStored = new Map(
    keys.map((key) => [toStoredKey(root, key, describeCall('delete', key)), key] as const),
  );
  const command = new sdk.DeleteObjectsCommand({
    Bucket: bucket,
    Delete: { Quiet: true, Objects: [...keyByStored.keys()].map((Key) => ({ Key })) },
  });
  sendContentMd5(command);
  requireDeleteResult(command, place, details);
  let answer: DeleteObjectsCommandOutput;
  try {
    answer = await callSdk(store, details, signal, () => client.send(command, abortable(signal)));
  } catch (error) {
    if (isDriverError(error, 'UNSUPPORTED')) {
      return deleteOneByOne(store, keys, signal);
    }
    throw error;
  }
  return (answer.Errors ?? []).flatMap(({ Key, Code, Message }) => {
    const key = keyByStored.get(Key ?? '');
    const error = refusalError(
      place,
      { status: 200, code: Code, message: Message },
      describeCall('delete', key ?? Key),
    );
    if (key === undefined) {
      throw error;
    }
    return isDriverError(error, 'NOT_FOUND') ? [] : [{ key, error }];
  });
}

async function deleteOneByOne(
  store: S3Store,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<DeleteFailure[]> {
  const limit = pLimit(SINGLE_DELETES_AT_ONCE);
  const outcomes = await Promise.all(
    keys.map((key) =>
      limit(async (): Promise<DeleteFailure[]> => {
        const details = describeCall('delete', key);
        try {
          const storedKey = toStoredKey(store.options.root, key, details);
          const { body } = await store.http.send({ method: 'DELETE', storedKey, signal }, details);
          if (body.byteLength > 0) {
            throw unconfirmedError(store.connection.place, 'the empty answer of a delete', details);
          }
          return [];
        } catch (error) {
          if (isDriverError(error, 'ABORTED', 'STORE_NOT_FOUND') || !(error instanceof Error)) {
            throw error;
          }
          return isDriverError(error, 'NOT_FOUND') ? [] : [{ key, error }];
        }
      }),
    ),
  );
  return outcomes.flat();
}

/**
 * Replaces the checksum that the SDK adds by Content-MD5, which every store checks: older MinIO and Swift refuse
 * the request without it (minio/minio#20845), and AWS S3 asks for one or the other.
 */
export function sendContentMd5(command: DeleteObjectsCommand): void {
  command.middlewareStack.add(
    (next) => async (args) => {
      const request = args.request as { headers: Record<string, string>; body?: string | Uint8Array };
      for (const name of Object.keys(request.headers)) {
        if (/^x-amz-(?:sdk-)?checksum-/i.test(name)) {
          delete request.headers[name];
        }
      }
      request.headers['content-md5'] = createHash('md5')
        .update(request.body ?? '')
        .digest('base64');
      return next(args);
    },
    // After the SDK's own checksum, which is added in this step, and before the signature.
    { step: 'build', priority: 'low', name: 'regtoolContentMd5' },
  );
}

/**
 * Takes a success for one only when it is the document with which S3 answers: of any other, as a page that asks to sign
 * in, the SDK reads that no key failed.
 */
export function requireDeleteResult(
  command: DeleteObjectsCommand,
  place: S3Place,
  details: DriverErrorDetails,
): void {
  command.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const response = result.response as { statusCode: number; body: AsyncIterable<Uint8Array> };
      if (response.statusCode < 200 || response.statusCode >= 300) {
        return result;
      }
      const body = await buffer(response.body);
      const xml = body.toString('utf8');
      if (isErrorDocument(xml)) {
        throw refusalError(place, parseRefusal(200, {}, xml), details);
      }
      if (!DELETE_RESULT.test(xml)) {
        throw unconfirmedError(place, 'a list of what was deleted', details);
      }
      response.body = Readable.from([body]);
      return result;
    },
    // The closest to the store: what the SDK makes of the answer comes later.
    { step: 'deserialize', priority: 'low', name: 'regtoolDeleteResult' },
  );
}

/** The whole document, as one that breaks off may lack keys that failed. */
const DELETE_RESULT = /^\s*(?:<\?xml[^>]*\?>)?\s*<DeleteResult(?:\s[^>]*)?(?:\/>|>[^]*<\/DeleteResult>)\s*$/;
