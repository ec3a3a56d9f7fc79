import type { Driver } from '../drivers/driver.ts';
import type { MigrateResult } from '../operations/migrate.ts';
import { type KindCounts, totalOf } from '../operations/counts.ts';
import { deletionCount, hasLockfilesAtOdds, type Plan } from '../operations/migrate/plan.ts';
import type { Problem } from '../operations/migrate/run.ts';
import { fillLines, wrapWords } from './fill.ts';
import { kindNames, kindsInOrder } from './kinds.ts';
import { formatTable } from './table.ts';
import { formatBytes } from '../operations/format-bytes.ts';
import { allOf, escapeForTerminal, formatCount, formatDuration, plural } from './units.ts';

const REPOSITORIES_SHOWN = 20;
const PROBLEMS_SHOWN = 20;
const MOVES_SHOWN = 3;

/** The plan as the operator reads it before anything happens; the same lines in a dry run and in a run. */
export function presentPlan(plan: Plan, source: Driver, target: Driver): string[] {
  return [
    `Plan: ${source.location} -> ${target.location}`,
    ...wrapWords(describeKeys(target), '  '),
    // Between phrases only, so that a number stays with what it counts.
    ...fillLines(`copy ${describeCopies(plan)}${describeDeletes(plan)}`.split(/(?<=[,;]) /), '  '),
    ...describeMoves(plan),
    ...(totalOf(plan.toCopy).objects + deletionCount(plan) > 0
      ? ['', ...kindTable(plan), ...repositoryTable(plan)]
      : []),
    ...leftAlone(plan),
    ...notListed(plan),
  ];
}

/** On Azure it depends on the registry's version and settings whether it sees what is there. */
function describeKeys({ name, identity }: Driver): string {
  const root = name === 'filesystem' ? '' : identity.root;
  const line = `keys at the target start with ${JSON.stringify(`${root}docker/registry/v2/`)}`;
  if (name !== 'azure') {
    return line;
  }
  return identity.root.startsWith('/')
    ? `${line}: a GitLab registry of 16.0 or later needs trimlegacyrootprefix: false to see them, and distribution 3 cannot see them`
    : `${line}: a GitLab registry before 16.0 needs trimlegacyrootprefix: true to see them, and distribution before 3 cannot see them (for those, name legacyrootprefix=true)`;
}

function describeCopies(plan: Plan): string {
  const total = totalOf(plan.toCopy);
  if (total.objects === 0 && plan.sourceObjects === 0) {
    return 'nothing: THE SOURCE HAS NO CONTENT';
  }
  if (total.objects === 0) {
    return `nothing: the target has ${allOf('object', totalOf(plan.equal).objects)}`;
  }
  const tags = plan.toCopy['tag-current']?.objects ?? 0;
  const blobs = plan.toCopy['blob-data']?.objects ?? 0;
  const repositories = plan.repositoryTallies.filter(
    ({ tags, revisions, layers }) => tags + revisions + layers > 0,
  );
  return [
    plural('tag', tags),
    plural('repository', repositories.length),
    plural('blob', blobs),
    `${plural('object', total.objects)} in all`,
    formatBytes(total.bytes),
  ].join(', ');
}

/** What the target's registry shows is changed by these alone, so they are named beside what is new. */
function describeMoves({ movedTags: { count, samples } }: Plan): string[] {
  if (count === 0) {
    return [];
  }
  const names = samples.slice(0, MOVES_SHOWN).map((name) => escapeForTerminal(name));
  const more = count > names.length ? ', ...' : '';
  const stand = count === 1 ? 'stands' : 'stand';
  return wrapWords(
    `of these tags ${formatCount(count)} ${stand} for another manifest at the target, and will be moved: ${names.join(', ')}${more}`,
    '  ',
  );
}

function describeDeletes(plan: Plan): string {
  const count = deletionCount(plan);
  return count === 0 ? '' : `; delete ${plural('object', count)} at the target`;
}

