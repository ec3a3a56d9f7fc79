import { afterAll, beforeAll, expect } from 'vitest';
import { blobKey } from '../../../fixtures/keys.ts';
import { RegistryBuilder } from '../../../fixtures/registry-builder.ts';
import { writeObjects } from '../../../fixtures/write-objects.ts';
import { describeFailure } from '../../../src/cli/failure.ts';
import { exitCodeOf } from '../../../src/cli/migrate-exit-code.ts';
import type { Driver } from '../../../src/drivers/driver.ts';
import { openMemory } from '../../../src/drivers/memory.ts';
import { contentOfDriver, uploadsOf } from '../../crash/crashing.ts';
import { describeWithServers, type SharedServers } from '../../servers/index.ts';
import type { Fault } from '../../support/faulting-proxy.ts';
import { deleteAnything, runMigrate } from '../../support/migrating.ts';
import { brokenTags } from '../../support/pullable.ts';
import { azureKind, s3Kind, type Asked, type WireKind, type WireStore } from '../../support/wire-stores.ts';

/** Which requests a fault is for. */
export type Matches = (asked: Asked) => boolean;

/** Begins to fault, and tells how often it has. */
export type Faulted = (store: WireStore) => () => number;

/** A first copy; or one of what changed since, which moves tags and deletes. */
export type Pass = 'first' | 'update';

export const isBlob: Matches = ({ key }) => key.includes('/blobs/');
/** A layer that nothing but one image needs: other blobs may be manifests, which are read once more. */
export const readsBlob: Matches = ({ what, key }) => what === 'read' && key === blobKey(newLayer());
/** Only an update reads this one at a source, and only a first copy or an update writes it at a target. */
export const isNewLink: Matches = ({ key }) => /\/new\/.*link$/.test(key);
/** The full listing of the blobs of one shard, a page of which is the whole of it. */
export const listsShard: Matches = ({ what, key }) => what === 'list' && /\/blobs\/sha256\/..\/$/.test(key);
export const isChange: Matches = ({ what }) =>
  what === 'write' || what === 'part' || what === 'complete' || what === 'copy' || what === 'delete';

/** The fault is done to the first object that matches, each time it is asked for. */
export function always(matches: Matches, fault: Fault): Faulted {
  return (store) => {
    let met = 0;
    let chosen: string | undefined;
    store.proxy.faultWith((request) => {
      const asked = store.ask(request);
      if (!matches(asked) || (chosen ?? asked.key) !== asked.key) {
        return undefined;
      }
      chosen = asked.key;
      met += 1;
      return fault;
    });
    return () => met;
  };
}

/** The fault is done to the first request of each kind. */
export function onceEach(kinds: readonly Matches[], fault: Fault): Faulted {
  return (store) => {
    const waiting = new Set(kinds);
    store.proxy.faultWith((request) => {
      const asked = store.ask(request);
      const found = [...waiting].find((matches) => matches(asked));
      return found !== undefined && waiting.delete(found) ? fault : undefined;
    });
    return () => kinds.length - waiting.size;
  };
}

/** The fault is done to every request that matches, from the nth on. */
export function fromOn(nth: number, matches: Matches, fault: Fault): Faulted {
  return (store) => {
    let seen = 0;
    store.proxy.faultWith((request) => {
      if (!matches(store.ask(request))) {
        return undefined;
      }
      seen += 1;
      return seen >= nth ? fault : undefined;
    });
    return () => Math.max(0, seen - nth + 1);
  };
}

export interface WireTrial {
  side: 'source' | 'target';
  pass: Pass;
  /** How often a call is made. */
  attempts: number;
  faulted: Faulted;
  /** How often the fault is met at least: a trial without its fault proves nothing. */
  metAtLeast: number;
  /** Exit codes with which the run may end. */
  expected: readonly number[];
  /** Deletes may have begun when it is met; else none may have been made unless all went well. */
  whileDeleting?: boolean | undefined;
}

/** What `regtool migrate` would have said. */
export interface WireRun {
  exitCode: number;
  /** Keys that are named as failed, and sentences that the run ends with. */
  named: string[];
  /** Keys that were at the target before and are not any more. */
  deleted: string[];
  broken: unknown[];
}

/**
 * A `describe` for each kind of store, with trials: a migration in which requests of the real driver to a real store
 * meet a fault. Either everything is copied, or what failed is named, no tag is shown that cannot be pulled, and
 * nothing was deleted; and then a run without the fault completes it, and leaves nothing behind.
 */
