import type { Driver } from '../../drivers/driver.ts';
import { type Digest, formatLink } from '../../layout/digest.ts';
import type { Finding } from '../../layout/findings.ts';
import { parsePath } from '../../layout/paths.ts';
import type { ProvedBlobs } from './blobs.ts';
import { readFormer } from './link-files.ts';
import type { RepairStep } from './steps.ts';

export interface RepairChoices {
  /** Point a tag that lost its link to the one manifest that it can stand for. */
  tags: boolean;
  /** Move corrupt blobs aside. */
  quarantine: boolean;
  /** Remove what crashes and interrupted pushes left. */
  uploads: boolean;
}

/** What a decision is made on: the store as it will be after the steps so far, and the other store. */
export interface Deciding {
  store: Driver;
  blobs: ProvedBlobs;
  other: { store: Driver; blobs: ProvedBlobs } | undefined;
  choices: RepairChoices;
  signal: AbortSignal | undefined;
}

/**
 * A step that mends a finding, or brings it nearer to being mended; or why there is none, `unread` being what a store
 * said when it did not give something that decides.
 */
export type Decision = { step: RepairStep } | { left: string; unread?: string };

/** The step that writes a link, if what it holds now can be kept for an undo. */
export async function writeLink(found: Finding, content: Digest, deciding: Deciding): Promise<Decision> {
  const key = found.paths[0] ?? '';
  const former = await readFormer(deciding.store, key, deciding.signal);
  if (former === 'too-large') {
    return {
      left: 'what is there is too large to be a link: look at it, and move it out of the store by hand',
    };
  }
  const { code, repository, tags } = found;
  const isRevision = parsePath(key).kind === 'revision-link';
  return {
    step: {
      kind: 'link',
      key,
      code,
      repository,
      tags,
      content,
      former,
      depth: isRevision ? await depthOf(content, deciding) : 0,
      reason: `${former === undefined ? 'write' : 'rewrite'} the link: ${formatLink(content)}`,
    },
  };
}

/**
 * An index comes after the manifests that it names; of one that is not here, those that it will have once it is copied
 * from the other store. Each manifest is looked at once: indexes that share children on
 * each of n levels have 2^n ways through them, which whoever may push can make.
 */
async function depthOf(
  digest: Digest,
  deciding: Deciding,
  known = new Map<Digest, number>(),
): Promise<number> {
  const found = known.get(digest);
  if (found !== undefined) {
    return found;
  }
  // Stands until the real depth is known, so that what is damaged cannot lead in a circle.
  known.set(digest, 0);
  const manifest =
    (await deciding.blobs.manifestIfThere(digest)) ?? (await deciding.other?.blobs.manifestIfThere(digest));
  let depth = 0;
  for (const child of manifest?.children ?? []) {
    depth = Math.max(depth, 1 + (await depthOf(child.digest, deciding, known)));
  }
  known.set(digest, depth);
  return depth;
}
