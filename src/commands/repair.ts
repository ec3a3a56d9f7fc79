import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.ts';
import { confirm } from '../cli/confirm.ts';
import { fileFlag } from '../cli/flag-values.ts';
import {
  concurrencyFlag,
  dryRunFlag,
  maxRequestsPerSecondFlag,
  reportFlag,
  storeArgument,
  yesFlag,
} from '../cli/flags.ts';
import { olderThanFlag } from '../cli/older-than.ts';
import {
  presentRepairPlan,
  presentRepairResult,
  presentUndoResult,
  type RepairFacts,
  repairJson,
  undoJson,
} from '../cli/present-repair.ts';
import type { Progress } from '../cli/progress.ts';
import { randomSeed, readDataFlag, seedFlag, withReadDataValue } from '../cli/read-data.ts';
import type { Report } from '../cli/report.ts';
import { openAbove } from '../cli/location-above.ts';
import { openLimitedStore, withStores } from '../cli/stores.ts';
import { whileClaimed } from '../cli/target-claim.ts';
import { openUndoFile, readUndoFile } from '../cli/undo-file.ts';
import { plural } from '../cli/units.ts';
import { UsageError } from '../cli/usage-error.ts';
import { repairExitCode, undoExitCode } from '../cli/verdict-exit-codes.ts';
import type { Driver } from '../drivers/driver.ts';
import { parseLocation, type StoreLocation } from '../drivers/location.ts';
import { SafetyRefusal } from '../operations/errors.ts';
import { repair, type RepairPlan, type RepairResult } from '../operations/repair.ts';
import { undoRepair } from '../operations/repair/undo.ts';

export default class Repair extends BaseCommand {
  static override summary = 'Mend what migrations and crashes break, where there is one right answer.';

  static override description = [
    'Checks the store, and mends what follows from the store itself: empty, cut off or newline-ended links, and missing links of layers, manifests and tag indexes, each only if its blob is there and its bytes have its digest. --from OTHER copies what is missing or corrupt from a store that still has it. What it leaves, it names, with the reason.',
    'Blobs are written first, then layer links, manifests, tag indexes and tags, so that the store is no worse after any single write. Run it with the registry read-only or stopped. What was there before is noted in the undo file before each change; --undo puts it back.',
    'Exit codes: 0 nothing is left that keeps anything from working; 2 wrong usage; 3 something broken is left, or a dry run would change something; 4 something failed, or could not be read; 5 a store could not be reached or refused; 6 not a registry, or not confirmed; 130 interrupted.',
  ].join('\n\n');

  static override examples = [
    {
      description: 'See what can be mended, and what cannot and why',
      command: '<%= config.bin %> repair /var/lib/registry --dry-run --report repair.ndjson',
    },
    {
      description: 'Copy what is missing in the bucket from the disk it was migrated from',
      command:
        '<%= config.bin %> repair "s3://my-bucket?region=eu-central-1" --from /var/lib/registry --read-data',
    },
    {
      description: 'Put back what a repair changed',
      command: '<%= config.bin %> repair /var/lib/registry --undo undo.ndjson',
    },
  ];

  static override args = { store: storeArgument('The store to repair.') };

  static override flags = {
    from: Flags.custom<StoreLocation>({
      summary: 'Copy missing and corrupt blobs, and lost tag links, from this store, each proved.',
      helpGroup: 'SELECTION',
      helpValue: 'OTHER',
      parse: (text) => Promise.resolve().then(() => parseLocation(text)),
    })(),
    tags: Flags.boolean({
      summary: 'Point tags that lost their link to the only manifest that they can stand for.',
      helpGroup: 'SELECTION',
    }),
    quarantine: Flags.boolean({
      summary: 'Move corrupt blobs aside, to regtool-quarantine/, so that a push can heal them.',
      helpGroup: 'SELECTION',
    }),
    uploads: Flags.boolean({
      summary: 'Remove abandoned uploads, multipart uploads and temporary files.',
      helpGroup: 'SELECTION',
    }),
    'older-than': olderThanFlag(),
    'read-data': readDataFlag(),
    seed: seedFlag(),
    'undo-file': fileFlag({
      summary: 'Where to note what was there before. Default: regtool-undo-TIME.ndjson in this folder.',
      helpGroup: 'SAFETY',
    }),
    undo: fileFlag({
      summary: 'Put back what the repair changed that wrote this undo file, and do nothing else.',
      helpGroup: 'SAFETY',
    }),
    'dry-run': dryRunFlag(),
    yes: yesFlag('removing or rewriting anything'),
    concurrency: concurrencyFlag(),
    'max-requests-per-second': maxRequestsPerSecondFlag(),
    report: reportFlag(),
  };

