import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import type { S3Options } from '../s3.ts';
import type { S3Address, S3Credentials } from './connection.ts';

// What can be said of a bucket without the SDK, which takes 300 ms of CPU time and 22 MB to load: a run that uploads
// nothing in parts, copies nothing at the store and deletes nothing then does without it. Only the plain cases are
// worked out here, each of them as the SDK would: a test compares the two. For all else (profiles, roles, FIPS, other
// partitions, names that are no host names) the SDK is asked.

/** What the SDK looks at besides its options. */
export interface Surroundings {
  env: Readonly<Record<string, string | undefined>>;
  /** The content of the SDK's shared files, one after the other; '' where there are none. */
  sharedFiles(): string;
}

/** The process's own environment, and the shared files that it names. */
export function surroundings(env: Surroundings['env'] = process.env): Surroundings {
  return { env, sharedFiles: () => readSharedFiles(env) };
}

/** Where a bucket is and what requests are signed for, or undefined where the SDK must say. */
export function settledAddress(options: S3Options, around: Surroundings): SettledAddress | undefined {
  const { bucket } = options;
  const isUnusual =
    options.useDualstack === true ||
    options.useFipsEndpoint === true ||
    options.accelerate === true ||
    isOtherThan('false', around.env['AWS_USE_FIPS_ENDPOINT']) ||
    isOtherThan('false', around.env['AWS_USE_DUALSTACK_ENDPOINT']) ||
    // Directory buckets and the like have such names.
    bucket.includes('--') ||
    mentions(around, /use_fips_endpoint|use_dualstack_endpoint/);
  const region = isUnusual ? undefined : settledRegion(options, around);
  if (region === undefined) {
    return undefined;
  }
  return options.endpoint === undefined
    ? addressAtAws(options, region, around)
    : addressAtEndpoint(options, options.endpoint, region);
}

interface SettledAddress extends S3Address {
  region: string;
}

/** The keys that are given as such, in the order in which the SDK looks for them; undefined where it must look. */
export function settledCredentials(
  { accessKeyId, secretAccessKey, sessionToken, profile }: S3Options,
  { env }: Surroundings,
): S3Credentials | undefined {
  if (accessKeyId !== undefined && secretAccessKey !== undefined) {
    return { accessKeyId, secretAccessKey, sessionToken };
  }
  if (isGiven(profile) || isGiven(env['AWS_PROFILE']) || isGiven(env['AWS_CREDENTIAL_EXPIRATION'])) {
    return undefined;
  }
  const { AWS_ACCESS_KEY_ID: key, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: token } = env;
  return isGiven(key) && isGiven(secret)
    ? {
        accessKeyId: key,
        secretAccessKey: secret,
        ...(isGiven(token) ? { sessionToken: token } : {}),
        source: 'environment',
      }
    : undefined;
}

/** Regions of AWS proper, which all have the same host names. Of others (China, GovCloud, ...) the SDK knows the rules. */
const PLAIN_AWS_REGION = /^(?:af|ap|ca|eu|il|me|mx|sa|us)-[a-z]+-\d$/;

/** What may be a label of a host name, in one partition or another; not the pseudo-regions that stand for others. */
const PLAIN_REGION = /^(?!.*fips)(?!aws-global$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

function settledRegion(options: S3Options, around: Surroundings): string | undefined {
  const { env } = around;
  const region = isGiven(options.region) ? options.region : env['AWS_REGION'];
  if (region !== undefined) {
    return PLAIN_REGION.test(region) ? region : undefined;
  }
  // At an endpoint of one's own, the region in which this machine stands, for which the SDK would ask, says nothing.
  if (options.endpoint === undefined || mentions(around, /region/)) {
    return undefined;
  }
  const fallback = env['AWS_DEFAULT_REGION'] ?? 'us-east-1';
  return PLAIN_REGION.test(fallback) ? fallback : undefined;
}

/** Only addressed by path, as it is by default where an endpoint is given. */
function addressAtEndpoint(
  { bucket, pathStyle = true, secure }: S3Options,
  endpoint: string,
  region: string,
): SettledAddress | undefined {
  const text = /^https?:\/\//i.test(endpoint)
    ? endpoint
    : `${secure === false ? 'http' : 'https'}://${endpoint}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // A path, a user or anything else in the endpoint is for the SDK's rules to place.
  const isBare = url !== undefined && url.pathname === '/' && url.href === `${url.origin}/`;
  if (!pathStyle || !isBare || !/^[A-Za-z0-9._-]+$/.test(bucket) || /amazonaws/i.test(url.hostname)) {
    return undefined;
  }
  return {
    region,
    origin: url.origin,
    basePath: `/${bucket}`,
    signingRegion: region,
    service: `s3:${url.host}`,
  };
}

function addressAtAws(
  { bucket, pathStyle = false, secure = true }: S3Options,
  region: string,
  around: Surroundings,
): SettledAddress | undefined {
  const isElsewhere =
    around.env['AWS_ENDPOINT_URL'] !== undefined ||
    around.env['AWS_ENDPOINT_URL_S3'] !== undefined ||
    mentions(around, /endpoint_url/);
  const isHostLabel = /^[a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])$/.test(bucket) && !bucket.endsWith('-s3alias');
  if (isElsewhere || pathStyle || !secure || !isHostLabel || !PLAIN_AWS_REGION.test(region)) {
    return undefined;
  }
  return {
    region,
    origin: `https://${bucket}.s3.${region}.amazonaws.com`,
    basePath: '',
    signingRegion: region,
    service: 's3:aws',
  };
}

/** Whether the SDK's shared files hold a word anywhere: then what they say of it is left to the SDK. */
function mentions(around: Surroundings, words: RegExp): boolean {
  return words.test(around.sharedFiles());
}

function isGiven(value: string | undefined): value is string {
  return value !== undefined && value !== '';
}

function isOtherThan(usual: string, value: string | undefined): boolean {
  return value !== undefined && value !== usual;
}

/** "Shared config and credentials files", AWS SDKs and Tools Reference Guide. */
function readSharedFiles(env: Surroundings['env']): string {
  const folder = path.join(env['HOME'] || env['USERPROFILE'] || homedir(), '.aws');
  const files = [
    env['AWS_CONFIG_FILE'] || path.join(folder, 'config'),
    env['AWS_SHARED_CREDENTIALS_FILE'] || path.join(folder, 'credentials'),
  ];
  return files.map(readIfThere).join('\n');
}

/** The SDK, too, takes a file that it cannot read for an empty one. */
function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
