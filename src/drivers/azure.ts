import type {
  Body,
  CallOptions,
  CopySource,
  DeleteFailure,
  Driver,
  FolderOptions,
  ListOptions,
  ObjectStat,
  OtherRoot,
  WriteOptions,
} from './driver.ts';
import { isDriverError } from './errors.ts';
import { throwIfAborted } from './body.ts';
import { connect } from './azure/connection.ts';
import { blobCopier } from './azure/copy.ts';
import type { AzureCredentialOptions } from './azure/credentials.ts';
import { batchSize, blobDeleter } from './azure/delete.ts';
import { azureError, type AzureCall } from './azure/errors.ts';
import { blobNameOf } from './azure/keys.ts';
import { listBlobs, listLevel, statOf } from './azure/list.ts';
import { readBlob, readSmallBlob } from './azure/read.ts';
import { probeContainer } from './azure/probe.ts';
import { openRequests } from './azure/requests.ts';
import { describeAccount } from './azure/settings.ts';
import { writeBlob } from './azure/write.ts';

export interface AzureOptions extends AzureCredentialOptions {
  /** The prefix of every key, as it is stored: '', `opt/`, or with the legacy leading slash `/` and `/opt/`. */
  root: string;
  /** Other roots at which the objects may lie, see `Driver.otherRoots`. */
  otherRoots?: readonly AzureOtherRoot[] | undefined;
  /** Size of one block of a blob that is sent in blocks. Default 8 MiB. */
  partSizeBytes?: number | undefined;
  /** Largest body that goes as one request; it is in memory meanwhile. Default 8 MiB, at most 5000 MiB. */
  singlePutMaxBytes?: number | undefined;
  /** Blobs in one page of a listing, at most 5000, which is the default. */
  listPageSize?: number | undefined;
  /** Connections at once, for the hot path and for the SDK each. Default 64. */
  connections?: number | undefined;
  timeouts?:
    | {
        /** To connect; 10 s by default. */
        connectMs?: number | undefined;
        /** Without a single byte from the service while one is expected; 120 s by default. The SDK's answers must be whole by then. */
        idleMs?: number | undefined;
        /** The same for what the service does on its own, as copying 5000 MiB; 30 min by default. */
        serverSideMs?: number | undefined;
      }
    | undefined;
  /** Called each time this driver itself tried something again: a block, or a download that broke off. */
  onRetry?: (() => void) | undefined;
}

export interface AzureOtherRoot extends Omit<OtherRoot, 'open'> {
  /** The store there as a user would write it, without secrets. */
  location: string;
}

const mebibyte = 1024 * 1024;

/**
 * Opens a container of Azure Blob Storage (or Azurite) as a store. Sends nothing yet.
 *
 * PUT, GET, HEAD and listings are sent without the SDK, and only blocks are repeated; a retrying wrapper comes above.
 * The SDK does copies inside the service, batch deletes and probes, and is loaded by the first of them.
 *
 * Azure proves no SHA-256, so content is hashed on the way and published only when it matched.
 * Unfinished blocks cannot be dropped one by one, so `listUploads` is not offered (see `writeBlob`).
 * @throws DriverError UNAUTHENTICATED when no usable credential was given; STORE_NOT_FOUND for an impossible container name.
 */
export async function openAzure(options: AzureOptions): Promise<Driver> {
  const { connections = 64, onRetry } = options;
  const { partSizeBytes = 8 * mebibyte, singlePutMaxBytes = 8 * mebibyte, listPageSize = 5000 } = options;
  const connection = await connect({ ...options, connections });
  const { http, place, proxy, sdk } = connection;
  const requests = openRequests(http, options.container);
  const reading = { requests, place, onRetry };
  const writing = { sdk, requests, place, singlePutMaxBytes, blockBytes: partSizeBytes, onRetry };
  const deleteBlobs = blobDeleter(connection);
  const copyBlob = blobCopier(connection);

  return {
    ...driverAt(options.root, options.location),
    otherRoots: (options.otherRoots ?? []).map(({ root, setting, ruledOut, location }) => ({
      root,
      setting,
      ruledOut,
      open: () => ({ ...driverAt(root, location), close: async () => {} }),
    })),
  };

  function driverAt(root: string, location: string): Driver {
    const listing = { requests, place, root, pageSize: listPageSize };
    return {
      name: 'azure',
      location,
      identity: { service: `azure:${place.host}`, container: options.container, root },
      supports: {
        provesSha256UpToBytes: 0,
        serverSideCopy: true,
        multipartUploads: false,
        emptyFolders: false,
        deleteBatchSize: batchSize,
        partSizeBytes,
      },

      list: (prefix: string, options: ListOptions = {}) => listBlobs(listing, prefix, options),

      listFolder: (folder: string, options: FolderOptions = {}) => listLevel(listing, folder, options),

      async stat(key: string, { signal }: CallOptions = {}): Promise<ObjectStat | undefined> {
        const call: AzureCall = { operation: 'stat', key, signal };
        throwIfAborted(signal, { driver: 'azure', operation: 'stat', key });
        const name = blobNameOf(root, key, 'stat');
        try {
          return statOf(await requests.head(name, signal), key);
        } catch (error) {
          const failure = azureError(error, place, call);
          if (failure.code === 'NOT_FOUND') {
            return undefined;
          }
          throw failure;
        }
      },

      async *read(key: string, { signal }: CallOptions = {}) {
        yield* readBlob(reading, blobNameOf(root, key, 'read'), { operation: 'read', key, signal });
      },

      async readSmall(key: string, maxBytes: number, { signal }: CallOptions = {}) {
        const name = blobNameOf(root, key, 'readSmall');
        return readSmallBlob(reading, name, maxBytes, { operation: 'read', key, signal });
      },

      async write(key: string, body: Body, { expectedDigest, signal }: WriteOptions = {}) {
        const name = blobNameOf(root, key, 'write');
        await writeBlob(writing, name, body, expectedDigest, { operation: 'write', key, signal });
      },

      async copyFrom(source: CopySource, key: string, { signal }: CallOptions = {}) {
        const name = blobNameOf(root, key, 'copyFrom');
        blobNameOf(source.identity.root, source.key, 'copyFrom');
        await copyBlob(source, name, { operation: 'copyFrom', key, signal });
      },

      async delete(keys: readonly string[], { signal }: CallOptions = {}): Promise<DeleteFailure[]> {
        const failures: DeleteFailure[] = [];
        const targets = keys.flatMap((key) => {
          try {
            return [{ key, name: blobNameOf(root, key, 'delete') }];
          } catch (error) {
            if (!isDriverError(error, 'INVALID_KEY')) {
              throw error;
            }
            failures.push({ key, error });
            return [];
          }
        });
        failures.push(...(await deleteBlobs(targets, { operation: 'delete', signal })));
        return failures;
      },

      describe: ({ signal }: CallOptions = {}) => describeAccount(connection, signal),

      probe: (probing) => probeContainer({ sdk, place, options, root, proxy }, probing),

      async close() {
        connection.close();
      },
    };
  }
}
