import { createHash, randomBytes } from 'node:crypto';
import type { Driver } from '../../drivers/driver.ts';
import { canCopyFrom } from '../../drivers/keys.ts';
import type { Answer, DeleteDialect, StoreProbe } from '../../drivers/probe.ts';
import { REGISTRY_ROOT } from '../../layout/paths.ts';
import { forEachConcurrently } from '../concurrency.ts';
import { allowed, attempt, missingRight } from './attempt.ts';
import { type DoctorCheck, failed, ok, unknown, warning } from './check.ts';
import { judgeDeletes } from './dialect.ts';
import type { Action } from './rights.ts';
import { type Scratch, withScratch } from './scratch.ts';

/** Enough small objects to see a rate, and few enough to be gone in a second. */
const SMALL_OBJECTS = 64;
const SMALL_BYTES = 71;
const LARGE_BYTES = 8 * 1024 * 1024;

export interface WriteRates {
  smallObjectsPerSecond: number;
  bytesPerSecond: number;
}

export interface Writing {
  checks: DoctorCheck[];
  /** What the driver's own probe found, with what writes. */
  probe: StoreProbe | undefined;
  /** Undefined where writing did not succeed. */
  rates: WriteRates | undefined;
}

export interface WritingOptions {
  concurrency: number;
  signal: AbortSignal | undefined;
  now: () => number;
  onLeftover: (sentence: string) => void;
}

/** Tries each thing that a migration does at its target, under a scratch key of its own, and removes it again. */
export async function examineWriting(store: Driver, options: WritingOptions): Promise<Writing> {
  let probe: StoreProbe | undefined;
  let rates: WriteRates | undefined;
  const checks = await withScratch(
    store,
    async (scratch) => {
      const basic = await examineObject(store, scratch, options.signal);
      probe = await store.probe?.({
        samplePrefix: `${REGISTRY_ROOT}blobs/`,
        scratchPrefix: `${scratch.prefix}checks/`,
        signal: options.signal,
      });
      if (basic.every(({ status }) => status !== 'failed')) {
        rates = await measure(store, scratch, options);
      }
      return [...basic, ...probedChecks(store, probe)];
    },
    options.onLeftover,
  );
  return { checks, probe, rates };
}

async function examineObject(
  store: Driver,
  scratch: Scratch,
  signal: AbortSignal | undefined,
): Promise<DoctorCheck[]> {
  const key = scratch.key('object');
  const content = randomBytes(SMALL_BYTES);
  const hex = createHash('sha256').update(content).digest('hex');
  const put = await attempt(store, 'put', () =>
    store.write(key, content, { expectedDigest: { algorithm: 'sha256', hex }, signal }),
  );
  if (put.check.status === 'failed') {
    return [put.check];
  }
  const head = await attempt(store, 'head', () => store.stat(key, { signal }));
  const get = await attempt(store, 'get', () => store.readSmall(key, content.byteLength, { signal }));
  const isSame = get.value === undefined || Buffer.compare(get.value, content) === 0;
  return [
    put.check,
    head.check,
    isSame ? get.check : failed('get', 'what was written comes back as something else'),
    ...(await examineCopy(store, key, head.value?.etag, scratch, signal)),
    await examineDelete(store, key, signal),
  ];
}

async function examineCopy(
  store: Driver,
  key: string,
  etag: string | undefined,
  scratch: Scratch,
  signal: AbortSignal | undefined,
): Promise<DoctorCheck[]> {
  if (!canCopyFrom(store, store) || etag === undefined) {
    return [];
  }
  const source = { identity: store.identity, key, sizeBytes: SMALL_BYTES, etag };
  const copy = await attempt(store, 'copy', async () =>
    store.copyFrom?.(source, scratch.key('copy'), { signal }),
  );
  return [copy.check];
}

