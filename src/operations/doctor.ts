import type { Driver, StoreIdentity } from '../drivers/driver.ts';
import { isDriverError } from '../drivers/errors.ts';
import type { StoreProbe } from '../drivers/probe.ts';
import { REGISTRY_ROOT } from '../layout/paths.ts';
import { examineAccess, unreachable } from './doctor/access.ts';
import { type DoctorCheck, type DoctorRole, failed, unknown } from './doctor/check.ts';
import { type Estimate, estimateContent } from './doctor/estimate.ts';
import { estimatePasses, judgePair, judgeSpace, type PassEstimate } from './doctor/passes.ts';
import { examineRegistry } from './doctor/registry-state.ts';
import { judgeSettings } from './doctor/settings.ts';
import { examineWriting, type WriteRates } from './doctor/writing.ts';
import type { Observer } from './observer.ts';
import type { OpenAbove } from './where-else.ts';

export type { DoctorCheck, DoctorRole, DoctorStatus } from './doctor/check.ts';
export type { PassEstimate } from './doctor/passes.ts';

/** A store to be examined, or why it could not even be opened. */
export interface Patient {
  role: DoctorRole;
  /** As the user would write it, without secrets. */
  location: string;
  store: Driver | { error: Error };
  /** What the registry's configuration says, where one was named as the store. */
  configuration?: { readOnly: boolean | undefined } | undefined;
  /** To look for the registry above the store, where there is none. */
  openAbove?: OpenAbove | undefined;
}

export interface DoctorOptions {
  /** Try also what writes, under a scratch key; never at a source. */
  writeProbe: boolean;
  concurrency: number;
  signal?: AbortSignal | undefined;
  /** Tells what is being done, and what an interrupted probe could not remove. */
  observer: Pick<Observer, 'phase' | 'notice'>;
  /** Milliseconds that only grow. */
  now?: (() => number) | undefined;
}

export interface Diagnosis {
  role: DoctorRole;
  location: string;
  isReachable: boolean;
  isRegistry: boolean;
  checks: DoctorCheck[];
  /** What the registry holds; undefined where there is none, or where it cannot be listed. */
  content: Pick<Estimate, 'blobs' | 'blobBytes' | 'links' | 'isExact' | 'isAtLeast'> | undefined;
}

export interface DoctorResult {
  /** The worst: `failed` is a check of any store; `not-a-registry` the source of two stores. */
  verdict: 'healthy' | 'failed' | 'unreachable' | 'not-a-registry';
  stores: Diagnosis[];
  /** Of two stores together. */
  pair: DoctorCheck[];
  passes: PassEstimate | undefined;
}

/** Of a blob, to see how fast the source is read. */
const READ_MAX_BYTES = 16 * 1024 * 1024;

const UNLISTED_SHOWN = 10;

/**
 * Examines a store, or the two of a migration, before the maintenance window: what the credentials may do, what the
 * store checks and how it is set, what state the registry is in, and how long the passes will take. Writes nothing
 * unless `writeProbe` is given, and nothing of that stays.
 * @throws DriverError ABORTED when interrupted; what the probe wrote is removed first.
 */
export async function doctor(patients: readonly Patient[], options: DoctorOptions): Promise<DoctorResult> {
  const examined: Examined[] = [];
  for (const patient of patients) {
    examined.push(await examine(patient, options, examined[0]?.store?.identity));
  }
  const [source, target] = examined;
  const both =
    source?.role === 'source' && target !== undefined
      ? await examineBoth(source, target, options)
      : undefined;
  const stores = examined.map(({ diagnosis }) => diagnosis);
  const pair = both?.checks ?? [];
  return { verdict: verdictOf(stores, pair), stores, pair, passes: both?.passes };
}

interface Examined {
  role: DoctorRole;
  store: Driver | undefined;
  diagnosis: Diagnosis;
  estimate: Estimate | undefined;
  rates: WriteRates | undefined;
  probe: StoreProbe | undefined;
}

/** @param besides The source, of a target. */
async function examine(
  patient: Patient,
  options: DoctorOptions,
  besides: StoreIdentity | undefined,
): Promise<Examined> {
  const { role, location, store } = patient;
  const { signal, observer, now = () => performance.now() } = options;
  observer.phase(`examining ${location}`);
  const nothing = { role, estimate: undefined, rates: undefined, probe: undefined };
  const diagnosis: Diagnosis = {
    role,
    location,
    isReachable: false,
    isRegistry: false,
    checks: [],
    content: undefined,
  };
  if ('error' in store) {
    return { ...nothing, store: undefined, diagnosis: { ...diagnosis, checks: [unreachable(store.error)] } };
  }
  const access = await examineAccess(store, signal, now);
  diagnosis.checks.push(...access.checks);
  if (!access.isReachable) {
    return { ...nothing, store: undefined, diagnosis };
  }
  diagnosis.isReachable = true;
  const writes = role !== 'source' && options.writeProbe;
  const writing = writes
    ? await examineWriting(store, {
        ...options,
        signal,
        now,
        onLeftover: (sentence) => {
          observer.notice(sentence);
        },
      })
    : undefined;
  const probe = writing?.probe ?? (await store.probe?.({ samplePrefix: `${REGISTRY_ROOT}blobs/`, signal }));
  diagnosis.checks = merged(diagnosis.checks, writing?.checks ?? notTried(role));
  diagnosis.checks.push(...judgeSettings(store, role, (await store.describe?.({ signal })) ?? {}, probe));
  const estimate = access.mayList
    ? await examineContent(store, patient, diagnosis, { ...options, now, besides })
    : undefined;
  return { role, store, diagnosis, estimate, rates: writing?.rates, probe };
}

