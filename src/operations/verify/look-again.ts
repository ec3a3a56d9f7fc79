import { hash } from 'node:crypto';
import type { Driver, ObjectStat } from '../../drivers/driver.ts';
import { DriverError, isDriverError } from '../../drivers/errors.ts';
import { MAX_LINK_BYTES, readLink } from '../../layout/digest.ts';
import { contentNamed } from '../../layout/order.ts';
import { parsePath, type RegistryPath } from '../../layout/paths.ts';
import { confirmAbsent } from '../absence.ts';
import { md5Of } from '../compare.ts';
import { forEachConcurrently } from '../concurrency.ts';
import type { Side } from '../march-shard.ts';
import { BlobProver } from '../prove-blob.ts';
import type { Md5Trust } from './compare-stores.ts';
import { judgeBlob } from './judge-blob.ts';
import type { Outcome } from './outcome.ts';
import type { Candidate, Difference, SeenObject } from './records.ts';

export interface LookAgainOptions {
  concurrency: number;
  signal: AbortSignal | undefined;
  outcome: Outcome;
  trust: Md5Trust;
  /** Blobs whose sizes differ are hashed on both sides. */
  hashesBlobs: boolean;
  /** When the verification began. */
  startedAtMs: number;
  now: () => number;
  /** Beyond so many, what is missing, extra or of another size is reported as the listings told it. */
  looksMax: number;
}

/**
 * Looks at both sides of everything that seemed to differ once more, and only then calls it a difference. What
 * the source has changed since the verification began is newer, and no difference; what has become equal, such
 * as what a migration copied meanwhile, is dropped.
 */
