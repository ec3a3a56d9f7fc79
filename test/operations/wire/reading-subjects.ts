import { blobKey, currentKey, layerKey, revisionKey } from '../../../fixtures/keys.ts';
import { RegistryBuilder } from '../../../fixtures/registry-builder.ts';
import { presentCheck } from '../../../src/cli/present-check.ts';
import { presentDoctor } from '../../../src/cli/present-doctor.ts';
import { presentVerify } from '../../../src/cli/present-verify.ts';
import { checkExitCode, doctorExitCode, verifyExitCode } from '../../../src/cli/verdict-exit-codes.ts';
import type { Driver } from '../../../src/drivers/driver.ts';
import { doctor } from '../../../src/operations/doctor.ts';
import { silentObserver } from '../../../src/operations/observer.ts';
import { verify } from '../../../src/operations/verify.ts';
import type { VerifyRecord } from '../../../src/operations/verify/records.ts';
import { observe, wholeData } from '../check/observe.ts';
import { flipped } from '../check/fixtures.ts';

/** What a command that only reads would have said. */
export interface Reading {
  exitCode: number;
  lines: readonly string[];
  /** The verdict with all that it rests on: two readings of the same stores have the same. */
  rests: unknown;
  /** What is wrong or different, one name each. */
  found: readonly string[];
  /** What it said of each thing that it looked at, where it may say of each that it could not be found out. */
  statuses?: ReadonlyMap<string, string>;
}

export interface Subject {
  name: string;
  /** What the store on the wire holds, and what a second store holds that is not on the wire. */
  stores(): { wire: Objects; other: Objects };
  read(wire: Driver, other: Driver): Promise<Reading>;
}

export type Objects = ReadonlyMap<string, Uint8Array>;

const facts = { durationMs: 0, retries: 0 };

async function readVerify(
  source: Driver,
  target: Driver,
  readData: typeof wholeData | undefined,
): Promise<Reading> {
  const records: VerifyRecord[] = [];
  const result = await verify(source, target, {
    readData: readData && { subset: readData.subset, seed: readData.seed },
    concurrency: 8,
    observer: {
      ...silentObserver,
      record: async (record) => {
        records.push(record);
      },
    },
  });
  const found = records.flatMap((record) =>
    record.type === 'difference' ? [`${record.problem} ${record.key}`] : [],
  );
  const newer = records.flatMap(({ type, key }) => (type === 'newer' ? [key] : []));
  const { verdict, counts } = result;
  const read = result.readData && { blobs: result.readData.blobs, bytes: result.readData.bytes };
  return {
    exitCode: verifyExitCode(verdict),
    lines: presentVerify(result, source, target, facts),
    rests: { verdict, counts, found: found.sort(), newer: newer.sort(), read },
    found,
  };
}

async function readCheck(store: Driver, readData: typeof wholeData | undefined): Promise<Reading> {
  const result = await observe(store, { readData });
  const { verdict, tags, counts, repositories, dataRead, untaggedManifests, notExamined } = result;
  const found = result.all.map(({ code, paths }) => `${code} ${paths[0] ?? ''}`);
  return {
    exitCode: checkExitCode(verdict),
    lines: presentCheck(result, { ...facts, location: store.location, readData }),
    rests: { verdict, tags, counts, repositories, dataRead, untaggedManifests, notExamined, found },
    // Which blobs nothing needs cannot be told where something was not read; it is said that it was not concluded.
    found: found.filter((name) => !name.startsWith('blob-orphan')),
  };
}

async function readDoctor(store: Driver): Promise<Reading> {
  const result = await doctor([{ role: 'store', location: store.location, store }], {
    writeProbe: false,
    concurrency: 8,
    observer: silentObserver,
  });
  const [diagnosis] = result.stores;
  const checks = diagnosis?.checks ?? [];
  return {
    exitCode: doctorExitCode(result),
    lines: presentDoctor(result),
    rests: {
      verdict: result.verdict,
      content: diagnosis?.content,
      checks: checks.map(({ name, status }) => `${name} ${status}`).sort(),
    },
    found: checks.filter(({ status }) => status === 'failed' || status === 'warning').map(({ name }) => name),
    statuses: new Map(checks.map(({ name, status }) => [name, status])),
  };
}

/** An image and an index, which is enough for a request of each kind. */
function registry() {
  const builder = new RegistryBuilder({ seed: 'reading' });
  const image = builder.push('shop', 'v1', builder.image({ layers: 1 }));
  builder.push('shop', 'v2', image);
  const other = builder.push('shop', 'v3', builder.image({ base: image, layers: 1 }));
  const index = builder.push('multi', 'latest', builder.index([builder.image({ layers: 1 })]));
  builder.lockfile('filesystem-in-use');
  return { objects: builder.objects, image, other, index };
}

/** One of each kind of difference. */
function differing(): Objects {
  const { objects, image, other, index } = registry();
  const [layer] = image.layers;
  const [ownLayer] = other.layers.slice(1);
  const [child] = index.children;
  objects.delete(blobKey(layer?.digest ?? ''));
  objects.set(currentKey('shop', 'v1'), Buffer.from(other.digest));
  objects.delete(currentKey('shop', 'v2'));
  objects.set(layerKey('shop', ownLayer?.digest ?? ''), Buffer.from('sha256:'));
  objects.set(revisionKey('shop', `sha256:${'5'.repeat(64)}`), Buffer.from(`sha256:${'5'.repeat(64)}`));
  const childKey = blobKey(child?.layers[0]?.digest ?? '');
  objects.set(childKey, flipped(objects.get(childKey) ?? Buffer.of()));
  return objects;
}

/** Damage of several kinds. */
function damaged(): Objects {
  const { objects, image, index } = registry();
  const [layer] = image.layers;
  const [child] = index.children;
  objects.set(currentKey('shop', 'v2'), Buffer.of());
  objects.delete(blobKey(layer?.digest ?? ''));
  objects.delete(layerKey('multi', child?.config?.digest ?? ''));
  const childKey = blobKey(child?.layers[0]?.digest ?? '');
  objects.set(childKey, flipped(objects.get(childKey) ?? Buffer.of()));
  return objects;
}

const whole = () => registry().objects;
const alone = (wire: () => Objects) => () => ({ wire: wire(), other: new Map<string, Uint8Array>() });

export const readingSubjects: readonly Subject[] = [
  ...(['equal', 'different'] as const).flatMap((which) => {
    const other = which === 'equal' ? whole : differing;
    return [
      {
        name: `verify of ${which} stores, of which this is the source`,
        stores: () => ({ wire: whole(), other: other() }),
        read: (wire: Driver, memory: Driver) => readVerify(wire, memory, undefined),
      },
      {
        name: `verify --read-data of ${which} stores, of which this is the source`,
        stores: () => ({ wire: whole(), other: other() }),
        read: (wire: Driver, memory: Driver) => readVerify(wire, memory, wholeData),
      },
      {
        name: `verify --read-data of ${which} stores, of which this is the target`,
        stores: () => ({ wire: other(), other: whole() }),
        read: (wire: Driver, memory: Driver) => readVerify(memory, wire, wholeData),
      },
    ];
  }),
  ...(['whole', 'damaged'] as const).flatMap((which) => {
    const stores = alone(which === 'whole' ? whole : damaged);
    return [
      { name: `check of a ${which} store`, stores, read: (wire: Driver) => readCheck(wire, undefined) },
      {
        name: `check --read-data of a ${which} store`,
        stores,
        read: (wire: Driver) => readCheck(wire, wholeData),
      },
    ];
  }),
  { name: 'doctor', stores: alone(whole), read: readDoctor },
];
