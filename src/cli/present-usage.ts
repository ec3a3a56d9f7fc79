import { compareKeys } from '../drivers/keys.ts';
import { totalOf } from '../operations/counts.ts';
import type { RepositoryUsage, UsageResult } from '../operations/usage.ts';
import { kindNames, kindsInOrder } from './kinds.ts';
import { formatTable } from './table.ts';
import { formatBytes } from '../operations/format-bytes.ts';
import { escapeForTerminal, formatCount, formatDuration, plural } from './units.ts';

/** By what repositories can be sorted: the largest first, or by name. */
export const usageOrders = ['size', 'only-here', 'tags', 'name'] as const;

export type UsageOrder = (typeof usageOrders)[number];

/** So many lists of what could not be read, and of folders, are shown; `--json` has all. */
const OTHERS_SHOWN = 20;
/** So many repositories are in `--json`; `--report` has all. */
const IN_JSON_MAX = 1000;

export interface UsageFacts {
  location: string;
  durationMs: number;
  retries: number;
  order: UsageOrder;
  /** How many repositories are shown; 0: all. */
  limit: number;
}

/** The sum first, then what it is made of, then who holds it. */
export function presentUsage(result: UsageResult, facts: UsageFacts): string[] {
  return [
    headline(result, facts),
    '',
    ...kindTable(result),
    '',
    ...blobTable(result),
    ...repositoryTable(result, facts),
    ...unreadLines(result),
    '',
    ...notes(result),
    `Counted ${plural('repository', result.repositories.length)} in ${formatDuration(facts.durationMs)}${facts.retries > 0 ? `; ${plural('request', facts.retries)} repeated` : ''}.`,
  ];
}

function headline({ counts, unread }: UsageResult, { location }: UsageFacts): string {
  const { objects, bytes } = totalOf(counts);
  const sum = `${formatBytes(bytes)} in ${plural('object', objects)}`;
  const where = escapeForTerminal(location);
  return unread.length === 0
    ? `${sum}: ${where}`
    : `INCOMPLETE: at least ${sum}: ${where}. ${plural('part', unread.length)} could not be read.`;
}

function kindTable({ counts }: UsageResult): string[] {
  const rows = kindsInOrder.flatMap((kind) => {
    const count = counts[kind];
    return count === undefined
      ? []
      : [[kindNames[kind], formatCount(count.objects), formatBytes(count.bytes)]];
  });
  return formatTable(['kind', 'objects', 'bytes'], rows, '');
}

function blobTable({ blobs }: UsageResult): string[] {
  const row = (name: string, sum: { blobs: number; bytes: number }) => [
    name,
    formatCount(sum.blobs),
    formatBytes(sum.bytes),
  ];
  return formatTable(
    ['blobs linked by', 'blobs', 'bytes'],
    [
      row('one repository', blobs.linkedOnce),
      row('several repositories', blobs.shared),
      row('no repository', blobs.unlinked),
    ],
    '',
  );
}

function repositoryTable({ repositories }: UsageResult, { order, limit }: UsageFacts): string[] {
  if (repositories.length === 0) {
    return [];
  }
  const shown = sortUsage(repositories, order).slice(0, limit === 0 ? undefined : limit);
  const more = repositories.length - shown.length;
  const rows = shown.map((each) => [
    formatBytes(each.linkedBytes),
    formatBytes(each.onlyHereBytes),
    formatCount(each.tags),
    formatCount(each.manifests),
    formatCount(each.layers),
    escapeForTerminal(each.repository),
  ]);
  const header = ['links', 'only here', 'tags', 'manifests', 'layers', 'repository'];
  return [
    '',
    ...formatTable(header, rows, '', header.length - 1),
    ...(more > 0 ? [`and ${formatCount(more)} more: --limit 0 shows all, and all are in --report`] : []),
  ];
}

