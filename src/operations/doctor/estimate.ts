import type { Driver } from '../../drivers/driver.ts';
import { forEachConcurrently } from '../concurrency.ts';
import { findShards, type Shard } from '../shards.ts';

/** Shards of each kind that are listed first, and objects in one of them at most: a second or two, whatever the size. */
const SAMPLE_SHARDS = 16;
const SAMPLE_OBJECTS = 5000;

/** What seems to have no more objects than this is counted to the end. */
const COUNTED_OBJECTS = 20_000;

export interface Estimate {
  blobs: number;
  blobBytes: number;
  links: number;
  /** Everything was counted, so these are no estimates. */
  isExact: boolean;
  /** A part was larger than was looked at, so there may be many more. */
  isAtLeast: boolean;
  /** How long listing all of it takes, at the rate at which the sample was listed. */
  listingMs: number;
  /** A sampled blob to read, of the largest that were seen. */
  largeBlob: { key: string; sizeBytes: number } | undefined;
}

export interface EstimateOptions {
  concurrency: number;
  signal: AbortSignal | undefined;
  now: () => number;
}

/** Counts a few shards of a registry, evenly spread over all of them, and reckons the rest from these. */
export async function estimateContent(store: Driver, options: EstimateOptions): Promise<Estimate> {
  const { concurrency, signal, now } = options;
  const { blobs, repositories } = await findShards(store, undefined, { concurrency, signal });
  const startedAtMs = now();
  const [blobSample, linkSample] = await Promise.all([
    countSome(store, blobs, options),
    countSome(store, repositories, options),
  ]);
  const durationMs = Math.max(now() - startedAtMs, 1);
  const all = blobSample.objects * blobSample.factor + linkSample.objects * linkSample.factor;
  const listed = blobSample.objects + linkSample.objects;
  return {
    blobs: Math.round(blobSample.objects * blobSample.factor),
    blobBytes: Math.round(blobSample.bytes * blobSample.factor),
    links: Math.round(linkSample.objects * linkSample.factor),
    isExact: [blobSample, linkSample].every(({ factor, isCut }) => factor === 1 && !isCut),
    isAtLeast: blobSample.isCut || linkSample.isCut,
    listingMs: listed === 0 ? durationMs : (durationMs * all) / listed,
    largeBlob: blobSample.largest,
  };
}

interface Sample {
  objects: number;
  bytes: number;
  /** All shards for each that was listed. */
  factor: number;
  isCut: boolean;
  largest: { key: string; sizeBytes: number } | undefined;
}

async function countSome(store: Driver, shards: readonly Shard[], options: EstimateOptions): Promise<Sample> {
  const chosen = evenly(shards, SAMPLE_SHARDS);
  const sample: Sample = { objects: 0, bytes: 0, factor: 1, isCut: false, largest: undefined };
  await countInto(sample, store, chosen, options);
  const factor = chosen.length === 0 ? 1 : shards.length / chosen.length;
  if (sample.isCut || sample.objects * factor > COUNTED_OBJECTS) {
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
  await forEachConcurrently(shards, concurrency, async ({ prefix }) => {
    let seen = 0;
    for await (const batch of store.list(prefix, { signal })) {
      for (const { key, sizeBytes } of batch) {
        seen += 1;
        sample.objects += 1;
        sample.bytes += sizeBytes;
        if (sizeBytes > (sample.largest?.sizeBytes ?? 0)) {
          sample.largest = { key, sizeBytes };
        }
      }
      if (seen >= SAMPLE_OBJECTS) {
        sample.isCut = true;
        break;
      }
    }
  });
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
