import type { SourceLink } from './link-reading.ts';
import type { PlannedCopy } from './plan.ts';
import type { Run } from './run.ts';

/**
 * What a link is after publishing was tried.
 * - `published`: at the target, and so is all that it needs.
 * - `missing`: the source does not have it.
 * - `incomplete`: the source has it, but lacks something that it needs. Not published.
 * - `failed`: it, or something that it needs, could not be copied. Not published.
 */
export type LinkState = 'published' | 'missing' | 'incomplete' | 'failed';

/**
 * Writes a link as it was read at the source, and counts it.
 * @param planned undefined where it was not in the listing.
 */
export async function writeLink(
  run: Run,
  key: string,
  { content, sizeBytes }: SourceLink,
  planned: PlannedCopy | undefined,
  about: { digest?: string; formerDigest?: string } = {},
): Promise<LinkState> {
  const { target, signal, limit } = run;
  const write = () => target.write(key, content, { signal });
  const outcome = await run.attempt(
    key,
    sizeBytes,
    // Where it is streamed, `attempt` has a bound of its own: waiting in one for the other could last for ever.
    () => (content instanceof Uint8Array ? limit(write) : write()),
    {
      reason: planned?.reason ?? 'not in the listing',
      action: planned === undefined || planned.reason === 'missing' ? 'copy' : 'rewrite',
      ...about,
    },
  );
  return outcome === 'copied' ? 'published' : 'failed';
}

/** Leaves out what the source cannot serve either, unless the operator wants it copied as it is. Tells which. */
export async function leaveIncomplete(run: Run, key: string, reason: string): Promise<boolean> {
  if (run.includeIncomplete) {
    return false;
  }
  await run.leaveIncomplete(key, reason);
  return true;
}
