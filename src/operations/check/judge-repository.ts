import type { Digest } from '../../layout/digest.ts';
import type { FindingCode, FindingFacts } from '../../layout/findings.ts';
import {
  blobDataKey,
  layerLinkKey,
  revisionLinkKey,
  signatureLinkKey,
  tagCurrentKey,
  tagIndexKey,
} from '../../layout/paths.ts';
import { forEachConcurrently } from '../concurrency.ts';
import { judgeTagNames } from './judge-tag-names.ts';
import { judgeUploads } from './judge-uploads.ts';
import { linkDetail, linkProblemCode, type LinkState, readLinkFile, readNamedLink } from './links.ts';
import { ManifestGraph, type Problem, type Revision } from './manifest-graph.ts';
import { Reach } from './reach.ts';
import { listedDigest, type RepositoryListing, type TagListing } from './repository-listing.ts';
import { type CheckRun, NEEDED, REPORTED } from './run.ts';

/** How many things of a repository are looked at side by side. What they ask of the store is bounded by the run. */
const WIDTH = 256;

/**
 * Judges one repository by its listing: each manifest with all that it needs, each tag, each link, and what else lies
 * in its folder. Reports what is wrong, and for each tag whether it can be pulled whole.
 */
export async function judgeRepository(run: CheckRun, listing: RepositoryListing): Promise<void> {
  run.repositories += 1;
  const graph = new ManifestGraph(run, listing);
  const revisions = await mapInOrder([...listing.revisions.keys()], (digest) => graph.revision(digest));
  const tagged = new Set<Digest>();
  const tags = await mapInOrder([...tagsToResolve(run, graph, listing, tagged)], ([tag, links]) =>
    resolveTag(run, graph, listing.repository, tag, links),
  );
  const present = tags.filter((tag) => tag !== undefined);
  const reach = new Reach(
    [...revisions, ...present.flatMap(({ revision }) => revision ?? [])],
    [...graph.problems].flatMap((problem) => [...problem.revisions]),
  );
  for (const { tag, revision } of present) {
    reach.addTag(tag, revision);
  }
  const isTagged = (digest: Digest): boolean => tagged.has(digest) || reach.tagsOf([digest]).length > 0;
  run.untaggedManifests += revisions.filter(({ digest }) => !isTagged(digest)).length;

  for (const tag of present) {
    await reportTag(run, listing.repository, tag, reach);
  }
  await reportRevisions(run, listing.repository, revisions, reach, present);
  await reportUnneededLayers(run, graph, listing);
  for (const problem of graph.problems) {
    await reportProblem(run, problem, reach);
  }
  await judgeSignatures(run, listing);
  await judgeTagNames(run, listing);
  await judgeUploads(run, listing);
}

/** As `Promise.all` of a map, with only so much under way at once. */
async function mapInOrder<Item, Result>(
  items: readonly Item[],
  action: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  await forEachConcurrently(items.entries(), Math.min(WIDTH, items.length), async ([index, item]) => {
    results[index] = await action(item);
  });
  return results;
}

/** The same without its links, which GitLab's database has made stale. */
export async function judgeUnlinked(run: CheckRun, listing: RepositoryListing): Promise<void> {
  run.repositories += 1;
  await judgeUploads(run, listing);
}

/**
 * The tags of which there is something to say, or may be. The others are counted here, and their manifests marked as
 * tagged: a sound tag of a manifest that has nothing wrong with it, at any depth. A sound tag of one that has is
 * given to be resolved again, from what its link says now.
 */
function* tagsToResolve(
  run: CheckRun,
  graph: ManifestGraph,
  listing: RepositoryListing,
  tagged: Set<Digest>,
): Generator<[string, TagListing]> {
  const verdicts = new Map<Digest, boolean>();
  for (const { tag, digest } of listing.soundTags) {
    const revision = graph.resolved(digest);
    if (revision !== undefined && isUnremarkable(revision, verdicts)) {
      run.tags.pullable += 1;
      markTagged(revision, tagged);
    } else {
      const key = tagCurrentKey(listing.repository, tag);
      yield [tag, { current: { key, sizeBytes: 0 }, index: new Map([[digest, 'right']]) }];
    }
  }
  yield* listing.tags;
}

/**
 * Whether nothing is to be said of a manifest and of all that it leads to. Each is looked at once: indexes that share
 * children on each of n levels have 2^n ways through them, which whoever may push can make.
 * @param verdicts those so far.
 */
function isUnremarkable(revision: Revision, verdicts: Map<Digest, boolean>): boolean {
  const { digest, via, kind, problems, children, unread } = revision;
  const known = verdicts.get(digest);
  if (known !== undefined) {
    return known;
  }
  const verdict =
    via === 'revision' &&
    kind !== undefined &&
    kind !== 'schema1' &&
    problems.length === 0 &&
    !unread &&
    children.every((child) => isUnremarkable(child, verdicts));
  verdicts.set(digest, verdict);
  return verdict;
}

