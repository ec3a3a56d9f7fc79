import type { Driver } from '../../drivers/driver.ts';
import { type DriverErrorCode, isDriverError } from '../../drivers/errors.ts';
import { isContent } from '../../layout/order.ts';
import { parsePath } from '../../layout/paths.ts';
import { forEachConcurrently } from '../concurrency.ts';
import { findShards, type Shard } from '../shards.ts';

/** Shards of each kind that are listed first, and objects in one of them at most: a second or two, whatever the size. */
const SAMPLE_SHARDS = 16;
const SAMPLE_OBJECTS = 5000;

/** What seems to have no more objects than this is counted to the end. */
const COUNTED_OBJECTS = 20_000;

/** Of what a migration copies: uploads, temporary files and whatever is not the registry's are left out. */
export interface Estimate {
  blobs: number;
  blobBytes: number;
  links: number;
  /** Everything was counted, so these are no estimates. */
  isExact: boolean;
  /** A part was larger than was looked at, or could not be listed, so there may be many more. */
  isAtLeast: boolean;
  /** How long listing all of it takes, at the rate at which the sample was listed. */
  listingMs: number;
  /** A sampled blob to read, of the largest that were seen. */
  largeBlob: { key: string; sizeBytes: number } | undefined;
  /** Why parts that were looked at could not be listed, one sentence each. */
  unlisted: readonly string[];
}

export interface EstimateOptions {
  concurrency: number;
  signal: AbortSignal | undefined;
  now: () => number;
}

/**
 * Counts a few shards of a registry, evenly spread over all of them, and reckons the rest from these.
 * @throws DriverError when the upper folder levels cannot be listed.
 */
export async function estimateContent(store: Driver, options: EstimateOptions): Promise<Estimate> {
  const { concurrency, signal, now } = options;
  const { blobs, repositories } = await findShards(store, undefined, { concurrency, signal });
  const startedAtMs = now();
  const [blobSample, linkSample] = await Promise.all([
    countSome(store, blobs, options),
    countSome(store, repositories, options),
  ]);
  const durationMs = Math.max(now() - startedAtMs, 1);
  const samples = [blobSample, linkSample];
  const all = samples.reduce((sum, { listed, factor }) => sum + listed * factor, 0);
  const listed = blobSample.listed + linkSample.listed;
  const unlisted = samples.flatMap((sample) => sample.unlisted).sort();
  return {
    blobs: Math.round(blobSample.objects * blobSample.factor),
    blobBytes: Math.round(blobSample.bytes * blobSample.factor),
    links: Math.round(linkSample.objects * linkSample.factor),
    isExact: unlisted.length === 0 && samples.every(({ factor, isCut }) => factor === 1 && !isCut),
    isAtLeast: unlisted.length > 0 || samples.some(({ isCut }) => isCut),
    listingMs: listed === 0 ? durationMs : (durationMs * all) / listed,
    largeBlob: blobSample.largest,
    unlisted,
  };
}

interface Sample {
  /** Whatever was listed, which takes its time. */
  listed: number;
  /** Of these what is content, and its bytes. */
  objects: number;
  bytes: number;
  /** All shards for each that was listed. */
  factor: number;
  isCut: boolean;
  largest: { key: string; sizeBytes: number } | undefined;
  unlisted: string[];
}

async function countSome(store: Driver, shards: readonly Shard[], options: EstimateOptions): Promise<Sample> {
  const chosen = evenly(shards, SAMPLE_SHARDS);
  const sample: Sample = {
    listed: 0,
    objects: 0,
    bytes: 0,
    factor: 1,
    isCut: false,
    largest: undefined,
    unlisted: [],
  };
  await countInto(sample, store, chosen, options);
  const factor = chosen.length === 0 ? 1 : shards.length / chosen.length;
  if (sample.isCut || sample.listed * factor > COUNTED_OBJECTS) {
    return { ...sample, factor };
  }
  const known = new Set(chosen);
  await countInto(
    sample,
    store,
    shards.filter((shard) => !known.has(shard)),
    options,
  );
  return sample;
}

async function countInto(
  sample: Sample,
  store: Driver,
  shards: readonly Shard[],
  { concurrency, signal }: EstimateOptions,
): Promise<void> {
  await forEachConcurrently(shards, concurrency, async (shard) => {
    try {
      await countShard(sample, store, shard, signal);
    } catch (error) {
      sample.unlisted.push(whyUnlisted(error, shard));
    }
  });
}

/** As in a migration, a shard that cannot be listed fails alone. @throws what nothing could be listed after. */
function whyUnlisted(error: unknown, { prefix }: Shard): string {
  if (isDriverError(error) && !ENDS_LISTING.has(error.code)) {
    return error.message.includes(prefix) ? error.message : `${prefix}: ${error.message}`;
  }
  throw error;
}

const ENDS_LISTING: ReadonlySet<DriverErrorCode> = new Set(['ABORTED', 'STORE_NOT_FOUND', 'UNAUTHENTICATED']);

async function countShard(
  sample: Sample,
  store: Driver,
  { prefix }: Shard,
  signal: AbortSignal | undefined,
): Promise<void> {
  let seen = 0;
  for await (const batch of store.list(prefix, { signal })) {
    for (const { key, sizeBytes } of batch) {
      seen += 1;
      sample.listed += 1;
      if (isContent(parsePath(key))) {
        countContent(sample, key, sizeBytes);
      }
    }
    if (seen >= SAMPLE_OBJECTS) {
      sample.isCut = true;
      break;
    }
  }
}

function countContent(sample: Sample, key: string, sizeBytes: number): void {
  sample.objects += 1;
  sample.bytes += sizeBytes;
  if (sizeBytes > (sample.largest?.sizeBytes ?? 0)) {
    sample.largest = { key, sizeBytes };
  }
}

/** So many of all, at equal distances. */
export function evenly<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) {
    return [...items];
  }
  return Array.from(
    { length: count },
    (_, index) => items[Math.floor((index * items.length) / count)],
  ).filter((item) => item !== undefined);
}
