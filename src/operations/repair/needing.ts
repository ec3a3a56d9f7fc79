import type { Digest } from '../../layout/digest.ts';
import type { Finding } from '../../layout/findings.ts';
import { references } from '../../layout/manifest.ts';
import { parsePath } from '../../layout/paths.ts';
import { isObjectFailure } from '../object-failure.ts';
import type { ProvedBlobs } from './blobs.ts';
import type { FetchStep, LinkStep, QuarantineStep, RepairStep } from './steps.ts';

/** Notes that one more repository needs the blob that a step mends. */
export function addRepository(step: RepairStep | undefined, { repository }: Finding): void {
  if (step !== undefined && isBlobStep(step) && repository !== undefined) {
    step.repositories.add(repository);
  }
}

/**
 * Notes which repositories need the blobs that steps mend because of the revision links that are to be written: of a
 * manifest without such a link, what it names was not looked for, so that no finding tells of it.
 */
export async function addNeeding(steps: readonly RepairStep[], blobs: ProvedBlobs): Promise<void> {
  const mended = new Map(steps.filter(isBlobStep).map((step) => [step.digest, step]));
  const revisions = mended.size === 0 ? [] : steps.filter(isRevision);
  for (const { content, repository } of revisions) {
    if (repository !== undefined) {
      const needed = (await neededBy(content, blobs)) ?? mended.keys();
      for (const digest of needed) {
        mended.get(digest)?.repositories.add(repository);
      }
    }
  }
}

function isBlobStep(step: RepairStep): step is FetchStep | QuarantineStep {
  return step.kind === 'fetch' || step.kind === 'quarantine';
}

function isRevision(step: RepairStep): step is LinkStep {
  return step.kind === 'link' && parsePath(step.key).kind === 'revision-link';
}

/** A manifest and all that it leads to; undefined where that could not be read, so that it may be anything. */
async function neededBy(digest: Digest, blobs: ProvedBlobs): Promise<Set<Digest> | undefined> {
  const needed = new Set([digest]);
  const manifests = new Set([digest]);
  try {
    // What is added to a set while it is gone through is gone through, too: an index leads to its children.
    for (const manifest of manifests) {
      const parsed = await blobs.manifestIfThere(manifest);
      for (const reference of parsed === undefined ? [] : references(parsed)) {
        needed.add(reference.digest);
        if (reference.role === 'child') {
          manifests.add(reference.digest);
        }
      }
    }
  } catch (error) {
    if (isObjectFailure(error)) {
      return undefined;
    }
    throw error;
  }
  return needed;
}