function markTagged(revision: Revision, tagged: Set<Digest>): void {
  if (!tagged.has(revision.digest)) {
    tagged.add(revision.digest);
    for (const child of revision.children) {
      markTagged(child, tagged);
    }
  }
}

interface ResolvedTag {
  tag: string;
  digest?: Digest;
  /** Absent where the link does not lead to a manifest's digest. */
  revision?: Revision;
  /** Of its own link, as opposed to those of what it stands for. */
  ownProblem?: Problem;
  unread: boolean;
}

/** Undefined for a tag that was deleted since it was listed. */
async function resolveTag(
  run: CheckRun,
  graph: ManifestGraph,
  repository: string,
  tag: string,
  { current, index }: TagListing,
): Promise<ResolvedTag | undefined> {
  const key = tagCurrentKey(repository, tag);
  const told = listedDigest(current, index);
  const link: LinkState =
    told === undefined ? await readLinkFile(run, { key, listed: current }) : { state: 'valid', digest: told };
  await judgeTagIndex(run, graph, repository, tag, index);
  switch (link.state) {
    case 'unread':
      return { tag, unread: true };
    case 'absent': {
      if (current !== undefined) {
        return undefined;
      }
      run.doubtOrphans('a tag has lost its current link, so that what it stands for is not known');
      const detail = `the tag has ${index.size} ${index.size === 1 ? 'entry' : 'entries'} in its index and no current link`;
      const facts = { code: 'tag-current-missing' as const, detail, paths: [key], repository, tags: [tag] };
      return { tag, ownProblem: graph.problem(facts, undefined), unread: false };
    }
    case 'broken': {
      run.doubtOrphans('the link of a tag is broken, so that what it stands for is not known');
      const code = link.link.problem === 'empty' ? 'tag-link-empty' : 'tag-link-invalid';
      const facts: FindingFacts = { code, detail: linkDetail(link), paths: [key], repository, tags: [tag] };
      return { tag, ownProblem: graph.problem(facts, undefined), unread: false };
    }
    case 'valid':
      return resolveValidTag(run, graph, repository, tag, link.digest, index);
  }
}

async function resolveValidTag(
  run: CheckRun,
  graph: ManifestGraph,
  repository: string,
  tag: string,
  digest: Digest,
  index: TagListing['index'],
): Promise<ResolvedTag> {
  run.blobs.flag(digest, NEEDED);
  const revision = await graph.revision(digest);
  const indexKey = tagIndexKey(repository, tag, digest);
  if (!index.has(digest) && (await readLinkFile(run, { key: indexKey })).state === 'absent') {
    const detail = `the index of the tag has no entry for ${digest}, for which it stands`;
    await run.report({
      code: 'tag-index-missing',
      detail,
      paths: [indexKey],
      repository,
      tags: [tag],
      digest,
    });
  }
  if (revision.via !== 'nowhere') {
    return { tag, digest, revision, unread: revision.unread };
  }
  run.doubtOrphans('a tag stands for a manifest that its repository does not have');
  const ownProblem = graph.problem(
    {
      code: 'tag-revision-missing',
      detail: `the tag stands for ${digest}, ${await graph.blobWords(digest)}`,
      paths: [revisionLinkKey(repository, digest), tagCurrentKey(repository, tag), blobDataKey(digest)],
      repository,
      digest,
      tags: [],
    },
    undefined,
  );
  ownProblem.facts.tags = [...(ownProblem.facts.tags ?? []), tag];
  return { tag, digest, ownProblem, unread: false };
}

/** What a registry keeps beside a tag and seldom reads: nothing here keeps anybody from pulling. */
async function judgeTagIndex(
  run: CheckRun,
  graph: ManifestGraph,
  repository: string,
  tag: string,
  index: TagListing['index'],
): Promise<void> {
  await Promise.all(
    [...index].map(async ([digest, listed]) => {
      const key = tagIndexKey(repository, tag, digest);
      const link = await readNamedLink(run, { key, listed, expected: digest });
      const facts = { paths: [key], repository, tags: [tag], digest };
      if (linkProblemCode(link, digest) !== undefined) {
        await run.report({ ...facts, code: 'tag-index-broken', detail: linkDetail(link) });
      } else if (link.state === 'valid' && (await graph.revisionLink(digest)).state === 'absent') {
        await run.report({
          ...facts,
          code: 'tag-index-dangling',
          detail: 'the repository does not have the manifest that the entry is of',
        });
      }
    }),
  );
}