export async function lookAgain(
  source: Driver,
  target: Driver,
  candidates: AsyncIterable<Candidate>,
  options: LookAgainOptions,
): Promise<void> {
  const { concurrency, signal, outcome, trust, hashesBlobs, startedAtMs, now, looksMax } = options;
  const provers = { source: new BlobProver(source, { signal }), target: new BlobProver(target, { signal }) };
  let looks = 0;
  await forEachConcurrently(candidates, concurrency, async (candidate) => {
    await look(candidate);
    outcome.observer.progress({ objects: 1 });
  });

  async function look(candidate: Candidate): Promise<void> {
    const { key, problem } = candidate;
    if (isNewer(candidate.source)) {
      await outcome.isNewer(key, problem);
      return;
    }
    looks += 1;
    if (problem !== 'content' && looks > looksMax) {
      outcome.notLookedAgain += 1;
      await outcome.differ(key, { problem, ...sizes(candidate.source, candidate.target) });
      return;
    }
    const [left, right] = await Promise.all([
      outcome.attempt('source', key, () => statNow(source, key, candidate.source !== undefined)),
      outcome.attempt('target', key, () => statNow(target, key, candidate.target !== undefined)),
    ]);
    if (left !== undefined && right !== undefined) {
      await compareNow(candidate, left.value, right.value);
    }
  }

  /** What was listed and is not there any more is not listed any more either: else the store contradicts itself. */
  async function statNow(driver: Driver, key: string, wasListed: boolean): Promise<ObjectStat | undefined> {
    const stat = await driver.stat(key, { signal });
    if (stat === undefined && wasListed) {
      await confirmAbsent(driver, key, { signal });
    }
    return stat;
  }

  async function compareNow(
    candidate: Candidate,
    left: ObjectStat | undefined,
    right: ObjectStat | undefined,
  ): Promise<void> {
    const { key, problem } = candidate;
    const path = parsePath(key);
    if (left === undefined) {
      if (problem !== 'extra') {
        await outcome.isNewer(key, 'deleted');
      } else if (right === undefined) {
        outcome.settled += 1;
      } else {
        await outcome.differ(key, { problem, ...sizes(left, right) });
      }
    } else if (isNewer(left)) {
      await outcome.isNewer(key, problem);
    } else if (right === undefined) {
      await outcome.differ(key, { problem: 'missing', ...sizes(left, right) });
    } else if (path.kind === 'blob-data') {
      await compareBlob(path, left, right, candidate.target === undefined);
    } else if (left.sizeBytes !== right.sizeBytes) {
      await outcome.differ(key, {
        problem: 'size',
        ...sizes(left, right),
        ...(await digestsOf(left, right)),
      });
    } else if (problem === 'content' || !contentNamed(path)) {
      await compareContent(candidate, left, right);
    } else {
      outcome.settled += 1;
    }
  }

  async function compareBlob(
    { digest }: Extract<RegistryPath, { kind: 'blob-data' }>,
    left: ObjectStat,
    right: ObjectStat,
    hasCome: boolean,
  ): Promise<void> {
    const isOtherSize = left.sizeBytes !== right.sizeBytes;
    const seemsOther =
      trust.source &&
      trust.target &&
      left.md5 !== undefined &&
      right.md5 !== undefined &&
      left.md5 !== right.md5;
    const about = sizes(left, right);
    // One that was not there when it was to be read has not been proved yet.
    const isUnproved = hasCome && hashesBlobs;
    if (!isOtherSize && !seemsOther && !isUnproved) {
      outcome.settled += 1;
      return;
    }
    const judgement =
      hashesBlobs || !isOtherSize
        ? await judgeBlob(
            digest,
            { sourceSizeBytes: left.sizeBytes, targetSizeBytes: right.sizeBytes },
            provers,
            outcome,
          )
        : 'unknown';
    if (typeof judgement === 'object') {
      await outcome.differ(left.key, { ...about, ...judgement });
    } else if (isOtherSize) {
      await outcome.differ(left.key, { problem: 'size', ...about });
    } else if (judgement === 'right') {
      if (seemsOther) {
        // Both are right, so what looked like an MD5 in one of the listings is none.
        trust.source = false;
        trust.target = false;
      }
      outcome.settled += 1;
    } else if (judgement === 'gone') {
      const reason = 'It was deleted on one side while it was looked at; verify again.';
      await outcome.differ(left.key, { problem: 'content', ...about, reason });
    }
  }

  async function compareContent(candidate: Candidate, left: ObjectStat, right: ObjectStat): Promise<void> {
    const { key } = candidate;
    const [here, there] = await Promise.all([
      outcome.attempt('source', key, () => contentOf(source, left)),
      outcome.attempt('target', key, () => contentOf(target, right)),
    ]);
    if (here === undefined || there === undefined) {
      return;
    }
    const firstMd5 = candidate.source?.md5;
    const isOther = firstMd5 !== undefined && firstMd5 !== here.value?.md5;
    if (isOther && here.value !== undefined && isUnchanged(candidate.source, left)) {
      await outcome.attempt('source', key, async () => {
        throw new DriverError(
          'CHANGED',
          `${source.location} gave other bytes of ${key} each time, and says that it has not changed.`,
          { driver: source.name, operation: 'read', key },
        );
      });
    } else if (here.value === undefined || isOther) {
      await outcome.isNewer(key, 'content');
    } else if (here.value.md5 === there.value?.md5) {
      outcome.settled += 1;
    } else {
      await outcome.differ(key, {
        problem: 'content',
        ...sizes(left, right),
        ...(here.value.digest === undefined ? {} : { sourceDigest: here.value.digest }),
        ...(there.value?.digest === undefined ? {} : { targetDigest: there.value.digest }),
      });
    }
  }

  /** What links that are not of the same size say, where one can be read at all. */
  async function digestsOf(
    left: ObjectStat,
    right: ObjectStat,
  ): Promise<Pick<Difference, 'sourceDigest' | 'targetDigest'>> {
    const digestOf = async (side: Side, driver: Driver, stat: ObjectStat) =>
      stat.sizeBytes > MAX_LINK_BYTES
        ? undefined
        : (await outcome.attempt(side, stat.key, () => contentOf(driver, stat)))?.value?.digest;
    const [sourceDigest, targetDigest] = await Promise.all([
      digestOf('source', source, left),
      digestOf('target', target, right),
    ]);
    return {
      ...(sourceDigest === undefined ? {} : { sourceDigest }),
      ...(targetDigest === undefined ? {} : { targetDigest }),
    };
  }

  /**
   * Undefined when it is gone, or not as long any more as it was a moment ago.
   * @throws DriverError also when it is neither of these by what else the store says.
   */
  async function contentOf(driver: Driver, stat: ObjectStat): Promise<Content | undefined> {
    try {
      if (stat.sizeBytes > MAX_LINK_BYTES) {
        return { md5: await md5Of({ driver, stat: { key: stat.key, sizeBytes: stat.sizeBytes } }, signal) };
      }
      const bytes = await driver.readSmall(stat.key, MAX_LINK_BYTES, { signal });
      if (bytes.byteLength !== stat.sizeBytes) {
        throw new DriverError(
          'CHANGED',
          `${driver.location} gave ${bytes.byteLength} bytes of ${stat.key}, and says that it has ${stat.sizeBytes}.`,
          { driver: driver.name, operation: 'readSmall', key: stat.key },
        );
      }
      const link = readLink(bytes);
      return { md5: hash('md5', bytes, 'hex'), ...(link.valid ? { digest: link.digest } : {}) };
    } catch (error) {
      if (isDriverError(error, 'NOT_FOUND')) {
        await confirmAbsent(driver, stat.key, { signal });
        return undefined;
      }
      if (isDriverError(error, 'CHANGED') && !isUnchanged(stat, await driver.stat(stat.key, { signal }))) {
        return undefined;
      }
      throw error;
    }
  }

  /**
   * Whether the source says that it wrote this after the verification began. Clocks differ: a time that has not
   * come yet proves nothing, so that a file from the future does not pass for a new one for ever.
   */
  function isNewer(seen: { modifiedAtMs?: number | undefined } | undefined): boolean {
    const modifiedAtMs = seen?.modifiedAtMs;
    return modifiedAtMs !== undefined && modifiedAtMs > startedAtMs && modifiedAtMs <= now();
  }
}

/** Whether a store says of an object that it is still what it was. Not where it tells too little. */
function isUnchanged(before: SeenObject | ObjectStat | undefined, now: ObjectStat | undefined): boolean {
  if (before === undefined || now === undefined || before.sizeBytes !== now.sizeBytes) {
    return false;
  }
  return before.etag !== undefined && now.etag !== undefined
    ? before.etag === now.etag
    : before.modifiedAtMs !== undefined && before.modifiedAtMs === now.modifiedAtMs;
}

interface Content {
  md5: string;
  /** What it says, if it is a valid link. */
  digest?: string;
}

interface Sized {
  sizeBytes: number;
}

function sizes(
  source: Sized | undefined,
  target: Sized | undefined,
): Pick<Difference, 'sourceSizeBytes' | 'targetSizeBytes'> {
  return {
    ...(source === undefined ? {} : { sourceSizeBytes: source.sizeBytes }),
    ...(target === undefined ? {} : { targetSizeBytes: target.sizeBytes }),
  };
}
