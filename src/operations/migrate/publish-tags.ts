import { parsePath, revisionLinkKey, tagCurrentKey } from '../../layout/paths.ts';
import { allEnded } from '../concurrency.ts';
import {
  brokenLink,
  digestAtTarget,
  isAtSource,
  isAtTarget,
  readSourceLink,
  type SourceLink,
} from './link-reading.ts';
import { leaveIncomplete, writeLink } from './link-writing.ts';
import type { PlannedCopy, RepositoryPlan } from './plan.ts';
import type { LinkPublisher } from './publish-links.ts';
import type { Run } from './run.ts';

/** A part of publishing. It waits by itself for what must be at the target before it. */
export type Step = () => Promise<unknown>;

/** Publishes the tags of one repository: the index links of each, and then the tag itself. */
export class TagPublisher {
  readonly #run: Run;
  readonly #repository: string;
  readonly #links: LinkPublisher;

  constructor(run: Run, repository: string, links: LinkPublisher) {
    this.#run = run;
    this.#repository = repository;
    this.#links = links;
  }

  *steps({ tagIndexes, tagCurrents }: RepositoryPlan): Generator<Step> {
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
    if (link.digest !== path.digest && (await leaveIncomplete(this.#run, key, brokenLink(link)))) {
      return;
    }
    const revision = await this.#links.revision(path.digest);
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
    await writeLink(this.#run, key, link, copy);
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
      const isLeft = await leaveIncomplete(this.#run, key, brokenLink(link));
      return isLeft ? { ...withheld, isBroken: true } : { link, isAtTarget, isBroken: true };
    }
    const revision = await this.#links.revision(link.digest);
    if (revision === 'failed') {
      await this.#run.holdBack(key, `the revision ${link.digest} was not published`);
      return withheld;
    }
    if (revision !== 'published') {
      const reason = `the revision ${link.digest} that it stands for is missing or incomplete at the source`;
      if (await leaveIncomplete(this.#run, key, reason)) {
        return { ...withheld, isBroken: true };
      }
    }
    this.#run.need(revisionLinkKey(this.#repository, link.digest));
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
    await writeLink(this.#run, copy.key, link, copy, {
      ...(digest === undefined ? {} : { digest }),
      ...(formerDigest === undefined ? {} : { formerDigest }),
    });
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
