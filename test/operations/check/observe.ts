import type { Driver } from '../../../src/drivers/driver.ts';
import type { Finding } from '../../../src/layout/findings.ts';
import {
  check,
  type CheckedTag,
  type CheckOptions,
  type CheckResult,
  type Unread,
} from '../../../src/operations/check.ts';

export interface Observed extends CheckResult {
  /** All findings, by code and first path. */
  all: Finding[];
  /** All tags that are not pullable or not known to be, by name. */
  broken: CheckedTag[];
  unread: Unread[];
}

/** Long after anything in a fixture was begun. */
export const NOW_MS = Date.parse('2024-03-01T00:00:00Z');

export const wholeData = { subset: { percent: 100 }, seed: 1 };

/** Runs a check and keeps everything that it reports. */
export async function observe(driver: Driver, options: Partial<CheckOptions> = {}): Promise<Observed> {
  const all: Finding[] = [];
  const broken: CheckedTag[] = [];
  const unread: Unread[] = [];
  const result = await check(driver, {
    concurrency: 8,
    nowMs: NOW_MS,
    observer: {
      phase() {},
      progress() {},
      notice() {},
      finding: async (finding) => {
        all.push(finding);
      },
      brokenTag: async (tag) => {
        broken.push(tag);
      },
      unread: async (part) => {
        unread.push(part);
      },
    },
    ...options,
  });
  all.sort((left, right) => compare(idOf(left), idOf(right)));
  broken.sort((left, right) => compare(nameOf(left), nameOf(right)));
  return { ...result, all, broken, unread };
}

/** `repository:tag` of those that cannot be pulled, in order. */
export function notPullable({ broken }: Observed): string[] {
  return broken
    .filter(({ state }) => state === 'not-pullable')
    .map(nameOf)
    .sort();
}

function idOf({ code, paths, repository }: Finding): string {
  return `${code} ${paths[0] ?? ''} ${repository ?? ''}`;
}

function nameOf({ repository, tag }: CheckedTag): string {
  return `${repository}:${tag}`;
}

function compare(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}
