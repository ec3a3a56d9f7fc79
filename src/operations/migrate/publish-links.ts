import { type Digest, digestParts } from '../../layout/digest.ts';
import { type Reference, references } from '../../layout/manifest.ts';
import { blobDataKey, layerLinkKey, revisionLinkKey } from '../../layout/paths.ts';
import { allEnded } from '../concurrency.ts';
import {
  brokenLink,
  digestInName,
  isAlias,
  isAtTarget,
  isUsable,
  isUsableAtTarget,
  readManifest,
  readSourceLink,
} from './link-reading.ts';
import { leaveIncomplete, type LinkState, writeLink } from './link-writing.ts';
import type { PlannedCopy, RepositoryPlan } from './plan.ts';
import type { Run } from './run.ts';

/**
 * Publishes the layer links and revisions of one repository, each once, and each after all that it needs. What the
 * plan does not hold was pushed since the listing, or is at the target already: it is looked up, and followed on the spot.
 */
export class LinkPublisher {
  readonly #run: Run;
  readonly #repository: string;
  readonly #plannedLayers: Map<string, PlannedCopy>;
  readonly #plannedRevisions: Map<string, PlannedCopy>;
  /** Every link that was looked at, so that each is settled once. */
  readonly #links = new Map<string, Promise<LinkState>>();
  /** The digests to which layer links lead, where that is not what their names say. */
  readonly #aliases = new Map<string, Digest>();

  constructor(run: Run, { repository, layers, revisions }: RepositoryPlan) {
    this.#run = run;
    this.#repository = repository;
    this.#plannedLayers = new Map(layers.map((copy) => [copy.key, copy]));
    this.#plannedRevisions = new Map(revisions.map((copy) => [copy.key, copy]));
  }

  /** A layer link, or a signature or tarsum link of an old registry. */
  layer(key: string): Promise<LinkState> {
    return this.#once(key, () => this.#publishLayer(key));
  }

  revision(digest: Digest): Promise<LinkState> {
    const key = revisionLinkKey(this.#repository, digest);
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
    if (isBroken && (await leaveIncomplete(this.#run, key, brokenLink(link)))) {
      return 'incomplete';
    }
    // A manifest needs the blob that it names, whatever a broken link says.
    const digest = isBroken ? digestInName(key) : link.digest;
    if (digest === undefined) {
      return writeLink(this.#run, key, link, planned);
    }
    const behind = await this.#stateBehind(key, digest);
    if (behind === 'failed') {
      await this.#run.holdBack(key, `${digest}, to which it leads, could not be copied`);
      return 'failed';
    }
    const state = await writeLink(this.#run, key, link, planned);
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
      return this.layer(layerLinkKey(this.#repository, digest));
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
    if (link.digest !== digest && (await leaveIncomplete(this.#run, key, brokenLink(link)))) {
      return 'incomplete';
    }
    const needs = await this.#needsOf(key, digest);
    if (typeof needs === 'string') {
      return needs;
    }
    const verdict = await this.#publishNeeds(key, digest, needs);
    return verdict === 'published' ? writeLink(this.#run, key, link, planned) : verdict;
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
    return (await leaveIncomplete(this.#run, key, reason)) ? 'incomplete' : [];
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
      if (await leaveIncomplete(this.#run, key, reason)) {
        return 'incomplete';
      }
    }
    this.#keepNeeds(manifest, needs);
    return 'published';
  }

  /** What was pushed again since the plan, and is published, may be gone from the source by the time of the deletes. */
  #keepNeeds(manifest: Digest, needs: readonly Reference[]): void {
    const repository = this.#repository;
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
    return role === 'child' ? this.revision(digest) : this.layer(layerLinkKey(this.#repository, digest));
  }
}