  override async run(): Promise<ReturnType<typeof repairJson> | ReturnType<typeof undoJson>> {
    const { args, flags } = await this.parse(Repair, withReadDataValue(this.argv));
    const asks = !flags['dry-run'] && !flags.yes;
    if (asks && !(process.stdin.isTTY && process.stderr.isTTY)) {
      throw new UsageError(
        'FLAG_INVALID',
        'There is no terminal to ask on before changing anything: add --yes, or --dry-run to see the plan first.',
      );
    }
    const repairs = (['from', 'tags', 'quarantine', 'uploads', 'undo-file'] as const).filter(
      (name) => flags[name] !== undefined && flags[name] !== false,
    );
    if (flags.undo !== undefined && repairs.length > 0) {
      throw new UsageError(
        'FLAG_INVALID',
        `--undo puts back and repairs nothing: leave out --${repairs.join(' and --')}.`,
      );
    }
    const run: RunState = { startedAtMs: performance.now(), dryRun: flags['dry-run'], asks };
    const options = this.storeOptions(flags);
    const report = await this.openReport(flags.report);
    const progress = this.openProgress(flags);
    const { from } = flags;
    const locations = [args.store, ...(from === undefined ? [] : [from])];
    try {
      return await withStores(
        locations.map((location) => openLimitedStore(location, options)),
        async (store, other) => {
          if (store === undefined) {
            throw new TypeError('A store was to be opened.');
          }
          return whileClaimed(store, { command: 'repair', dryRun: run.dryRun }, async () => {
            if (flags.undo !== undefined) {
              return this.#undo(store, flags.undo, run, report, progress);
            }
            const nowMs = Date.now();
            const undoPath = flags['undo-file'] ?? defaultUndoPath(nowMs);
            const undo = openUndoFile(undoPath, store);
            if (!run.dryRun) {
              await undo.assertUsable();
            }
            let hasResult = false;
            try {
              const result = await this.#repair(store, other, run, report, progress, {
                choices: { tags: flags.tags, quarantine: flags.quarantine, uploads: flags.uploads },
                readData:
                  flags['read-data'] === undefined
                    ? undefined
                    : { subset: flags['read-data'], seed: flags.seed ?? randomSeed() },
                olderThanMs: flags['older-than'],
                nowMs,
                concurrency: flags.concurrency,
                undo,
                openAbove: () => openAbove(args.store, options),
                openAboveOther: from === undefined ? undefined : () => openAbove(from, options),
              });
              hasResult = true;
              const facts = { ...this.#facts(run), undoFile: undo.isUsed ? undoPath : undefined };
              this.logFitted(['', ...presentRepairResult(result, facts)]);
              return this.finish(repairExitCode(result, run.dryRun), repairJson(result, store, facts));
            } finally {
              await undo.close();
              if (undo.isUsed && !hasResult) {
                this.logToStderr(
                  `What was changed until then is noted in ${undoPath}. To go on, run the same with --undo-file ${undoPath}; to put it back, with --undo ${undoPath}.`,
                );
              }
            }
          });
        },
      );
    } finally {
      await report.close();
    }
  }

  async #repair(
    store: Driver,
    other: Driver | undefined,
    { dryRun, asks }: RunState,
    report: Report,
    progress: Progress,
    options: Pick<
      Parameters<typeof repair>[1],
      | 'choices'
      | 'readData'
      | 'olderThanMs'
      | 'nowMs'
      | 'concurrency'
      | 'undo'
      | 'openAbove'
      | 'openAboveOther'
    >,
  ): Promise<RepairResult> {
    let isPlanShown = false;
    const showPlan = (plan: RepairPlan) => {
      if (!isPlanShown) {
        isPlanShown = true;
        progress.stop();
        this.logFitted(presentRepairPlan(plan, store));
      }
    };
    const result = await repair(store, {
      ...options,
      other,
      dryRun,
      signal: this.signal,
      observer: { ...this.observer(), record: (record) => report.write(record) },
      approve: async (plan) => {
        showPlan(plan);
        return asks ? this.#ask(`Make ${plural('change', plan.steps.length)}?`) : true;
      },
    });
    showPlan(result.plan);
    return result;
  }

  async #undo(store: Driver, path: string, run: RunState, report: Report, progress: Progress) {
    const record = await readUndoFile(path);
    const result = await undoRepair(store, record, {
      dryRun: run.dryRun,
      signal: this.signal,
      observer: { ...this.observer(), record: (entry) => report.write(entry) },
      approve: async (count) => {
        progress.stop();
        this.log(`Undo of a repair of ${store.location}: up to ${plural('object', count)} to put back.`);
        return run.asks ? this.#ask(`Put back ${plural('object', count)}?`) : true;
      },
    });
    const facts = { ...this.#facts(run), undoFile: path };
    this.logFitted(presentUndoResult(result, facts));
    return this.finish(undoExitCode(result), undoJson(result, store, facts));
  }

  #facts({ startedAtMs, dryRun }: RunState): Omit<RepairFacts, 'undoFile'> {
    return { durationMs: performance.now() - startedAtMs, retries: this.retries, dryRun };
  }

  async #ask(question: string): Promise<boolean> {
    const answer = await confirm(question, { signal: this.signal });
    if (answer !== 'yes') {
      throw new SafetyRefusal('NOT_CONFIRMED', 'Not confirmed: nothing was changed.');
    }
    return true;
  }
}

interface RunState {
  startedAtMs: number;
  dryRun: boolean;
  asks: boolean;
}

function defaultUndoPath(nowMs: number): string {
  return `regtool-undo-${new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, '')}.ndjson`;
}
