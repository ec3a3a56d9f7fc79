import { BaseCommand } from '../cli/base-command.ts';
import {
  bandwidthFlag,
  concurrencyFlag,
  maxRequestsPerSecondFlag,
  reportFlag,
  storeArgument,
} from '../cli/flags.ts';
import { openAbove } from '../cli/location-above.ts';
import { presentVerify, verifyJson } from '../cli/present-verify.ts';
import { randomSeed, readDataFlag, seedFlag, withReadDataValue } from '../cli/read-data.ts';
import { openLimitedStore, withStores } from '../cli/stores.ts';
import { verifyExitCode } from '../cli/verdict-exit-codes.ts';
import { verify } from '../operations/verify.ts';

export default class Verify extends BaseCommand {
  static override summary = 'Prove that the target holds what the source holds.';

  static override description = [
    'Counts both stores as the GitLab documentation asks, then compares every object: by name and size, tags and other small files that are rewritten by content, links by the MD5 that the store keeps. --read-data also reads the blobs at the target and proves each against its name. Writes nothing.',
    'The source may take pushes meanwhile: what it wrote since the start is named as newer, and is no difference.',
    'Exit codes: 0 both hold the same content; 2 wrong usage; 3 differences; 4 a part could not be read, so nothing is proved; 5 a store could not be reached or refused; 6 the source is no registry, or both are the same store; 130 interrupted.',
  ].join('\n\n');

  static override examples = [
    {
      description: 'Compare two stores, with every difference in a file',
      command:
        '<%= config.bin %> verify /var/lib/registry "s3://my-bucket?region=eu-central-1" --report differences.ndjson',
    },
    {
      description: 'Also read every blob at the target',
      command: '<%= config.bin %> verify /var/lib/registry "azure://registry?account=mystorage" --read-data',
    },
    {
      description: 'Read a random tenth of the blobs',
      command:
        '<%= config.bin %> verify /var/lib/registry "s3://my-bucket?region=eu-central-1" --read-data=10%',
    },
  ];

  static override args = {
    source: storeArgument('What is to be held.'),
    target: storeArgument('Where it should be.'),
  };

  static override flags = {
    'read-data': readDataFlag(),
    seed: seedFlag(),
    concurrency: concurrencyFlag(),
    'max-requests-per-second': maxRequestsPerSecondFlag(),
    bandwidth: bandwidthFlag('read from the target'),
    report: reportFlag(),
  };

  override async run(): Promise<ReturnType<typeof verifyJson>> {
    const { args, flags } = await this.parse(Verify, withReadDataValue(this.argv));
    const startedAtMs = performance.now();
    const options = this.storeOptions(flags);
    const subset = flags['read-data'];
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
          const result = await verify(source, target, {
            readData: subset === undefined ? undefined : { subset, seed: flags.seed ?? randomSeed() },
            concurrency: flags.concurrency,
            openAboveTarget: () => openAbove(args.target, options),
            signal: this.signal,
            observer: {
              ...this.observer(),
              record: (record) => report.write(record),
            },
          });
          const facts = { durationMs: performance.now() - startedAtMs, retries: this.retries };
          this.logFitted(presentVerify(result, source, target, facts));
          return this.finish(verifyExitCode(result.verdict), verifyJson(result, source, target, facts));
        },
      );
    } finally {
      await report.close();
    }
  }
}
