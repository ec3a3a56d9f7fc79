import { DriverError } from './errors.ts';
import type { Driver } from './driver.ts';
import { connectS3 } from './s3/connection.ts';
import { copyObject } from './s3/copying.ts';
import { DELETE_BATCH_SIZE, deleteObjects } from './s3/deleting.ts';
import { openS3Http } from './s3/http.ts';
import { listObjects, listOneFolder } from './s3/listing.ts';
import { objectHeaders } from './s3/object-settings.ts';
import { abortPendingUpload, listPendingUploads } from './s3/pending-uploads.ts';
import { probeBucket } from './s3/probe.ts';
import { readObject, readSmallObject, statObject } from './s3/reading.ts';
import { describeBucket } from './s3/settings.ts';
import { MIB, type S3Limits, type S3Store } from './s3/store.ts';
import { writeObject } from './s3/writing.ts';

/** How to reach a bucket, and how to write to it. Most names are those of the registry's own `storage.s3` parameters. */
export interface S3Options {
  bucket: string;
  /** Prefix of every key exactly as the bucket has it: '' or `some/prefix/`. */
  root: string;
  /** The store as the user wrote it, without secrets. For messages. */
  location: string;
  /** Else that of the environment or profile; else `us-east-1` where an endpoint is given. */
  region?: string | undefined;
  /** `https://host:port`, or without scheme (see `secure`). Else what the SDK's environment and profile say, else AWS. */
  endpoint?: string | undefined;
  /** Whether the bucket is named in the path rather than in the host. True by default where an endpoint is given. */
  pathStyle?: boolean | undefined;
  /** Static credentials, both or none; else `profile`, else the SDK's usual chain. */
  accessKeyId?: string | undefined;
  secretAccessKey?: string | undefined;
  sessionToken?: string | undefined;
  profile?: string | undefined;
  /** Encrypt new objects with AES256, or with the KMS key `keyId`. */
  encrypt?: boolean | undefined;
  keyId?: string | undefined;
  /** Storage class of new objects; `NONE` sends none. */
  storageClass?: string | undefined;
  /** A canned ACL for new objects. None is sent by default: buckets that enforce their owner refuse it. */
  objectAcl?: string | undefined;
  /** False: plain HTTP, where the endpoint does not say. */
  secure?: boolean | undefined;
  /** Accept any certificate. */
  skipVerify?: boolean | undefined;
  useDualstack?: boolean | undefined;
  accelerate?: boolean | undefined;
  useFipsEndpoint?: boolean | undefined;
  /** Part size of multipart uploads, at least 5 MiB, 8 MiB by default; grows for objects of more than 10,000 parts. */
  partSizeBytes?: number | undefined;
  /** Up to this size an object is written by one PUT; 64 MiB by default. S3 takes up to 5 GiB. */
  singlePutMaxBytes?: number | undefined;
  /** Up to this size an object is copied by one CopyObject; 5 GiB by default, which is S3's limit. */
  copyMaxBytes?: number | undefined;
  /** Part size of larger copies, at least 5 MiB; 256 MiB by default. */
  copyPartBytes?: number | undefined;
  /** Do not hash streams that one PUT sends: the store is known to check `x-amz-content-sha256`, as AWS S3 and Ceph RGW do. */
  trustStoreChecksum?: boolean | undefined;
  /** Connections at most, for the hot path and for the SDK each; 64 by default. */
  connections?: number | undefined;
  timeouts?:
    | {
        /** To connect; 10 s by default. */
        connectMs?: number | undefined;
        /** Without a single byte from the store while one is expected; 60 s by default. */
        idleMs?: number | undefined;
        /** The same for what the store does on its own, as copying 5 GiB or completing an upload; 10 min by default. */
        serverSideMs?: number | undefined;
      }
    | undefined;
  /** Called for each retry that is made in the driver: multipart uploads, copies, batch deletes. */
  onRetry?: ((retry: S3Retry) => void) | undefined;
}

/** A request of the SDK that is made again. */
export interface S3Retry {
  /** As the SDK names it: `UploadPartCommand`. */
  operation: string;
  /** How many attempts have failed. */
  attempt: number;
  /** What ended the latest one. */
  error: DriverError;
}

/**
 * Opens a bucket of S3 or a compatible store. Neither the bucket nor the credentials are asked for yet.
 *
 * PUT, GET, HEAD and listings are signed and sent without the SDK and never repeated; a retrying wrapper comes
 * above. The parts of an upload are sent like that, too, and repeated by themselves. The SDK begins and completes
 * uploads, copies and deletes batches, and repeats its requests on its own.
 * @throws DriverError when region or endpoint cannot be worked out, or the bucket is of a kind without ordered listings.
 */
export async function openS3(options: S3Options): Promise<Driver> {
  const connection = await connectS3(options);
  const limits = limitsOf(options);
  const http = openS3Http(connection, options);
  const store: S3Store = { connection, http, options, limits, objectHeaders: objectHeaders(options) };
  return {
    name: 's3',
    location: options.location,
    identity: { service: connection.service, container: options.bucket, root: options.root },
    supports: {
      provesSha256UpToBytes: limits.singlePutMaxBytes,
      serverSideCopy: true,
      multipartUploads: true,
      emptyFolders: false,
      deleteBatchSize: DELETE_BATCH_SIZE,
      partSizeBytes: limits.partSizeBytes,
    },
    list: (prefix, call) => listObjects(store, prefix, call),
    listFolder: (folder, call) => listOneFolder(store, folder, call),
    stat: (key, call) => statObject(store, key, call),
    read: (key, call) => readObject(store, key, call),
    readSmall: (key, maxBytes, call) => readSmallObject(store, key, maxBytes, call),
    write: (key, body, call) => writeObject(store, key, body, call),
    copyFrom: (source, key, call) => copyObject(store, source, key, call),
    delete: (keys, call) => deleteObjects(store, keys, call),
    listUploads: (prefix, call) => listPendingUploads(store, prefix, call),
    abortUpload: (upload, call) => abortPendingUpload(store, upload, call),
    describe: (call) => describeBucket(store, call),
    probe: (probing) => probeBucket(store, probing),
    async close() {
      await connection.close();
      await http.close();
    },
  };
}

function limitsOf(options: S3Options): S3Limits {
  const limits: S3Limits = {
    singlePutMaxBytes: options.singlePutMaxBytes ?? 64 * MIB,
    partSizeBytes: options.partSizeBytes ?? 8 * MIB,
    copyMaxBytes: options.copyMaxBytes ?? 5 * 1024 * MIB,
    copyPartBytes: options.copyPartBytes ?? 256 * MIB,
  };
  if (limits.partSizeBytes < 5 * MIB || limits.copyPartBytes < 5 * MIB) {
    throw new DriverError('UNSUPPORTED', 'S3 takes no parts below 5 MiB; set chunksize to 5242880 or more.', {
      driver: 's3',
      operation: 'open',
    });
  }
  return limits;
}