export function describeOnWire(
  name: string,
  body: (kind: WireKind, trial: (about: WireTrial) => Promise<{ run: WireRun; pausesMs: number[] }>) => void,
  kinds: readonly WireKind[] = [s3Kind, azureKind],
): void {
  for (const kind of kinds) {
    describeWithServers(`${name} ${kind.name}`, [kind.name === 'S3' ? 'rgw' : 'azurite'], (servers) => {
      const stages = makeStages();
      let source: WireStore;
      beforeAll(async () => {
        source = await kind.open(servers);
        await writeObjects(source.direct, stages.after);
      });
      afterAll(() => source.close());
      body(kind, async (about) => runTrial(kind, servers, stages, source, about));
    });
  }
}

/** A source on the wire is never written, so that all trials can share it. */
async function runTrial(
  kind: WireKind,
  servers: SharedServers,
  stages: Stages,
  sharedSource: WireStore,
  { side, pass, attempts, faulted, metAtLeast, expected, whileDeleting = false }: WireTrial,
): Promise<{ run: WireRun; pausesMs: number[] }> {
  const store = side === 'source' ? sharedSource : await kind.open(servers, attempts);
  store.pausesMs.length = 0;
  const memory = openMemory({ objects: side === 'source' ? [] : stages.after });
  const [source, target, judged] =
    side === 'source' ? [store.driver, memory, memory] : [memory, store.driver, store.direct];
  if (pass === 'update') {
    await writeObjects(judged, stages.before);
  }
  const met = faulted(store);
  const run = await migrateOnce(source, target, judged, pass);
  const pausesMs = [...store.pausesMs];
  expect({ ...run, isExpected: expected.includes(run.exitCode) }).toMatchObject({
    broken: [],
    isExpected: true,
    ...(run.exitCode === 0 || whileDeleting ? {} : { deleted: [] }),
  });
  expect(run.named.length > 0 || run.exitCode === 0 || run.exitCode === 3).toBe(true);
  const complete = await contentOfDriver(openMemory({ objects: stages.after }));
  if (run.exitCode === 0) {
    expect(await contentOfDriver(judged)).toEqual(complete);
  }
  expect(met()).toBeGreaterThanOrEqual(metAtLeast);
  store.proxy.faultWith(() => undefined);
  expect(await migrateOnce(source, target, judged, pass)).toMatchObject({ exitCode: 0, broken: [] });
  expect(await contentOfDriver(judged)).toEqual(complete);
  expect(await uploadsOf(judged)).toEqual([]);
  if (side === 'target') {
    await store.close();
  }
  return { run, pausesMs };
}

async function migrateOnce(source: Driver, target: Driver, judged: Driver, pass: Pass): Promise<WireRun> {
  const held = await contentOfDriver(judged);
  const said: { exitCode: number; named: string[] } = { exitCode: 0, named: [] };
  try {
    const options = pass === 'update' ? { delete: deleteAnything } : {};
    const result = await runMigrate(source, target, options);
    said.exitCode = exitCodeOf(result);
    said.named.push(...result.tally.failures.map(({ key }) => key));
    if (result.end.kind === 'stopped') {
      said.named.push(result.end.error.message);
    }
  } catch (error) {
    const { exitCode, message, reasons } = describeFailure(error);
    said.exitCode = exitCode;
    said.named.push(message, ...reasons);
  }
  const holds = await contentOfDriver(judged);
  const deleted = [...held.keys()].filter((key) => !holds.has(key));
  return { ...said, deleted, broken: await brokenTags(judged) };
}

/** What a registry was when it was copied first, and what it is when it is copied again. */
interface Stages {
  before: Map<string, Uint8Array>;
  after: Map<string, Uint8Array>;
  /** The digest of a layer that only the second has. */
  newLayer: string;
}

/** Between the two: a retag, pushes, an index moved, deletes and a garbage collection. */
function makeStages(): Stages {
  const registry = new RegistryBuilder({ seed: 'wire' });
  const base = registry.image({ layers: 1 });
  registry.push('kept', 'v1', base);
  const index = registry.push('multi', 'latest', registry.index([registry.image({ layers: 1 })]));
  const old = registry.push('app', 'v1', registry.image({ layers: 1 }));
  const before = new Map(registry.objects);
  registry.push('app', 'v1', registry.image({ base }));
  registry.push('multi', 'latest', registry.index([registry.image({ layers: 1 })]));
  const { layers } = registry.push('new', 'v1', registry.image({ layers: 1 }));
  registry.deleteManifest('app', old.digest);
  registry.deleteManifest('multi', index.digest);
  registry.garbageCollect();
  return { before, after: new Map(registry.objects), newLayer: layers[0]?.digest ?? '' };
}

function newLayer(): string {
  known ??= makeStages().newLayer;
  return known;
}

let known: string | undefined;
