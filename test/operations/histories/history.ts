import { setTimeout } from 'node:timers/promises';
import fc from 'fast-check';
import { parseRevisionKey } from '../../../fixtures/keys.ts';
import { Random } from '../../../fixtures/random-registry.ts';
import type { Driver } from '../../../src/drivers/driver.ts';
import { isDriverError } from '../../../src/drivers/errors.ts';
import { openMemory, type MemoryDriver } from '../../../src/drivers/memory.ts';
import { withRetry } from '../../../src/drivers/with-retry.ts';
import { exitCodeOf } from '../../../src/cli/migrate-exit-code.ts';
import { SafetyRefusal } from '../../../src/operations/errors.ts';
import { visibleTags, whyBroken } from '../../support/broken-objects.ts';
import { isMutation, withHooks } from '../../support/hooked-driver.ts';
import { type Migrated, runMigrate } from '../../support/migrating.ts';
import { brokenTags } from '../../support/pullable.ts';
import { type Fault, faults, isTransient, withFaults } from './faults.ts';
import { type Damage, LivingSource } from './living-source.ts';
import { MirroredStore } from './mirrored-store.ts';
import { differences, type Expectation, repositoryOfKey } from './naive-copy.ts';

/** A real store on this machine has carried out by then what it will. */
const BROKEN_OFF_MS = 200;

/** One run of migrate, and what goes on around it. */
export interface Pass {
  /** Things that happen at the source before the run; the last may be only half done when it starts. */
  changesBefore: number;
  removalsBefore: number;
  endsMidway: boolean;
  /** Things that happen while it runs, a key every so many calls. */
  changesDuring: number;
  callsBetween: number;
  /** Things that happen while the plan is shown. */
  changesWhileAsked: number;
  damage: Damage | undefined;
  maxDeletePercent: number | undefined;
  includeIncomplete: boolean;
  /** Names of repositories start with it. */
  selection: string;
  dryRun: boolean;
  isApproved: boolean;
  concurrency: number;
  faults: Fault[];
  /** How the run ends early: the process is gone before or after a change of the target, or the signal is aborted at a call. */
  ends: { how: 'killed before' | 'killed after' | 'interrupted'; at: number } | undefined;
}

export interface History {
  seed: number;
  size: number;
  pageSize: number;
  deleteBatchSize: number;
  /** Something else copied a part of the registry before, in no order. */
  isTargetUsed: boolean;
  passes: Pass[];
}

const rarely = <T>(arbitrary: fc.Arbitrary<T>, otherwise: T, oneIn: number): fc.Arbitrary<T> =>
  fc.oneof({ weight: oneIn - 1, arbitrary: fc.constant(otherwise) }, { weight: 1, arbitrary });

const none = undefined;

const passes: fc.Arbitrary<Pass> = fc.record({
  changesBefore: fc.nat(4),
  removalsBefore: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 5 })),
  endsMidway: rarely(fc.constant(true), false, 4),
  changesDuring: fc.oneof(fc.constant(0), fc.nat(6)),
  callsBetween: fc.integer({ min: 1, max: 12 }),
  changesWhileAsked: rarely(fc.nat(3), 0, 3),
  damage: rarely(fc.constantFrom<Damage | undefined>('lose', 'truncate', 'flip'), none, 4),
  maxDeletePercent: fc.constantFrom(none, 100, 100, 5),
  includeIncomplete: rarely(fc.constant(true), false, 6),
  selection: rarely(fc.constantFrom('a', 'a/', 'group/'), '', 5),
  dryRun: rarely(fc.constant(true), false, 12),
  isApproved: rarely(fc.constant(false), true, 20),
  concurrency: fc.integer({ min: 1, max: 8 }),
  faults: fc.oneof(fc.constant<Fault[]>([]), fc.array(faults, { minLength: 1, maxLength: 2 })),
  ends: rarely<Pass['ends']>(
    fc.record({
      how: fc.constantFrom('killed before', 'killed after', 'interrupted'),
      at: fc.oneof(fc.integer({ min: 1, max: 25 }), fc.integer({ min: 1, max: 300 })),
    }),
    none,
    2,
  ),
});

export const histories: fc.Arbitrary<History> = fc.record({
  seed: fc.nat(),
  size: fc.nat(10),
  pageSize: fc.constantFrom(3, 10, 1000),
  deleteBatchSize: fc.constantFrom(1, 3, 1000),
  isTargetUsed: rarely(fc.constant(true), false, 3),
  passes: fc.array(passes, { minLength: 1, maxLength: 4 }),
});