function kindTable(plan: Plan): string[] {
  const rows = kindsInOrder
    .map((kind) => ({
      kind,
      copy: plan.toCopy[kind],
      equal: plan.equal[kind]?.objects ?? 0,
      deletes: plan.deletions.get(kind)?.length ?? 0,
    }))
    .filter(({ copy, equal, deletes }) => copy !== undefined || equal + deletes > 0)
    .map(({ kind, copy, equal, deletes }) => [
      kindNames[kind],
      formatCount(copy?.objects ?? 0),
      formatBytes(copy?.bytes ?? 0),
      formatCount(equal),
      formatCount(deletes),
    ]);
  return formatTable(['kind', 'copy', 'bytes', 'equal', 'delete'], rows);
}

function repositoryTable({ repositoryTallies }: Plan): string[] {
  if (repositoryTallies.length === 0) {
    return [];
  }
  const rows = repositoryTallies
    .slice(0, REPOSITORIES_SHOWN)
    .map(({ repository, tags, revisions, layers, deletions }) => [
      escapeForTerminal(repository),
      ...[tags, revisions, layers, deletions].map(formatCount),
    ]);
  const more = repositoryTallies.length - rows.length;
  return [
    '',
    ...formatTable(['repository', 'tags', 'revisions', 'layers', 'delete'], rows),
    ...(more > 0
      ? [`  and ${plural('more repository', more, 'more repositories')}; all are in --report`]
      : []),
  ];
}

function leftAlone(plan: Plan): string[] {
  const { notContent, foreignSamples, leftovers, keptAtTarget, keptLockfiles } = plan;
  const { source, target } = notContent;
  const lines: string[] = [];
  if (keptAtTarget > 0) {
    lines.push(
      `  ${plural('object', keptAtTarget)} at the target that the source does not have: removed only with --delete`,
    );
  }
  if (hasLockfilesAtOdds(plan)) {
    lines.push(
      `  ${keptLockfiles.join(', ')} at the target, which the source no longer has: a GitLab registry does not start with both lockfiles, and --delete removes this one`,
    );
  }
  const add = (kind: 'upload' | 'directory-marker' | 'temporary', why: string) => {
    const counts = [source[kind]?.objects ?? 0, target[kind]?.objects ?? 0] as const;
    if (counts[0] + counts[1] > 0) {
      lines.push(
        `  ${kindNames[kind]}: ${formatCount(counts[0])} at the source, ${formatCount(counts[1])} at the target; ${why}`,
      );
    }
  };
  add('upload', '_uploads is never touched');
  add('directory-marker', 'never copied: `regtool check` tells whether they do harm');
  add(
    'temporary',
    leftovers.length === 0
      ? 'left by crashes, never copied'
      : `never copied; ${formatCount(leftovers.length)} of an interrupted regtool will be removed`,
  );
  if (foreignSamples.length > 0) {
    const shown = foreignSamples.slice(0, 3).map((key) => escapeForTerminal(key));
    const more = foreignSamples.length > shown.length ? ', ...' : '';
    lines.push(`  foreign (copied only with --include-foreign): ${shown.join(', ')}${more}`);
  }
  return lines.length === 0 ? [] : ['', 'Left alone:', ...lines.flatMap((line) => wrapWords(line, '  '))];
}

function notListed({ listingFailures }: Plan): string[] {
  if (listingFailures.length === 0) {
    return [];
  }
  return [
    '',
    'NOT LISTED, so not in this plan:',
    ...listingFailures.map(({ prefix, error }) => problemLine({ key: prefix, message: error.message })),
  ];
}

export interface RunFacts {
  durationMs: number;
  retries: number;
  dryRun: boolean;
}

