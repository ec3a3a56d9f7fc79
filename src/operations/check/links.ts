import { createHash } from 'node:crypto';
import type { ObjectStat } from '../../drivers/driver.ts';
import { type BrokenLink, type Digest, formatLink, MAX_LINK_BYTES, readLink } from '../../layout/digest.ts';
import { type CheckRun, isGone } from './run.ts';

/** What a link file is, as the registry would find it. */
export type LinkState =
  | { state: 'valid'; digest: Digest }
  | { state: 'broken'; link: BrokenLink }
  | { state: 'absent' }
  /** The store did not give it. That was noted. */
  | { state: 'unread' };

export interface LinkToRead {
  key: string;
  /** As it was listed. Absent: it was not, and the store is asked, for it may have come since. */
  listed?: ObjectStat | undefined;
  /** What it should say: where the listing proves that it does, it is not read. */
  expected?: Digest | undefined;
}

export async function readLinkFile(run: CheckRun, { key, listed, expected }: LinkToRead): Promise<LinkState> {
  if (expected !== undefined && listed?.md5 !== undefined && listed.md5 === md5Of(formatLink(expected))) {
    return { state: 'valid', digest: expected };
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
    if (isGone(error)) {
      return { state: 'absent' };
    }
    await run.noteUnread(key, error);
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

function md5Of(text: string): string {
  return createHash('md5').update(text).digest('hex');
}
