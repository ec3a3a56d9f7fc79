import * as Flags from '@oclif/core/flags';
import type { MaxDelete } from '../operations/migrate/guards.ts';
import { UsageError } from './usage-error.ts';

/** `--max-delete 500` or `--max-delete 20%`. */
export function maxDeleteFlag() {
  return Flags.custom<MaxDelete>({
    summary:
      "Refuse a plan that deletes more than this many objects, or percent of the target's (default: 10%).",
    env: 'REGTOOL_MAX_DELETE',
    helpGroup: 'SAFETY',
    helpValue: 'N|N%',
    dependsOn: ['delete'],
    parse: (text) => Promise.resolve().then(() => parseMaxDelete(text)),
  })();
}

export function parseMaxDelete(text: string): MaxDelete {
  const match = /^(\d{1,12})(%?)$/.exec(text);
  const count = Number(match?.[1]);
  if (match === null || (match[2] === '%' && count > 100)) {
    throw new UsageError(
      'FLAG_INVALID',
      `--max-delete takes a number of objects, such as 500, or a percentage from 0% to 100%, not ${JSON.stringify(text)}.`,
    );
  }
  return match[2] === '%' ? { percent: count } : { objects: count };
}
