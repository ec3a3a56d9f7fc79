import { Readable } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import { bodySizeBytes, provenBody } from '../body.ts';
import type { Body, WriteOptions } from '../driver.ts';
import { DriverError, isDriverError, type DriverErrorDetails } from '../errors.ts';
import type { LoadedSdk } from './connection.ts';
import { toDriverError } from './failures.ts';
import { allowManyListeners, interruptible } from '../interruptible.ts';
import { objectParameters } from './object-settings.ts';
import { describeCall, fittingPartBytes, leftoverError, type S3Store } from './store.ts';

/** Parts of one object that are under way at once; each is held in memory. */
const PARTS_AT_ONCE = 4;

/**
 * Uploads a body in parts with `@aws-sdk/lib-storage`, hashing it on the way. The last part is withheld until
 * length and digest are right, so what is wrong is never completed but aborted. Each part's own hash is signed.
 */
export async function uploadInParts(
  store: S3Store,
  storedKey: string,
  body: Body,
  { expectedDigest, signal }: WriteOptions,
  details: DriverErrorDetails,
): Promise<void> {
  await store.connection.credentials();
  const [loaded, { Upload }] = await Promise.all([
    store.connection.loadSdk(),
    import('@aws-sdk/lib-storage'),
  ]);
  const ending = new Ending();
  allowManyListeners(ending.signal);
  const proven = reportingFailure(provenBody(body, { expectedDigest, signal, details }), (error) => {
    ending.fail({ error, isFromBody: true });
  });
  const chunks = Readable.from(interruptible(proven, ending.signal), { objectMode: true, highWaterMark: 1 });
  // What reading throws ends the upload by way of `ending`, whether or not the upload is reading at that time.
  chunks.on('error', () => {});
  const onAbort = (): void => {
    ending.fail({ error: new DriverError('ABORTED', 'Interrupted.', details), isFromBody: false });
  };
  if (signal !== undefined) {
    allowManyListeners(signal);
    signal.addEventListener('abort', onAbort);
  }
  const sizeBytes = bodySizeBytes(body);
  try {
    if (signal?.aborted === true) {
      onAbort();
    }
    ending.throwIfFailed();
    const upload = new Upload({
      client: endingWith(ending, store, loaded),
      params: {
        Bucket: store.options.bucket,
        Key: storedKey,
        Body: chunks,
        ContentLength: sizeBytes,
        ...objectParameters(store.options),
      },
      partSize: fittingPartBytes(sizeBytes, store.limits.partSizeBytes),
      queueSize: PARTS_AT_ONCE,
    });
    await upload.done();
  } catch (error) {
    throw ending.explain(error, store, details, signal);
  } finally {
    signal?.removeEventListener('abort', onAbort);
    chunks.destroy();
  }
}

interface Failure {
  error: unknown;
  isFromBody: boolean;
}

/** How an upload ends before its time: the first failure counts, and stops whatever else is under way. */
class Ending {
  readonly #controller = new AbortController();
  #failure: Failure | undefined;
  /** Set when even aborting the upload failed, so that its parts stay in the bucket. */
  leftover: { uploadId: string | undefined; error: unknown } | undefined;

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  fail(failure: Failure): void {
    if (this.#failure === undefined) {
      this.#failure = failure;
      this.#controller.abort(failure.error);
    }
  }

  throwIfFailed(): void {
    if (this.#failure !== undefined) {
      throw this.#failure.error;
    }
  }

  /** The error to report when the upload ended with `error`. What reading the body threw is passed on as it is. */
  explain(
    error: unknown,
    store: S3Store,
    details: DriverErrorDetails,
    signal: AbortSignal | undefined,
  ): unknown {
    const first =
      this.#failure?.isFromBody === true
        ? this.#failure.error
        : toDriverError(store.connection.place, this.#failure?.error ?? error, details, signal);
    return this.leftover === undefined
      ? first
      : leftoverError(first, this.leftover.error, this.leftover.uploadId, details);
  }
}

/**
 * The SDK's client as the upload sees it. The upload itself passes no signal to its requests and, when one part
 * fails, goes on with the others: here the first failure ends every part under way. Creating, completing
 * and aborting are never cut off, for then nobody would know whether they took place.
 */
function endingWith(ending: Ending, store: S3Store, { sdk, client }: LoadedSdk): S3Client {
  const { place } = store.connection;
  const send = async (command: Parameters<S3Client['send']>[0]): Promise<unknown> => {
    if (command instanceof sdk.AbortMultipartUploadCommand) {
      try {
        return await client.send(command);
      } catch (error) {
        const reason = toDriverError(place, error, describeCall('abortUpload'));
        if (!isDriverError(reason, 'NOT_FOUND')) {
          ending.leftover = { uploadId: command.input.UploadId, error: reason };
        }
        return undefined;
      }
    }
    ending.throwIfFailed();
    const isPart = command instanceof sdk.UploadPartCommand || command instanceof sdk.PutObjectCommand;
    try {
      return await client.send(command, isPart ? { abortSignal: ending.signal } : {});
    } catch (error) {
      ending.fail({ error, isFromBody: false });
      throw error;
    }
  };
  return Object.create(client, { send: { value: send } }) as S3Client;
}

async function* reportingFailure(
  chunks: AsyncIterable<Uint8Array>,
  report: (error: unknown) => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
  } catch (error) {
    report(error);
    throw error;
  }
}
