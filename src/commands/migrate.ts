import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.ts';
import { confirm } from '../cli/confirm.ts';
import {
  bandwidthFlag,
  copyConcurrencyFlag,
  defaultListingConcurrency,
  dryRunFlag,
  maxCopyConcurrency,
  maxRequestsPerSecondFlag,
  reportFlag,
  repositoryFlag,
  storeArgument,
  yesFlag,
} from '../cli/flags.ts';
import { maxDeleteFlag } from '../cli/max-delete.ts';
import { exitCodeOf } from '../cli/migrate-exit-code.ts';
import { migrateJson, presentPlan, presentResult } from '../cli/present-migrate.ts';
import { openAbove } from '../cli/location-above.ts';
import { openLimitedStore, withStores } from '../cli/stores.ts';
import { whileClaimed } from '../cli/target-claim.ts';
import { plural } from '../cli/units.ts';
import { UsageError } from '../cli/usage-error.ts';
import { SafetyRefusal } from '../operations/errors.ts';
import { migrate } from '../operations/migrate.ts';
import { DEFAULT_MAX_DELETE } from '../operations/migrate/guards.ts';
import { deletionCount, disposePlan, type Plan } from '../operations/migrate/plan.ts';

export default class Migrate extends BaseCommand {
  static override summary = 'Copy a registry to another store while it keeps serving.';

  static override description = [
    "Copies blobs first, then each repository's links up to its tags, so that every tag at the target can be pulled at every instant. Compares by name, size and content, never by time. Each blob is proved against its digest before it becomes visible. Run it again to go on, or to bring over what was pushed since.",
    "SOURCE and TARGET are a folder (the one that holds docker/), s3://BUCKET[/ROOT]?region=...&endpoint=..., azure://CONTAINER[/ROOT]?account=... or the registry's own config.yml (or gitlab.rb), which says all of it. Credentials come from that file or from the environment, as for the vendors' own tools.",
    'The source is never written. Uploads in progress (_uploads) are never copied, counted or deleted.',
    'Exit codes: 0 done; 2 wrong usage; 3 done, but something was broken at the source already; 4 done in part; 5 a store could not be reached or refused; 6 refused for safety, nothing touched; 130 interrupted.',
  ].join('\n\n');

  static override examples = [
    {
      description: 'See what a migration to S3 would do, with every object in a file',
      command:
        '<%= config.bin %> migrate /var/lib/registry "s3://my-bucket?region=eu-central-1" --dry-run --report plan.ndjson',
    },
    {
      description: 'First pass to Azure, while the registry takes pushes',
      command:
        '<%= config.bin %> migrate /var/opt/gitlab/gitlab-rails/shared/registry "azure://registry?account=mystorage"',
    },
    {
      description:
        'Last pass, with the registry read-only: also remove what was deleted at the source meanwhile',
      command: '<%= config.bin %> migrate /var/lib/registry "s3://my-bucket?region=eu-central-1" --delete',
    },
  ];

  static override args = {
    source: storeArgument('Where the registry is now.'),
    target: storeArgument('Where it shall be.'),
  };

  static override flags = {
    delete: Flags.boolean({
      summary: 'After copying, remove from the target what the source does not have.',
      helpGroup: 'SAFETY',
    }),
    'max-delete': maxDeleteFlag(),
    'dry-run': dryRunFlag(),
    yes: yesFlag('removing anything'),
    repository: repositoryFlag(),
    'include-foreign': Flags.boolean({
      summary: "Copy also files that are not the registry's.",
      env: 'REGTOOL_INCLUDE_FOREIGN',
      helpGroup: 'SELECTION',
    }),
    'include-incomplete': Flags.boolean({
      summary: 'Copy also tags and links that are broken at the source, as they are.',
      env: 'REGTOOL_INCLUDE_INCOMPLETE',
      helpGroup: 'SELECTION',
    }),
    concurrency: copyConcurrencyFlag(),
    'max-requests-per-second': maxRequestsPerSecondFlag(),
    bandwidth: bandwidthFlag('copied'),
    report: reportFlag(),
  };

  override async run(): Promise<ReturnType<typeof migrateJson>> {
    const { args, flags } = await this.parse(Migrate);
    const asks = flags.delete && !flags['dry-run'] && !flags.yes;
    if (asks && !(process.stdin.isTTY && process.stderr.isTTY)) {
      throw new UsageError(
        'FLAG_INVALID',
        'There is no terminal to ask on before deleting: add --yes, or --dry-run to see the plan first.',
      );
    }
    const startedAtMs = performance.now();
    const copyConcurrency = flags.concurrency ?? maxCopyConcurrency;
    const options = this.storeOptions({ ...flags, concurrency: copyConcurrency });
    const report = await this.openReport(flags.report);
    this.openProgress(flags);
    try {
      return await withStores(
        [
          openLimitedStore(args.source, options),
          openLimitedStore(args.target, { ...options, bandwidthBytesPerSecond: flags.bandwidth }),
        ],
        async (source, target) => {
          if (source === undefined || target === undefined) {
            throw new TypeError('Two stores were to be opened.');
          }
          return whileClaimed(target, { command: 'migrate', dryRun: flags['dry-run'] }, async () => {
            const result = await migrate(source, target, {
              dryRun: flags['dry-run'],
              delete: flags.delete ? { max: flags['max-delete'] ?? DEFAULT_MAX_DELETE } : undefined,
              includeForeign: flags['include-foreign'],
              includeIncomplete: flags['include-incomplete'],
              selects: flags.repository === undefined ? undefined : await matcherOf(flags.repository),
              openAboveSource: () => openAbove(args.source, options),
              concurrency: flags.concurrency ?? defaultListingConcurrency,
              copyConcurrency,
              signal: this.signal,
              observer: {
                ...this.observer(),
                record: (record) => report.write(record),
              },
              approve: (plan) => this.#approve(plan, presentPlan(plan, source, target), asks),
            });
            const facts = {
              durationMs: performance.now() - startedAtMs,
              retries: this.retries,
              dryRun: flags['dry-run'],
            };
            this.log(['', ...presentResult(result, facts)].join('\n'));
            await disposePlan(result.plan);
            return this.finish(exitCodeOf(result), migrateJson(result, source, target, facts));
          });
        },
      );
    } finally {
      await report.close();
    }
  }

  async #approve(plan: Plan, lines: string[], asks: boolean): Promise<boolean> {
    this.progress.stop();
    const text = lines.join('\n');
    const count = deletionCount(plan);
    if (!asks || count === 0) {
      this.log(text);
      return true;
    }
    // With --json, too, nobody is to agree to what was not shown.
    if (this.jsonEnabled()) {
      this.logToStderr(text);
    } else {
      this.log(text);
    }
    const answer = await confirm(`Delete ${plural('object', count)} at the target after copying?`, {
      signal: this.signal,
    });
    if (answer !== 'yes') {
      throw new SafetyRefusal('NOT_CONFIRMED', 'Not confirmed: nothing was copied or deleted.');
    }
    return true;
  }
}

/** Whether a name matches one of the patterns, and none of those that begin with `!`. */
async function matcherOf(patterns: string[]): Promise<(name: string) => boolean> {
  const { default: picomatch } = await import('picomatch');
  const ignore = patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => pattern.slice(1));
  const wanted = patterns.filter((pattern) => !pattern.startsWith('!'));
  return picomatch(wanted.length === 0 ? ['**'] : wanted, { ignore });
}
