import type { Digest } from '../../layout/digest.ts';
import type { Revision } from './manifest-graph.ts';

/** Which manifests and tags hang on a manifest, at first hand or through an index. */
export class Reach {
  readonly #dependents = new Map<Digest, Set<Digest>>();
  readonly #tags = new Map<Digest, Set<string>>();
  readonly #closures = new Map<Digest, Set<Revision>>();

  /** @param hurt the manifests whose dependents will be asked for: of all others none are kept. */
  constructor(revisions: readonly Revision[], hurt: Iterable<Digest>) {
    for (const digest of hurt) {
      this.#dependents.set(digest, new Set());
    }
    if (this.#dependents.size === 0) {
      return;
    }
    const all = new Set(revisions);
    // What is added to a set while it is gone through is gone through, too: an index leads to its children.
    for (const revision of all) {
      for (const member of this.closure(revision)) {
        this.#dependents.get(member.digest)?.add(revision.digest);
        all.add(member);
      }
    }
  }

  /** A manifest and, of an index, all that it leads to. */
  closure(revision: Revision): Set<Revision> {
    if (revision.children.length === 0) {
      return new Set([revision]);
    }
    const known = this.#closures.get(revision.digest);
    if (known !== undefined) {
      return known;
    }
    const closure = new Set([revision]);
    this.#closures.set(revision.digest, closure);
    for (const child of revision.children) {
      for (const member of this.closure(child)) {
        closure.add(member);
      }
    }
    return closure;
  }

  addTag(tag: string, revision: Revision | undefined): void {
    for (const { digest } of revision === undefined ? [] : this.closure(revision)) {
      this.#tags.set(digest, (this.#tags.get(digest) ?? new Set<string>()).add(tag));
    }
  }

  tagsOf(digests: Iterable<Digest>): string[] {
    return [...new Set([...digests].flatMap((digest) => [...(this.#tags.get(digest) ?? [])]))].sort();
  }

  /** Of manifests that were given as hurt. */
  dependentsOf(digests: Iterable<Digest>): Digest[] {
    return [...new Set([...digests].flatMap((digest) => [...(this.#dependents.get(digest) ?? [])]))].sort();
  }
}
