import * as Args from '@oclif/core/args';
import * as Flags from '@oclif/core/flags';
import { parseLocation, type StoreLocation } from '../drivers/location.ts';
import { fileFlag, integerFlag, parsePattern } from './flag-values.ts';
import { parseBytes } from './units.ts';
import { UsageError } from './usage-error.ts';

export const defaultConcurrency = 32;
/** For listings that run side by side while nothing else was said: 64 pages of two stores fit in memory. */
export const defaultListingConcurrency = 64;
/** More small objects than this in flight were no faster, 30 ms away either. */
export const maxCopyConcurrency = 256;

const groups = { output: 'OUTPUT', safety: 'SAFETY', speed: 'SPEED', selection: 'SELECTION' };

/** A required store location. Never read from standard input: a forgotten TARGET must not come from a pipe. */
export function storeArgument(description: string) {
  return Args.custom<StoreLocation>({
    description,
    ignoreStdin: true,
    parse: (text) => Promise.resolve().then(() => parseLocation(text)),
  })({ required: true });
}

/** An optional store location, for commands that take one or two. */
export function optionalStoreArgument(description: string) {
  return Args.custom<StoreLocation>({
    description,
    ignoreStdin: true,
    parse: (text) => Promise.resolve().then(() => parseLocation(text)),
  })();
}

export function concurrencyFlag() {
  return integerFlag({
    summary: 'Most requests in flight to each store.',
    env: 'REGTOOL_CONCURRENCY',
    helpGroup: groups.speed,
    default: defaultConcurrency,
    min: 1,
    max: 512,
  });
}

/** Undefined when it is not given: then `migrate` finds out by itself how many requests make it fastest. */
export function copyConcurrencyFlag() {
  return integerFlag({
    summary: `Most requests in flight to each store. Without it, as many as make it faster, up to ${maxCopyConcurrency}.`,
    env: 'REGTOOL_CONCURRENCY',
    helpGroup: groups.speed,
    min: 1,
    max: 512,
  });
}

/** A location's own `maxrequestspersecond` holds where this is not given. */
export function maxRequestsPerSecondFlag() {
  return integerFlag({
    summary: 'Most requests per second to each store.',
    env: 'REGTOOL_MAX_REQUESTS_PER_SECOND',
    helpGroup: groups.speed,
    min: 1,
  });
}

/** In bytes per second. `what` says what happens to them. */
export function bandwidthFlag(what: 'copied' | 'read from the target') {
  return Flags.custom<number>({
    summary: `Most bytes per second that are ${what}, such as 50MiB.`,
    env: 'REGTOOL_BANDWIDTH',
    helpGroup: groups.speed,
    helpValue: 'SIZE',
    parse: (text) => Promise.resolve().then(() => parseBandwidth(text)),
  })();
}

export function reportFlag() {
  return fileFlag({
    summary: 'Write one line of JSON per object or finding to this file, replacing it.',
    env: 'REGTOOL_REPORT',
    helpGroup: groups.output,
  });
}

export function dryRunFlag() {
  return Flags.boolean({
    summary: 'Show what would be done, and do nothing.',
    env: 'REGTOOL_DRY_RUN',
    helpGroup: groups.safety,
  });
}

/**
 * Has no environment variable: a forgotten one would answer questions that nobody saw. `what` is what the command asks
 * about.
 */
export function yesFlag(what: 'removing anything' | 'removing or rewriting anything') {
  return Flags.boolean({
    summary: `Do not ask before ${what}.`,
    helpGroup: groups.safety,
  });
}

/** Each takes one value: otherwise the flag would swallow the stores that follow it. */
export function repositoryFlag() {
  return Flags.custom({
    summary: 'Only repositories whose name matches this pattern. May be given several times.',
    env: 'REGTOOL_REPOSITORY',
    helpGroup: groups.selection,
    helpValue: 'GLOB',
    multiple: true,
    multipleNonGreedy: true,
    parse: parsePattern,
  })();
}

/** In `BaseCommand`: every command has it. */
export function noProgressFlag() {
  return Flags.boolean({
    summary: 'Print no progress, only warnings and the result.',
    env: 'REGTOOL_NO_PROGRESS',
    helpGroup: groups.output,
    aliases: ['quiet'],
    charAliases: ['q'],
    // oclif's help names no aliases by itself.
    helpLabel: '-q, --quiet, --no-progress',
  });
}

/** In `BaseCommand`: oclif's own, in our words. */
export function jsonFlag() {
  return Flags.boolean({
    summary: 'Print the result, or the error, as one JSON object on stdout.',
    helpGroup: groups.output,
  });
}

function parseBandwidth(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === undefined || bytes < 1) {
    throw new UsageError(
      'FLAG_INVALID',
      `--bandwidth takes bytes per second, such as 50MiB, 1.5G or 800k, not ${JSON.stringify(text)}.`,
    );
  }
  return bytes;
}
