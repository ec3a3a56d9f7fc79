import type { Driver } from '../drivers/driver.ts';
import {
  type FixEmptyTagsResult,
  isHarmful,
  type MarkerClass,
  type MarkerPlan,
  type MarkerProblem,
} from '../operations/fix-empty-tags.ts';
import { formatTable } from './table.ts';
import { escapeForTerminal, formatCount, formatDuration, plural } from './units.ts';

const REPOSITORIES_SHOWN = 20;
const PROBLEMS_SHOWN = 20;
const SAMPLES_SHOWN = 3;

/** What each class does, in the order of harm. docs/fix-empty-tags.md says the same at length. */
const effects: Readonly<Record<MarkerClass, string>> = {
  'marker-empty-tag': 'makes an empty tag name',
  'marker-ghost-tag': 'makes a ghost tag, which is listed and cannot be pulled',
  'marker-purger-panic': 'crashes the upload purger of Docker Distribution 2.7 to 2.8.3',
  'marker-lists-itself': 'is listed as its own content by the GCS driver and by GitLab on Azure',
  'marker-harmless': 'harmless',
  'marker-with-content': 'has content, so it is no marker: left alone',
  'folder-stub': 'is, or may be, the folder itself (hdi_isfolder): left alone',
};

const classes = Object.keys(effects) as MarkerClass[];

export interface FixFacts {
  durationMs: number;
  retries: number;
  dryRun: boolean;
  allMarkers: boolean;
}

/** What was found and what would be removed; the same lines in a dry run and in a run. */
export function presentMarkerPlan(plan: MarkerPlan, store: Driver): string[] {
  if (plan.hasRealFolders) {
    return [
      `${store.location}: nothing to do. Folders are real on a filesystem, and no file name can end in a slash, so it has no folder markers.`,
      'What empty folders do to the list of tags there, `regtool check` tells (tag-ghost).',
    ];
  }
  const total = classes.reduce((sum, code) => sum + (plan.found[code] ?? 0), 0);
  return [
    `Folder markers in ${store.location}: ${total === 0 ? 'none' : formatCount(total)}`,
    ...(total === 0 ? [] : ['', ...classTable(plan), ...samples(plan), ...repositoryTable(plan)]),
    ...explanations(plan),
    ...problems('NOT LISTED, so that markers there were not seen', plan.notListed),
  ];
}

function classTable({ found }: MarkerPlan): string[] {
  const rows = classes
    .filter((code) => found[code] !== undefined)
    .map((code) => [`${code}: ${effects[code]}`, formatCount(found[code] ?? 0)]);
  return formatTable(['class', 'found'], rows);
}

function samples({ samples }: MarkerPlan): string[] {
  const shown = classes
    .filter((code) => code !== 'marker-harmless')
    .flatMap((code) =>
      (samples[code] ?? []).slice(0, SAMPLES_SHOWN).map(({ key }) => `  ${escapeForTerminal(key)}`),
    );
  return shown.length === 0 ? [] : ['', 'Such as:', ...shown];
}

function repositoryTable({ repositories }: MarkerPlan): string[] {
  if (repositories.length === 0) {
    return [];
  }
  const used = classes.filter((code) => repositories.some(({ counts }) => counts[code] !== undefined));
  const rows = repositories
    .slice(0, REPOSITORIES_SHOWN)
    .map(({ repository, counts }) => [
      escapeForTerminal(repository),
      ...used.map((code) => formatCount(counts[code] ?? 0)),
    ]);
  const more = repositories.length - rows.length;
  return [
    '',
    ...formatTable(['to be removed, by repository or group', ...used.map(shortName)], rows),
    ...(more > 0
      ? [`  and ${plural('more repository', more, 'more repositories')}; all are in --report`]
      : []),
  ];
}

function shortName(code: MarkerClass): string {
  return code.replace('marker-', '');
}

