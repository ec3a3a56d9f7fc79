import { describeFinding, type Finding } from '../layout/findings.ts';
import type { CheckedTag, CheckResult, FindingTally } from '../operations/check.ts';
import type { DataSubset } from '../operations/sample.ts';
import { kindNames, kindsInOrder } from './kinds.ts';
import { formatSubset } from './read-data.ts';
import { formatTable } from './table.ts';
import { formatBytes } from '../operations/format-bytes.ts';
import { allOf, escapeForTerminal, formatCount, formatDuration, plural } from './units.ts';

const TAGS_SHOWN = 50;
const EXAMPLES_SHOWN = 3;
const UNREAD_SHOWN = 20;

export interface CheckFacts {
  location: string;
  durationMs: number;
  retries: number;
  readData: { subset: DataSubset; seed: number } | undefined;
}

/** The verdict first, then what cannot be pulled, then what is wrong, then what was seen. */
export function presentCheck(result: CheckResult, facts: CheckFacts): string[] {
  return [
    headline(result, escapeForTerminal(facts.location)),
    ...brokenTags(result),
    ...findings(result.findings),
    ...unreads(result),
    '',
    ...kindTable(result),
    '',
    dataSentence(result, facts),
    ...result.notExamined.map(escapeForTerminal),
    `Checked ${plural('repository', result.repositories)} in ${formatDuration(facts.durationMs)}${facts.retries > 0 ? `; ${plural('request', facts.retries)} repeated` : ''}.`,
  ];
}

function headline(result: CheckResult, location: string): string {
  const { verdict, tags } = result;
  switch (verdict) {
    case 'incomplete':
      return `INCOMPLETE: ${plural('part', result.unreadCount)} of ${location} could not be read, so it is not known to be healthy.${tags === undefined ? '' : ` ${tagSentence(result)}`}`;
    case 'broken':
      return tags !== undefined && tags.notPullable === 0
        ? `BROKEN: manifests without a tag cannot be pulled from ${location}. ${tagSentence(result)}`
        : `BROKEN: ${tags === undefined ? 'something' : `${formatCount(tags.notPullable)} of ${plural('tag', tags.total)}`} cannot be pulled from ${location}.`;
    case 'warnings':
      return `NEEDS ATTENTION: ${location} has ${harmful(countOf(result.findings, 'warning'))}. ${tagSentence(result)}`;
    case 'healthy':
      return `HEALTHY: ${location}. ${tagSentence(result)}`;
  }
}

function harmful(count: number): string {
  return `${plural('thing', count)} that ${count === 1 ? 'does' : 'do'} harm`;
}

function tagSentence({ tags, unreadCount }: CheckResult): string {
  if (tags === undefined) {
    return "Its tags are in GitLab's database, so only its blobs were checked.";
  }
  const { total, pullable, notPullable, unknown } = tags;
  if (pullable === total && unreadCount > 0) {
    // A tag may stand in what was not read, and so may a layer that one of these needs.
    return total === 0
      ? 'No tags were found.'
      : `As far as could be read, ${allOf('tag', total)} can be pulled.`;
  }
  if (pullable === total) {
    return total === 0
      ? 'There are no tags.'
      : `${total === 1 ? 'The' : 'All'} ${plural('tag', total)} can be pulled.`;
  }
  return [
    `${formatCount(pullable)} of ${plural('tag', total)} can be pulled`,
    ...(notPullable > 0 ? [`${formatCount(notPullable)} cannot`] : []),
    ...(unknown > 0 ? [`of ${formatCount(unknown)} it is not known`] : []),
  ]
    .join(', ')
    .concat('.');
}

function countOf(tallies: readonly FindingTally[], severity: Finding['severity']): number {
  return tallies.reduce((sum, tally) => sum + (tally.severity === severity ? tally.count : 0), 0);
}

function brokenTags({ brokenTags: tags, tags: totals }: CheckResult): string[] {
  if (tags.length === 0) {
    return [];
  }
  const shown = tags.slice(0, TAGS_SHOWN);
  const repositories = new Map<string, CheckedTag[]>();
  for (const tag of shown) {
    repositories.set(tag.repository, [...(repositories.get(tag.repository) ?? []), tag]);
  }
  const more = (totals?.notPullable ?? 0) + (totals?.unknown ?? 0) - shown.length;
  return [
    '',
    'Cannot be pulled:',
    ...[...repositories].flatMap(([repository, ofIt]) => [
      `  ${escapeForTerminal(repository)}`,
      ...ofIt.map(
        ({ tag, state, codes }) =>
          `    ${escapeForTerminal(tag)}  ${state === 'unknown' ? 'not known, as a part of it could not be read' : codes.join(', ')}`,
      ),
    ]),
    ...(more > 0 ? [`  and ${plural('more tag', more)}; all are in --report`] : []),
  ];
}

/** Errors and warnings with examples and what to do; hints as a line each, as nothing needs to be done. */
function findings(tallies: readonly FindingTally[]): string[] {
  const serious = tallies.filter(({ severity }) => severity !== 'hint');
  const hints = tallies.filter(({ severity }) => severity === 'hint');
  return [
    ...serious.flatMap((tally) => ['', ...describeTally(tally)]),
    ...(hints.length === 0 ? [] : ['', 'Harmless:', ...hints.map((tally) => `  ${tallyLine(tally)}`)]),
  ];
}