async function reportTag(
  run: CheckRun,
  repository: string,
  { tag, digest, revision, ownProblem, unread }: ResolvedTag,
  reach: Reach,
): Promise<void> {
  const closure = revision === undefined ? [] : [...reach.closure(revision)];
  const problems = [
    ...(ownProblem === undefined ? [] : [ownProblem]),
    ...closure.flatMap(({ problems }) => problems),
  ];
  const codes: FindingCode[] = [
    ...new Set(problems.filter(({ heals }) => !(run.isCache && heals)).map(({ facts }) => facts.code)),
  ];
  const isUnknown = unread || closure.some((member) => member.unread);
  await run.tag({
    repository,
    tag,
    state: codes.length > 0 ? 'not-pullable' : isUnknown ? 'unknown' : 'pullable',
    ...(digest !== undefined && { digest }),
    codes,
  });
}

/** What does not keep a manifest from being pulled. */
async function reportRevisions(
  run: CheckRun,
  repository: string,
  listed: readonly Revision[],
  reach: Reach,
  tags: readonly ResolvedTag[],
): Promise<void> {
  const tagged = tags.flatMap(({ revision }) => (revision === undefined ? [] : [...reach.closure(revision)]));
  const isRemarkable = ({ via, kind }: Revision): boolean => kind === 'schema1' || via === 'layer';
  for (const revision of new Set([...listed.filter(isRemarkable), ...tagged.filter(isRemarkable)])) {
    const { digest, via, kind } = revision;
    const facts = { repository, digest, tags: reach.tagsOf([digest]) };
    if (kind === 'schema1') {
      const detail = 'its schema version is 1';
      await run.report({ ...facts, code: 'manifest-schema1', detail, paths: [blobDataKey(digest)] });
    }
    if (via === 'layer' && kind !== undefined) {
      const detail = 'it has a layer link and no revision link';
      const paths = [revisionLinkKey(repository, digest), layerLinkKey(repository, digest)];
      await run.report({ ...facts, code: 'manifest-linked-as-layer', detail, paths });
    }
  }
}

/** Layer links that no manifest needs: a broken one breaks a later push of that layer. */
async function reportUnneededLayers(
  run: CheckRun,
  graph: ManifestGraph,
  { repository, layers }: RepositoryListing,
): Promise<void> {
  const doubtful = [...layers.keys()].filter(
    (digest) => !graph.needed.has(digest) && !graph.isServedAsListed(digest),
  );
  await mapInOrder(doubtful, async (digest) => {
    const { linkProblem, target, sizeBytes, unread } = await graph.served(digest);
    const facts = { repository, digest };
    if (linkProblem !== undefined && linkProblem.code !== 'layer-link-missing') {
      const { code, detail, key } = linkProblem;
      graph.problem({ ...facts, code, detail, paths: [key] }, undefined);
    }
    if (target === undefined || unread) {
      return;
    }
    const paths = [blobDataKey(target), layerLinkKey(repository, digest)];
    const bad = sizeBytes === undefined ? undefined : graph.badContent(target, sizeBytes);
    if (bad !== undefined && sizeBytes !== undefined) {
      graph.problem({ ...facts, ...bad, paths, sizeBytes }, undefined, false);
    } else if (sizeBytes === undefined && linkProblem === undefined) {
      const detail = 'the blob that it leads to is not in the store';
      await run.report({ ...facts, code: 'layer-link-dangling', detail, paths: paths.toReversed() });
    }
  });
}

async function reportProblem(
  run: CheckRun,
  { facts, revisions, heals }: Problem,
  reach: Reach,
): Promise<void> {
  const tags = [...new Set([...(facts.tags ?? []), ...reach.tagsOf(revisions)])].sort();
  const complete = { ...facts, tags, revisions: reach.dependentsOf(revisions) };
  if (facts.digest !== undefined && CONTENT_CODES.has(facts.code)) {
    run.blobs.flag(facts.digest, REPORTED);
  }
  await (run.isCache && heals ? run.reportHealing(complete) : run.report(complete));
}

const CONTENT_CODES: ReadonlySet<FindingCode> = new Set([
  'blob-empty',
  'blob-size-wrong',
  'blob-corrupt',
  'manifest-empty',
  'manifest-corrupt',
]);

/** Signatures were read by registries up to 2.4. Their blobs are not taken for orphans. */
async function judgeSignatures(run: CheckRun, { repository, signatures }: RepositoryListing): Promise<void> {
  await Promise.all(
    signatures.map(async ({ revision, digest, listed }) => {
      run.blobs.flag(digest, NEEDED);
      const key = signatureLinkKey(repository, revision, digest);
      const link = await readNamedLink(run, { key, listed, expected: digest });
      if (linkProblemCode(link, digest) !== undefined) {
        const facts = { paths: [key], repository, digest };
        await run.report({ ...facts, code: 'signature-link-broken', detail: linkDetail(link) });
      }
    }),
  );
}
