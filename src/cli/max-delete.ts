import * as Flags from '@oclif/core/flags';
import type { MaxDelete } from '../operations/migrate/guards.ts';
import { giverOf } from './flag-values.ts';
import { UsageError } from './usage-error.ts';

/** `--max-delete 500` or `--max-delete 20%`. Its variable may be set for all runs: without `--delete` it counts for nothing. */
export function maxDeleteFlag() {
  return Flags.custom<MaxDelete>({
    summary:
      "Refuse a plan that deletes more than this many objects, or percent of the target's (default: 10%).",
    env: 'REGTOOL_MAX_DELETE',
    helpGroup: 'SAFETY',
    helpValue: 'N|N%',
    dependsOn: ['delete'],
    parse: async (text, { argv, ...origin }, flag) => {
      const giver = giverOf(origin, flag);
      return giver === flag.env && !argv.includes('--delete') ? undefined : parseMaxDelete(text, giver);
    },
  })();
}

function parseMaxDelete(text: string, giver: string): MaxDelete {
  const match = /^(\d{1,12})(%?)$/.exec(text);
  const count = Number(match?.[1]);
  if (match === null || (match[2] === '%' && count > 100)) {
    throw new UsageError(
      'FLAG_INVALID',
      `${giver} takes a number of objects, such as 500, or a whole percentage from 0% to 100%, not ${JSON.stringify(text)}.`,
    );
  }
  return match[2] === '%' ? { percent: count } : { objects: count };
}
