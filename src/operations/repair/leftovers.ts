import type { Driver, ObjectStat } from '../../drivers/driver.ts';
import type { Finding, FindingCode } from '../../layout/findings.ts';
import { REGISTRY_ROOT } from '../../layout/paths.ts';
import type { Unread } from '../check.ts';
import { isObjectFailure } from '../object-failure.ts';
import type { LeftFinding, RepairStep } from './steps.ts';
import type { RepairChoices } from './write-link.ts';

/** What a crash or an interrupted push left. */
export function isLeftover(code: FindingCode): boolean {
  return LEFTOVERS.has(code);
}

const LEFTOVERS: ReadonlySet<FindingCode> = new Set([
  'temporary-file',
  'upload-abandoned',
  'upload-unpurgeable',
  'multipart-upload-abandoned',
]);

interface LeftoverOptions {
  choices: RepairChoices;
  olderThanMs: number;
  nowMs: number;
  signal?: AbortSignal | undefined;
}

interface Leftovers {
  steps: RepairStep[];
  left: LeftFinding[];
  unreads: Unread[];
}

/** Decides on what nobody needs any more: removed only when asked for, and only what is old for certain. */
export async function decideLeftovers(
  store: Driver,
  findings: readonly Finding[],
  options: LeftoverOptions,
): Promise<Leftovers> {
  const decided: Leftovers = { steps: [], left: [], unreads: [] };
  for (const finding of findings.filter(({ code }) => isLeftover(code))) {
    const reason = whyLeft(finding, options);
    if (reason !== undefined) {
      const { code, severity, paths, repository, tags } = finding;
      decided.left.push({ code, severity, key: paths[0] ?? '', repository, tags, reason });
    } else if (finding.code !== 'multipart-upload-abandoned') {
      await addRemoval(store, finding, options, decided);
    }
  }
  if (options.choices.uploads && findings.some(({ code }) => code === 'multipart-upload-abandoned')) {
    await addAborts(store, options, decided);
  }
  return decided;
}

function whyLeft({ code, ageMs }: Finding, { choices, olderThanMs }: LeftoverOptions): string | undefined {
  if (!choices.uploads) {
    return '--uploads removes it';
  }
  if (code === 'multipart-upload-abandoned') {
    return undefined;
  }
  if (ageMs === undefined) {
    return 'the store does not tell how old it is';
  }
  return ageMs < olderThanMs ? 'it is younger than --older-than, and may be in use' : undefined;
}

async function addRemoval(
  store: Driver,
  { code, paths, repository, tags }: Finding,
  { signal }: LeftoverOptions,
  { steps, left, unreads }: Leftovers,
): Promise<void> {
  const [key = ''] = paths;
  try {
    const objects = key.endsWith('/') ? await listBelow(store, key, signal) : await one(store, key, signal);
    if (objects.length > 0) {
      const what = code === 'temporary-file' ? 'the temporary file' : 'the upload that was never finished';
      steps.push({ kind: 'remove', key, code, repository, tags, objects, reason: `remove ${what}` });
    }
  } catch (error) {
    if (!isObjectFailure(error)) {
      throw error;
    }
    const reason = `it could not be looked into: ${error.message}`;
    left.push({ code, severity: 'hint', key, repository, tags, reason });
    unreads.push({ key, message: error.message });
  }
}

async function listBelow(
  store: Driver,
  prefix: string,
  signal: AbortSignal | undefined,
): Promise<ObjectStat[]> {
  const objects: ObjectStat[] = [];
  for await (const page of store.list(prefix, { signal })) {
    objects.push(...page);
  }
  return objects;
}

async function one(store: Driver, key: string, signal: AbortSignal | undefined): Promise<ObjectStat[]> {
  const stat = await store.stat(key, { signal });
  return stat === undefined ? [] : [stat];
}

async function addAborts(
  store: Driver,
  { olderThanMs, nowMs, signal }: LeftoverOptions,
  { steps, unreads }: Leftovers,
): Promise<void> {
  try {
    for await (const page of store.listUploads?.(REGISTRY_ROOT, { signal }) ?? []) {
      for (const upload of page.filter(({ startedAtMs }) => nowMs - startedAtMs >= olderThanMs)) {
        steps.push({
          kind: 'abort',
          key: upload.key,
          code: 'multipart-upload-abandoned',
          tags: [],
          upload,
          reason: `abort the multipart upload ${upload.uploadId}`,
        });
      }
    }
  } catch (error) {
    // What the check could list a moment ago may be refused now.
    if (!isObjectFailure(error)) {
      throw error;
    }
    unreads.push({ key: 'multipart uploads', message: error.message });
  }
}
