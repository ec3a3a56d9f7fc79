import * as Flags from '@oclif/core/flags';
import { UsageError } from './usage-error.ts';

/** What oclif tells the parser of a value. There is no token where the value is that of the flag's variable. */
interface ValueOrigin {
  token?: unknown;
}

/** How the operator gave a value: `--concurrency`, or `REGTOOL_CONCURRENCY`. */
export function giverOf({ token }: ValueOrigin, { name, env }: { name: string; env?: string }): string {
  return token === undefined && env !== undefined ? env : `--${name}`;
}

/** A whole number that is not below zero. */
export const integerFlag = Flags.custom<number, { min: number; max?: number }>({
  helpValue: 'N',
  parse: async (text, origin, flag) => {
    const { min, max = Number.MAX_SAFE_INTEGER } = flag;
    const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(number >= min && number <= max)) {
      const range = flag.max === undefined ? `of ${min} or more` : `from ${min} to ${max}`;
      throw invalid(`${giverOf(origin, flag)} takes a whole number ${range}`, text);
    }
    return number;
  },
});

/** The name of a file. */
export const fileFlag = Flags.custom({
  helpValue: 'FILE',
  parse: async (text, origin, flag) => {
    const giver = giverOf(origin, flag);
    if (text === '') {
      throw new UsageError('FLAG_INVALID', `${giver} takes the name of a file, and none is given.`);
    }
    if (text === '-') {
      throw new UsageError(
        'FLAG_INVALID',
        `${giver} takes the name of a file, and stdout and stdin are none: name a file (./- if it is to be called so).`,
      );
    }
    return text;
  },
});

/** Patterns of names, of which each must be one that picomatch can read. */
export async function parsePattern(
  text: string,
  origin: ValueOrigin,
  flag: { name: string; env?: string },
): Promise<string> {
  const giver = giverOf(origin, flag);
  if (text === '') {
    throw new UsageError(
      'FLAG_INVALID',
      `${giver} takes a pattern such as group/*, and none is given: leave it out for all repositories.`,
    );
  }
  const { default: picomatch } = await import('picomatch');
  try {
    picomatch(text);
  } catch (error) {
    const shown = text.length > 80 ? `${text.slice(0, 80)}...` : text;
    throw invalid(`${giver} takes a pattern such as group/*, which is shorter and complete`, shown, error);
  }
  return text;
}

const on = ['1', 'true', 'yes', 'y'];
const off = ['0', 'false', 'no', 'n', ''];

/**
 * Refuses variables of flags without a value that oclif would take for "off" because it does not know their value:
 * who says `REGTOOL_DRY_RUN=on` does not want anything to be written.
 * @throws UsageError FLAG_INVALID.
 */
export function assertClearVariables(
  flags: Readonly<Record<string, { type: string; env?: string }>>,
  env: Readonly<Record<string, string | undefined>> = process.env,
): void {
  for (const [name, flag] of Object.entries(flags)) {
    const value = flag.env === undefined ? undefined : env[flag.env];
    const isClear = value === undefined || [...on, ...off].includes(value.toLowerCase());
    if (flag.type === 'boolean' && !isClear) {
      throw invalid(
        `${flag.env} takes 1, true, yes or y for --${name}, and 0, false, no, n or nothing to do without`,
        value,
      );
    }
  }
}

function invalid(what: string, text: string, cause?: unknown): UsageError {
  return new UsageError('FLAG_INVALID', `${what}, not ${JSON.stringify(text)}.`, cause);
}
