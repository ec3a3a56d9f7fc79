import type { Digest } from './digest.ts';
import { contentFindings } from './content-findings.ts';
import type { FindingDescription, Severity } from './finding-description.ts';
import { storeFindings } from './store-findings.ts';

export type { FindingDescription, Severity } from './finding-description.ts';

/** The one table of all findings; docs/findings.md holds the same, and a test holds the two together. */
const findingDescriptions = { ...contentFindings, ...storeFindings };

/** Stable between releases. Each has a heading in docs/findings.md. */
export type FindingCode = keyof typeof findingDescriptions;

export const findingCodes = Object.keys(findingDescriptions) as FindingCode[];

export function describeFinding(code: FindingCode): FindingDescription {
  return findingDescriptions[code];
}

/** One thing that is wrong, or worth knowing, with what is needed to mend it. */
export interface Finding {
  code: FindingCode;
  severity: Severity;
  /** What exactly, in one sentence. Names from the store stand in it as they are. */
  detail: string;
  /** The key to mend first, then others that it is about. */
  paths: string[];
  repository?: string;
  /** Tags of that repository that it is about; with severity `error`, that cannot be pulled because of it. */
  tags: string[];
  /** Manifests of that repository, tagged or not, that cannot be pulled because of it. */
  revisions: Digest[];
  /** The blob, manifest or link that it is about. */
  digest?: Digest;
  /** How many bytes it takes at the store, where that matters. */
  sizeBytes?: number;
  /** How many objects it stands for, when that is not one. */
  objects?: number;
  ageMs?: number;
}

export type FindingFacts = Omit<Finding, 'severity' | 'tags' | 'revisions'> &
  Partial<Pick<Finding, 'tags' | 'revisions'>>;

/** Completes a finding with its severity, which depends on whether a manifest is hurt. */
export function finding(facts: FindingFacts): Finding {
  const { tags = [], revisions = [] } = facts;
  const { severity, severityUnlessHurting } = describeFinding(facts.code);
  const hurts = tags.length + revisions.length > 0;
  return { ...facts, severity: hurts ? severity : (severityUnlessHurting ?? severity), tags, revisions };
}
