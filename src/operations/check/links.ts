import { hash } from 'node:crypto';
import type { ObjectStat } from '../../drivers/driver.ts';
import {
  type BrokenLink,
  type Digest,
  formatLink,
  MAX_LINK_BYTES,
  parseDigest,
  readLink,
} from '../../layout/digest.ts';
import { type CheckRun, isGone } from './run.ts';

/** What a link file is, as the registry would find it. */
export type LinkState =
  | { state: 'valid'; digest: Digest }
  | { state: 'broken'; link: BrokenLink }
  | { state: 'absent' }
  /** The store did not give it. That was noted. */
  | { state: 'unread' };

/**
 * A link as it was listed: `right` where the listing proves that it says what it is named by. That is nearly every
 * link of a store, and nothing else about it needs to be held.
 */
export type ListedLink = ObjectStat | 'right';

export function listedLink(object: ObjectStat, expected: Digest): ListedLink {
  return provesLink(object, expected) ? 'right' : object;
}

/** Whether a listing proves that a link says this. That it does not prove it means nothing. */
export function provesLink({ content, md5 }: ObjectStat, digest: Digest): boolean {
  const expected = formatLink(digest);
  if (content !== undefined) {
    return content === expected;
  }
  return md5 !== undefined && md5 === hash('md5', expected, 'hex');
}

export interface LinkToRead {
  key: string;
  /** As it was listed. Absent: it was not, and the store is asked, for it may have come since. */
  listed?: ObjectStat | undefined;
}

/** A link that is named by what it should say. */
export async function readNamedLink(
  run: CheckRun,
  { key, listed, expected }: { key: string; listed: ListedLink | undefined; expected: Digest },
): Promise<LinkState> {
  return listed === 'right' ? { state: 'valid', digest: expected } : readLinkFile(run, { key, listed });
}

/**
 * What a link is now. One that was listed with valid content is taken for that. Any other is read, also when its
 * content is known: a registry that writes in place empties a link for a moment before it fills it.
 */
export async function readLinkFile(run: CheckRun, { key, listed }: LinkToRead): Promise<LinkState> {
  const told = listed?.content === undefined ? undefined : parseDigest(listed.content);
  if (told !== undefined) {
    return { state: 'valid', digest: told };
  }
  if (listed !== undefined && listed.sizeBytes > MAX_LINK_BYTES) {
    const link: BrokenLink = {
      valid: false,
      problem: 'format',
      registryError: 'invalid checksum digest format',
    };
    return { state: 'broken', link };
  }
  try {
    const bytes = await run.call(() => run.driver.readSmall(key, MAX_LINK_BYTES, { signal: run.signal }));
    const link = readLink(bytes);
    return link.valid ? { state: 'valid', digest: link.digest } : { state: 'broken', link };
  } catch (error) {
    if (isGone(error) && (await run.isReallyGone(key, { wasListed: listed !== undefined }))) {
      return { state: 'absent' };
    }
    if (!isGone(error)) {
      await run.noteUnread(key, error);
    }
    return { state: 'unread' };
  }
}

/** What is wrong with a link that should say `expected`, as the end of a finding's code. */
export function linkProblemCode(
  link: LinkState,
  expected: Digest,
): 'empty' | 'invalid' | 'mismatch' | undefined {
  if (link.state === 'broken') {
    return link.link.problem === 'empty' ? 'empty' : 'invalid';
  }
  return link.state === 'valid' && link.digest !== expected ? 'mismatch' : undefined;
}

export function linkDetail(link: LinkState): string {
  switch (link.state) {
    case 'broken':
      return `the link ${PROBLEM_WORDS[link.link.problem]} (${link.link.registryError})`;
    case 'valid':
      return `the link holds ${link.digest}`;
    case 'absent':
      return 'the link is not there';
    case 'unread':
      return 'the link could not be read';
  }
}

const PROBLEM_WORDS: Readonly<Record<BrokenLink['problem'], string>> = {
  empty: 'is empty',
  'trailing-newline': 'ends in a newline or a space',
  length: 'is cut off, or too long',
  algorithm: 'names a hash that registries do not know',
  format: 'is not a digest',
};
