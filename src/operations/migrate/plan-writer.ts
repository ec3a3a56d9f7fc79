import type { ObjectStat } from '../../drivers/driver.ts';
import { copyRank } from '../../layout/order.ts';
import type { RegistryPath } from '../../layout/paths.ts';
import { addCount } from '../counts.ts';
import type { Pair } from '../march.ts';
import type { Observer } from '../observer.ts';
import type { CopyReason, Plan, PlannedCopy, RepositoryPlan } from './plan.ts';
import type { SelectedBlobs } from './selected-blobs.ts';

const FOREIGN_SAMPLES = 20;
const NAME_SAMPLES = 5;

/** A repository of which not all keys have been seen yet. */
export interface ScannedRepository {
  plan: RepositoryPlan;
  deletions: number;
}

export function newRepository(repository: string): ScannedRepository {
  return {
    plan: { repository, layers: [], revisions: [], tagIndexes: [], tagCurrents: [] },
    deletions: 0,
  };
}

export interface PlanWriterOptions {
  includeForeign: boolean;
  /** Write down what only the target has; else it is only counted. */
  deletes: boolean;
  /** Takes the digests that are linked; undefined where all repositories are selected. */
  selected: SelectedBlobs | undefined;
  /** Whether the content of both sides differs, as far as sizes do not tell. */
  differs: (pair: Pair) => Promise<boolean>;
  observer: Observer;
}

/** Writes what a scan sees into the plan, one key after another. */
export class PlanWriter {
  readonly #plan: Plan;
  readonly #options: PlanWriterOptions;

  constructor(plan: Plan, options: PlanWriterOptions) {
    this.#plan = plan;
    this.#options = options;
  }

  /**
   * One pair. Gives a promise only where something is written down: of most pairs both sides are equal, and a promise
   * for each would be a tenth of the time of a pass.
   */
  add(
    pair: Pair,
    path: RegistryPath,
    repository: ScannedRepository | undefined,
    contentDiffers = false,
  ): Promise<void> | undefined {
    if (copyRank(path) === undefined) {
      return this.#addNotContent(pair, path);
    }
    const plan = this.#plan;
    const { source: left, target: right } = pair;
    plan.sourceObjects += left === undefined ? 0 : 1;
    plan.targetObjects += right === undefined ? 0 : 1;
    if (left === undefined) {
      this.#addOnlyAtTarget(pair.key, path, repository);
      return undefined;
    }
    plan.hasSourceRepositories ||= repository !== undefined;
    if (path.kind === 'layer-link' || path.kind === 'revision-link') {
      this.#options.selected?.add(path.digest);
    }
    if (this.#options.deletes && path.kind === 'revision-link') {
      plan.sourceRevisions.add(pair.key);
    }
    const reason = copyReason(left, right, contentDiffers);
    if (reason === undefined) {
      addCount(plan.equal, path.kind, left.sizeBytes);
      if (path.kind === 'blob-data') {
        plan.knownBlobs.add(path.digest);
      }
      return undefined;
    }
    addCount(plan.toCopy, path.kind, left.sizeBytes);
    if (path.kind === 'tag-current' && right !== undefined) {
      plan.movedTags.count += 1;
      noteName(plan.movedTags.samples, `${path.repository}:${path.tag}`);
    }
    return this.#schedule({ key: pair.key, sizeBytes: left.sizeBytes, reason }, path, repository?.plan);
  }

