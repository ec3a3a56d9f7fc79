import type { Driver } from '../../drivers/driver.ts';
import { type Digest, readLink } from '../../layout/digest.ts';
import type { Finding } from '../../layout/findings.ts';
import { parsePath, revisionLinkKey, tagCurrentKey, tagIndexKey, tagsPrefix } from '../../layout/paths.ts';
import { readFormer, readLinkAt } from './link-files.ts';
import { type Deciding, type Decision, writeLink } from './write-link.ts';

interface TagPath {
  repository: string;
  tag: string;
}

/**
 * What a tag stood for is in its `current` link alone. Where that is gone, the other store may still know. Else it can
 * be one manifest only if the index has one entry whose manifest is there, and even then somebody has to say so.
 */
export async function decideTag(found: Finding, path: TagPath, deciding: Deciding): Promise<Decision> {
  const { store, choices, signal } = deciding;
  const content = await readFormer(store, tagCurrentKey(path.repository, path.tag), signal);
  if (content === 'too-large') {
    return {
      left: 'what is in the place of its link is too large to be one: move it out of the store by hand',
    };
  }
  const entries = await indexOf(store, path, signal);
  const atOther = await fromOther(path, entries, content, deciding);
  if (atOther !== undefined && 'digest' in atOther) {
    return writeLink(found, atOther.digest, deciding);
  }
  const candidate = await candidateOf(path, entries, content, deciding);
  if ('left' in candidate) {
    const also = atOther === undefined ? '' : `; ${atOther.left}`;
    return { left: `${candidate.left}${also}: push the tag again` };
  }
  return choices.tags
    ? writeLink(found, candidate.digest, deciding)
    : { left: `it can stand only for ${candidate.digest}: --tags makes it so, or push the tag again` };
}

type Candidate = { digest: Digest } | { left: string };

/** The one manifest that the tag can stand for by what is left of it. */
async function candidateOf(
  { repository }: TagPath,
  entries: readonly Digest[],
  content: Uint8Array | undefined,
  deciding: Deciding,
): Promise<Candidate> {
  const possible: Digest[] = [];
  for (const digest of entries) {
    if (await isWhole(repository, digest, deciding)) {
      possible.push(digest);
    }
  }
  // With a newline behind it the link still says all.
  const meant = possible.filter((digest) => content !== undefined && meantBy(content) === digest);
  const [only] = meant.length === 1 ? meant : possible;
  if (only === undefined || (meant.length === 0 && possible.length > 1)) {
    const many = possible.length === 0 ? 'no entry' : `${possible.length} entries`;
    return {
      left: `its index has ${many} with a manifest that is there, so what it stood for cannot be told`,
    };
  }
  return agrees(content, only)
    ? { digest: only }
    : { left: `its index has one entry, ${only}, and its link holds something else` };
}

function meantBy(content: Uint8Array): Digest | undefined {
  const link = readLink(content);
  return link.valid ? link.digest : link.meant;
}

/** Whether what is left of a link can have been this digest. */
function agrees(content: Uint8Array | undefined, digest: Digest): boolean {
  if (content === undefined || content.byteLength === 0) {
    return true;
  }
  return meantBy(content) === digest || digest.startsWith(new TextDecoder('latin1').decode(content));
}

/** The repository has the manifest, and its bytes are those of a manifest. */
async function isWhole(repository: string, digest: Digest, deciding: Deciding): Promise<boolean> {
  const { store, blobs, signal } = deciding;
  const revision = await readLinkAt(store, revisionLinkKey(repository, digest), signal);
  if (revision !== digest) {
    return false;
  }
  const blob = await blobs.state(digest);
  if (blob.state === 'unread') {
    // It may be the one: taking it for none would leave another as the only one.
    throw blob.error;
  }
  return blob.state === 'proved' && (await blobs.manifest(digest)) !== undefined;
}

/**
 * What the tag stands for at the other store, if that is not older: it has seen every manifest that the tag ever stood
 * for here. Undefined where it does not know the tag.
 */
async function fromOther(
  { repository, tag }: TagPath,
  entries: readonly Digest[],
  content: Uint8Array | undefined,
  { other, blobs, signal }: Deciding,
): Promise<Candidate | undefined> {
  if (other === undefined) {
    return undefined;
  }
  const digest = await readLinkAt(other.store, tagCurrentKey(repository, tag), signal);
  if (digest === undefined) {
    return undefined;
  }
  const known = await indexOf(other.store, { repository, tag }, signal);
  if (!entries.every((entry) => known.includes(entry))) {
    return { left: 'the other store is older, for it has not seen all that the tag stood for' };
  }
  if (!agrees(content, digest)) {
    return { left: 'at the other store it stands for something else than its link here says' };
  }
  const states = [await blobs.state(digest), await other.blobs.state(digest)];
  if (states.some(({ state }) => state === 'proved')) {
    return { digest };
  }
  for (const blob of states) {
    if (blob.state === 'unread') {
      throw blob.error;
    }
  }
  return { left: 'the other store does not have the manifest for which the tag stands there' };
}

/** The digests in the index of a tag, by the names of its entries. */
async function indexOf(
  store: Driver,
  { repository, tag }: TagPath,
  signal: AbortSignal | undefined,
): Promise<Digest[]> {
  const digests: Digest[] = [];
  for await (const page of store.list(`${tagsPrefix(repository)}${tag}/index/`, { signal })) {
    for (const { key } of page) {
      const path = parsePath(key);
      if (path.kind === 'tag-index' && key === tagIndexKey(repository, tag, path.digest)) {
        digests.push(path.digest);
      }
    }
  }
  return digests;
}
