import { formatBytes } from '../format-bytes.ts';
import type { Driver } from '../../drivers/driver.ts';
import { canCopyFrom, overlap } from '../../drivers/keys.ts';
import type { StoreProbe } from '../../drivers/probe.ts';
import { type DoctorCheck, failed, ok, unknown, warning } from './check.ts';
import type { Estimate } from './estimate.ts';
import type { WriteRates } from './writing.ts';

/** A blob takes a folder and a file, a link too. */
const FILES_PER_OBJECT = 2;

/** Numbers of a migration, for whoever presents them. */
export interface PassEstimate {
  objects: number;
  blobBytes: number;
  isExact: boolean;
  isAtLeast: boolean;
  /** A pass that finds nothing new to copy. */
  finalPassMs: number;
  /** The first pass; undefined without measured rates. */
  fullPassMs: number | undefined;
  /** Whether writing to the target was tried: then there are no rates because it failed. */
  isProbed: boolean;
}

export interface Measured {
  estimate: Estimate;
  rates: WriteRates | undefined;
  /** How fast the source gives the bytes of one blob. */
  readBytesPerSecond: number | undefined;
  isProbed: boolean;
}

/** What is true of two stores together. */
export function judgePair(source: Driver, target: Driver): DoctorCheck[] {
  const found = overlap(source.identity, target.identity);
  if (found === 'same') {
    return [failed('pair', 'source and target are the same store', 'Name another target.')];
  }
  if (found !== 'none') {
    const isRefused = source.name === 'filesystem';
    return [
      (isRefused ? failed : warning)(
        'pair',
        'one of the stores lies inside the other',
        'migrate refuses --delete between them: choose stores that do not overlap.',
      ),
    ];
  }
  return [
    ok(
      'pair',
      canCopyFrom(target, source)
        ? 'the store can copy by itself: bytes need not pass through this machine'
        : 'bytes pass through this machine',
    ),
  ];
}

/** How long the passes take at the rates that were measured. Reading and writing go on side by side. */
export function estimatePasses({ estimate, rates, readBytesPerSecond, isProbed }: Measured): PassEstimate {
  const { blobs, links, blobBytes, isExact, isAtLeast, listingMs } = estimate;
  const objects = blobs + links;
  const copyMs =
    rates === undefined
      ? undefined
      : Math.max(
          (objects * 1000) / rates.smallObjectsPerSecond,
          (blobBytes * 1000) / Math.min(rates.bytesPerSecond, readBytesPerSecond ?? Infinity),
        );
  return {
    objects,
    blobBytes,
    isExact,
    isAtLeast,
    finalPassMs: listingMs,
    fullPassMs: copyMs === undefined ? undefined : listingMs + copyMs,
    isProbed,
  };
}

/** Whether what is to be copied fits into a folder; nothing for other targets, which have no end. */
export function judgeSpace(
  { blobs, links, blobBytes, isAtLeast }: Estimate,
  target: StoreProbe | undefined,
): DoctorCheck[] {
  const facts = target?.folder;
  if (facts === undefined) {
    return [];
  }
  if ('unknown' in facts) {
    return [unknown('space', `not known: ${facts.unknown}`)];
  }
  const { freeBytes, freeFiles } = facts.value;
  const neededFiles = (blobs + links) * FILES_PER_OBJECT;
  const needed = `${isAtLeast ? 'at least ' : 'about '}${formatBytes(blobBytes)}`;
  const space =
    blobBytes > freeBytes
      ? failed('space', `${formatBytes(freeBytes)} are free, and ${needed} are needed`, 'Make room first.')
      : ok('space', `${formatBytes(freeBytes)} are free, of which ${needed} are needed`);
  if (freeFiles === undefined) {
    return [space];
  }
  const inodes =
    neededFiles > freeFiles
      ? failed(
          'inodes',
          `${count(freeFiles)} files and folders can still be made, and about ${count(neededFiles)} are needed`,
          'Make a file system with more inodes: this cannot be changed later.',
        )
      : ok(
          'inodes',
          `${count(freeFiles)} files and folders can still be made, of which about ${count(neededFiles)} are needed`,
        );
  return [space, inodes];
}

function count(files: number): string {
  return files.toLocaleString('en-US', { maximumFractionDigits: 0 });
}