  /** All keys of a repository have been added. */
  async finishRepository(scanned: ScannedRepository): Promise<void> {
    const { repository, layers, revisions, tagIndexes, tagCurrents } = scanned.plan;
    const copies = layers.length + revisions.length + tagIndexes.length + tagCurrents.length;
    if (copies > 0) {
      await this.#plan.repositories.append(scanned.plan);
    }
    if (copies + scanned.deletions > 0) {
      this.#plan.repositoryTallies.push({
        repository,
        tags: tagCurrents.length,
        revisions: revisions.length,
        layers: layers.length,
        deletions: scanned.deletions,
      });
    }
  }

  noteUnselected(repository: string): void {
    noteName(this.#plan.unselectedSamples, repository);
  }

  noteForeign(keyOrFolder: string): void {
    if (this.#plan.foreignSamples.length < FOREIGN_SAMPLES) {
      this.#plan.foreignSamples.push(keyOrFolder);
    }
  }

  #addOnlyAtTarget(key: string, path: RegistryPath, repository: ScannedRepository | undefined): void {
    const plan = this.#plan;
    const { deletes, selected } = this.#options;
    if (!deletes) {
      plan.keptAtTarget += 1;
      if (path.kind === 'lockfile') {
        plan.keptLockfiles.push(key);
      }
      return;
    }
    // With a selection only what belongs to a selected repository may go.
    if (selected === undefined || repository !== undefined) {
      const keys = plan.deletions.get(path.kind) ?? [];
      plan.deletions.set(path.kind, keys);
      keys.push(key);
    }
    if (repository !== undefined) {
      repository.deletions += 1;
    }
  }

  #schedule(
    copy: PlannedCopy,
    path: RegistryPath,
    repository: RepositoryPlan | undefined,
  ): Promise<void> | undefined {
    switch (path.kind) {
      case 'layer-link':
      case 'signature-link':
        repository?.layers.push(copy);
        break;
      case 'revision-link':
        repository?.revisions.push(copy);
        break;
      case 'tag-index':
        repository?.tagIndexes.push(copy);
        break;
      case 'tag-current':
        repository?.tagCurrents.push(copy);
        break;
      case 'tarsum':
        if (path.of === 'layer-link') {
          repository?.layers.push(copy);
        } else {
          return this.#plan.blobs.append(copy);
        }
        break;
      case 'blob-data':
        return this.#plan.blobs.append(copy);
      default:
        this.#plan.others.push(copy);
    }
    return undefined;
  }

  async #addNotContent(pair: Pair, path: RegistryPath): Promise<void> {
    const { key, source: left, target: right } = pair;
    const { notContent, leftovers } = this.#plan;
    if (left !== undefined) {
      addCount(notContent.source, path.kind, left.sizeBytes);
    }
    if (right !== undefined) {
      addCount(notContent.target, path.kind, right.sizeBytes);
      if (path.kind === 'temporary' && path.by === 'regtool') {
        leftovers.push(key);
      }
    }
    if (path.kind !== 'foreign') {
      return;
    }
    if (left !== undefined) {
      this.noteForeign(key);
    }
    if (left !== undefined && this.#options.includeForeign) {
      await this.#addForeign(left, pair);
      return;
    }
    await this.#options.observer.record({
      type: 'object',
      action: 'leave',
      outcome: 'left',
      kind: 'foreign',
      key,
      sizeBytes: left?.sizeBytes ?? right?.sizeBytes ?? 0,
      reason: `not the registry's (${path.reason}), at the ${left === undefined ? 'target' : 'source'}`,
    });
  }

  async #addForeign(left: ObjectStat, pair: Pair): Promise<void> {
    const { target: right } = pair;
    const contentDiffers = left.sizeBytes === right?.sizeBytes && (await this.#options.differs(pair));
    const reason = copyReason(left, right, contentDiffers);
    if (reason === undefined) {
      addCount(this.#plan.equal, 'foreign', left.sizeBytes);
      return;
    }
    addCount(this.#plan.toCopy, 'foreign', left.sizeBytes);
    await this.#plan.foreign.append({ key: left.key, sizeBytes: left.sizeBytes, reason });
  }
}

/** Keeps the first names, for messages. */
function noteName(samples: string[], name: string): void {
  if (samples.length < NAME_SAMPLES && !samples.includes(name)) {
    samples.push(name);
  }
}

function copyReason(
  left: ObjectStat,
  right: ObjectStat | undefined,
  contentDiffers: boolean,
): CopyReason | undefined {
  if (right === undefined) {
    return 'missing';
  }
  if (left.sizeBytes !== right.sizeBytes) {
    return 'size';
  }
  return contentDiffers ? 'content' : undefined;
}
