import * as Flags from '@oclif/core/flags';
import { UsageError } from './usage-error.ts';

const HOUR_MS = 3_600_000;
/** As the registry's own purger (`maintenance.uploadpurging.age`). */
const DEFAULT_MS = 168 * HOUR_MS;

/** `--older-than 168h`, in milliseconds. */
export function olderThanFlag() {
  return Flags.custom<number>({
    summary: 'How old an upload or a temporary file must be for --uploads, such as 168h, 7d or 30m.',
    env: 'REGTOOL_OLDER_THAN',
    helpGroup: 'SELECTION',
    helpValue: 'AGE',
    default: async () => DEFAULT_MS,
    defaultHelp: async () => '168h',
    parse: (text) => Promise.resolve().then(() => parseAge(text)),
  })();
}

const unitsMs: Readonly<Record<string, number>> = { m: HOUR_MS / 60, h: HOUR_MS, d: 24 * HOUR_MS };

/** @throws UsageError FLAG_INVALID. */
export function parseAge(text: string): number {
  const match = /^(\d{1,6})([mhd])$/.exec(text.trim());
  const unitMs = unitsMs[match?.[2] ?? ''];
  if (match === null || unitMs === undefined) {
    throw new UsageError(
      'FLAG_INVALID',
      `--older-than takes minutes, hours or days, such as 30m, 168h or 7d, not ${JSON.stringify(text)}.`,
    );
  }
  return Number(match[1]) * unitMs;
}
