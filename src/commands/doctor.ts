import * as Flags from '@oclif/core/flags';
import { BaseCommand } from '../cli/base-command.ts';
import {
  concurrencyFlag,
  maxRequestsPerSecondFlag,
  optionalStoreArgument,
  storeArgument,
} from '../cli/flags.ts';
import { openAbove } from '../cli/location-above.ts';
import { doctorJson, presentDoctor } from '../cli/present-doctor.ts';
import { openLimitedStore } from '../cli/stores.ts';
import { doctorExitCode } from '../cli/verdict-exit-codes.ts';
import { isDriverError } from '../drivers/errors.ts';
import { formatLocation, type StoreLocation } from '../drivers/location.ts';
import { resolveLocation } from '../drivers/open.ts';
import { doctor, type DoctorRole, type Patient } from '../operations/doctor.ts';

export default class Doctor extends BaseCommand {
  static override summary = 'Examine a store, or the two of a migration, before the maintenance window.';

  static override description = [
    'One line for each check: ok, warning, failed or unknown, with what it means and what to do. Whether the store answers, where the credentials came from, the clock; each permission tried by itself, and named when it is missing; versioning, encryption, lifecycle rules, locks, archives; where the registry is, its lockfiles, owners and free space; how much there is, estimated from a sample, and how long the passes take.',
    'Read-only, unless with --write-probe: that writes under a key of its own beside docker/ (regtool-probe-...), at the target or the only store, never at the source, and removes it again, also when it is interrupted.',
    'Exit codes: 0 nothing failed (there may be warnings); 2 wrong usage; 3 a check failed; 5 a store cannot be reached or refuses the credentials; 6 of two stores, the source is no registry; 130 interrupted.',
  ].join('\n\n');

  static override examples = [
    {
      description: 'Both stores of a migration, with what the target allows and checks',
      command:
        '<%= config.bin %> doctor /var/lib/registry "s3://my-bucket?region=eu-central-1" --write-probe',
    },
    {
      description: 'The store of a registry, by its configuration',
      command: '<%= config.bin %> doctor /etc/docker/registry/config.yml',
    },
  ];

  static override args = {
    store: storeArgument('The store, or with TARGET the source of a migration.'),
    target: optionalStoreArgument('The target of a migration.'),
  };

  static override flags = {
    'write-probe': Flags.boolean({
      summary: 'Try also what writes, under a key of its own, and remove it.',
      helpGroup: 'SAFETY',
    }),
    concurrency: concurrencyFlag(),
    'max-requests-per-second': maxRequestsPerSecondFlag(),
  };

  override async run(): Promise<ReturnType<typeof doctorJson>> {
    const { args, flags } = await this.parse(Doctor);
    const progress = this.openProgress(flags);
    const options = this.storeOptions(flags);
    const open = (location: StoreLocation, role: DoctorRole) => openPatient(location, role, options);
    const patients =
      args.target === undefined
        ? [await open(args.store, 'store')]
        : [await open(args.store, 'source'), await open(args.target, 'target')];
    try {
      const result = await doctor(patients, {
        writeProbe: flags['write-probe'],
        concurrency: flags.concurrency,
        signal: this.signal,
        observer: this.observer(),
      });
      progress.stop();
      this.log(presentDoctor(result).join('\n'));
      return this.finish(doctorExitCode(result), doctorJson(result));
    } finally {
      await Promise.all(patients.flatMap(({ store }) => ('error' in store ? [] : [store.close()])));
    }
  }
}

/** A store that cannot be opened is a finding, so that the other one is examined all the same. */
async function openPatient(
  named: StoreLocation,
  role: DoctorRole,
  options: Parameters<typeof openLimitedStore>[1],
): Promise<Patient> {
  const { location, configuration } = await resolveLocation(named);
  const known = {
    role,
    location: formatLocation(location),
    configuration: configuration === undefined ? undefined : { readOnly: configuration.settings.readOnly },
    // The credentials of a configuration file are only known to whoever opens that file.
    openAbove:
      configuration === undefined || location.driver === 'filesystem'
        ? () => openAbove(location, options)
        : undefined,
  };
  try {
    return { ...known, store: await openLimitedStore(named, options) };
  } catch (error) {
    if (!isDriverError(error)) {
      throw error;
    }
    return { ...known, store: { error } };
  }
}
