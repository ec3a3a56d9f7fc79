import { Spool } from '../spool.ts';
import type { PlannedCopy, RepositoryPlan } from './plan.ts';

/** A piece is a line of JSON of a few megabytes at most: one of a whole repository could be longer than a string may be. */
const COPIES_IN_PIECE = 10_000;

const PHASES = ['layers', 'revisions', 'tagIndexes', 'tagCurrents'] as const;

/** Some of what differs in a repository, of one phase of the copy. */
interface Piece {
  repository: string;
  phase: (typeof PHASES)[number];
  copies: PlannedCopy[];
  /** Nothing of this repository comes after it. */
  isLast: boolean;
}

/** What differs, repository by repository, with no bound to how much that is in one. Written first, then read. */
export class RepositorySpool {
  readonly #pieces = new Spool<Piece>();
  readonly #copiesInPiece: number;
  #length = 0;
  #lastAppend: Promise<void> = Promise.resolve();

  constructor(copiesInPiece = COPIES_IN_PIECE) {
    this.#copiesInPiece = copiesInPiece;
  }

  /** In repositories. */
  get length(): number {
    return this.#length;
  }

  /** Calls may overlap: the pieces of a repository still follow one another. A plan without copies leaves no trace. */
  append(plan: RepositoryPlan): Promise<void> {
    this.#lastAppend = this.#lastAppend.then(() => this.#append(plan));
    return this.#lastAppend;
  }

  async #append(plan: RepositoryPlan): Promise<void> {
    const pieces = piecesOf(plan, this.#copiesInPiece);
    this.#length += pieces.length === 0 ? 0 : 1;
    for (const piece of pieces) {
      await this.#pieces.append(piece);
    }
  }

  /** Each repository whole, and once: whoever publishes it sees all of its phases together. */
  async *[Symbol.asyncIterator](): AsyncGenerator<RepositoryPlan> {
    await this.#lastAppend;
    let plan: RepositoryPlan | undefined;
    for await (const { repository, phase, copies, isLast } of this.#pieces) {
      plan ??= { repository, layers: [], revisions: [], tagIndexes: [], tagCurrents: [] };
      for (const copy of copies) {
        plan[phase].push(copy);
      }
      if (isLast) {
        yield plan;
        plan = undefined;
      }
    }
  }

  async dispose(): Promise<void> {
    // Whoever called `append` was told of its failure; the file has to go all the same.
    await Promise.allSettled([this.#lastAppend]);
    await this.#pieces.dispose();
  }
}

/** Cuts what differs in a repository into pieces of at most so many copies. */
export function piecesOf(plan: RepositoryPlan, copiesInPiece: number): Piece[] {
  const pieces: Piece[] = [];
  for (const phase of PHASES) {
    const copies = plan[phase];
    for (let start = 0; start < copies.length; start += copiesInPiece) {
      const { repository } = plan;
      pieces.push({ repository, phase, copies: copies.slice(start, start + copiesInPiece), isLast: false });
    }
  }
  const last = pieces.at(-1);
  if (last !== undefined) {
    last.isLast = true;
  }
  return pieces;
}
