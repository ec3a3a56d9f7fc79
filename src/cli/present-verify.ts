import type { Driver } from '../drivers/driver.ts';
import { parsePath } from '../layout/paths.ts';
import { type KindCounts, totalOf } from '../operations/counts.ts';
import type { ObjectKind } from '../operations/observer.ts';
import type { VerifyResult } from '../operations/verify.ts';
import type { Difference, Newer, Problem } from '../operations/verify/records.ts';
import { kindNames, kindsInOrder } from './kinds.ts';
import { formatSubset } from './read-data.ts';
import { formatTable } from './table.ts';
import { escapeForTerminal, formatBytes, formatCount, formatDuration, plural } from './units.ts';

export interface VerifyFacts {
  durationMs: number;
  retries: number;
}

const OTHERS_SHOWN = 10;

/** The verdict first, then what it rests on, then what differs and what to do. */
export function presentVerify(
  result: VerifyResult,
  source: Driver,
  target: Driver,
  { durationMs, retries }: VerifyFacts,
): string[] {
  return [
    verdictLine(result),
    `  source ${source.location}`,
    `  target ${target.location}`,
    `  begun ${new Date(result.startedAtMs).toISOString()}, took ${formatDuration(durationMs)}${retries > 0 ? `, ${plural('request', retries)} repeated` : ''}`,
    '',
    ...countTable(result),
    ...dataLines(result),
    ...unreadLines(result),
    ...differenceLines(result),
    ...newerLines(result),
  ];
}

function verdictLine(result: VerifyResult): string {
  const { verdict, counts, differences, unread, newer } = result;
  const unreadParts = plural('part', unread.total);
  if (differences.total > 0) {
    const more = unread.total > 0 ? `; and ${unreadParts} could not be read` : '';
    return `DIFFERENT: ${plural('difference', differences.total)}: ${summary(result)}${more}.`;
  }
  if (verdict === 'incomplete') {
    return `NOT VERIFIED: ${unreadParts} could not be read; no difference was found in the rest.`;
  }
  const content = onlyContent(counts.source);
  const held = [
    plural('tag', content['tag-current']?.objects ?? 0),
    plural('blob', content['blob-data']?.objects ?? 0),
    `${plural('object', totalOf(content).objects)} in all (${formatBytes(totalOf(content).bytes)})`,
  ].join(', ');
  const except = newer.total > 0 ? `; ${plural('object', newer.total)} newer than its begin left out` : '';
  return `VERIFIED: both stores hold the same content: ${held}${except}. ${proof(result)}`;
}

/** What a verdict rests on. */
function proof({ readData }: VerifyResult): string {
  if (readData === undefined) {
    return 'Compared by name, size and what tags say.';
  }
  const { blobs, subset } = readData;
  return 'percent' in subset && subset.percent >= 100
    ? `Every blob at the target (${formatCount(blobs)}) has the bytes that its name says.`
    : `Of the blobs at the target ${formatCount(blobs)} were read, and have the bytes that their names say.`;
}

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

function summary({ differencesBy }: VerifyResult): string {
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
        `${counts.join(' and ')} ${problem === 'content' && rest + blobs === 0 ? 'elsewhere' : problemWords[problem]}`,
      ];
    })
    .join(', ');
}

const apart: readonly { kind: ObjectKind; note: string }[] = [
  { kind: 'directory-marker', note: 'left by copying tools; `regtool check` tells which do harm' },
  { kind: 'temporary', note: 'left by crashes' },
  { kind: 'foreign', note: "not the registry's" },
];

