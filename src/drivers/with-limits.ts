import { bodySizeBytes } from './body.ts';
import type {
  Body,
  CallOptions,
  ContentDigest,
  CopySource,
  Driver,
  FolderOptions,
  HashOptions,
  IntoMemory,
  ListOptions,
  PendingUpload,
  ReadOptions,
  WriteOptions,
} from './driver.ts';
import type { DriverErrorDetails } from './errors.ts';
import type { ProbeOptions } from './probe.ts';
import { createLimiter, type Limiter, type LimiterOptions } from './limiter.ts';

export interface LimitsOptions extends LimiterOptions {
  /** Shares one budget between several drivers; the numbers given beside it are not used. */
  limiter?: Limiter | undefined;
}

/**
 * Holds a driver to so many requests and so many bytes of content per second, over all its calls together.
 * Without any limit it is the driver itself, as most runs have none and each call would pay for it.
 * Put it inside `withRetry`, so that repeated attempts count as well.
 * What a call counts: a listing one request for each batch, a write one for the object and one for each part,
 * a delete one for each batch of keys, anything else one. Headers and server-side copies count no bytes.
 */
export function withLimits(driver: Driver, options: LimitsOptions): Driver {
  const { limiter: shared, maxRequestsPerSecond, bandwidthBytesPerSecond } = options;
  if ((shared ?? maxRequestsPerSecond ?? bandwidthBytesPerSecond) === undefined) {
    return driver;
  }
  const limiter = shared ?? createLimiter(options);
  const closing = new AbortController();
  const { supports } = driver;
  const hash = driver.hash?.bind(driver);
  const copyFrom = driver.copyFrom?.bind(driver);
  const listUploads = driver.listUploads?.bind(driver);
  const abortUpload = driver.abortUpload?.bind(driver);
  const settings = driver.describe?.bind(driver);
  const probe = driver.probe?.bind(driver);
  const findFolders = driver.findFolders?.bind(driver);
  const removeEmptyFolder = driver.removeEmptyFolder?.bind(driver);

  const describe = (operation: string, key: string): DriverErrorDetails => ({
    driver: driver.name,
    operation,
    key,
  });
  /** Closing ends the waits that are under way, so that no timer outlives the driver. */
  const signalsOf = ({ signal }: CallOptions): (AbortSignal | undefined)[] => [signal, closing.signal];
  const takeRequests = (count: number, operation: string, key: string, callOptions: CallOptions) =>
    limiter.takeRequests(count, signalsOf(callOptions), describe(operation, key));

  async function* paced(
    chunks: AsyncIterable<Uint8Array>,
    operation: string,
    key: string,
    callOptions: CallOptions,
  ): AsyncGenerator<Uint8Array> {
    const details = describe(operation, key);
    const signals = signalsOf(callOptions);
    for await (const chunk of chunks) {
      for (let start = 0; start < chunk.byteLength; start += limiter.pieceBytes) {
        const piece = chunk.subarray(start, start + limiter.pieceBytes);
        await limiter.takeBytes(piece.byteLength, signals, details);
        yield piece;
      }
    }
  }

  /** The first request is paid before it is sent; whether there is a next one shows only when it came. */
  async function* countedPages<T>(
    batches: AsyncIterable<T>,
    operation: string,
    prefix: string,
    callOptions: CallOptions,
  ): AsyncGenerator<T> {
    await takeRequests(1, operation, prefix, callOptions);
    let isFirst = true;
    for await (const batch of batches) {
      if (!isFirst) {
        await takeRequests(1, operation, prefix, callOptions);
      }
      isFirst = false;
      yield batch;
    }
  }

  return {
    name: driver.name,
    location: driver.location,
    identity: driver.identity,
    supports,
    ...(driver.otherRoots === undefined
      ? {}
      : {
          otherRoots: driver.otherRoots.map((other) => ({
            ...other,
            open: () => withLimits(other.open(), { limiter }),
          })),
        }),

    list: (prefix: string, callOptions: ListOptions = {}) =>
      countedPages(driver.list(prefix, callOptions), 'list', prefix, callOptions),

    async listFolder(folder: string, callOptions: FolderOptions = {}) {
      await takeRequests(1, 'listFolder', folder, callOptions);
      return driver.listFolder(folder, callOptions);
    },

    async stat(key: string, callOptions: CallOptions = {}) {
      await takeRequests(1, 'stat', key, callOptions);
      return driver.stat(key, callOptions);
    },

    async *read(key: string, callOptions: ReadOptions = {}) {
      await takeRequests(1, 'read', key, callOptions);
      yield* paced(driver.read(key, callOptions), 'read', key, callOptions);
    },

    async readSmall(key: string, maxBytes: number, callOptions: CallOptions = {}) {
      await takeRequests(1, 'read', key, callOptions);
      const content = await driver.readSmall(key, maxBytes, callOptions);
      await limiter.takeBytes(content.byteLength, signalsOf(callOptions), describe('read', key));
      return content;
    },

    // What a thread reads cannot be held back: under a limit of bytes, whoever hashes reads.
    ...(hash === undefined || limiter.limitsBytes
      ? {}
      : {
          async hash(key: string, algorithm: ContentDigest['algorithm'], hashOptions: HashOptions = {}) {
            await takeRequests(1, 'read', key, hashOptions);
            return hash(key, algorithm, hashOptions);
          },
        }),

    async write(key: string, body: Body, writeOptions: WriteOptions = {}) {
      const sizeBytes = bodySizeBytes(body);
      const parts = sizeBytes > supports.partSizeBytes ? Math.ceil(sizeBytes / supports.partSizeBytes) : 0;
      await takeRequests(1 + parts, 'write', key, writeOptions);
      if (body instanceof Uint8Array) {
        await limiter.takeBytes(sizeBytes, signalsOf(writeOptions), describe('write', key));
        await driver.write(key, body, writeOptions);
        return;
      }
      const open = (into?: IntoMemory) => paced(body.open(into), 'write', key, writeOptions);
      await driver.write(key, { sizeBytes, open }, writeOptions);
    },

    async delete(keys: readonly string[], callOptions: CallOptions = {}) {
      const batches = Math.ceil(keys.length / supports.deleteBatchSize);
      await takeRequests(batches, 'delete', keys[0] ?? '', callOptions);
      return driver.delete(keys, callOptions);
    },

    ...(copyFrom === undefined
      ? {}
      : {
          async copyFrom(source: CopySource, key: string, callOptions: CallOptions = {}) {
            await takeRequests(1, 'copyFrom', key, callOptions);
            await copyFrom(source, key, callOptions);
          },
        }),

    ...(listUploads === undefined
      ? {}
      : {
          listUploads: (prefix: string, callOptions: CallOptions = {}) =>
            countedPages(listUploads(prefix, callOptions), 'listUploads', prefix, callOptions),
        }),

    ...(abortUpload === undefined
      ? {}
      : {
          async abortUpload(upload: PendingUpload, callOptions: CallOptions = {}) {
            await takeRequests(1, 'abortUpload', upload.key, callOptions);
            await abortUpload(upload, callOptions);
          },
        }),

    ...(settings === undefined
      ? {}
      : {
          async describe(callOptions: CallOptions = {}) {
            await takeRequests(1, 'describe', '', callOptions);
            return settings(callOptions);
          },
        }),

    ...(removeEmptyFolder === undefined ? {} : { removeEmptyFolder }),
    ...(findFolders === undefined ? {} : { findFolders }),
    ...(probe === undefined
      ? {}
      : {
          async probe(options: ProbeOptions) {
            await takeRequests(1, 'probe', '', options);
            return probe(options);
          },
        }),

    async close() {
      closing.abort(new Error('The driver was closed.'));
      await driver.close();
    },
  };
}
