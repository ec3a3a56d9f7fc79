import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.ts';
import { confirm } from '../cli/confirm.ts';
import {
  concurrencyFlag,
  dryRunFlag,
  maxRequestsPerSecondFlag,
  reportFlag,
  storeArgument,
  yesFlag,
} from '../cli/flags.ts';
import { markersJson, presentMarkerPlan, presentMarkerResult } from '../cli/present-fix-empty-tags.ts';
import { openAbove } from '../cli/location-above.ts';
import { openLimitedStore, withStores } from '../cli/stores.ts';
import { whileClaimed } from '../cli/target-claim.ts';
import { plural } from '../cli/units.ts';
import { UsageError } from '../cli/usage-error.ts';
import { markersExitCode } from '../cli/verdict-exit-codes.ts';
import { SafetyRefusal } from '../operations/errors.ts';
import { fixEmptyTags, type FixEmptyTagsResult } from '../operations/fix-empty-tags.ts';

export default class FixEmptyTags extends BaseCommand {
  static override summary = 'Remove the folder markers that make a registry list empty tags, or crash.';

  static override description = [
    'AWS DataSync, storage consoles and sync tools write an object of zero bytes, with a slash at the end of its key, for each folder. In some places these make the registry list a tag without a name or a tag that is none, or crash its upload purger. This finds every one, says what it does, and removes those that do harm.',
    'Each is removed by its exact key, never by prefix, and only after another look: what has content is never removed. Objects that stand for folders on a hierarchical namespace (hdi_isfolder) are left alone.',
    'Exit codes: 0 none that harms is left; 2 wrong usage; 3 some that harm were found and are still there: with --dry-run, or because they have content; 4 some could not be removed, or parts of the store could not be listed; 5 the store could not be reached or refused; 6 not a registry, or not confirmed; 130 interrupted.',
  ].join('\n\n');

  static override examples = [
    {
      description: 'See which markers there are, and what each does',
      command:
        '<%= config.bin %> fix-empty-tags "s3://my-bucket?region=eu-central-1" --dry-run --report markers.ndjson',
    },
    {
      description: 'Remove those that do harm',
      command: '<%= config.bin %> fix-empty-tags "s3://my-bucket?region=eu-central-1"',
    },
    {
      description: 'Remove all, without a question',
      command: '<%= config.bin %> fix-empty-tags "azure://registry?account=mystorage" --all-markers --yes',
    },
  ];

  static override args = { store: storeArgument("The registry's storage.") };

  static override flags = {
    'all-markers': Flags.boolean({
      summary: 'Remove also the markers that do no harm.',
      env: 'REGTOOL_ALL_MARKERS',
      helpGroup: 'SELECTION',
    }),
    'dry-run': dryRunFlag(),
    yes: yesFlag('removing anything'),
    concurrency: concurrencyFlag(),
    'max-requests-per-second': maxRequestsPerSecondFlag(),
    report: reportFlag(),
  };

  override async run(): Promise<ReturnType<typeof markersJson>> {
    const { args, flags } = await this.parse(FixEmptyTags);
    const asks = !flags['dry-run'] && !flags.yes;
    const hasTerminal = process.stdin.isTTY && process.stderr.isTTY;
    if (asks && !hasTerminal && args.store.driver !== 'filesystem') {
      throw new UsageError(
        'FLAG_INVALID',
        'There is no terminal to ask on before removing: add --yes, or --dry-run to see the plan first.',
      );
    }
    const startedAtMs = performance.now();
    const options = this.storeOptions(flags);
    const report = await this.openReport(flags.report);
    const progress = this.openProgress(flags);
    try {
      return await withStores([openLimitedStore(args.store, options)], async (store) => {
        if (store === undefined) {
          throw new TypeError('A store was to be opened.');
        }
        return whileClaimed(store, { command: 'fix-empty-tags', dryRun: flags['dry-run'] }, async () => {
          let isPlanShown = false;
          const showPlan = (plan: FixEmptyTagsResult['plan']) => {
            if (!isPlanShown) {
              isPlanShown = true;
              progress.stop();
              this.logFitted(presentMarkerPlan(plan, store));
            }
          };
          const result = await fixEmptyTags(store, {
            dryRun: flags['dry-run'],
            allMarkers: flags['all-markers'],
            openAbove: () => openAbove(args.store, options),
            concurrency: flags.concurrency,
            signal: this.signal,
            observer: {
              ...this.observer(),
              record: (record) => report.write(record),
            },
            approve: async (plan) => {
              showPlan(plan);
              return asks ? this.#ask(plan.toRemove) : true;
            },
          });
          showPlan(result.plan);
          const facts = {
            durationMs: performance.now() - startedAtMs,
            retries: this.retries,
            dryRun: flags['dry-run'],
            allMarkers: flags['all-markers'],
          };
          const lines = presentMarkerResult(result, facts);
          if (lines.length > 0) {
            this.logFitted(lines);
          }
          return this.finish(markersExitCode(result, flags['dry-run']), markersJson(result, store, facts));
        });
      });
    } finally {
      await report.close();
    }
  }

  async #ask(count: number): Promise<boolean> {
    const answer = await confirm(`Remove ${plural('marker', count)}?`, { signal: this.signal });
    if (answer !== 'yes') {
      throw new SafetyRefusal('NOT_CONFIRMED', 'Not confirmed: nothing was removed.');
    }
    return true;
  }
}
