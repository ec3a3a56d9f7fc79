import { type Digest, EMPTY_BLOB_DIGEST } from '../../layout/digest.ts';
import type { FindingCode, FindingFacts } from '../../layout/findings.ts';
import { type Manifest, type Reference, references } from '../../layout/manifest.ts';
import { blobDataKey, layerLinkKey, revisionLinkKey } from '../../layout/paths.ts';
import { linkDetail, linkProblemCode, type LinkState, readLinkFile } from './links.ts';
import { readManifest } from './manifests.ts';
import type { RepositoryListing } from './repository-listing.ts';
import { type CheckRun, NEEDED } from './run.ts';

/** Something wrong, and the manifests of the repository that it hurts at first hand. */
export interface Problem {
  facts: FindingFacts;
  revisions: Set<Digest>;
  /** A pull-through cache heals it by fetching again. */
  heals: boolean;
}

/** A manifest as the registry would serve it from this repository. */
export interface Revision {
  digest: Digest;
  /** Through which link the registry finds it. */
  via: 'revision' | 'layer' | 'nowhere' | 'unread';
  /** Absent where its bytes cannot be used. */
  kind?: Manifest['kind'];
  problems: Problem[];
  children: Revision[];
  /** Something that it needs could not be read. */
  unread: boolean;
}

/** What the registry answers when a blob is asked for through the repository. */
export interface ServedBlob {
  /** Set unless the link leads to one blob, as it should. */
  linkProblem?: { code: LayerLinkCode; detail: string; key: string };
  /** The blob that is served, or would be if the link were mended. Undefined where that cannot be known. */
  target?: Digest;
  /** Undefined: it is not in the store. */
  sizeBytes?: number;
  unread: boolean;
}

type LayerLinkCode = Extract<FindingCode, `layer-link-${string}`>;

/**
 * The manifests of one repository and what they need, looked up as Docker Distribution 2.8 does: a manifest by its
 * revision link or else by a layer link of its digest (`linkedBlobStatter`, the link functions of `Manifests`),
 * everything else by its layer link. Each is looked at once.
 */
export class ManifestGraph {
  /** The configs and layers that its manifests need. */
  readonly needed = new Set<Digest>();
  readonly #run: CheckRun;
  readonly #listing: RepositoryListing;
  readonly #problems = new Map<string, Problem>();
  readonly #revisions = new Map<Digest, Revision | Promise<Revision>>();
  /** Those that the listing does not prove. */
  readonly #revisionLinks = new Map<Digest, Promise<LinkState>>();
  readonly #layerLinks = new Map<Digest, Promise<LinkState>>();
  readonly #served = new Map<Digest, Promise<ServedBlob>>();

  constructor(run: CheckRun, listing: RepositoryListing) {
    this.#run = run;
    this.#listing = listing;
  }

  get problems(): Iterable<Problem> {
    return this.#problems.values();
  }

  async revision(digest: Digest): Promise<Revision> {
    const known = this.#revisions.get(digest);
    if (known !== undefined) {
      return known;
    }
    const pending = this.#resolve(digest);
    this.#revisions.set(digest, pending);
    const revision = await pending;
    this.#revisions.set(digest, revision);
    return revision;
  }

  /** A manifest that was asked for before, and of which all is known by now. */
  resolved(digest: Digest): Revision | undefined {
    const known = this.#revisions.get(digest);
    return known instanceof Promise ? undefined : known;
  }

  async served(digest: Digest): Promise<ServedBlob> {
    const pending = this.#served.get(digest) ?? this.#serve(digest);
    this.#served.set(digest, pending);
    return pending;
  }

  /** Adds to a problem, or begins it. The same code and key are the same problem. */
  problem(facts: FindingFacts, hurts: Digest | undefined, heals = true): Problem {
    const id = `${facts.code} ${facts.paths[0] ?? ''}`;
    const problem = this.#problems.get(id) ?? { facts, revisions: new Set<Digest>(), heals };
    this.#problems.set(id, problem);
    if (hurts !== undefined) {
      problem.revisions.add(hurts);
    }
    return problem;
  }