/** How often what came of runs, so that a test can say that it saw everything. */
export type Seen = Record<'copied' | 'deleted' | Outcome | `exit ${number}`, number>;

type Outcome = 'done' | 'declined' | 'interrupted' | 'stopped' | 'refused' | 'failed' | 'killed';

/** The process is gone: not an error that code could handle. */
class Killed extends Error {}

/**
 * Lets a history happen, and judges the target after every change of it, after every run, and in the end after a run
 * with deletes that nothing disturbs. With real stores, which have to be empty, it is their content that is judged.
 * @throws Error that says what was wrong, and all that had happened.
 */
export async function live(
  history: History,
  seen: Partial<Seen> = {},
  stores?: { source: Driver; target: Driver },
): Promise<void> {
  const world = new World(history, seen, stores);
  await world.live();
}

class World {
  readonly #history: History;
  readonly #seen: Partial<Seen>;
  readonly #words: string[] = [];
  readonly #wrongs: string[] = [];
  readonly #random: Random;
  readonly #source: LivingSource;
  /** The target, or of a real one what is in it: each key is read again when a change of it has come to its end. */
  readonly #target: MemoryDriver;
  readonly #real: { source: MirroredStore; target: MirroredStore } | undefined;
  readonly #underWay = new Set<Promise<unknown>>();
  /** From when on the target may show what could not be pulled at the source either. */
  #hasIncomplete = false;

  constructor(history: History, seen: Partial<Seen>, stores?: { source: Driver; target: Driver }) {
    this.#history = history;
    this.#seen = seen;
    this.#random = new Random(`${history.seed} history`);
    this.#source = new LivingSource(String(history.seed), history.size, history.pageSize);
    this.#target = openMemory({ pageSize: history.pageSize });
    if (history.isTargetUsed) {
      this.#copySome();
    }
    this.#real = stores && {
      source: new MirroredStore(stores.source, this.#source.memory.objects),
      target: new MirroredStore(stores.target, this.#target.objects),
    };
  }

  async live(): Promise<void> {
    try {
      await this.#real?.target.push();
      for (const pass of this.#history.passes) {
        this.#prepare(pass);
        await this.#run(pass);
      }
      await this.#end();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`${message}\nWhat had happened:\n  ${this.#words.join('\n  ')}`, { cause: error });
    }
  }

  /** Blobs and links but no tags, some of them not whole, as another tool leaves them when it is ended. */
  #copySome(): void {
    for (const [key, bytes] of this.#source.memory.objects) {
      if (this.#random.below(2) === 0 && !key.includes('/tags/') && !key.includes('/_uploads/')) {
        const isHalf = key.includes('/blobs/') && this.#random.below(8) === 0;
        this.#target.objects.set(key, isHalf ? bytes.slice(0, bytes.length / 2) : bytes);
      }
    }
    this.#words.push(`another tool copied ${this.#target.objects.size} objects`);
  }

