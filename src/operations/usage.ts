import { setMaxListeners } from 'node:events';
import pLimit, { type LimitFunction } from 'p-limit';
import type { Driver, ObjectStat } from '../drivers/driver.ts';
import { isDriverError } from '../drivers/errors.ts';
import { type Digest, digestParts, MAX_LINK_BYTES, readLink } from '../layout/digest.ts';
import { parsePath, type RegistryPath } from '../layout/paths.ts';
import { addCount, type Count, type KindCounts } from './counts.ts';
import { isObjectFailure } from './object-failure.ts';
import type { Observer } from './observer.ts';
import { assertRegistryRoot } from './registry-root.ts';
import { findShards, LISTINGS_AT_ONCE } from './shards.ts';
import { BlobLedger, type BlobSum } from './usage/blob-ledger.ts';
import type { OpenAbove } from './where-else.ts';

/** What is known of blobs takes at most about 400 MB. */
const KNOWN_BLOBS_MAX = 8_000_000;

export interface UsageOptions {
  concurrency: number;
  /** How many blobs are kept track of; for tests. */
  knownBlobsMax?: number | undefined;
  /** Opens what the store's root is in, to look for a registry that is not in the store. */
  openAbove?: OpenAbove | undefined;
  signal?: AbortSignal | undefined;
  observer: Omit<Observer, 'record'>;
}

/** What one repository has, by the names in its folder alone: neither manifests nor, but for aliases, links are read. */
export interface RepositoryUsage {
  repository: string;
  /** Tags, manifests and layers (configs too), each by its link. */
  tags: number;
  manifests: number;
  layers: number;
  /** Bytes of the blobs that it links, each blob once. */
  linkedBytes: number;
  /** Of these, the bytes of blobs that no other repository links. */
  onlyHereBytes: number;
  /** Links whose blob the store does not have. */
  dangling: number;
  /** Pushes under way or given up, in `_uploads`. */
  uploads: Count;
}

export interface UsagePart {
  /** The prefix or the key that could not be read. */
  key: string;
  message: string;
}

export interface UsageResult {
  /** In no certain order. */
  repositories: RepositoryUsage[];
  counts: KindCounts;
  /** All blobs, by how many repositories link them. */
  blobs: Record<'unlinked' | 'linkedOnce' | 'shared', BlobSum>;
  /** GitLab keeps the links in its database: what the store has of them is what was there before. */
  isInDatabase: boolean;
  /** Folders beside the registry's own, which are not walked. */
  foreignFolders: string[];
  /** What could not be read: then all numbers may be too low, and what is only in one repository too high. */
  unread: UsagePart[];
  /** There are more blobs than are kept track of, so that links to the others count as dangling. */
  tooManyBlobs: boolean;
}

/**
 * Counts what takes the space in a store: by kind, and for each repository what it links and what no other one links.
 * Lists everything once, blobs first. Never writes.
 * @throws SafetyRefusal NOT_A_REGISTRY, saying where the registry is if it can be seen from here; OTHER_ROOT.
 * @throws DriverError when the store cannot be reached.
 */
export async function usage(driver: Driver, options: UsageOptions): Promise<UsageResult> {
  const { concurrency, openAbove, signal, observer, knownBlobsMax = KNOWN_BLOBS_MAX } = options;
  if (signal !== undefined) {
    // Every call in flight listens to it: many at once is how it is meant, and no leak.
    setMaxListeners(0, signal);
  }
  const { isDatabaseManaged } = await assertRegistryRoot(driver, 'store', { openAbove, signal });
  const count = new UsageCount(driver, knownBlobsMax, options);
  observer.phase('listing');
  const shards = await findShards(driver, undefined, { concurrency, signal });
  for (const { source } of shards.loose) {
    if (source !== undefined) {
      count.count(parsePath(source.key), source);
    }
  }
  const listings = pLimit(Math.min(concurrency, LISTINGS_AT_ONCE));
  await listings.map(shards.blobs, ({ prefix }) => count.blobsBelow(prefix));
  await listings.map(shards.repositories, ({ prefix }) => count.repositoriesBelow(prefix));
  observer.phase('');
  return {
    repositories: count.repositories,
    counts: count.counts,
    blobs: count.ledger.sums(),
    isInDatabase: isDatabaseManaged,
    foreignFolders: shards.foreignFolders.map(({ folder }) => folder),
    unread: count.unread,
    tooManyBlobs: count.ledger.isFull,
  };
}

class UsageCount {
  readonly counts: KindCounts = {};
  readonly repositories: RepositoryUsage[] = [];
  readonly ledger: BlobLedger;
  readonly unread: UsagePart[] = [];
  readonly #driver: Driver;
  readonly #reads: LimitFunction;
  readonly #signal: AbortSignal | undefined;
  readonly #observer: UsageOptions['observer'];

  constructor(driver: Driver, knownBlobsMax: number, { concurrency, signal, observer }: UsageOptions) {
    this.ledger = new BlobLedger(knownBlobsMax);
    this.#driver = driver;
    this.#reads = pLimit(concurrency);
    this.#signal = signal;
    this.#observer = observer;
  }

