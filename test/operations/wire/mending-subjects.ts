import { blobKey, currentKey, indexKey, layerKey, revisionKey } from '../../../fixtures/keys.ts';
import { RegistryBuilder } from '../../../fixtures/registry-builder.ts';
import { presentMarkerPlan, presentMarkerResult } from '../../../src/cli/present-fix-empty-tags.ts';
import {
  presentRepairPlan,
  presentRepairResult,
  presentUndoResult,
} from '../../../src/cli/present-repair.ts';
import { markersExitCode, repairExitCode, undoExitCode } from '../../../src/cli/verdict-exit-codes.ts';
import type { Driver } from '../../../src/drivers/driver.ts';
import { fixEmptyTags } from '../../../src/operations/fix-empty-tags.ts';
import { silentObserver } from '../../../src/operations/observer.ts';
import { flipped } from '../check/fixtures.ts';
import { type RepairSettings, runRepair, runUndo, type UndoList } from '../repair/repairing.ts';

/** What a command that changes a store would have said. */
export interface Mending {
  exitCode: number;
  lines: readonly string[];
}

export interface Subject {
  name: string;
  /** What the store is before, and what the other one holds, from which blobs come. */
  damaged(): Objects;
  other?: () => Objects;
  /** Which of the two is on the wire. */
  side: 'store' | 'other';
  mend(store: Driver, other: Driver, undo: UndoList): Promise<Mending>;
  /** Nothing can be put back. */
  isFinal?: true;
  /** Nothing has to be put back: what is broken has to be left. */
  changesNothing?: true;
}

export type Objects = ReadonlyMap<string, Uint8Array>;

const facts = { durationMs: 0, retries: 0, dryRun: false, undoFile: undefined };
const HOUR_MS = 3_600_000;

async function mendByRepair(store: Driver, settings: RepairSettings): Promise<Mending> {
  const result = await runRepair(store, settings);
  return {
    exitCode: repairExitCode(result, false),
    lines: [...presentRepairPlan(result.plan, store), ...presentRepairResult(result, facts)],
  };
}

export async function mendByUndo(store: Driver, undo: UndoList): Promise<Mending> {
  const result = await runUndo(store, undo);
  return { exitCode: undoExitCode(result), lines: presentUndoResult(result, facts) };
}

async function mendMarkers(store: Driver): Promise<Mending> {
  const result = await fixEmptyTags(store, {
    dryRun: false,
    allMarkers: false,
    concurrency: 8,
    observer: silentObserver,
    approve: async () => true,
  });
  return {
    exitCode: markersExitCode(result, false),
    lines: [
      ...presentMarkerPlan(result.plan, store),
      ...presentMarkerResult(result, { ...facts, allMarkers: false }),
    ],
  };
}

function registry() {
  const builder = new RegistryBuilder({ seed: 'mending' });
  const image = builder.push('shop', 'v1', builder.image({ layers: 1 }));
  const older = builder.push('shop', 'v2', builder.image({ layers: 1 }));
  const newer = builder.push('shop', 'v2', builder.image({ base: image, layers: 1 }));
  const index = builder.push('multi', 'latest', builder.index([builder.image({ layers: 1 })]));
  const [child] = index.children;
  if (child === undefined) {
    throw new TypeError('An index has images.');
  }
  return { builder, objects: builder.objects, image, older, newer, index, child };
}

/** What follows from the store alone: links of each kind, and tags that have lost theirs. */
function brokenLinks(): Objects {
  const { objects, image, child, index, newer } = registry();
  objects.set(currentKey('shop', 'v1'), Buffer.of());
  // Of the two that the index of this tag has, a newline behind the link tells which.
  objects.set(currentKey('shop', 'v2'), Buffer.from(`${newer.digest}\n`));
  objects.delete(layerKey('shop', image.layers[0]?.digest ?? ''));
  objects.set(layerKey('multi', child.layers[0]?.digest ?? ''), Buffer.from('sha256:'));
  objects.set(revisionKey('multi', child.digest), Buffer.from(`${child.digest}\n`));
  objects.delete(revisionKey('multi', index.digest));
  objects.delete(indexKey('multi', 'latest', index.digest));
  return objects;
}

/** Of two manifests that the tag can stand for nothing tells which: it has to be left. */
function doubtfulTag(): Objects {
  const { objects } = registry();
  objects.set(currentKey('shop', 'v2'), Buffer.of());
  return objects;
}

/** What another store has. */
function brokenBlobs(): Objects {
  const { objects, image, child, newer } = registry();
  objects.delete(blobKey(image.layers[0]?.digest ?? ''));
  const corrupt = blobKey(child.layers[0]?.digest ?? '');
  objects.set(corrupt, flipped(objects.get(corrupt) ?? Buffer.of()));
  objects.set(blobKey(child.digest), Buffer.of());
  objects.set(currentKey('shop', 'v2'), Buffer.from(newer.digest.slice(0, 20)));
  return objects;
}

/** A corrupt blob that no image needs, and what an interrupted push left. */
function leftovers(): Objects {
  const { builder, objects } = registry();
  const unneeded = builder.blob('shop', Buffer.from('a layer that nothing needs'));
  objects.set(blobKey(unneeded), Buffer.from('another layer'));
  builder.upload('shop');
  return objects;
}

function withMarkers(): Objects {
  const { builder, objects } = registry();
  const shop = 'docker/registry/v2/repositories/shop/';
  for (const folder of ['_manifests/tags/', '_manifests/tags/gone/', '_uploads/', '_layers/', '']) {
    builder.marker(`${shop}${folder}`);
  }
  return objects;
}

const whole = () => registry().objects;
const all = { tags: true, quarantine: true, uploads: true };

export const mendingSubjects: readonly Subject[] = [
  {
    name: 'repair --tags',
    damaged: brokenLinks,
    side: 'store',
    mend: (store, _, undo) => mendByRepair(store, { undo, choices: { tags: true } }),
  },
  {
    name: 'repair --tags of a tag that can stand for two',
    damaged: doubtfulTag,
    side: 'store',
    changesNothing: true,
    mend: (store, _, undo) => mendByRepair(store, { undo, choices: { tags: true }, readData: undefined }),
  },
  ...(['store', 'other'] as const).map((side): Subject => ({
    name: `repair --from, of which this is the ${side === 'store' ? 'store' : 'other one'}`,
    damaged: brokenBlobs,
    other: whole,
    side,
    mend: (store, other, undo) => mendByRepair(store, { undo, other }),
  })),
  {
    name: 'repair --quarantine --uploads',
    damaged: leftovers,
    side: 'store',
    isFinal: true,
    mend: (store, _, undo) => mendByRepair(store, { undo, choices: all, nowMs: Date.now() + 1000 * HOUR_MS }),
  },
  { name: 'fix-empty-tags', damaged: withMarkers, side: 'store', isFinal: true, mend: mendMarkers },
];
