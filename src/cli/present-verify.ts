import type { Driver } from '../drivers/driver.ts';
import { type KindCounts, totalOf } from '../operations/counts.ts';
import type { ObjectKind } from '../operations/observer.ts';
import type { VerifyResult } from '../operations/verify.ts';
import { kindNames, kindsInOrder } from './kinds.ts';
import {
  andMore,
  differenceLines,
  newerLines,
  OTHERS_SHOWN,
  summarizeDifferences,
} from './present-differences.ts';
import { formatSubset } from './read-data.ts';
import { formatTable } from './table.ts';
import { formatBytes } from '../operations/format-bytes.ts';
import { escapeForTerminal, formatCount, formatDuration, plural } from './units.ts';

export interface VerifyFacts {
  durationMs: number;
  retries: number;
}

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
    `  started ${new Date(result.startedAtMs).toISOString()}, took ${formatDuration(durationMs)}${retries > 0 ? `, ${plural('request', retries)} repeated` : ''}`,
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
    return `DIFFERENT: ${plural('difference', differences.total)}: ${summarizeDifferences(result)}${more}.`;
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
  const except =
    newer.total > 0 ? `, but for ${plural('object', newer.total)} newer than this verification` : '';
  return `VERIFIED: both stores hold the same content: ${held}${except}. ${proof(result)}`;
}

/** What a verdict rests on. */
function proof({ readData }: VerifyResult): string {
  if (readData === undefined) {
    return 'Compared by name, size and what tags say.';
  }
  const { blobs, subset } = readData;
  if (blobs === 0) {
    return 'NO BLOB WAS READ, for there was none in the sample: compared by name, size and what tags say.';
  }
  return 'percent' in subset && subset.percent >= 100
    ? `Every blob at the target (${formatCount(blobs)}) has the bytes that its name says.`
    : `Of the blobs at the target ${formatCount(blobs)} were read, and have the bytes that their names say.`;
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
    ['objects', 'source', 'target', '+/-'],
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
    ...andMore(folders.length - OTHERS_SHOWN, ''),
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
    ...andMore(unread.total - shown.length),
  ];
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
    targetAdvice: result.targetAdvice ?? null,
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