/** The count that GitLab's documentation asks for, and what is in it. */
function countTable({ counts, foreignFolders }: VerifyResult): string[] {
  const row = (name: string, left: number, right: number): string[] => [
    name,
    formatCount(left),
    formatCount(right),
    left === right ? '' : signed(right - left),
  ];
  const kindRow = (kind: ObjectKind) =>
    row(kindNames[kind], counts.source[kind]?.objects ?? 0, counts.target[kind]?.objects ?? 0);
  const isThere = (kind: ObjectKind) =>
    counts.source[kind] !== undefined || counts.target[kind] !== undefined;
  const contentKinds = kindsInOrder.filter((kind) => isThere(kind) && !notContent.has(kind));
  const apartKinds = apart.filter(({ kind }) => isThere(kind));
  const counted = documentedCount(counts);
  const rows = [
    ...contentKinds.map((kind) => ({ cells: kindRow(kind), note: '' })),
    ...apartKinds.map(({ kind, note }) => ({ cells: kindRow(kind), note })),
    {
      cells: row('all but _uploads', counted.source, counted.target),
      note: 'what `find -type f | wc -l` and a count of the bucket give',
    },
    ...(isThere('upload')
      ? [{ cells: kindRow('upload'), note: 'in _uploads: pushes under way or given up, never copied' }]
      : []),
  ];
  const lines = formatTable(
    ['objects', 'source', 'target', 'more'],
    rows.map(({ cells }) => cells),
  );
  const width = Math.max(...lines.map((line) => line.length));
  const folders = foreignFolders.map(({ folder, inSource, inTarget }) => {
    const where = inSource && inTarget ? 'both' : inSource ? 'the source' : 'the target';
    return `  beside the registry, not counted: ${escapeForTerminal(folder)} at ${where}`;
  });
  return [
    ...lines.map((line, index) => {
      const note = rows[index - 1]?.note ?? '';
      return note === '' ? line : `${line.padEnd(width)}  ${note}`;
    }),
    ...folders.slice(0, OTHERS_SHOWN),
    ...more(folders.length - OTHERS_SHOWN, ''),
  ];
}

const notContent: ReadonlySet<ObjectKind> = new Set(['upload', 'directory-marker', 'temporary', 'foreign']);

/** Every object that is not below `_uploads`, on each side. */
function documentedCount(counts: VerifyResult['counts']): { source: number; target: number } {
  const countOf = ({ upload: _uploads, ...others }: KindCounts) => totalOf(others).objects;
  return { source: countOf(counts.source), target: countOf(counts.target) };
}

function onlyContent(counts: KindCounts): KindCounts {
  return Object.fromEntries(Object.entries(counts).filter(([kind]) => !notContent.has(kind as ObjectKind)));
}

function signed(difference: number): string {
  return `${difference > 0 ? '+' : '-'}${formatCount(Math.abs(difference))}`;
}

function dataLines({ readData }: VerifyResult): string[] {
  if (readData === undefined) {
    return ['', 'No blob was read. --read-data proves each against its name, --read-data=5% a sample.'];
  }
  const { subset, seed, blobs, bytes, byStore } = readData;
  const isAll = 'percent' in subset && subset.percent >= 100;
  const how = byStore === 0 ? '' : `, ${formatCount(byStore)} of them by the SHA-256 that the store keeps`;
  return [
    '',
    `Blobs proved at the target: ${formatCount(blobs)} (${formatBytes(bytes)})${how}.${isAll ? '' : ` A sample of ${formatSubset(subset)}; --seed ${seed} reads the same again.`}`,
  ];
}

function unreadLines({ unread }: VerifyResult): string[] {
  if (unread.total === 0) {
    return [];
  }
  const shown = unread.first.slice(0, OTHERS_SHOWN);
  return [
    '',
    `Not read, so nothing is known of it: ${formatCount(unread.total)}. Mend what is named, and verify again.`,
    ...shown.map(
      ({ side, key, message }) => `  ${side} ${escapeForTerminal(key)}: ${escapeForTerminal(message)}`,
    ),
    ...more(unread.total - shown.length),
  ];
}

function differenceLines(result: VerifyResult): string[] {
  const { differences, notLookedAgain, targetIsRegistry } = result;
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
      ...members.map((difference) => `    ${describe(difference)}`),
    ]),
    ...more(differences.total - differences.first.length),
    ...(targetIsRegistry
      ? []
      : ['  The target has no docker/registry/v2/: are bucket and rootdirectory what you meant?']),
    ...(notLookedAgain > 0
      ? [`  ${plural('difference', notLookedAgain)} as listed: there were too many to look at each again.`]
      : []),
    ...adviceLines(result),
  ];
}

