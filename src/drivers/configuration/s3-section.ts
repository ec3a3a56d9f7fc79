import { bucketRule, isBucketName } from '../location.ts';
import { checkS3Parameters, s3ChunkSize } from '../location-parameters.ts';
import { trimSlashes } from '../root.ts';
import { complainAt } from './storage-file.ts';
import type { ConfiguredStore, S3Credentials } from './store.ts';
import {
  checkSection,
  type DriverSection,
  flag,
  givenTexts,
  missing,
  secret,
  text,
  unused,
  wholeNumber,
} from './values.ts';

/** All parameters of distribution 2.x and 3.x and of GitLab's first and second S3 driver. */
const shape = {
  accesskey: secret.optional(),
  secretkey: secret.optional(),
  sessiontoken: secret.optional(),
  region: text.optional(),
  regionendpoint: text.optional(),
  redirectendpoint: unused,
  forcepathstyle: flag.optional(),
  pathstyle: flag.optional(),
  bucket: text.optional(),
  encrypt: flag.optional(),
  keyid: text.optional(),
  secure: flag.optional(),
  skipverify: flag.optional(),
  v4auth: flag.optional(),
  chunksize: wholeNumber.optional(),
  multipartcopychunksize: unused,
  multipartcopymaxconcurrency: unused,
  multipartcopythresholdsize: unused,
  rootdirectory: text.optional(),
  storageclass: text.optional(),
  useragent: unused,
  usedualstack: flag.optional(),
  accelerate: flag.optional(),
  usefipsendpoint: flag.optional(),
  objectacl: text.optional(),
  objectownership: flag.optional(),
  loglevel: unused,
  parallelwalk: unused,
  maxrequestspersecond: wholeNumber.optional(),
  maxretries: unused,
  checksum_disabled: unused,
  checksum_algorithm: unused,
};

/**
 * Reads `storage.s3`, `s3aws` or `s3_v2`.
 *
 * Path style is left open where the file says nothing: then it follows from an endpoint being given, as in
 * distribution 2.x and GitLab. Distribution 3 addresses the bucket by host then, which any store that has
 * both knows as the same bucket.
 * @throws LocationError CONFIGURATION_INVALID
 */
export function s3Store(section: DriverSection): ConfiguredStore {
  const { name, where } = section;
  const values = checkSection(section, shape);
  const bucket = values.bucket ?? '';
  if (bucket === '') {
    throw missing(section, 'bucket', 'the registry does not start without one, either');
  }
  if (!isBucketName(bucket)) {
    const advice = bucket.includes('/') ? '; what follows a "/" belongs to rootdirectory' : '';
    throw complainAt(where, [name, 'bucket'], `cannot be a bucket: ${bucketRule}${advice}`);
  }
  if ((values.region ?? '') === '' && (values.regionendpoint ?? '') === '') {
    throw missing(section, 'region', 'the registry does not start without one, either');
  }
  const { rootdirectory = '', ...parameters } = checkS3Parameters(
    givenTexts({
      rootdirectory: values.rootdirectory,
      region: values.region,
      endpoint: values.regionendpoint,
      pathstyle: values.pathstyle ?? values.forcepathstyle,
      encrypt: values.encrypt,
      // Without encryption the registry does not use the key.
      keyid: values.encrypt === 'true' ? values.keyid : undefined,
      // The registry takes it in lower case, too.
      storageclass: values.storageclass?.toUpperCase(),
      secure: values.secure,
      skipverify: values.skipverify,
      chunksize: chunkSizeOf(section, values.chunksize),
      maxrequestspersecond: values.maxrequestspersecond,
      // With objectownership the bucket's owner owns what is written, and the registry sends no ACL.
      objectacl: values.objectownership === 'true' ? undefined : values.objectacl,
      usedualstack: values.usedualstack,
      accelerate: values.accelerate,
      usefipsendpoint: values.usefipsendpoint,
    }),
    (parameter, complaint) => complainAt(where, [name, writtenAs(parameter, values)], complaint),
  );
  if (values.v4auth === 'false') {
    section.notices.push(
      `${where([name, 'v4auth'])}: v4auth: false is not followed: regtool signs with version 4 only.`,
    );
  }
  return {
    location: { driver: 's3', bucket, rootdirectory: trimSlashes(rootdirectory), ...parameters },
    credentials: credentialsOf(section, values),
  };
}

/** What distribution takes at most (2.8.2, `s3-aws/s3.go`), which is also what S3 takes as one part. */
const maxRegistryChunkBytes = 5 * 1024 ** 3;

/** A size that only the registry can use is cut to what is used here: it is no reason not to open the store. */
function chunkSizeOf({ name, where, notices }: DriverSection, text: string | undefined): string | undefined {
  if (text === undefined) {
    return undefined;
  }
  const bytes = Number(text);
  if (!(bytes >= s3ChunkSize.min && bytes <= maxRegistryChunkBytes)) {
    throw complainAt(
      where,
      [name, 'chunksize'],
      `must be a whole number of bytes from ${s3ChunkSize.min} to ${maxRegistryChunkBytes}`,
    );
  }
  if (bytes > s3ChunkSize.max) {
    notices.push(
      `${where([name, 'chunksize'])}: chunksize is followed up to ${s3ChunkSize.max} only: regtool sends no larger parts.`,
    );
  }
  return String(Math.min(bytes, s3ChunkSize.max));
}

function credentialsOf(
  { name, where, notices }: DriverSection,
  { accesskey, secretkey, sessiontoken }: Pick<Values, 'accesskey' | 'secretkey' | 'sessiontoken'>,
): S3Credentials | undefined {
  if (accesskey !== undefined && secretkey !== undefined) {
    return { driver: 's3', accessKeyId: accesskey, secretAccessKey: secretkey, sessionToken: sessiontoken };
  }
  if (accesskey !== undefined || secretkey !== undefined) {
    const [given, lacking] =
      accesskey === undefined ? ['secretkey', 'accesskey'] : ['accesskey', 'secretkey'];
    notices.push(
      `${where([name, given])}: ${given} without ${lacking} is not used: credentials come from the environment, a profile or a role, as they do for the registry.`,
    );
  }
  return undefined;
}

type Values = ReturnType<typeof checkSection<typeof shape>>;

/** The name under which the file has what a location calls otherwise. */
function writtenAs(parameter: string, values: Values): string {
  if (parameter === 'endpoint') {
    return 'regionendpoint';
  }
  return parameter === 'pathstyle' && values.pathstyle === undefined ? 'forcepathstyle' : parameter;
}
