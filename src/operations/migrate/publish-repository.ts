import { type Digest, digestParts } from '../../layout/digest.ts';
import { type Reference, references } from '../../layout/manifest.ts';
import { blobDataKey, layerLinkKey, parsePath, revisionLinkKey, tagCurrentKey } from '../../layout/paths.ts';
import { allEnded } from '../concurrency.ts';
import {
  brokenLink,
  digestAtTarget,
  digestInName,
  isAlias,
  isAtSource,
  isAtTarget,
  isUsable,
  isUsableAtTarget,
  readManifest,
  readSourceLink,
  type SourceLink,
} from './link-reading.ts';
import type { PlannedCopy, RepositoryPlan } from './plan.ts';
import type { Run } from './run.ts';

/**
 * What a link is after publishing was tried.
 * - `published`: at the target, and so is all that it needs.
 * - `missing`: the source does not have it.
 * - `incomplete`: the source has it, but lacks something that it needs. Not published.
 * - `failed`: it, or something that it needs, could not be copied. Not published.
 */
type LinkState = 'published' | 'missing' | 'incomplete' | 'failed';

/** A part of publishing. It waits by itself for what must be at the target before it. */
export type Step = () => Promise<unknown>;

/**
 * Publishes what differs in one repository, so that the target can be pulled from at every instant:
 * layer links, then revisions (each after all that its manifest names, children before their index), then of each
 * tag its index links, and then the tag itself. What a link needs and the plan does not hold was pushed since
 * the listing, or is at the target already: it is looked up, and followed on the spot.
 *
 * Gives the steps of that, to be begun in this order, any number of them at once. A step waits for what its own link
 * needs, and for nothing else: a revision does not wait for the layers of another, nor a tag for another tag, so that
 * a repository takes four answers of a distant store, however many others are published beside it.
 */
export function publishingSteps(run: Run, plan: RepositoryPlan): Iterable<Step> {
  return new RepositoryPublisher(run, plan).steps();
}

class RepositoryPublisher {
  readonly #run: Run;
  readonly #plan: RepositoryPlan;
  readonly #plannedLayers: Map<string, PlannedCopy>;
  readonly #plannedRevisions: Map<string, PlannedCopy>;
  /** Every link that was looked at, so that each is settled once. */
  readonly #links = new Map<string, Promise<LinkState>>();
  /** The digests to which layer links lead, where that is not what their names say. */
  readonly #aliases = new Map<string, Digest>();

  constructor(run: Run, plan: RepositoryPlan) {
    this.#run = run;
    this.#plan = plan;
    this.#plannedLayers = new Map(plan.layers.map((copy) => [copy.key, copy]));
    this.#plannedRevisions = new Map(plan.revisions.map((copy) => [copy.key, copy]));
  }

