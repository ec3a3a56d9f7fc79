import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.ts';
import { integerFlag } from '../cli/flag-values.ts';
import { concurrencyFlag, maxRequestsPerSecondFlag, reportFlag, storeArgument } from '../cli/flags.ts';
import { presentUsage, sortUsage, usageJson, usageOrders } from '../cli/present-usage.ts';
import { openAbove } from '../cli/location-above.ts';
import { openLimitedStore, withStores } from '../cli/stores.ts';
import { usageExitCode } from '../cli/verdict-exit-codes.ts';
import { usage } from '../operations/usage.ts';

const REPOSITORIES_SHOWN = 20;

export default class Usage extends BaseCommand {
  static override summary = "Show what takes the space in a registry's storage, by kind and by repository.";

  static override description = [
    'Lists the store once and counts objects and bytes by kind; and for each repository its tags, manifests and layers, the bytes of the blobs that it links, and how much of that no other repository links. Reads no manifest and writes nothing.',
    'What only one repository links is what its removal could free. It is not what garbage collection would free now: links outlive the tags and manifests they were made for. `regtool check` finds blobs that no manifest needs.',
    'Exit codes: 0 counted; 2 wrong usage; 4 a part could not be read, so numbers are too low; 5 the store could not be reached or refused; 6 not a registry; 130 interrupted.',
  ].join('\n\n');

  static override examples = [
    {
      description: 'The 20 repositories that link most',
      command: '<%= config.bin %> usage /var/opt/gitlab/gitlab-rails/shared/registry',
    },
    {
      description: 'All of them, by what is theirs alone, and a line of JSON for each in a file',
      command:
        '<%= config.bin %> usage "s3://my-bucket?region=eu-central-1" --sort only-here --limit 0 --report usage.ndjson',
    },
  ];

  static override args = { store: storeArgument('The store to count.') };

  static override flags = {
    sort: Flags.option({
      summary: 'Sort repositories by what they link, by what only they link, by tags, or by name.',
      helpGroup: 'OUTPUT',
      default: 'size' as const,
      options: usageOrders,
      helpValue: usageOrders.join('|'),
    })(),
    limit: integerFlag({
      summary: 'How many repositories are shown; 0 for all.',
      helpGroup: 'OUTPUT',
      default: REPOSITORIES_SHOWN,
      min: 0,
    }),
    concurrency: concurrencyFlag(),
    'max-requests-per-second': maxRequestsPerSecondFlag(),
    report: reportFlag(),
  };

  override async run(): Promise<ReturnType<typeof usageJson>> {
    const { args, flags } = await this.parse(Usage);
    const startedAtMs = performance.now();
    const report = await this.openReport(flags.report);
    this.openProgress(flags);
    const options = this.storeOptions(flags);
    const opening = openLimitedStore(args.store, options);
    try {
      return await withStores([opening], async (store) => {
        if (store === undefined) {
          throw new TypeError('One store was to be opened.');
        }
        const { concurrency, sort: order, limit } = flags;
        const result = await usage(store, {
          concurrency,
          openAbove: () => openAbove(args.store, options),
          signal: this.signal,
          observer: this.observer(),
        });
        for (const repository of sortUsage(result.repositories, order)) {
          await report.write({ type: 'repository', ...repository });
        }
        for (const part of result.unread) {
          await report.write({ type: 'unread', ...part });
        }
        const durationMs = performance.now() - startedAtMs;
        const facts = { location: store.location, durationMs, retries: this.retries, order, limit };
        this.logFitted(presentUsage(result, facts));
        return this.finish(usageExitCode(result), usageJson(result, facts));
      });
    } finally {
      await report.close();
    }
  }
}
