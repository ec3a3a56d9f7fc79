import type {
  Body,
  CallOptions,
  ContentDigest,
  CopySource,
  DeleteFailure,
  Driver,
  FolderOptions,
  HashOptions,
  ListOptions,
  ListPosition,
  ObjectStat,
  PendingUpload,
  ReadOptions,
  WriteOptions,
} from './driver.ts';
import { DriverError, isDriverError } from './errors.ts';
import { compareKeys } from './keys.ts';
import { type Attempts, isRetryable, retrier, type RetryOptions } from './retrier.ts';

/**
 * Repeats what failed with a `retryable` error, after an exponentially growing pause with full jitter, or after
 * the pause that the store asked for. Bodies are opened anew for each attempt.
 *
 * - A listing of objects that broke off goes on with the page that failed, where the store lists by pages; elsewhere it
 *   begins again, and what was delivered is dropped. Each page that arrives restores the full number of attempts.
 * - A download is repeated until its first bytes are delivered. After that the error goes up, because the consumer
 *   already has a part: it has to open the object anew.
 * - A delete is repeated for the keys that failed.
 */
export function withRetry(driver: Driver, options: RetryOptions = {}): Driver {
  const retry = retrier(driver.name, options);
  const hash = driver.hash?.bind(driver);
  const copyFrom = driver.copyFrom?.bind(driver);
  const listUploads = driver.listUploads?.bind(driver);
  const abortUpload = driver.abortUpload?.bind(driver);
  const describe = driver.describe?.bind(driver);
  const probe = driver.probe?.bind(driver);
  const findFolders = driver.findFolders?.bind(driver);
  const removeEmptyFolder = driver.removeEmptyFolder?.bind(driver);

  return {
    name: driver.name,
    location: driver.location,
    identity: driver.identity,
    supports: driver.supports,
    ...(driver.otherRoots === undefined
      ? {}
      : {
          otherRoots: driver.otherRoots.map((other) => ({
            ...other,
            open: () => withRetry(other.open(), options),
          })),
        }),

    async *list(prefix: string, callOptions: ListOptions = {}) {
      const attempts = retry.begin('list', prefix, callOptions.signal);
      const position: ListPosition = {};
      const told = advancing(position, attempts);
      let last: string | undefined;
      let checkOrder = ascending(driver, prefix);
      const listing = retry.restartable(attempts, async function* () {
        if (position.mark === undefined) {
          // From the first page: what has been delivered comes once more.
          checkOrder = ascending(driver, prefix);
        }
        try {
          yield* driver.list(prefix, { ...callOptions, position });
        } catch (error) {
          throw told(error);
        }
      });
      for await (const batch of listing) {
        checkOrder(batch);
        const fresh = after(last, batch);
        if (fresh.length > 0) {
          last = fresh.at(-1)?.key;
          attempts.reset();
          yield fresh;
        }
      }
    },

    async listFolder(folder: string, callOptions: FolderOptions = {}) {
      const attempts = retry.begin('listFolder', folder, callOptions.signal);
      const position: ListPosition = {};
      const told = advancing(position, attempts);
      return retry.until(attempts, async () => {
        try {
          return await driver.listFolder(folder, { ...callOptions, position });
        } catch (error) {
          throw told(error);
        }
      });
    },

    stat: (key: string, callOptions: CallOptions = {}) =>
      retry.call('stat', key, callOptions.signal, () => driver.stat(key, callOptions)),

    async *read(key: string, callOptions: ReadOptions = {}) {
      const attempts = retry.begin('read', key, callOptions.signal);
      const chunks = retry.restartable(attempts, () => driver.read(key, callOptions));
      for await (const chunk of chunks) {
        attempts.exhaust();
        yield chunk;
      }
    },

    readSmall: (key: string, maxBytes: number, callOptions: CallOptions = {}) =>
      retry.call('read', key, callOptions.signal, () => driver.readSmall(key, maxBytes, callOptions)),

    ...(hash === undefined
      ? {}
      : {
          hash: (key: string, algorithm: ContentDigest['algorithm'], hashOptions: HashOptions = {}) =>
            retry.call('read', key, hashOptions.signal, () => hash(key, algorithm, hashOptions)),
        }),

    write: (key: string, body: Body, writeOptions: WriteOptions = {}) =>
      retry.call('write', key, writeOptions.signal, () => driver.write(key, body, writeOptions)),

    async delete(keys: readonly string[], callOptions: CallOptions = {}) {
      const attempts = retry.begin('delete', keys[0], callOptions.signal);
      const failed: DeleteFailure[] = [];
      let failures = await retry.until(attempts, () => driver.delete(keys, callOptions));
      for (;;) {
        const again = failures.filter(({ error }) => isRetryable(error));
        failed.push(...failures.filter(({ error }) => !isRetryable(error)));
        const [first] = again;
        if (first === undefined) {
          return failed;
        }
        if (!(await attempts.mayGoOn(first.error))) {
          return [...failed, ...again];
        }
        failures = await deleteAgain(again, callOptions);
      }
    },

    ...(copyFrom === undefined
      ? {}
      : {
          copyFrom: (source: CopySource, key: string, callOptions: CallOptions = {}) =>
            retry.call('copyFrom', key, callOptions.signal, () => copyFrom(source, key, callOptions)),
        }),

    ...(listUploads === undefined
      ? {}
      : {
          async *listUploads(prefix: string, callOptions: CallOptions = {}) {
            const attempts = retry.begin('listUploads', prefix, callOptions.signal);
            const delivered = new Set<string>();
            const nameOf = ({ key, uploadId }: PendingUpload): string => `${uploadId} ${key}`;
            const listing = retry.restartable(attempts, () => listUploads(prefix, callOptions));
            for await (const batch of listing) {
              const fresh = batch.filter((upload) => !delivered.has(nameOf(upload)));
              if (fresh.length > 0) {
                fresh.forEach((upload) => delivered.add(nameOf(upload)));
                attempts.reset();
                yield fresh;
              }
            }
          },
        }),

    ...(abortUpload === undefined
      ? {}
      : {
          abortUpload: (upload: PendingUpload, callOptions: CallOptions = {}) =>
            retry.call('abortUpload', upload.key, callOptions.signal, () => abortUpload(upload, callOptions)),
        }),

    ...(describe === undefined
      ? {}
      : {
          describe: (callOptions: CallOptions = {}) =>
            retry.call('describe', '', callOptions.signal, () => describe(callOptions)),
        }),

    // What it could not ask is an answer, so there is nothing to repeat.
    ...(removeEmptyFolder === undefined ? {} : { removeEmptyFolder }),
    ...(findFolders === undefined ? {} : { findFolders }),
    ...(probe === undefined ? {} : { probe }),

    close: () => driver.close(),
  };

  /** Of a second round it is known what it was for: where it fails as a whole, that is each key's failure. */
  async function deleteAgain(
    again: readonly DeleteFailure[],
    callOptions: CallOptions,
  ): Promise<DeleteFailure[]> {
    try {
      return await driver.delete(
        again.map(({ key }) => key),
        callOptions,
      );
    } catch (error) {
      if (!isDriverError(error) || error.code === 'ABORTED') {
        throw error;
      }
      return again.map(({ key }) => ({ key, error }));
    }
  }
}