/** What was found by trying takes the place of what could not be told before, unless that was a failure. */
function merged(before: readonly DoctorCheck[], tried: readonly DoctorCheck[]): DoctorCheck[] {
  const names = new Map(tried.map((check) => [check.name, check] as const));
  const kept = before.map((check) => (check.status === 'failed' ? check : (names.get(check.name) ?? check)));
  const present = new Set(before.map(({ name }) => name));
  return [...kept, ...tried.filter(({ name }) => !present.has(name))];
}

function notTried(role: DoctorRole): DoctorCheck[] {
  return role === 'source'
    ? []
    : [unknown('put', 'writing was not tried', 'Run it with --write-probe, which removes what it writes.')];
}

/** Fills in what a diagnosis says of the registry itself. A part that cannot be listed is a finding. */
async function examineContent(
  store: Driver,
  { role, configuration, openAbove }: Patient,
  diagnosis: Diagnosis,
  {
    concurrency,
    signal,
    besides,
    now = () => performance.now(),
  }: DoctorOptions & { besides: StoreIdentity | undefined },
): Promise<Estimate | undefined> {
  try {
    const state = await examineRegistry(store, {
      role,
      readOnly: configuration?.readOnly,
      hasConfiguration: configuration !== undefined,
      openAbove,
      besides,
      signal,
    });
    diagnosis.isRegistry = state.isRegistry;
    diagnosis.checks.push(...state.checks);
    if (!state.isRegistry) {
      return undefined;
    }
    const estimate = await estimateContent(store, { concurrency, signal, now });
    const { blobs, blobBytes, links, isExact, isAtLeast } = estimate;
    diagnosis.content = { blobs, blobBytes, links, isExact, isAtLeast };
    diagnosis.checks.push(...judgeListing(estimate.unlisted));
    return estimate;
  } catch (error) {
    if (!isDriverError(error) || error.code === 'ABORTED') {
      throw error;
    }
    diagnosis.checks.push(
      failed(
        'content',
        `cannot be listed: ${error.message}`,
        'migrate ends there, before it copies anything.',
      ),
    );
    return undefined;
  }
}

function judgeListing(unlisted: readonly string[]): DoctorCheck[] {
  if (unlisted.length === 0) {
    return [];
  }
  const named = unlisted.slice(0, UNLISTED_SHOWN).join(' ');
  const more = unlisted.length > UNLISTED_SHOWN ? ` And ${unlisted.length - UNLISTED_SHOWN} more.` : '';
  const parts = unlisted.length === 1 ? 'a part of it' : `${unlisted.length} parts of it`;
  return [
    failed(
      'content',
      `${parts} cannot be listed: ${named}${more}`,
      'Mend that first: migrate leaves it out and ends with 4, and with --delete it refuses to begin.',
    ),
  ];
}

async function examineBoth(
  source: Examined,
  target: Examined,
  options: DoctorOptions,
): Promise<{ checks: DoctorCheck[]; passes: PassEstimate | undefined }> {
  if (source.store === undefined || target.store === undefined) {
    return { checks: [], passes: undefined };
  }
  const { estimate } = source;
  const checks = judgePair(source.store, target.store);
  if (estimate === undefined) {
    return { checks, passes: undefined };
  }
  options.observer.phase('estimating');
  const readBytesPerSecond =
    target.rates === undefined ? undefined : await readingRate(source.store, estimate, options);
  return {
    checks: [...checks, ...judgeSpace(estimate, target.probe)],
    passes: estimatePasses({
      estimate,
      rates: target.rates,
      readBytesPerSecond,
      isProbed: options.writeProbe,
    }),
  };
}

/** Reads a part of one large blob. Undefined where there is none, or where it cannot be read now. */
async function readingRate(
  store: Driver,
  { largeBlob }: Estimate,
  { signal, now = () => performance.now() }: DoctorOptions,
): Promise<number | undefined> {
  if (largeBlob === undefined || largeBlob.sizeBytes < 1024 * 1024) {
    return undefined;
  }
  const startedAtMs = now();
  let bytes = 0;
  try {
    for await (const chunk of store.read(largeBlob.key, { signal })) {
      bytes += chunk.byteLength;
      if (bytes >= READ_MAX_BYTES) {
        break;
      }
    }
  } catch (error) {
    if (
      isDriverError(
        error,
        'NOT_FOUND',
        'CHANGED',
        'UNAVAILABLE',
        'RATE_LIMITED',
        'PERMISSION_DENIED',
        'UNSUPPORTED',
      )
    ) {
      return undefined;
    }
    throw error;
  }
  return (bytes * 1000) / Math.max(now() - startedAtMs, 1);
}

function verdictOf(stores: readonly Diagnosis[], pair: readonly DoctorCheck[]): DoctorResult['verdict'] {
  if (stores.some(({ isReachable }) => !isReachable)) {
    return 'unreachable';
  }
  if (stores.some(isNoSource)) {
    return 'not-a-registry';
  }
  const all = [...stores.flatMap(({ checks }) => checks), ...pair];
  return all.some(({ status }) => status === 'failed') ? 'failed' : 'healthy';
}

function isNoSource({ role, checks }: Diagnosis): boolean {
  return role === 'source' && checks.some(({ name, status }) => name === 'root' && status === 'failed');
}