  count({ kind }: RegistryPath, { sizeBytes }: ObjectStat): void {
    addCount(this.counts, kind, sizeBytes);
  }

  async blobsBelow(prefix: string): Promise<void> {
    await this.#eachBelow(prefix, (object) => {
      const path = parsePath(object.key);
      this.count(path, object);
      if (path.kind === 'blob-data' && object.isFolderStub !== true) {
        this.ledger.add(path.digest, object.sizeBytes);
      }
    });
  }

  /** A repository's own keys stand together in any listing, for they begin with `<name>/_`. */
  async repositoriesBelow(prefix: string): Promise<void> {
    let current: RepositoryCount | undefined;
    await this.#eachBelow(prefix, async (object) => {
      const path = parsePath(object.key);
      this.count(path, object);
      if (!('repository' in path) || object.isFolderStub === true) {
        return;
      }
      if (current?.usage.repository !== path.repository) {
        current = this.#begin(path.repository);
      }
      await this.#add(current, path, object);
    });
  }

  #begin(repository: string): RepositoryCount {
    const usageOfIt: RepositoryUsage = {
      repository,
      tags: 0,
      manifests: 0,
      layers: 0,
      linkedBytes: 0,
      onlyHereBytes: 0,
      dangling: 0,
      uploads: { objects: 0, bytes: 0 },
    };
    // Numbered from 1, by its place.
    const number = this.repositories.push(usageOfIt);
    return { number, usage: usageOfIt, counted: new Set() };
  }

  async #add(
    of: RepositoryCount,
    path: Extract<RegistryPath, { repository: string }>,
    { key, sizeBytes }: ObjectStat,
  ): Promise<void> {
    switch (path.kind) {
      case 'tag-current':
        of.usage.tags += 1;
        break;
      case 'revision-link':
        of.usage.manifests += 1;
        this.#link(of, path.digest);
        break;
      case 'layer-link': {
        const digest = await this.#linkedDigest(path.digest, key);
        if (digest !== undefined) {
          of.usage.layers += digest === path.digest ? 1 : 0;
          this.#link(of, digest);
        }
        break;
      }
      case 'signature-link':
        this.#link(of, path.digest);
        break;
      case 'upload':
        of.usage.uploads.objects += 1;
        of.usage.uploads.bytes += sizeBytes;
        break;
      default:
        break;
    }
  }

  #link({ number, usage: ofIt, counted }: RepositoryCount, digest: Digest): void {
    const claim = this.ledger.claim(digest, number);
    if (claim === undefined) {
      ofIt.dangling += 1;
      return;
    }
    if (!counted.has(claim.blob)) {
      counted.add(claim.blob);
      ofIt.linkedBytes += claim.sizeBytes;
    }
    if (claim.isFirst) {
      ofIt.onlyHereBytes += claim.sizeBytes;
    }
    const former = claim.formerOwner === undefined ? undefined : this.repositories[claim.formerOwner - 1];
    if (former !== undefined) {
      former.onlyHereBytes -= claim.sizeBytes;
    }
  }

  /**
   * What a layer link leads to: its name, but for a blob that was uploaded under its SHA-512. That is stored under its
   * SHA-256, which the link of the other name holds (distribution `registry/storage/blobwriter.go`).
   * Undefined for an alias that could not be read, which is noted, or is gone.
   */
  async #linkedDigest(name: Digest, key: string): Promise<Digest | undefined> {
    if (digestParts(name).algorithm === 'sha256' || this.ledger.has(name)) {
      return name;
    }
    try {
      const link = readLink(
        await this.#reads(() => this.#driver.readSmall(key, MAX_LINK_BYTES, { signal: this.#signal })),
      );
      return link.valid ? link.digest : name;
    } catch (error) {
      if (!isDriverError(error, 'NOT_FOUND')) {
        this.#note(key, error);
      }
      return undefined;
    }
  }

  async #eachBelow(prefix: string, take: (object: ObjectStat) => void | Promise<void>): Promise<void> {
    try {
      for await (const page of this.#driver.list(prefix, { signal: this.#signal })) {
        for (const object of page) {
          await take(object);
        }
        this.#observer.progress({ objects: page.length });
        // As `marchShard`: else each listing would hold it while it waits for the next one.
        page.length = 0;
      }
    } catch (error) {
      this.#note(prefix, error);
    }
  }

  /** @throws what is no failure of one part: an interruption, a store that is away or gone, a bug. */
  #note(key: string, error: unknown): void {
    if (!isObjectFailure(error) || error.code === 'UNAVAILABLE' || error.code === 'RATE_LIMITED') {
      throw error;
    }
    this.unread.push({ key, message: error.message });
  }
}

interface RepositoryCount {
  /** Its place among the repositories, from 1. */
  number: number;
  usage: RepositoryUsage;
  /** The blobs that are in `linkedBytes`, by their numbers: a manifest may be linked as a layer, too. */
  counted: Set<number>;
}