function unreadLines({ unread }: UsageResult): string[] {
  if (unread.length === 0) {
    return [];
  }
  const more = unread.length - OTHERS_SHOWN;
  return [
    '',
    'Could not be read:',
    ...unread
      .slice(0, OTHERS_SHOWN)
      .map(({ key, message }) => `  ${escapeForTerminal(key)}: ${escapeForTerminal(message)}`),
    ...(more > 0 ? [`  and ${formatCount(more)} more; all are in --report`] : []),
  ];
}

/** What must be known to read the numbers right, one sentence or two each. */
function notes({
  repositories,
  blobs,
  counts,
  isInDatabase,
  foreignFolders,
  unread,
  tooManyBlobs,
}: UsageResult) {
  const linked = repositories.reduce((sum, { linkedBytes }) => sum + linkedBytes, 0);
  const stored = blobs.linkedOnce.bytes + blobs.shared.bytes;
  const dangling = repositories.reduce((sum, each) => sum + each.dangling, 0);
  return [
    ...(isInDatabase
      ? [
          "GitLab's database has the tags and links of this registry: what the store has of them is from before.",
        ]
      : []),
    ...(linked > stored
      ? [
          `The repositories link ${formatBytes(linked)} together, which is stored as ${formatBytes(stored)}, as blobs that several link are stored once.`,
        ]
      : []),
    ...(blobs.unlinked.blobs > 0 && !isInDatabase
      ? [
          'Blobs that no repository links may be part of a push under way, or left over: `regtool check` tells which no manifest needs.',
        ]
      : []),
    ...(dangling > 0
      ? [
          `${plural('link leads', dangling, 'links lead')} to blobs that are not there, as after garbage collection: \`regtool check\` tells whether that hurts a tag.`,
        ]
      : []),
    ...(counts.upload === undefined
      ? []
      : ['Upload files are of pushes under way or given up; nothing else looks at them.']),
    ...(tooManyBlobs
      ? ['There are more blobs than are kept track of: what repositories link is more than is shown.']
      : []),
    ...(unread.length > 0
      ? ['As parts could not be read, sizes may be larger, and what is only in one repository smaller.']
      : []),
    ...foreignFolders
      .slice(0, OTHERS_SHOWN)
      .map((folder) => `Beside the registry, and not counted: ${escapeForTerminal(folder)}`),
    ...(foreignFolders.length > OTHERS_SHOWN
      ? [`and ${plural('more folder', foreignFolders.length - OTHERS_SHOWN)}`]
      : []),
  ];
}

/** A new list. Where two have as much, they come by name. */
export function sortUsage(repositories: readonly RepositoryUsage[], order: UsageOrder): RepositoryUsage[] {
  const amount = AMOUNTS[order];
  return [...repositories].sort(
    (left, right) => amount(right) - amount(left) || compareKeys(left.repository, right.repository),
  );
}

const AMOUNTS: Readonly<Record<UsageOrder, (usage: RepositoryUsage) => number>> = {
  size: ({ linkedBytes }) => linkedBytes,
  'only-here': ({ onlyHereBytes }) => onlyHereBytes,
  tags: ({ tags }) => tags,
  name: () => 0,
};

/** The stable shape of `--json`. Of repositories it has the first 1000; `--report` has all. */
export function usageJson(result: UsageResult, facts: UsageFacts) {
  const { objects, bytes } = totalOf(result.counts);
  return {
    store: facts.location,
    complete: result.unread.length === 0 && !result.tooManyBlobs,
    objects,
    bytes,
    kinds: result.counts,
    blobs: result.blobs,
    isInDatabase: result.isInDatabase,
    repositoryCount: result.repositories.length,
    repositories: sortUsage(result.repositories, facts.order).slice(0, IN_JSON_MAX),
    foreignFolders: result.foreignFolders,
    unread: { count: result.unread.length, parts: result.unread.slice(0, IN_JSON_MAX) },
    retries: facts.retries,
    durationMs: Math.round(facts.durationMs),
  };
}
