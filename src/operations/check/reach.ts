import type { Digest } from '../../layout/digest.ts';
import type { Revision } from './manifest-graph.ts';

/** Which manifests and tags hang on a manifest, at first hand or through an index. */
export class Reach {
  readonly #dependents = new Map<Digest, Set<Digest>>();
  readonly #tags = new Map<Digest, Set<string>>();
  readonly #closures = new Map<Digest, Set<Revision>>();

  constructor(revisions: readonly Revision[]) {
    for (const revision of revisions) {
      this.#add(revision);
    }
  }

  #add(revision: Revision): void {
    for (const member of this.closure(revision)) {
      const dependents = this.#dependents.get(member.digest) ?? new Set<Digest>();
      this.#dependents.set(member.digest, dependents.add(revision.digest));
      if (member !== revision && !this.#dependents.get(member.digest)?.has(member.digest)) {
        this.#add(member);
      }
    }
  }

  /** A manifest and, of an index, all that it leads to. */
  closure(revision: Revision): Set<Revision> {
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

  dependentsOf(digests: Iterable<Digest>): Digest[] {
    return [...new Set([...digests].flatMap((digest) => [...(this.#dependents.get(digest) ?? [])]))].sort();
  }
}