/** What happened, most important first. */
export function presentResult(result: MigrateResult, { durationMs, retries, dryRun }: RunFacts): string[] {
  const { tally, end, plan } = result;
  const copied = totalOf(tally.copied);
  const deleted = totalOf(tally.deleted).objects;
  const rate = copied.objects / Math.max(durationMs / 1000, 0.001);
  const [headlines, start] = headline(result, dryRun);
  const measured = dryRun || copied.objects === 0 ? [] : [`${plural('object', Math.round(rate))}/s`];
  const repeated = retries > 0 ? [`${plural('request', retries)} repeated`] : [];
  const timing = [formatDuration(durationMs), ...measured].join(', ');
  return [
    ...headlines,
    ...fillLines([
      start,
      `${dryRun ? 'would copy' : 'copied'} ${plural('object', copied.objects)} (${formatBytes(copied.bytes)}),`,
      `equal ${formatCount(totalOf(plan.equal).objects)},`,
      `${dryRun ? 'would delete' : 'deleted'} ${formatCount(deleted)},`,
      `failed ${formatCount(tally.failed)};`,
      ...[timing, ...repeated].map((phrase, index) => phrase + (index < repeated.length ? ';' : '.')),
    ]),
    ...problems('Failed', tally.failures, tally.failed),
    ...(tally.heldBack > 0
      ? wrapWords(
          `Held back: ${plural('link', tally.heldBack)} that need what failed, so that no broken tag is published.`,
        )
      : []),
    ...problems(
      'Broken at the source already, so not published (--include-incomplete copies them as they are)',
      tally.incompletes,
      tally.incomplete,
    ),
    ...(tally.vanished > 0
      ? wrapWords(`Deleted from the source since it was listed: ${plural('object', tally.vanished)}.`)
      : []),
    ...(tally.dangling > 0
      ? wrapWords(
          `Copied as they are: ${plural('dangling link', tally.dangling)}, which garbage collection leaves and which harm nobody.`,
        )
      : []),
    ...(tally.reappeared > 0
      ? wrapWords(
          `Kept: ${plural('object', tally.reappeared)} that came back at the source before they were deleted here.`,
        )
      : []),
    ...(result.deletesWithheld && end.kind === 'done'
      ? [
          deleted === 0
            ? 'Nothing was deleted, because something failed before.'
            : 'Deleting ended early, because something failed: run again.',
        ]
      : []),
  ];
}

/** Lines of their own, and how the line of the counts begins. */
function headline({ end, tally }: MigrateResult, dryRun: boolean): [lines: string[], start: string] {
  switch (end.kind) {
    case 'interrupted':
      return [['INTERRUPTED; run the same command again to go on.'], 'So far:'];
    case 'stopped':
      return [[`STOPPED: ${end.error.message} Run the same command again when that is mended.`], 'So far:'];
    case 'declined':
      return [[], 'Not done.'];
    case 'done':
      break;
  }
  if (tally.failed + tally.heldBack > 0) {
    return [[], dryRun ? 'DONE IN PART, dry run, nothing was written:' : 'DONE IN PART:'];
  }
  return [[], dryRun ? 'Dry run, nothing was written:' : 'Done:'];
}

function problems(title: string, list: Problem[], count: number): string[] {
  if (count === 0) {
    return [];
  }
  const shown = list.slice(0, PROBLEMS_SHOWN);
  const more = count - shown.length;
  return [
    ...wrapWords(`${title}: ${formatCount(count)}`),
    ...shown.map(problemLine),
    ...(more > 0 ? [`  and ${formatCount(more)} more; all are in --report`] : []),
  ];
}

/** Most messages name the object themselves. */
function problemLine({ key, message }: Problem): string {
  return `  ${escapeForTerminal(message.includes(key) ? message : `${key}: ${message}`)}`;
}

/** The stable shape of `--json`. */
export function migrateJson(result: MigrateResult, source: Driver, target: Driver, facts: RunFacts) {
  const { plan, tally, end, deletesWithheld } = result;
  const toDelete = Object.fromEntries([...plan.deletions].map(([kind, keys]) => [kind, keys.length]));
  return {
    source: source.location,
    target: target.location,
    dryRun: facts.dryRun,
    end: end.kind,
    plan: {
      copy: plan.toCopy,
      equal: plan.equal,
      movedTags: plan.movedTags.count,
      delete: toDelete,
      keptAtTarget: plan.keptAtTarget,
      notContent: plan.notContent,
      repositories: plan.repositoryTallies,
      notListed: plan.listingFailures.map(({ prefix, error }) => ({ prefix, message: error.message })),
    },
    copied: tally.copied,
    deleted: countsOnly(tally.deleted),
    failed: tally.failed,
    failures: tally.failures,
    heldBack: tally.heldBack,
    incomplete: tally.incomplete,
    incompletes: tally.incompletes,
    vanished: tally.vanished,
    dangling: tally.dangling,
    reappeared: tally.reappeared,
    deletesWithheld,
    retries: facts.retries,
    durationMs: Math.round(facts.durationMs),
  };
}

function countsOnly(counts: KindCounts): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).map(([kind, { objects }]) => [kind, objects]));
}
