import { parsePath } from '../layout/paths.ts';
import type { VerifyResult } from '../operations/verify.ts';
import type { Difference, Newer, Problem } from '../operations/verify/records.ts';
import { escapeForTerminal, formatCount, plural } from './units.ts';

/** How many are shown of what is no difference but should be known. */
export const OTHERS_SHOWN = 10;

const problemWords: Readonly<Record<Problem, string>> = {
  'corrupt-at-target': 'corrupt at the target',
  'corrupt-at-source': 'corrupt at the source',
  'corrupt-at-both': 'corrupt at both',
  missing: 'missing at the target',
  content: 'with other content',
  size: 'of another size',
  extra: 'extra at the target',
};

const problemsInOrder = Object.keys(problemWords) as Problem[];

/** `2 tags and 1 blob missing at the target, 1 tag elsewhere`. */
export function summarizeDifferences({ differencesBy }: VerifyResult): string {
  return problemsInOrder
    .flatMap((problem) => {
      const byKind = differencesBy[problem];
      if (byKind === undefined) {
        return [];
      }
      const { 'tag-current': tags = 0, 'blob-data': blobs = 0, ...others } = byKind;
      const rest = Object.values(others).reduce((sum, count) => sum + count, 0);
      const counts = [
        ...(tags > 0 ? [plural('tag', tags)] : []),
        ...(blobs > 0 ? [plural('blob', blobs)] : []),
        ...(rest > 0 ? [plural(tags + blobs > 0 ? 'other object' : 'object', rest)] : []),
      ];
      return [
        `${listOf(counts)} ${problem === 'content' && rest + blobs === 0 ? 'elsewhere' : problemWords[problem]}`,
      ];
    })
    .join(', ');
}

/** `a`, `a and b`, `a, b and c`. */
function listOf(parts: readonly string[]): string {
  return [parts.slice(0, -1).join(', '), ...parts.slice(-1)].filter((part) => part !== '').join(' and ');
}

/** The first differences by repository, and what to do about them. */
export function differenceLines(result: VerifyResult): string[] {
  const { differences, notLookedAgain, targetIsRegistry, targetAdvice } = result;
  if (differences.total === 0) {
    return [];
  }
  const groups = new Map<string, Difference[]>();
  for (const difference of differences.first) {
    const name = difference.repository ?? (difference.kind === 'blob-data' ? 'blobs' : 'other files');
    groups.set(name, [...(groups.get(name) ?? []), difference]);
  }
  return [
    '',
    'Differences:',
    ...[...groups].flatMap(([name, members]) => [
      `  ${escapeForTerminal(name)}`,
      ...members.flatMap((difference) => describe(difference)),
    ]),
    ...andMore(differences.total - differences.first.length),
    ...(targetIsRegistry
      ? []
      : [
          `  The target has no docker/registry/v2/. ${escapeForTerminal(targetAdvice ?? 'Are bucket and rootdirectory what you meant?')}`,
        ]),
    ...(notLookedAgain > 0
      ? [`  ${plural('difference', notLookedAgain)} as listed: there were too many to look at each again.`]
      : []),
    '',
    ...adviceLines(result),
  ];
}

function describe(difference: Difference): string[] {
  const { key, problem, reason, sourceSizeBytes, targetSizeBytes, sourceDigest, targetDigest } = difference;
  const isLink = difference.kind !== 'blob-data';
  const says = isLink ? 'says' : 'hashes to';
  const isElsewhere = problem === 'content' && difference.kind === 'tag-current';
  const what = isElsewhere ? 'elsewhere' : problemWords[problem];
  const sizes =
    problem === 'size'
      ? [
          `source ${formatCount(sourceSizeBytes ?? 0)} bytes`,
          `target ${formatCount(targetSizeBytes ?? 0)} bytes`,
        ]
      : [];
  const hasDigests = problem !== 'missing' && problem !== 'extra' && (isLink || problem !== 'size');
  const digest = (side: string, value: string | undefined) =>
    value === undefined ? [] : [`${side} ${says} ${value}`];
  const digests = hasDigests ? [...digest('source', sourceDigest), ...digest('target', targetDigest)] : [];
  return [
    `    ${nameOf(key)}: ${what}${reason === undefined ? '' : `. ${reason}`}`,
    ...[...sizes, ...digests].map((line) => `      ${line}`),
  ];
}

function nameOf(key: string): string {
  const path = parsePath(key);
  switch (path.kind) {
    case 'tag-current':
      return `tag ${path.tag}`;
    case 'tag-index':
      return `index link of tag ${path.tag} to ${path.digest}`;
    case 'revision-link':
      return `manifest revision ${path.digest}`;
    case 'layer-link':
      return `layer link ${path.digest}`;
    case 'blob-data':
      return path.digest;
    default:
      return escapeForTerminal(key);
  }
}

/** One line for each kind of difference that there is. */
function adviceLines({ differencesBy }: VerifyResult): string[] {
  const has = (...problems: Problem[]) => problems.some((problem) => differencesBy[problem] !== undefined);
  return [
    ...(has('missing', 'size', 'content')
      ? ['`regtool migrate` brings over what is missing or differs.']
      : []),
    ...(has('extra') ? ['`regtool migrate --delete` removes what is extra.'] : []),
    ...(has('corrupt-at-target')
      ? ['Delete a blob that is corrupt at the target there; then `regtool migrate` brings the good one.']
      : []),
    ...(has('corrupt-at-source', 'corrupt-at-both')
      ? [
          'A blob that is corrupt at the source: `regtool repair --quarantine` moves it aside there, so that a push heals it (a push alone does not); `--from OTHER` brings it from a store that has it.',
        ]
      : []),
    'See docs/verify.md for each.',
  ];
}

/** What was left out of the verdict, and why. */
export function newerLines({ newer, settled }: VerifyResult): string[] {
  const shown = newer.first.slice(0, OTHERS_SHOWN);
  return [
    ...(newer.total === 0
      ? []
      : [
          '',
          `Newer than this verification: ${plural('object', newer.total)} that the source wrote or deleted since it began (its clock says so, or it was seen). A last pass of \`regtool migrate\` brings them; with the source read-only there are none.`,
          ...shown.map((object) => `  ${newerName(object)}`),
          ...andMore(newer.total - shown.length),
        ]),
    ...(settled === 0 ? [] : ['', `Equal at a second look, so not counted: ${plural('object', settled)}.`]),
  ];
}

function newerName({ key, repository, problem }: Newer): string {
  const where = repository === undefined ? '' : `${escapeForTerminal(repository)} `;
  const what = problem === 'deleted' ? 'deleted at the source' : problemWords[problem];
  return `${where}${nameOf(key)}: ${what}`;
}

/** Ends a list that is not shown whole. */
export function andMore(count: number, where = '; all are in --report'): string[] {
  return count > 0 ? [`  and ${formatCount(count)} more${where}`] : [];
}