  #prepare(pass: Pass): void {
    for (let left = pass.removalsBefore; left > 0; left -= 1) {
      this.#words.push(this.#source.remove());
    }
    this.#source.settle();
    for (let left = pass.changesBefore; left > 0; left -= 1) {
      this.#words.push(this.#source.happen());
      if (left > 1 || !pass.endsMidway) {
        this.#source.settle();
      } else {
        this.#source.stepSome();
        this.#words.push('  not yet at its end');
      }
    }
    if (pass.damage !== undefined) {
      this.#words.push(this.#source.damage(pass.damage));
    }
  }

  async #run(pass: Pass): Promise<{ outcome: Outcome; exitCode: number | undefined; writes: number }> {
    this.#hasIncomplete ||= pass.includeIncomplete;
    const before = new Map(this.#target.objects);
    const version = this.#source.version;
    const run = this.#stores(pass);
    await this.#real?.source.push();
    const { outcome, result, error } = await this.#migrate(pass, run);
    run.isOver = true;
    await nextTurn();
    // What a run that died had under way comes to its end at a real store.
    await Promise.allSettled(this.#underWay);
    if (this.#real !== undefined && outcome !== 'done') {
      // A request that was broken off may be carried out all the same, and later than the next one is.
      await setTimeout(BROKEN_OFF_MS);
      await this.#real.target.adopt();
    }
    const exitCode = result === undefined ? undefined : exitCodeOf(result);
    this.#words.push(
      `RUN ${JSON.stringify(pass)}: ${outcome}, exit ${exitCode}, ${run.mutations} changes${error === undefined ? '' : ` (${error.message})`}`,
    );
    this.#count(outcome, exitCode, result);
    this.#judgeTags('after the run');
    const mayNotChange =
      pass.dryRun || outcome === 'declined' || outcome === 'refused' || outcome === 'failed';
    if (mayNotChange && run.mutations > 0) {
      this.#wrongs.push(`${run.mutations} changes by a run that may make none`);
    }
    if (exitCode === 0 && result?.records.some(({ outcome: what }) => what === 'failed') === true) {
      this.#wrongs.push('exit 0, and something failed');
    }
    const limit = Math.floor((before.size * (pass.maxDeletePercent ?? 0)) / 100);
    const deleted = [...before.keys()].filter((key) => !this.#target.objects.has(key)).length;
    if (deleted > limit) {
      this.#wrongs.push(`${deleted} of ${before.size} objects deleted, and ${limit} may be`);
    }
    const isQuiet = this.#source.version === version;
    if (result !== undefined && isQuiet && pass.isApproved && !pass.dryRun) {
      this.#judgeResult(pass, result, before);
    }
    this.#judgeEnd(pass, outcome, exitCode, isQuiet);
    if (this.#wrongs.length > 0) {
      throw new Error(this.#wrongs.slice(0, 5).join('\n'));
    }
    return { outcome, exitCode, writes: run.mutations };
  }

  async #migrate(
    pass: Pass,
    run: RunningStores,
  ): Promise<{ outcome: Outcome; result?: Migrated; error?: Error }> {
    const { maxDeletePercent, includeIncomplete, selection, dryRun, concurrency } = pass;
    try {
      const result = await runMigrate(run.source, run.target, {
        delete: maxDeletePercent === undefined ? undefined : { max: { percent: maxDeletePercent } },
        selects: selection === '' ? undefined : (repository) => repository.startsWith(selection),
        includeIncomplete,
        dryRun,
        concurrency,
        signal: run.controller.signal,
        approve: async () => {
          for (let left = pass.changesWhileAsked; left > 0; left -= 1) {
            this.#words.push(`  (while asked) ${this.#source.happen()}`);
            this.#source.settle();
          }
          await this.#real?.source.push();
          return pass.isApproved;
        },
      });
      return { outcome: run.isDead() ? 'killed' : result.end.kind, result };
    } catch (error) {
      if (run.isDead()) {
        return { outcome: 'killed' };
      }
      if (error instanceof SafetyRefusal) {
        return { outcome: 'refused', error };
      }
      if (isDriverError(error)) {
        return { outcome: 'failed', error };
      }
      throw error;
    }
  }

  /** Both stores as the run sees them, with everything that goes on meanwhile. */
  #stores(pass: Pass): RunningStores {
    const { ends } = pass;
    const controller = new AbortController();
    let calls = 0;
    let mutations = 0;
    let leftToHappen = pass.changesDuring;
    let isDead = false;
    const dieAt = (moment: 'killed before' | 'killed after'): void => {
      isDead ||= ends?.how === moment && mutations === ends.at;
      if (isDead) {
        throw new Killed();
      }
    };
    const onCall = async (): Promise<void> => {
      if (isDead) {
        throw new Killed();
      }
      calls += 1;
      if (ends?.how === 'interrupted' && calls === ends.at) {
        controller.abort();
      }
      if (calls % pass.callsBetween === 0 && (this.#source.hasPending || leftToHappen > 0)) {
        if (!this.#source.hasPending) {
          leftToHappen -= 1;
          this.#words.push(`  (call ${calls}) ${this.#source.happen()}`);
        }
        if (pass.changesDuring > 0) {
          this.#source.step();
          await this.#real?.source.push();
        }
      }
    };
    const source = withHooks(this.#real?.source.driver ?? this.#source.memory, {
      before: async (call) => {
        await onCall();
        if (isMutation(call)) {
          this.#wrongs.push(`${call.operation} ${call.key} at the source`);
        }
      },
    });
    const watched = this.#watchedTarget({
      before: (key) => {
        mutations += 1;
        if (run.isOver) {
          this.#wrongs.push(`${key} changed after the run had ended`);
        }
        dieAt('killed before');
      },
      after: () => {
        dieAt('killed after');
      },
    });
    const target = withHooks(watched, { before: onCall });
    const on = (side: Fault['side']) => pass.faults.filter((fault) => fault.side === side);
    const retried = (driver: Driver) => withRetry(driver, { sleep: async () => {}, random: () => 0 });
    const run: RunningStores = {
      source: retried(withFaults(source, on('source'))),
      target: retried(withFaults(target, on('target'))),
      controller,
      isOver: false,
      isDead: () => isDead,
      get mutations() {
        return mutations;
      },
    };
    return run;
  }

  /** Judges the tags after each change that could break one. Deletes of one request happen one by one in no order. */
  #watchedTarget(changes: { before: (key: string) => void; after: (key: string) => void }): Driver {
    const { objects, ...inMemory } = this.#target;
    const driver = this.#real?.target.driver ?? inMemory;
    const change = async (key: string, action: () => Promise<unknown>): Promise<void> => {
      const former = objects.get(key);
      changes.before(key);
      try {
        await action();
      } finally {
        await this.#real?.target.pull(key);
      }
      if (key.endsWith('/current/link') || former !== undefined) {
        this.#judgeTags(`after a change of ${key}`);
      }
      this.#judgeRevision(key);
      changes.after(key);
    };
    const around = async (key: string, action: () => Promise<unknown>): Promise<void> => {
      const changing = change(key, action);
      this.#underWay.add(changing);
      try {
        await changing;
      } finally {
        this.#underWay.delete(changing);
      }
    };
    return {
      ...driver,
      supports: { ...driver.supports, deleteBatchSize: this.#history.deleteBatchSize },
      write: (key, body, options) => around(key, () => driver.write(key, body, options)),
      ...(driver.copyFrom !== undefined && {
        copyFrom: (from, key, options) => around(key, async () => driver.copyFrom?.(from, key, options)),
      }),
      delete: async (keys, options) => {
        const left = [...keys];
        while (left.length > 0) {
          const [key = ''] = left.splice(this.#random.below(left.length), 1);
          await around(key, async () => {
            const [failure] = await driver.delete([key], options);
            if (failure !== undefined) {
              throw failure.error;
            }
          });
        }
        return [];
      },
    };
  }

  /** Every tag that the target shows can be pulled whole, and the source had it so at some moment. */
  #judgeTags(when: string): void {
    for (const { key, digest, why } of visibleTags(this.#target.objects)) {
      const tag = `${key} ${digest}`;
      if (!this.#source.had.has(tag)) {
        this.#wrongs.push(`${when}: the source never had ${tag}`);
      }
      if (why !== undefined && !(this.#hasIncomplete && this.#source.brokenAt.has(tag))) {
        this.#wrongs.push(`${when}: ${key} cannot be pulled: ${why}`);
      }
    }
  }

  /** A revision link comes after all that its manifest names: by its digest it can be pulled at once. */
  #judgeRevision(key: string): void {
    const { repository, digest } = parseRevisionKey(key) ?? {};
    if (digest !== undefined && repository !== undefined && this.#target.objects.has(key)) {
      const why = whyBroken(this.#target.objects, repository, digest);
      if (why !== undefined && !this.#hasIncomplete) {
        this.#wrongs.push(`${key} was written, and cannot be pulled: ${why}`);
      }
    }
  }

  /** The quick judge must find what the thorough one finds. */
  async #judgeTheJudge(): Promise<void> {
    await this.#real?.source.assertMirrored();
    await this.#real?.target.assertMirrored();
    const thorough = await brokenTags(this.#real?.target.driver ?? this.#target);
    const quick = visibleTags(this.#target.objects).filter(({ why }) => why !== undefined);
    if (quick.length !== thorough.length) {
      this.#wrongs.push(`${quick.length} broken tags, and ${thorough.length} by pullable.ts`);
    }
  }

  /** Compares with what a naive copy would have made, when nothing changed at the source since the run began. */
  #judgeResult(pass: Pass, result: Migrated, before: ReadonlyMap<string, Uint8Array>): void {
    const expectation: Expectation = {
      source: this.#source.memory.objects,
      target: this.#target.objects,
      before,
      deletes: pass.maxDeletePercent !== undefined,
      selection: pass.selection,
    };
    const isFailed = result.records.some(
      ({ outcome, action }) => outcome === 'failed' && action !== 'delete',
    );
    const isDeleted = result.records.some(({ outcome, action }) => outcome === 'done' && action === 'delete');
    if (isFailed && isDeleted) {
      this.#wrongs.push('deletes began although something had failed');
    }
    const differing = differences(expectation);
    if (exitCodeOf(result) === 0) {
      this.#wrongs.push(...differing.map((key) => `exit 0, and not as at the source: ${key}`));
      return;
    }
    if (result.end.kind !== 'done') {
      return;
    }
    const named = result.records.filter(({ outcome }) => outcome !== 'done').map(({ key }) => key);
    // A part that could not be listed is named by what its keys begin with.
    const isNamed = (key: string) => named.some((name) => key.startsWith(name));
    // Deletes that did not start are told as such, not one by one.
    const unnamed = differing.filter(
      (key) => !isNamed(key) && !(result.deletesWithheld && !this.#source.memory.objects.has(key)),
    );
    this.#wrongs.push(...unnamed.map((key) => `not as at the source, and not named: ${key}`));
  }

  /** Nothing stood in the way: then everything that can be pulled at the source can be pulled at the target. */
  #judgeEnd(pass: Pass, outcome: Outcome, exitCode: number | undefined, isQuiet: boolean): void {
    const isUndisturbed =
      isQuiet && pass.isApproved && !pass.dryRun && pass.ends === undefined && pass.faults.every(isTransient);
    if (!isUndisturbed || outcome === 'refused') {
      return;
    }
    const there = new Set(
      visibleTags(this.#target.objects).map(({ key, digest, why }) => `${key} ${digest} ${why}`),
    );
    const here = visibleTags(this.#source.memory.objects).filter(({ key }) =>
      (repositoryOfKey(key) ?? '').startsWith(pass.selection),
    );
    for (const { key, digest } of here.filter(({ why }) => why === undefined)) {
      if (!there.has(`${key} ${digest} undefined`)) {
        this.#wrongs.push(`nothing stood in the way of ${key} ${digest}`);
      }
    }
    const isSound =
      !this.#source.isDamaged && !this.#source.hasPending && here.every(({ why }) => why === undefined);
    if (isSound && exitCode !== 0) {
      this.#wrongs.push(`nothing was in the way, and the run ended as ${outcome} with ${exitCode}`);
    }
  }

  /** In the end the registry is read-only and sound: one run makes the target equal, and another has nothing to do. */
  async #end(): Promise<void> {
    this.#source.restore();
    this.#hasIncomplete = true;
    const last = await this.#run(lastPass);
    if (last.exitCode !== 0) {
      throw new Error(`The last run ended as ${last.outcome} with ${last.exitCode}.`);
    }
    const again = await this.#run(lastPass);
    if (again.exitCode !== 0 || again.writes > 0) {
      throw new Error(`There was still something to do: ${again.writes} changes, exit ${again.exitCode}.`);
    }
    await this.#judgeTheJudge();
    const broken = visibleTags(this.#target.objects).filter(({ why }) => why !== undefined);
    if (broken.length > 0) {
      throw new Error(`In the end ${JSON.stringify(broken)} cannot be pulled.`);
    }
  }

  #count(outcome: Outcome, exitCode: number | undefined, result: Migrated | undefined): void {
    const add = (what: keyof Seen, count: number) => {
      this.#seen[what] = (this.#seen[what] ?? 0) + count;
    };
    add(outcome, 1);
    if (result !== undefined) {
      add(`exit ${exitCode ?? -1}`, 1);
      const sum = (counts: Migrated['tally']['copied']) =>
        Object.values(counts).reduce((total, { objects }) => total + objects, 0);
      add('copied', sum(result.tally.copied));
      add('deleted', sum(result.tally.deleted));
    }
  }
}

interface RunningStores {
  source: Driver;
  target: Driver;
  controller: AbortController;
  isOver: boolean;
  isDead: () => boolean;
  readonly mutations: number;
}

const lastPass: Pass = {
  changesBefore: 0,
  removalsBefore: 0,
  endsMidway: false,
  changesDuring: 0,
  callsBetween: 1,
  changesWhileAsked: 0,
  damage: undefined,
  maxDeletePercent: 100,
  includeIncomplete: false,
  selection: '',
  dryRun: false,
  isApproved: true,
  concurrency: 4,
  faults: [],
  ends: undefined,
};

/** Whatever a run left under way has its chance to do something. */
async function nextTurn(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}
