import type { Driver } from '../../drivers/driver.ts';
import { type Digest, digestParts } from '../../layout/digest.ts';
import { describeFinding, type Finding, type FindingCode } from '../../layout/findings.ts';
import { blobDataKey, layerLinkKey, parsePath, revisionLinkKey } from '../../layout/paths.ts';
import type { BlobState } from './blobs.ts';
import { decideTag } from './decide-tag.ts';
import { readLinkAt } from './link-files.ts';
import { type LeftFinding, quarantineKey } from './steps.ts';
import { type Deciding, type Decision, writeLink } from './write-link.ts';

/** The kinds of findings that can be mended; of others it is only said what to do. */
export function isMendable(code: FindingCode): boolean {
  return LINKS.has(code) || MISSING.has(code) || CORRUPT.has(code) || TAGS.has(code);
}

/** A finding about links, or about what only links lead to. */
export function concernsLinks(code: FindingCode): boolean {
  return LINKS.has(code) || MISSING.has(code) || TAGS.has(code);
}

const LINKS: ReadonlySet<FindingCode> = new Set([
  'layer-link-empty',
  'layer-link-invalid',
  'layer-link-mismatch',
  'layer-link-missing',
  'revision-link-empty',
  'revision-link-invalid',
  'revision-link-mismatch',
  'tag-revision-missing',
  'child-manifest-missing',
  'manifest-linked-as-layer',
  'tag-index-missing',
  'tag-index-broken',
]);
const MISSING: ReadonlySet<FindingCode> = new Set([
  'manifest-blob-missing',
  'config-blob-missing',
  'layer-blob-missing',
]);
const CORRUPT: ReadonlySet<FindingCode> = new Set([
  'manifest-empty',
  'manifest-corrupt',
  'blob-empty',
  'blob-size-wrong',
  'blob-corrupt',
]);
const TAGS: ReadonlySet<FindingCode> = new Set(['tag-link-empty', 'tag-link-invalid', 'tag-current-missing']);
/** A revision link is made anew only for what is a manifest. */
const NEW_REVISION: ReadonlySet<FindingCode> = new Set([
  'tag-revision-missing',
  'child-manifest-missing',
  'manifest-linked-as-layer',
]);

/** Decides what mends a finding of one of the kinds that can be mended. */
export async function decide(found: Finding, deciding: Deciding): Promise<Decision> {
  const path = parsePath(found.paths[0] ?? '');
  if (TAGS.has(found.code)) {
    return path.kind === 'tag-current' ? decideTag(found, path, deciding) : { left: remedyOf(found) };
  }
  if (path.kind === 'blob-data') {
    return CORRUPT.has(found.code)
      ? decideCorrupt(found, path.digest, deciding)
      : fetchOr(found, path.digest, deciding, 'its bytes are not in the store');
  }
  if (path.kind === 'layer-link' || path.kind === 'revision-link' || path.kind === 'tag-index') {
    return decideLink(found, path, deciding);
  }
  return { left: remedyOf(found) };
}

export function leave(found: Finding, reason: string): LeftFinding {
  const { code, severity, paths, repository, tags } = found;
  return { code, severity, key: paths[0] ?? '', repository, tags, reason };
}

function remedyOf({ code }: Finding): string {
  return describeFinding(code).remedy;
}

interface LinkPath {
  kind: 'layer-link' | 'revision-link' | 'tag-index';
  repository: string;
  digest: Digest;
}

/** The content of these links follows from their own path, but for what was pushed by another hash than SHA-256. */
async function decideLink(found: Finding, path: LinkPath, deciding: Deciding): Promise<Decision> {
  const { digest, kind, repository } = path;
  if (kind === 'layer-link' && digestParts(digest).algorithm !== 'sha256') {
    return decideAlias(found, repository, digest, deciding);
  }
  const blob = await deciding.blobs.state(digest);
  if (blob.state !== 'proved') {
    return decideUnproved(found, digest, deciding, blob);
  }
  if (NEW_REVISION.has(found.code) && (await deciding.blobs.manifest(digest)) === undefined) {
    return { left: 'the blob of that digest is no manifest' };
  }
  if (kind === 'tag-index' && found.code === 'tag-index-missing') {
    const revision = await readLinkAt(deciding.store, revisionLinkKey(repository, digest), deciding.signal);
    if (revision !== digest) {
      return { left: 'the repository does not have the manifest, so an entry for it would dangle' };
    }
  }
  return writeLink(found, digest, deciding);
}