/**
 * To be told of each failure of a listing: every page that arrived before it restores the full number of attempts, were
 * it without a key.
 * A mark that a store no longer knows, as after it was started anew, is dropped once: the listing begins again.
 */
function advancing(position: ListPosition, attempts: Attempts): (error: unknown) => unknown {
  let reached: string | undefined;
  let mayBeginAgain = true;
  return (error) => {
    if (position.mark !== reached) {
      reached = position.mark;
      attempts.reset();
    } else if (reached !== undefined && mayBeginAgain && isDriverError(error, 'UNEXPECTED')) {
      mayBeginAgain = false;
      attempts.reset();
      reached = undefined;
      delete position.mark;
      delete position.found;
      delete position.emptyPages;
      const { code, message, driver, operation, key } = error;
      const details = { driver, operation, ...(key === undefined ? {} : { key }) };
      return new DriverError(code, message, { ...details, cause: error, retryable: true });
    }
    return error;
  };
}

/** What comes after the last key that was delivered. */
function after(last: string | undefined, batch: ObjectStat[]): ObjectStat[] {
  const [first] = batch;
  return last === undefined || first === undefined || compareKeys(first.key, last) > 0
    ? batch
    : batch.filter(({ key }) => compareKeys(key, last) > 0);
}

/**
 * Checks the order of one listing, batch by batch. What a restarted listing may leave out is told by the last
 * key that was delivered, so in a listing without order objects would be lost in silence.
 */
function ascending({ name, location }: Driver, prefix: string): (batch: readonly ObjectStat[]) => void {
  let previous: string | undefined;
  return (batch) => {
    for (const { key } of batch) {
      if (previous !== undefined && compareKeys(previous, key) >= 0) {
        throw new DriverError(
          'BAD_LISTING',
          `The listing of ${location} is out of order: ${JSON.stringify(key)} came after ${JSON.stringify(previous)}.`,
          { driver: name, operation: 'list', key: prefix },
        );
      }
      previous = key;
    }
  };
}
