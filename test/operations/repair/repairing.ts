import type { Driver } from '../../../src/drivers/driver.ts';
import {
  repair,
  type RepairChoices,
  type RepairOptions,
  type RepairRecord,
  type RepairResult,
} from '../../../src/operations/repair.ts';
import { QUARANTINE_PREFIX } from '../../../src/operations/repair/steps.ts';
import { type UndoneRecord, undoRepair, type UndoResult } from '../../../src/operations/repair/undo.ts';
import type { UndoChange, UndoEntry, UndoLog } from '../../../src/operations/repair/undo-log.ts';
import { NOW_MS, wholeData } from '../check/observe.ts';

export interface Repaired extends RepairResult {
  records: RepairRecord[];
  /** `action key` of what was done or planned, in the order of doing. */
  steps: string[];
}

/** Keeps undo entries in memory, in the order of their arrival. */
export class UndoList implements UndoLog {
  readonly entries: UndoEntry[] = [];

  async append(entry: UndoEntry): Promise<void> {
    this.entries.push(entry);
  }

  get changes(): UndoChange[] {
    return this.entries.filter((entry) => entry.change !== 'made');
  }

  /** Keys of changes that a repair noted, and then failed at, or ended before it could note that it had made them. */
  get unmarked(): Set<string> {
    const open = new Set<string>();
    for (const { change, key } of this.entries) {
      if (change === 'made') {
        open.delete(key);
      } else {
        open.add(key);
      }
    }
    return open;
  }
}

/**
 * What an undo is to leave of a store that was `before`, and is whole now: what it was, but where a change is not marked
 * as made, it and the blob that was put aside for it stay as the repair made them.
 */
export function asUndone(
  { unmarked }: UndoList,
  before: Iterable<[string, string]>,
  whole: Iterable<[string, string]>,
): Map<string, string> {
  const isLeft = (key: string) =>
    unmarked.has(key) || [...unmarked].some((changed) => key.startsWith(`${QUARANTINE_PREFIX}${changed}.`));
  return new Map([
    ...[...before].filter(([key]) => !isLeft(key)),
    ...[...whole].filter(([key]) => isLeft(key)),
  ]);
}

export interface RepairSettings extends Partial<Omit<RepairOptions, 'choices'>> {
  choices?: Partial<RepairChoices>;
}

/** Runs a repair that reads all data, and keeps what it reported. */
export async function runRepair(store: Driver, settings: RepairSettings = {}): Promise<Repaired> {
  const records: RepairRecord[] = [];
  const { choices, ...options } = settings;
  const result = await repair(store, {
    dryRun: false,
    undo: new UndoList(),
    readData: wholeData,
    olderThanMs: 168 * 3_600_000,
    nowMs: NOW_MS,
    concurrency: 4,
    observer: {
      phase() {},
      progress() {},
      notice() {},
      record: async (record) => {
        records.push(record);
      },
    },
    approve: async () => true,
    ...options,
    choices: { tags: false, quarantine: false, uploads: false, ...choices },
  });
  const steps = records
    .filter(({ outcome }) => outcome === 'done' || outcome === 'planned')
    .map(({ action, key }) => `${action} ${key}`);
  return { ...result, records, steps };
}

export async function runUndo(
  store: Driver,
  undo: UndoList,
  { dryRun = false }: { dryRun?: boolean } = {},
): Promise<UndoResult & { records: UndoneRecord[] }> {
  const records: UndoneRecord[] = [];
  const result = await undoRepair(
    store,
    { location: store.location, identity: store.identity, entries: undo.entries },
    {
      dryRun,
      observer: {
        phase() {},
        progress() {},
        notice() {},
        record: async (record) => {
          records.push(record);
        },
      },
      approve: async () => true,
    },
  );
  return { ...result, records };
}