function explanations({ found, settings, toRemove }: MarkerPlan): string[] {
  const lines: string[] = [];
  if (found['folder-stub'] !== undefined) {
    lines.push(
      settings.hierarchicalNamespace === true
        ? 'The account has a hierarchical namespace: these objects are its folders. Registries do not support such accounts; move the registry to one without.'
        : 'Objects that bear hdi_isfolder are left alone: on a hierarchical namespace they are the folders themselves.',
    );
  }
  if (found['marker-with-content'] !== undefined) {
    lines.push(
      "An object with content is somebody's data, whatever its name: look at it and move it out of the store by hand.",
    );
  }
  if (toRemove > 0) {
    lines.push(
      'Each is removed by its exact key, and only while it is of zero bytes. No tag, link or blob is touched.',
      ...versioningLines(settings.versioning),
    );
  }
  return lines.length === 0 ? [] : ['', ...lines];
}

function versioningLines(versioning: MarkerPlan['settings']['versioning']): string[] {
  switch (versioning) {
    case 'enabled':
      return [
        'The bucket keeps versions: what is removed is hidden from the registry, and stays as an older version until a lifecycle rule expires it.',
      ];
    case 'suspended':
      return [
        'Versioning of the bucket is suspended: versions from before that remain until a lifecycle rule expires them.',
      ];
    case 'disabled':
    case undefined:
      return [];
  }
}

/** What happened. */
export function presentMarkerResult(result: FixEmptyTagsResult, facts: FixFacts): string[] {
  const { plan } = result;
  if (plan.hasRealFolders) {
    return [];
  }
  const counts = facts.dryRun
    ? `would remove ${plural('marker', plan.toRemove)}`
    : [
        `removed ${plural('marker', result.removed)}`,
        ...(result.vanished > 0 ? [`${formatCount(result.vanished)} were gone already`] : []),
        ...(result.changed > 0 ? [`left ${formatCount(result.changed)} that have content now`] : []),
        `failed ${formatCount(result.failed)}`,
      ].join(', ');
  const harmless = facts.allMarkers ? 0 : (plan.found['marker-harmless'] ?? 0);
  return [
    '',
    `${headline(result, facts.dryRun)} ${counts}; ${formatDuration(facts.durationMs)}${facts.retries > 0 ? `; ${plural('request', facts.retries)} repeated` : ''}.`,
    ...(harmless > 0
      ? [`Left: ${plural('harmless marker', harmless)}; --all-markers removes them, too.`]
      : []),
    ...problems('Failed', result.failures, result.failed),
  ];
}

function headline({ end, failed, plan }: FixEmptyTagsResult, dryRun: boolean): string {
  if (end === 'interrupted') {
    return 'INTERRUPTED; run the same command again to go on. So far:';
  }
  if (dryRun) {
    return 'Dry run, nothing was removed:';
  }
  return failed + plan.notListed.length > 0 ? 'DONE IN PART:' : 'Done:';
}

function problems(title: string, list: readonly MarkerProblem[], count = list.length): string[] {
  if (count === 0) {
    return [];
  }
  const shown = list.slice(0, PROBLEMS_SHOWN);
  const more = count - shown.length;
  return [
    `${title}: ${formatCount(count)}`,
    ...shown.map(({ key, message }) => `  ${escapeForTerminal(key)}: ${escapeForTerminal(message)}`),
    ...(more > 0 ? [`  and ${formatCount(more)} more; all are in --report`] : []),
  ];
}

/** The stable shape of `--json`. */
export function markersJson(result: FixEmptyTagsResult, store: Driver, facts: FixFacts) {
  const { plan, end, removed, vanished, changed, failed, failures } = result;
  return {
    store: store.location,
    dryRun: facts.dryRun,
    end,
    hasRealFolders: plan.hasRealFolders,
    versioning: plan.settings.versioning ?? null,
    hierarchicalNamespace: plan.settings.hierarchicalNamespace ?? null,
    found: classes.flatMap((code) =>
      plan.found[code] === undefined
        ? []
        : [{ class: code, effect: effects[code], harmful: isHarmful(code), count: plan.found[code] }],
    ),
    toRemove: plan.toRemove,
    repositories: plan.repositories,
    notListed: plan.notListed,
    removed,
    vanished,
    changed,
    failed,
    failures,
    retries: facts.retries,
    durationMs: Math.round(facts.durationMs),
  };
}
