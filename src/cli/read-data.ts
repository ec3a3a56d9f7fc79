import { randomInt } from 'node:crypto';
import * as Flags from '@oclif/core/flags';
import type { DataSubset } from '../operations/sample.ts';
import { formatBytes } from '../operations/format-bytes.ts';
import { giverOf, integerFlag } from './flag-values.ts';
import { parseBytes } from './units.ts';
import { UsageError } from './usage-error.ts';

const NAME = '--read-data';
const ALL = '100%';

/**
 * `--read-data`, `--read-data=5%` or `--read-data=10GiB`. oclif knows no flag whose value may be left out, so a
 * command with this flag parses `withReadDataValue(this.argv)`.
 */
export function readDataFlag() {
  return Flags.custom<DataSubset>({
    summary: 'Also read blobs and prove each against its name: all, or with =5% or =10GiB a sample.',
    description:
      'A part is a random sample, the same for the same --seed. Where the store keeps a SHA-256 of the whole object, it is asked for that instead of the bytes. In the variable, 100% is for all.',
    env: 'REGTOOL_READ_DATA',
    helpValue: '<N%|SIZE>',
    parse: (text, origin, flag) => Promise.resolve().then(() => parseReadData(text, giverOf(origin, flag))),
  })();
}

/** Makes another run read the same sample. */
export function seedFlag() {
  return integerFlag({
    summary: 'Choose the sample of --read-data as the run did that printed this seed.',
    min: 0,
    max: SEED_LIMIT - 1,
    dependsOn: ['read-data'],
  });
}

export function randomSeed(): number {
  return randomInt(SEED_LIMIT);
}

/** The arguments with a value behind each `--read-data` that has none. Nothing behind `--` is a flag. */
export function withReadDataValue(argv: readonly string[]): string[] {
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  return argv.flatMap((argument, index) => {
    const hasNoValue = argument === NAME && index < end && !isSubset(argv[index + 1]);
    return hasNoValue ? [NAME, ALL] : [argument];
  });
}

/**
 * @param giver the flag, or its variable. There a bare number is refused, for who writes 1 means "yes", and no byte.
 * @throws UsageError FLAG_INVALID.
 */
export function parseReadData(text: string, giver = NAME): DataSubset {
  const subset = giver === NAME || !/^\d+$/.test(text) ? readSubset(text) : undefined;
  if (subset === undefined) {
    throw new UsageError(
      'FLAG_INVALID',
      `${giver} takes a percentage above 0% and up to 100%, which is all, or an amount of bytes such as 10GiB, not ${JSON.stringify(text)}.`,
    );
  }
  return subset;
}

/** `5%`, `10.0 GiB`. */
export function formatSubset(subset: DataSubset): string {
  return 'percent' in subset ? `${subset.percent}%` : formatBytes(subset.bytes);
}

const SEED_LIMIT = 2 ** 31;

function readSubset(text: string): DataSubset | undefined {
  const percentage = /^(\d{1,3}(?:\.\d{1,6})?)%$/.exec(text);
  if (percentage !== null) {
    const percent = Number(percentage[1]);
    return percent > 0 && percent <= 100 ? { percent } : undefined;
  }
  const bytes = parseBytes(text);
  return bytes === undefined || bytes < 1 ? undefined : { bytes };
}

/**
 * Whether an argument is the value of a `--read-data` before it, although no `=` joins them. A bare number is taken
 * for the name of a folder; a folder that is named like an amount can be written `./5%`.
 */
function isSubset(argument: string | undefined): boolean {
  return argument !== undefined && /[a-z%]$/i.test(argument) && readSubset(argument) !== undefined;
}
