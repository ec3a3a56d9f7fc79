import type {
  Diagnosis,
  DoctorCheck,
  DoctorResult,
  DoctorStatus,
  PassEstimate,
} from '../operations/doctor.ts';
import { wrapWords } from './fill.ts';
import { formatBytes } from '../operations/format-bytes.ts';
import { escapeForTerminal, formatCount, formatDuration, plural } from './units.ts';

const headings = { store: 'Store', source: 'Source', target: 'Target' } as const;

const STATUS_WIDTH = 'warning'.length;

/** Each store with its checks, one line each, what to do below; then what is true of both; then a sum. */
export function presentDoctor(result: DoctorResult): string[] {
  const checks = checksOf(result);
  const width = Math.max(0, ...checks.map(({ name }) => name.length));
  return [
    ...result.stores.flatMap((diagnosis) => [...presentStore(diagnosis, width), '']),
    ...(result.pair.length + (result.passes === undefined ? 0 : 1) === 0
      ? []
      : [
          'Both together',
          ...result.pair.flatMap((check) => presentCheck(check, width)),
          ...(result.passes === undefined ? [] : presentPasses(result.passes)),
          '',
        ]),
    summary(checks),
  ];
}

/** The result for `--json`. */
export function doctorJson({ verdict, stores, pair, passes }: DoctorResult) {
  return {
    verdict,
    stores: stores.map(({ role, location, isReachable, isRegistry, checks, content }) => ({
      role,
      location,
      isReachable,
      isRegistry,
      checks,
      content,
    })),
    pair,
    passes,
  };
}

function presentStore({ role, location, checks, content }: Diagnosis, width: number): string[] {
  return [
    `${headings[role]}: ${escapeForTerminal(location)}`,
    ...checks.flatMap((check) => presentCheck(check, width)),
    ...(content === undefined
      ? []
      : wrapWords(
          `${amountWord(content)} ${plural('blob', content.blobs)} of ${formatBytes(content.blobBytes)}, ${plural('link', content.links)}.`,
          '  ',
        )),
  ];
}

function presentCheck({ status, name, finding, advice }: DoctorCheck, width: number): string[] {
  const indent = ' '.repeat(2 + STATUS_WIDTH + 2 + width + 2);
  const start = `  ${status.padEnd(STATUS_WIDTH)}  ${name.padEnd(width)}  `;
  return [
    ...wrapWords(escapeForTerminal(finding), start, indent),
    ...(advice === undefined ? [] : wrapWords(escapeForTerminal(advice), indent, indent)),
  ];
}

function presentPasses(passes: PassEstimate): string[] {
  const { objects, blobBytes, finalPassMs, fullPassMs, isProbed } = passes;
  const size = `${formatCount(objects)} blobs and links, ${formatBytes(blobBytes)}`;
  return [
    `${amountWord(passes)} ${size} are at the source.`,
    fullPassMs === undefined
      ? `How long the first pass takes is not known: ${isProbed ? 'what --write-probe tried at the target failed, so nothing was measured.' : '--write-probe measures the target.'}`
      : `The first pass takes ${roughly(fullPassMs)}, at the rates just measured with few transfers at once; rather less.`,
    `The final pass takes ${roughly(finalPassMs)} if nothing is new, and longer by what was pushed.`,
  ].flatMap((line) => wrapWords(line, '  '));
}

/** Below a second nothing was measured well enough for a number. */
function roughly(durationMs: number): string {
  return durationMs < 1000 ? 'less than a second' : `about ${formatDuration(durationMs)}`;
}

/** An estimate says that it is one. */
function amountWord({ isExact, isAtLeast }: { isExact: boolean; isAtLeast: boolean }): string {
  if (isAtLeast) {
    return 'At least (a part was not listed to its end)';
  }
  return isExact ? 'Counted:' : 'About (estimated from a sample)';
}

function summary(checks: readonly DoctorCheck[]): string {
  const count = (wanted: DoctorStatus): number => checks.filter(({ status }) => status === wanted).length;
  return [
    `${formatCount(count('failed'))} failed`,
    plural('warning', count('warning')),
    `${formatCount(count('unknown'))} unknown`,
    `${formatCount(count('ok'))} ok`,
  ].join(', ');
}

function checksOf({ stores, pair }: DoctorResult): DoctorCheck[] {
  return [...stores.flatMap(({ checks }) => checks), ...pair];
}
