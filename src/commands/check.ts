import { BaseCommand } from '../cli/base-command.ts';
import { concurrencyFlag, maxRequestsPerSecondFlag, reportFlag, storeArgument } from '../cli/flags.ts';
import { checkJson, findingRecord, presentCheck } from '../cli/present-check.ts';
import { randomSeed, readDataFlag, seedFlag, withReadDataValue } from '../cli/read-data.ts';
import { openAbove } from '../cli/location-above.ts';
import { openLimitedStore, withStores } from '../cli/stores.ts';
import { checkExitCode } from '../cli/verdict-exit-codes.ts';
import { check } from '../operations/check.ts';

export default class Check extends BaseCommand {
  static override summary = "Find everything that is wrong with a registry's storage.";

  static override description = [
    'Reads the layout as the registry does and tells which tags cannot be pulled, why, what clients see, and what mends it. Reads every link and every manifest; --read-data also reads the blobs and proves each against its name. Writes nothing.',
    "STORE is a folder (the one that holds docker/), s3://BUCKET[/ROOT]?region=...&endpoint=..., azure://CONTAINER[/ROOT]?account=... or the registry's own config.yml (or gitlab.rb), which says all of it.",
    'Exit codes: 0 healthy (hints are harmless); 2 wrong usage; 3 errors or warnings; 4 a part could not be read, so it is not known to be healthy; 5 the store could not be reached or refused; 6 not a registry; 130 interrupted. docs/findings.md explains each finding.',
  ].join('\n\n');

  static override examples = [
    {
      description: 'Check a registry on this machine',
      command: '<%= config.bin %> check /var/opt/gitlab/gitlab-rails/shared/registry',
    },
    {
      description: 'Check a bucket, with every finding in a file',
      command: '<%= config.bin %> check "s3://my-bucket?region=eu-central-1" --report findings.ndjson',
    },
    {
      description: 'Also read a random tenth of the blobs',
      command: '<%= config.bin %> check "azure://registry?account=mystorage" --read-data=10%',
    },
  ];

  static override args = {
    store: storeArgument('The store to check.'),
  };

  static override flags = {
    'read-data': readDataFlag(),
    seed: seedFlag(),
    concurrency: concurrencyFlag(),
    'max-requests-per-second': maxRequestsPerSecondFlag(),
    report: reportFlag(),
  };

  override async run(): Promise<ReturnType<typeof checkJson>> {
    const { args, flags } = await this.parse(Check, withReadDataValue(this.argv));
    const startedAtMs = performance.now();
    const subset = flags['read-data'];
    const readData = subset === undefined ? undefined : { subset, seed: flags.seed ?? randomSeed() };
    const report = await this.openReport(flags.report);
    this.openProgress(flags);
    const options = this.storeOptions(flags);
    const opening = openLimitedStore(args.store, options);
    try {
      return await withStores([opening], async (store) => {
        if (store === undefined) {
          throw new TypeError('One store was to be opened.');
        }
        const result = await check(store, {
          readData,
          concurrency: flags.concurrency,
          nowMs: Date.now(),
          openAbove: () => openAbove(args.store, options),
          signal: this.signal,
          observer: {
            ...this.observer(),
            finding: (finding) => report.write(findingRecord(finding)),
            brokenTag: (tag) => report.write({ type: 'tag', ...tag }),
            unread: (part) => report.write({ type: 'unread', ...part }),
          },
        });
        const durationMs = performance.now() - startedAtMs;
        const facts = { location: store.location, durationMs, retries: this.retries, readData };
        this.logFitted(presentCheck(result, facts));
        return this.finish(checkExitCode(result.verdict), checkJson(result, facts));
      });
    } finally {
      await report.close();
    }
  }
}