function describeTally(tally: FindingTally): string[] {
  const { clientSees, remedy } = describeFinding(tally.code);
  const shown = tally.examples.slice(0, EXAMPLES_SHOWN);
  const more = tally.count - shown.length;
  return [
    `${tally.severity.toUpperCase()} ${tallyLine(tally)}`,
    ...shown.map(exampleLine),
    ...(more > 0 ? [`  and ${formatCount(more)} more; all are in --report`] : []),
    `  clients see: ${clientSees}`,
    `  to mend: ${remedy}`,
  ];
}

function tallyLine({ code, count, blobs, sizeBytes }: FindingTally): string {
  const size = sizeBytes > 0 ? `, ${formatBytes(sizeBytes)}` : '';
  const number =
    blobs > 0 && blobs < count
      ? `${plural('blob', blobs)} in ${plural(blobs === 1 ? 'repository' : 'place', count)}`
      : formatCount(count);
  return `${code}: ${describeFinding(code).title} (${number}${size})`;
}

function exampleLine({ detail, paths, repository, tags }: Finding): string {
  const where =
    repository === undefined ? '' : `${repository}${tags.length > 0 ? `:${firstFew(tags)}` : ''}: `;
  return `  ${escapeForTerminal(`${where}${detail}; ${paths[0] ?? ''}`)}`;
}

function firstFew(tags: readonly string[]): string {
  const shown = tags.slice(0, 3).join(',');
  return tags.length > 3 ? `${shown} and ${tags.length - 3} more` : shown;
}

function unreads({ unreads: parts, unreadCount }: CheckResult): string[] {
  if (unreadCount === 0) {
    return [];
  }
  const shown = parts.slice(0, UNREAD_SHOWN);
  const more = unreadCount - shown.length;
  return [
    '',
    'Could not be read:',
    ...shown.map(({ key, message }) => `  ${escapeForTerminal(key)}: ${escapeForTerminal(message)}`),
    ...(more > 0 ? [`  and ${formatCount(more)} more; all are in --report`] : []),
  ];
}

function kindTable({ counts }: CheckResult): string[] {
  const rows = kindsInOrder.flatMap((kind) => {
    const count = counts[kind];
    return count === undefined
      ? []
      : [[kindNames[kind], formatCount(count.objects), formatBytes(count.bytes)]];
  });
  return formatTable(['kind', 'objects', 'bytes'], rows, '');
}

function dataSentence({ dataRead, unreadCount }: CheckResult, { readData }: CheckFacts): string {
  if (dataRead === undefined || readData === undefined) {
    return 'The bytes of layers and configs were not read: --read-data proves them against their names.';
  }
  const { subset, seed } = readData;
  const isAll = 'percent' in subset && subset.percent === 100;
  const sample = `(${formatSubset(subset)}, --seed ${seed})`;
  if (dataRead.blobs === 0) {
    // What was chosen and could not be read is named above.
    const why = isAll || unreadCount > 0 ? '' : `, as the sample ${sample} holds none: take a larger one`;
    return `The bytes of NO blob were read and compared with their names${why}.`;
  }
  const what = `${plural('blob', dataRead.blobs)} (${formatBytes(dataRead.bytes)})`;
  return isAll
    ? `The bytes of all ${what} were read and compared with their names.`
    : `The bytes of a sample ${sample} of ${what} were read and compared with their names.`;
}

/** The stable shape of `--json`. Lists are of the first 1000; `--report` has all. */
export function checkJson(result: CheckResult, facts: CheckFacts) {
  const { readData } = facts;
  return {
    store: facts.location,
    verdict: result.verdict,
    tags: result.tags ?? null,
    notPullable: result.brokenTags.filter(({ state }) => state === 'not-pullable'),
    unknown: result.brokenTags.filter(({ state }) => state === 'unknown'),
    repositories: result.repositories,
    untaggedManifests: result.untaggedManifests,
    findings: result.findings.map(({ code, severity, count, blobs, sizeBytes, examples }) => ({
      code,
      severity,
      title: describeFinding(code).title,
      clientSees: describeFinding(code).clientSees,
      remedy: describeFinding(code).remedy,
      count,
      blobs,
      sizeBytes,
      examples,
    })),
    kinds: result.counts,
    lockfiles: result.lockfiles,
    readData:
      readData === undefined || result.dataRead === undefined
        ? null
        : { subset: formatSubset(readData.subset), seed: readData.seed, ...result.dataRead },
    unread: { count: result.unreadCount, parts: result.unreads },
    notExamined: result.notExamined,
    retries: facts.retries,
    durationMs: Math.round(facts.durationMs),
  };
}

/** A finding as a line of `--report`, with what is known of its kind. */
export function findingRecord(found: Finding) {
  const { title, clientSees, remedy } = describeFinding(found.code);
  return { type: 'finding', ...found, title, clientSees, remedy };
}