  *steps(): Generator<Step> {
    const { layers, revisions, tagIndexes, tagCurrents } = this.#plan;
    for (const { key } of layers) {
      yield () => this.#layer(key);
    }
    for (const { key } of revisions) {
      const path = parsePath(key);
      if (path.kind === 'revision-link') {
        yield () => this.#revision(path.digest);
      }
    }
    const indexesByTag = byTag(tagIndexes);
    for (const copy of tagCurrents) {
      const decision = once(() => this.#decideTag(copy));
      const indexes = this.#indexSteps(indexesByTag.get(copy.key), decision);
      indexesByTag.delete(copy.key);
      yield* indexes;
      yield () => this.#publishTag(copy, decision, indexes);
    }
    for (const [key, links] of indexesByTag) {
      const decision = once(() => this.#tagAtTarget(key));
      yield* this.#indexSteps(links, decision);
    }
  }

  #indexSteps(links: PlannedCopy[] = [], decision: () => Promise<TagDecision>): Step[] {
    return links.map((copy) => once(() => this.#publishTagIndex(copy, decision)));
  }

  /** A layer link, or a signature or tarsum link of an old registry. */
  #layer(key: string): Promise<LinkState> {
    return this.#once(key, () => this.#publishLayer(key));
  }

  #revision(digest: Digest): Promise<LinkState> {
    const key = revisionLinkKey(this.#plan.repository, digest);
    return this.#once(key, () => this.#publishRevision(key, digest));
  }

  #once(key: string, publish: () => Promise<LinkState>): Promise<LinkState> {
    const known = this.#links.get(key) ?? publish();
    this.#links.set(key, known);
    return known;
  }

  async #publishLayer(key: string): Promise<LinkState> {
    const planned = this.#plannedLayers.get(key);
    const there = planned === undefined ? await isUsableAtTarget(this.#run, key) : 'missing';
    if (there !== 'missing') {
      return there === 'published' ? this.#stateOfLinkAtTarget(key) : there;
    }
    const link = await readSourceLink(this.#run, key, planned);
    if (typeof link === 'string') {
      return link;
    }
    const isBroken = !isUsable(key, link.digest);
    if (isBroken && (await this.#leaveIncomplete(key, brokenLink(link)))) {
      return 'incomplete';
    }
    // A manifest needs the blob that it names, whatever a broken link says.
    const digest = isBroken ? digestInName(key) : link.digest;
    if (digest === undefined) {
      return this.#writeLink(key, link, planned);
    }
    const behind = await this.#stateBehind(key, digest);
    if (behind === 'failed') {
      await this.#run.holdBack(key, `${digest}, to which it leads, could not be copied`);
      return 'failed';
    }
    const state = await this.#writeLink(key, link, planned);
    if (behind !== 'published' && state === 'published') {
      // A layer link without a blob is what garbage collection leaves, and harms nobody (facts A5).
      this.#run.tally.dangling += 1;
      return 'incomplete';
    }
    return state;
  }

  /** The link is at the target; what it is worth depends on what it leads to. */
  async #stateOfLinkAtTarget(key: string): Promise<LinkState> {
    const name = digestInName(key);
    if (name === undefined) {
      return 'published';
    }
    const link =
      digestParts(name).algorithm === 'sha256' ? 'missing' : await readSourceLink(this.#run, key, undefined);
    if (link === 'failed') {
      return link;
    }
    return this.#stateBehind(key, link !== 'missing' && isAlias(name, link.digest) ? link.digest : name);
  }

  /** What a layer link leads to: the blob of its name, or another link, through which a registry looks for the blob. */
  async #stateBehind(key: string, digest: Digest): Promise<LinkState> {
    const name = digestInName(key);
    if (name !== undefined && isAlias(name, digest)) {
      if (this.#run.hasDoomed) {
        this.#aliases.set(key, digest);
      }
      return this.#layer(layerLinkKey(this.#plan.repository, digest));
    }
    const blob = await this.#run.ensureBlob(digest);
    return blob === 'present' ? 'published' : blob === 'missing' ? 'incomplete' : 'failed';
  }

  async #publishRevision(key: string, digest: Digest): Promise<LinkState> {
    const planned = this.#plannedRevisions.get(key);
    const there = planned === undefined ? await isAtTarget(this.#run, key) : 'missing';
    if (there === 'failed') {
      return there;
    }
    if (there === 'published') {
      // Who wrote it may have kept no order: other tools do not. A tag relies on all that it needs.
      const needs = await this.#needsOf(key, digest);
      return typeof needs === 'string' ? needs : this.#publishNeeds(key, digest, needs);
    }
    const link = await readSourceLink(this.#run, key, planned);
    if (typeof link === 'string') {
      return link;
    }
    if (link.digest !== digest && (await this.#leaveIncomplete(key, brokenLink(link)))) {
      return 'incomplete';
    }
    const needs = await this.#needsOf(key, digest);
    if (typeof needs === 'string') {
      return needs;
    }
    const verdict = await this.#publishNeeds(key, digest, needs);
    return verdict === 'published' ? this.#writeLink(key, link, planned) : verdict;
  }

  /** What a manifest names; or, when it cannot be read, the state of its revision, already counted. */
  async #needsOf(key: string, digest: Digest): Promise<Reference[] | LinkState> {
    const blob = await this.#run.ensureBlob(digest);
    if (blob === 'failed') {
      await this.#run.holdBack(key, `its manifest's blob ${digest} could not be copied`);
      return 'failed';
    }
    const manifest = blob === 'present' ? await readManifest(this.#run, key, digest) : undefined;
    if (manifest === 'failed') {
      return 'failed';
    }
    if (manifest?.ok === true) {
      return references(manifest);
    }
    const reason =
      manifest === undefined
        ? `its manifest's blob ${digest} is not at the source`
        : `its manifest cannot be used: ${manifest.detail}`;
    return (await this.#leaveIncomplete(key, reason)) ? 'incomplete' : [];
  }

  async #publishNeeds(key: string, manifest: Digest, needs: Reference[]): Promise<LinkState> {
    const states = await allEnded(
      needs.map(async (reference) => ({ reference, state: await this.#stateOf(reference) })),
    );
    const failed = states.find(({ state }) => state === 'failed');
    if (failed !== undefined) {
      await this.#run.holdBack(
        key,
        `the ${failed.reference.role} ${failed.reference.digest} that it needs could not be copied`,
      );
      return 'failed';
    }
    const lacking = states.find(({ state, reference }) => state !== 'published' && reference.required);
    if (lacking !== undefined) {
      const { role, digest } = lacking.reference;
      const reason = `the ${role} ${digest} that it needs is missing or incomplete at the source`;
      if (await this.#leaveIncomplete(key, reason)) {
        return 'incomplete';
      }
    }
    this.#keepNeeds(manifest, needs);
    return 'published';
  }

  /** What was pushed again since the plan, and is published, may be gone from the source by the time of the deletes. */
  #keepNeeds(manifest: Digest, needs: readonly Reference[]): void {
    const { repository } = this.#plan;
    this.#run.need(blobDataKey(manifest));
    for (const { role, digest } of this.#run.hasDoomed ? needs : []) {
      const key = role === 'child' ? revisionLinkKey(repository, digest) : layerLinkKey(repository, digest);
      this.#run.need(key);
      const alias = this.#aliases.get(key);
      this.#run.need(blobDataKey(alias ?? digest));
      if (alias !== undefined) {
        this.#run.need(layerLinkKey(repository, alias));
      }
    }
  }

  #stateOf({ role, digest }: Reference): Promise<LinkState> {
    return role === 'child'
      ? this.#revision(digest)
      : this.#layer(layerLinkKey(this.#plan.repository, digest));
  }

  /** Leaves out what the source cannot serve either, unless the operator wants it copied as it is. Tells which. */
  async #leaveIncomplete(key: string, reason: string): Promise<boolean> {
    if (this.#run.includeIncomplete) {
      return false;
    }
    await this.#run.leaveIncomplete(key, reason);
    return true;
  }

  /** A registry lists each tag folder: index links alone would show a tag that cannot be pulled. */
  async #publishTagIndex(copy: PlannedCopy, decision: () => Promise<TagDecision>): Promise<void> {
    const { key } = copy;
    const path = parsePath(key);
    const link = await readSourceLink(this.#run, key, copy);
    if (path.kind !== 'tag-index' || typeof link === 'string') {
      return;
    }
    const tag = await decision();
    if (tag.link === undefined && !tag.isAtTarget) {
      if (tag.isAbsent === true) {
        await this.#run.leaveIncomplete(key, 'its tag has no `current` link at the source');
        return;
      }
      // Named in the report only: it is the tag that counts.
      const reason = tag.isBroken ? 'its tag cannot be pulled at the source' : 'its tag was not published';
      await this.#run.record(key, { action: 'hold-back', outcome: 'held-back', reason });
      return;
    }
    if (link.digest !== path.digest && (await this.#leaveIncomplete(key, brokenLink(link)))) {
      return;
    }
    const revision = await this.#revision(path.digest);
    if (revision === 'failed') {
      await this.#run.holdBack(key, `the revision ${path.digest} was not published`);
      return;
    }
    if (revision === 'incomplete') {
      const reason = `the revision ${path.digest} is incomplete at the source`;
      await this.#run.record(key, { action: 'hold-back', outcome: 'held-back', reason });
      return;
    }
    // Deleting a manifest leaves the index links of tags that once stood for it; they harm nobody.
    this.#run.tally.dangling += revision === 'missing' ? 1 : 0;
    await this.#writeLink(key, link, copy);
  }

  /** Of a tag whose `current` link is not in the plan: it is equal on both sides, or the source had none. */
  async #tagAtTarget(key: string): Promise<TagDecision> {
    const state = await isAtTarget(this.#run, key);
    if (this.#run.includeIncomplete || state === 'published') {
      return { link: undefined, isAtTarget: true, isBroken: false };
    }
    // A push that was under way when this was listed has written it by now, and the next run copies it.
    const isAbsent = state === 'missing' && (await isAtSource(this.#run, key)) === 'missing';
    return { link: undefined, isAtTarget: false, isBroken: false, isAbsent };
  }

  /** The tag is read again: it may have moved since it was listed, and what it stands for now is published. */
  async #decideTag(copy: PlannedCopy): Promise<TagDecision> {
    const { key } = copy;
    const isAtTarget = copy.reason !== 'missing';
    const withheld = { link: undefined, isAtTarget, isBroken: false };
    const link = await readSourceLink(this.#run, key, copy);
    if (typeof link === 'string') {
      return withheld;
    }
    if (link.digest === undefined) {
      const isLeft = await this.#leaveIncomplete(key, brokenLink(link));
      return isLeft ? { ...withheld, isBroken: true } : { link, isAtTarget, isBroken: true };
    }
    const revision = await this.#revision(link.digest);
    if (revision === 'failed') {
      await this.#run.holdBack(key, `the revision ${link.digest} was not published`);
      return withheld;
    }
    if (revision !== 'published') {
      const reason = `the revision ${link.digest} that it stands for is missing or incomplete at the source`;
      if (await this.#leaveIncomplete(key, reason)) {
        return { ...withheld, isBroken: true };
      }
    }
    this.#run.need(revisionLinkKey(this.#plan.repository, link.digest));
    return { link, isAtTarget, isBroken: false };
  }

  /** The tag itself comes behind its index links, as the registry writes it. */
  async #publishTag(
    copy: PlannedCopy,
    decision: () => Promise<TagDecision>,
    indexes: readonly Step[],
  ): Promise<void> {
    const { link, isAtTarget } = await decision();
    if (link === undefined) {
      return;
    }
    const [formerDigest] = await allEnded([
      isAtTarget ? digestAtTarget(this.#run, copy.key) : undefined,
      ...indexes.map((published) => published()),
    ]);
    const { digest } = link;
    await this.#writeLink(copy.key, link, copy, {
      ...(digest === undefined ? {} : { digest }),
      ...(formerDigest === undefined ? {} : { formerDigest }),
    });
  }

  async #writeLink(
    key: string,
    { content, sizeBytes }: SourceLink,
    planned: PlannedCopy | undefined,
    about: { digest?: string; formerDigest?: string } = {},
  ): Promise<LinkState> {
    const { target, signal, limit } = this.#run;
    const write = () => target.write(key, content, { signal });
    const outcome = await this.#run.attempt(
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
}

/** What is to become of a tag at the target. */
interface TagDecision {
  /** What to write, or undefined when the tag is not published in this run. */
  link: SourceLink | undefined;
  /** The target shows the tag already. */
  isAtTarget: boolean;
  /** It cannot be pulled at the source either. */
  isBroken: boolean;
  /** The source has only its index links, which nothing else speaks of. */
  isAbsent?: boolean;
}

/** Index links by the key of the tag that they belong to. */
function byTag(tagIndexes: readonly PlannedCopy[]): Map<string, PlannedCopy[]> {
  const links = new Map<string, PlannedCopy[]>();
  for (const copy of tagIndexes) {
    const path = parsePath(copy.key);
    if (path.kind === 'tag-index') {
      const key = tagCurrentKey(path.repository, path.tag);
      const known = links.get(key);
      if (known === undefined) {
        links.set(key, [copy]);
      } else {
        known.push(copy);
      }
    }
  }
  return links;
}

/** Begins when it is first called, and gives the same promise ever after. */
function once<T>(action: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => (result ??= action());
}