  async revisionLink(digest: Digest): Promise<LinkState> {
    const listed = this.#listing.revisions.get(digest);
    if (listed === 'right') {
      return { state: 'valid', digest };
    }
    const key = revisionLinkKey(this.#listing.repository, digest);
    const pending = this.#revisionLinks.get(digest) ?? readLinkFile(this.#run, { key, listed });
    this.#revisionLinks.set(digest, pending);
    return pending;
  }

  async #layerLink(digest: Digest): Promise<LinkState> {
    const listed = this.#listing.layers.get(digest);
    if (listed === 'right') {
      return { state: 'valid', digest };
    }
    const key = layerLinkKey(this.#listing.repository, digest);
    const pending = this.#layerLinks.get(digest) ?? readLinkFile(this.#run, { key, listed });
    this.#layerLinks.set(digest, pending);
    return pending;
  }

  async #resolve(digest: Digest): Promise<Revision> {
    const { repository } = this.#listing;
    const revision: Revision = { digest, via: 'revision', problems: [], children: [], unread: false };
    let key = revisionLinkKey(repository, digest);
    let link = await this.revisionLink(digest);
    if (link.state === 'absent') {
      key = layerLinkKey(repository, digest);
      link = await this.#layerLink(digest);
      revision.via = 'layer';
    }
    if (link.state === 'absent' || link.state === 'unread') {
      revision.via = link.state === 'absent' ? 'nowhere' : 'unread';
      revision.unread = link.state === 'unread';
      return revision;
    }
    const code = linkProblemCode(link, digest);
    if (code !== undefined) {
      const kind = revision.via === 'revision' ? 'revision' : 'layer';
      const facts = {
        code: `${kind}-link-${code}` as const,
        detail: linkDetail(link),
        paths: [key],
        repository,
        digest,
      };
      revision.problems.push(this.problem(facts, digest));
    }
    await this.#read(revision);
    return revision;
  }