async function examineDelete(
  store: Driver,
  key: string,
  signal: AbortSignal | undefined,
): Promise<DoctorCheck> {
  const { check } = await attempt(store, 'delete', async () => {
    const [failure] = await store.delete([key], { signal });
    if (failure !== undefined) {
      throw failure.error;
    }
  });
  if (check.status === 'failed') {
    return check;
  }
  const rest = await attempt(store, 'head', () => store.stat(key, { signal }));
  return rest.value === undefined ? check : failed('delete', 'a deleted object is still there');
}

/** What only requests show that the driver does not send of itself. */
function probedChecks(store: Driver, probe: StoreProbe | undefined): DoctorCheck[] {
  const writes = probe?.writes;
  if (writes === undefined) {
    return [];
  }
  return [
    ...allowedChecks(store, {
      multipart: writes.multipart,
      abort: writes.abort,
      'list-uploads': writes.listUploads,
    }),
    ...verified(
      'payload-hash',
      writes.refusesWrongPayloadHash,
      'refuses a body whose hash is not the signed one: each blob that goes as one request is proved by the store itself',
      'takes a body whose hash is not the signed one',
      'migrate hashes each blob on its way all the same; run verify --read-data afterwards.',
    ),
    ...verified(
      'checksum',
      writes.refusesWrongChecksum,
      'refuses a body with a wrong checksum',
      'ignores the checksum sent with a body',
      'Harmless for migrate, which relies on the signed hash or its own.',
    ),
    ...verified(
      'kept-checksum',
      writes.keepsSha256,
      'keeps the SHA-256 of an object: verify can compare without reading',
      'does not tell the SHA-256 of an object',
      'verify compares names and sizes; --read-data reads the bytes.',
    ),
    ...deleteChecks(writes.deletes),
    ...verified(
      'if-none-match',
      writes.honoursIfNoneMatch,
      'honours If-None-Match',
      'ignores If-None-Match, so an existing object can be overwritten by mistake',
      'migrate does not rely on it: run one migration to a target at a time.',
    ),
  ];
}

/** Where the right to delete is missing, the check of the same name has said so. */
function deleteChecks(found: Answer<DeleteDialect> | undefined): DoctorCheck[] {
  if (found === undefined) {
    return [];
  }
  return 'value' in found
    ? [judgeDeletes(found.value)]
    : [unknown('delete-dialect', `could not be tried: ${found.unknown}`)];
}

function allowedChecks(
  store: Driver,
  answers: Partial<Record<Action, Answer<true> | undefined>>,
): DoctorCheck[] {
  return Object.entries(answers).flatMap(([name, found]) => {
    const action = name as Action;
    if (found === undefined) {
      return [];
    }
    if ('value' in found) {
      return [allowed(action)];
    }
    return [
      found.missing === undefined
        ? failed(action, `not possible: ${found.unknown}`)
        : missingRight(store, action),
    ];
  });
}

function verified(
  name: string,
  found: Answer<boolean> | undefined,
  yes: string,
  no: string,
  meaning: string,
): DoctorCheck[] {
  if (found === undefined) {
    return [];
  }
  if ('unknown' in found) {
    return [unknown(name, `could not be tried: ${found.unknown}`)];
  }
  return [found.value ? ok(name, yes) : warning(name, no, meaning)];
}

/** How fast small objects are written side by side, and bytes one after another. */
async function measure(
  store: Driver,
  scratch: Scratch,
  { concurrency, signal, now }: WritingOptions,
): Promise<WriteRates> {
  const keys = Array.from({ length: SMALL_OBJECTS }, (_, index) => scratch.key(`small-${index}`));
  const content = randomBytes(SMALL_BYTES);
  const startedAtMs = now();
  await forEachConcurrently(keys, concurrency, (key) => store.write(key, content, { signal }));
  const smallMs = now() - startedAtMs;
  const large = randomBytes(LARGE_BYTES);
  const largeStartedAtMs = now();
  await store.write(scratch.key('large'), large, { signal });
  const largeMs = now() - largeStartedAtMs;
  return {
    smallObjectsPerSecond: (SMALL_OBJECTS * 1000) / Math.max(smallMs, 1),
    bytesPerSecond: (LARGE_BYTES * 1000) / Math.max(largeMs, 1),
  };
}