async function decideUnproved(
  found: Finding,
  digest: Digest,
  deciding: Deciding,
  blob: Unproved,
): Promise<Decision> {
  switch (blob.state) {
    case 'missing':
      return fetchOr(found, digest, deciding, 'the blob that it is of is not in the store');
    case 'corrupt':
      return decideCorrupt(found, digest, deciding);
    case 'unread':
      throw blob.error;
  }
}

/** A blob that was pushed by its SHA-512 is stored under its SHA-256, which only the other store's link tells. */
async function decideAlias(
  found: Finding,
  repository: string,
  digest: Digest,
  deciding: Deciding,
): Promise<Decision> {
  const { other, blobs, signal } = deciding;
  const target =
    other === undefined ? undefined : await readLinkAt(other.store, layerLinkKey(repository, digest), signal);
  if (target === undefined || !target.startsWith('sha256:')) {
    return { left: 'it was pushed by another hash than SHA-256, and what it is stored under cannot be told' };
  }
  const blob = await blobs.state(target);
  if (blob.state === 'unread') {
    throw blob.error;
  }
  if (blob.state !== 'proved') {
    return fetchOr(found, target, deciding, 'the blob that it leads to is not in the store');
  }
  const actual = await blobs.hash(target, digestParts(digest).algorithm);
  return actual === digest
    ? writeLink(found, target, deciding)
    : { left: 'the other store leads to a blob of another digest' };
}

/** A missing blob is fetched, if there is a store that has it. */
async function fetchOr(found: Finding, digest: Digest, deciding: Deciding, why: string): Promise<Decision> {
  if (deciding.other === undefined) {
    return { left: `${why}: --from another store that has it, or push the image again` };
  }
  const source = await deciding.other.blobs.state(digest);
  if (source.state !== 'proved') {
    return { left: `${why}, and ${atOther(source)}` };
  }
  return { step: fetchStep(found, digest, source.sizeBytes, deciding.other.store) };
}

async function decideCorrupt(found: Finding, digest: Digest, deciding: Deciding): Promise<Decision> {
  const { blobs, other, choices } = deciding;
  const blob = await blobs.state(digest);
  if (blob.state === 'missing') {
    return fetchOr(found, digest, deciding, 'its bytes are not in the store');
  }
  if (blob.state === 'unread') {
    throw blob.error;
  }
  if (blob.state === 'proved') {
    return { left: 'its bytes have its digest, so that what names it is wrong: push the image again' };
  }
  const { actual, sizeBytes } = blob;
  const corrupt = { actual, sizeBytes, quarantineKey: quarantineKey(blobDataKey(digest), actual) };
  let notFetched = '';
  if (other !== undefined) {
    const source = await other.blobs.state(digest);
    if (source.state === 'proved') {
      const step = fetchStep(found, digest, source.sizeBytes, other.store);
      const reason = `${step.reason}, and keep the corrupt one at ${corrupt.quarantineKey}`;
      return { step: { ...step, replaces: corrupt, reason } };
    }
    notFetched = `, and ${atOther(source)}`;
  }
  if (!choices.quarantine) {
    return {
      left: `its bytes do not have its digest${notFetched}: --quarantine moves it aside, so that a push can heal it${other === undefined ? '; --from fetches it from another store' : ''}`,
    };
  }
  const reason = `move the corrupt blob to ${corrupt.quarantineKey}`;
  return { step: { kind: 'quarantine', ...blobStep(found, digest), corrupt, reason } };
}

function fetchStep(found: Finding, digest: Digest, sizeBytes: number, other: Driver) {
  const reason = `copy the blob from ${other.location}`;
  return { kind: 'fetch' as const, ...blobStep(found, digest), sizeBytes, reason };
}

/** What steps that mend a blob have in common. Further repositories come with further findings. */
function blobStep({ code, repository, tags }: Finding, digest: Digest) {
  const repositories = new Set(repository === undefined ? [] : [repository]);
  return { key: blobDataKey(digest), code, repository, repositories, tags, digest };
}

type Unproved = Exclude<BlobState, { state: 'proved' }>;

/**
 * Why the other store cannot help.
 * @throws DriverError where it may, and did not give the blob: then nothing is done in place of fetching it either.
 */
function atOther(blob: Unproved): string {
  switch (blob.state) {
    case 'missing':
      return 'the other store does not have it either: push the image again';
    case 'corrupt':
      return 'the other store has it corrupt, too: push the image again';
    case 'unread':
      throw blob.error;
  }
}