  /** Looks at the bytes also where the link is broken: what mends the link should not find the next thing broken. */
  async #read(revision: Revision): Promise<void> {
    const { digest } = revision;
    this.#run.blobs.flag(digest, NEEDED);
    const read = await readManifest(this.#run, digest);
    if (read.state === 'unread') {
      revision.unread = true;
      return;
    }
    if (read.state === 'broken') {
      this.#run.doubtOrphans('a manifest is missing or cannot be read, so that what it needs is not known');
      const { code, detail, sizeBytes } = read;
      const paths = [blobDataKey(digest), revisionLinkKey(this.#listing.repository, digest)];
      const facts: FindingFacts = { code, detail, paths, repository: this.#listing.repository, digest };
      const heals = code === 'manifest-blob-missing' || code === 'manifest-empty';
      revision.problems.push(
        this.problem({ ...facts, ...(sizeBytes !== undefined && { sizeBytes }) }, digest, heals),
      );
      return;
    }
    revision.kind = read.manifest.kind;
    const underWay: Promise<void>[] = [];
    for (const reference of references(read.manifest)) {
      if (reference.role === 'child') {
        underWay.push(this.#addChild(revision, reference));
      } else if (!this.#hasAsListed(reference)) {
        underWay.push(this.#need(revision, reference));
      }
    }
    await Promise.all(underWay);
  }

  /** Whether the listings alone tell that a manifest has this, which saves a promise for nearly every layer. */
  #hasAsListed({ digest, required, sizeBytes }: Reference): boolean {
    if (!required || !this.isServedAsListed(digest, sizeBytes)) {
      return false;
    }
    this.#run.blobs.flag(digest, NEEDED);
    this.needed.add(digest);
    return true;
  }

  /** Whether the listings alone tell that a blob is served through the repository, and nothing is wrong with it. */
  isServedAsListed(digest: Digest, expectedBytes?: number): boolean {
    if (this.#listing.layers.get(digest) !== 'right') {
      return false;
    }
    const sizeBytes = this.#run.blobs.get(digest) ?? 0;
    return sizeBytes > 0 && this.badContent(digest, sizeBytes, expectedBytes) === undefined;
  }

  async #addChild(revision: Revision, { digest: childDigest, required }: Reference): Promise<void> {
    this.#run.blobs.flag(childDigest, NEEDED);
    const child = await this.revision(childDigest);
    if (child.via !== 'nowhere') {
      revision.children.push(child);
    } else if (required) {
      this.#run.doubtOrphans('an index names a manifest that its repository does not have');
      const { repository } = this.#listing;
      const facts: FindingFacts = {
        code: 'child-manifest-missing',
        detail: `the index ${revision.digest} names ${childDigest}, ${await this.blobWords(childDigest)}`,
        paths: [revisionLinkKey(repository, childDigest), blobDataKey(childDigest)],
        repository,
        digest: childDigest,
      };
      revision.problems.push(this.problem(facts, revision.digest));
    }
  }

  /** Says whether the bytes are there, which decides what mends a missing link. */
  async blobWords(digest: Digest): Promise<string> {
    const known = this.#run.blobs.get(digest) !== undefined;
    return known || (await this.#statBlob(digest)).sizeBytes !== undefined
      ? 'whose bytes are in the store'
      : 'whose bytes are not in the store either';
  }

  async #need(revision: Revision, reference: Reference): Promise<void> {
    const { digest, sizeBytes: expectedBytes, required, role } = reference;
    this.#run.blobs.flag(digest, NEEDED);
    if (!required) {
      return;
    }
    this.needed.add(digest);
    const blob = await this.served(digest);
    revision.unread ||= blob.unread;
    const add = (facts: FindingFacts, heals = true) => {
      revision.problems.push(this.problem(facts, revision.digest, heals));
    };
    const { repository } = this.#listing;
    if (blob.linkProblem !== undefined) {
      const { code, detail, key } = blob.linkProblem;
      add({ code, detail: `${detail}; it is a ${role}`, paths: [key], repository, digest });
    }
    if (blob.target === undefined || blob.unread) {
      return;
    }
    this.#run.blobs.flag(blob.target, NEEDED);
    const paths = [blobDataKey(blob.target), layerLinkKey(repository, digest)];
    const facts = { paths, repository, digest };
    if (blob.sizeBytes === undefined) {
      const code = role === 'config' ? 'config-blob-missing' : 'layer-blob-missing';
      add({ ...facts, code, detail: `the bytes of a ${role} are not in the store` });
      return;
    }
    const bad = this.badContent(blob.target, blob.sizeBytes, expectedBytes);
    if (bad !== undefined) {
      add({ ...facts, ...bad, sizeBytes: blob.sizeBytes }, false);
    }
  }

  /** What is wrong with the bytes of a blob that is there. Needs of different sizes are told apart only by the first. */
  badContent(
    target: Digest,
    sizeBytes: number,
    expectedBytes?: number,
  ): { code: 'blob-empty' | 'blob-size-wrong' | 'blob-corrupt'; detail: string } | undefined {
    if (sizeBytes === 0 && target !== EMPTY_BLOB_DIGEST) {
      return { code: 'blob-empty', detail: 'it has no bytes' };
    }
    if (expectedBytes !== undefined && sizeBytes !== expectedBytes) {
      return {
        code: 'blob-size-wrong',
        detail: `it has ${sizeBytes} bytes, and its manifest says ${expectedBytes}`,
      };
    }
    const actual = this.#run.corrupt.get(target);
    return actual === undefined
      ? undefined
      : { code: 'blob-corrupt', detail: `the digest of its bytes is ${actual}` };
  }

  /**
   * A blob is asked for twice: the first look-up gives the digest in its link, and that one is looked up again
   * through its own link (distribution `blobHandler.GetBlob`, `linkedBlobStore.ServeBlob`).
   */
  async #serve(digest: Digest): Promise<ServedBlob> {
    const { repository } = this.#listing;
    const key = layerLinkKey(repository, digest);
    const link = await this.#layerLink(digest);
    if (link.state === 'unread') {
      return { unread: true };
    }
    if (link.state === 'valid' && link.digest !== digest && isAlias(digest, link.digest)) {
      return this.#serveAlias(key, link.digest);
    }
    const code = link.state === 'absent' ? 'missing' : linkProblemCode(link, digest);
    // What was pushed under another hash is stored under SHA-256: without the link it cannot be told where.
    const target = code !== undefined && !digest.startsWith('sha256:') ? undefined : digest;
    const blob = target === undefined ? { unread: false } : { target, ...(await this.#statBlob(target)) };
    return code === undefined
      ? blob
      : { ...blob, linkProblem: { code: `layer-link-${code}`, detail: linkDetail(link), key } };
  }

  async #serveAlias(aliasKey: string, target: Digest): Promise<ServedBlob> {
    const key = layerLinkKey(this.#listing.repository, target);
    const link = await this.#layerLink(target);
    if (link.state === 'unread') {
      return { unread: true };
    }
    const blob = { target, ...(await this.#statBlob(target)) };
    const code = link.state === 'absent' ? 'missing' : linkProblemCode(link, target);
    if (code === undefined) {
      return blob;
    }
    const detail = `${linkDetail(link)}, and ${aliasKey} leads to it`;
    return { ...blob, linkProblem: { code: `layer-link-${code}`, detail, key } };
  }

  /** The size as it was listed; what was not listed, or as empty, is asked for, as it may have come since. */
  async #statBlob(digest: Digest): Promise<{ sizeBytes?: number; unread: boolean }> {
    const known = this.#run.blobs.get(digest);
    if (known !== undefined && known > 0) {
      return { sizeBytes: known, unread: false };
    }
    const key = blobDataKey(digest);
    try {
      const stat = await this.#run.call(() => this.#run.driver.stat(key, { signal: this.#run.signal }));
      return stat === undefined ? { unread: false } : { sizeBytes: stat.sizeBytes, unread: false };
    } catch (error) {
      await this.#run.noteUnread(key, error);
      return { unread: true };
    }
  }
}

/** The registry stores everything under SHA-256, and links what was pushed by another hash to that (`blobwriter.go`). */
function isAlias(digest: Digest, target: Digest): boolean {
  return !digest.startsWith('sha256:') && target.startsWith('sha256:');
}