function describe(difference: Difference): string {
  const { problem, reason, sourceDigest, targetDigest, sourceSizeBytes, targetSizeBytes } = difference;
  const sizes = `${formatCount(sourceSizeBytes ?? 0)} bytes at the source, ${formatCount(targetSizeBytes ?? 0)} at the target`;
  const said = `says ${sourceDigest ?? 'no digest'} at the source, ${targetDigest ?? 'no digest'} at the target`;
  const hashed = [
    ...(sourceDigest === undefined ? [] : [`${sourceDigest} at the source`]),
    ...(targetDigest === undefined ? [] : [`${targetDigest} at the target`]),
  ].join(', ');
  const isLink = difference.kind !== 'blob-data' && sourceDigest !== undefined;
  const details: Readonly<Record<Problem, string>> = {
    missing: 'missing at the target',
    extra: 'extra at the target',
    size: isLink ? `${sizes}; ${said}` : sizes,
    content: isLink || targetDigest !== undefined ? said : 'other content of the same size',
    'corrupt-at-target': `corrupt at the target, hashes to ${hashed}`,
    'corrupt-at-source': `corrupt at the source, hashes to ${hashed}`,
    'corrupt-at-both': `corrupt at both, hashes to ${hashed}`,
  };
  return `${nameOf(difference.key)}: ${details[problem]}${reason === undefined ? '' : `. ${reason}`}`;
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
    ...(has('extra')
      ? ['`regtool migrate --delete` removes what is extra; it is harmless if the source deleted it.']
      : []),
    ...(has('corrupt-at-target')
      ? ['Remove a blob that is corrupt at the target there, and run `regtool migrate` again.']
      : []),
    ...(has('corrupt-at-source', 'corrupt-at-both')
      ? ['A blob that is corrupt at the source must come from a backup, or be pushed again.']
      : []),
    'docs/verify.md explains each.',
  ].map((line, index) => (index === 0 ? `\n${line}` : line));
}

function newerLines({ newer, settled }: VerifyResult): string[] {
  const shown = newer.first.slice(0, OTHERS_SHOWN);
  return [
    ...(newer.total === 0
      ? []
      : [
          '',
          `Newer than this verification: ${plural('object', newer.total)} that the source wrote or deleted since it began (its clock says so, or it was seen). A last pass of \`regtool migrate\` brings them; with the source read-only there are none.`,
          ...shown.map((object) => `  ${newerName(object)}`),
          ...more(newer.total - shown.length),
        ]),
    ...(settled === 0 ? [] : ['', `Equal at a second look, so not counted: ${plural('object', settled)}.`]),
  ];
}

function newerName({ key, repository, problem }: Newer): string {
  const where = repository === undefined ? '' : `${escapeForTerminal(repository)} `;
  const what = problem === 'deleted' ? 'deleted at the source' : problemWords[problem];
  return `${where}${nameOf(key)}: ${what}`;
}

function more(count: number, where = '; all are in --report'): string[] {
  return count > 0 ? [`  and ${formatCount(count)} more${where}`] : [];
}

/** The stable shape of `--json`. */
export function verifyJson(result: VerifyResult, source: Driver, target: Driver, facts: VerifyFacts) {
  const { verdict, startedAtMs, counts, differences, differencesBy, newer, unread, readData } = result;
  return {
    source: source.location,
    target: target.location,
    verdict,
    startedAt: new Date(startedAtMs).toISOString(),
    counts,
    /** Objects, but for those below `_uploads`: what `find -type f | wc -l` gives. */
    objectsWithoutUploads: documentedCount(counts),
    foreignFolders: result.foreignFolders,
    foreignSamples: result.foreignSamples,
    targetIsRegistry: result.targetIsRegistry,
    differences: { total: differences.total, by: differencesBy, first: differences.first },
    newer,
    unread,
    settled: result.settled,
    notLookedAgain: result.notLookedAgain,
    readData: readData === undefined ? null : { ...readData, subset: formatSubset(readData.subset) },
    retries: facts.retries,
    durationMs: Math.round(facts.durationMs),
  };
}
