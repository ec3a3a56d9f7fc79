import { parsePath } from '../../layout/paths.ts';
import type { RepairStep } from './steps.ts';

/**
 * Steps in the order of their doing, with a barrier between phases: what a link leads to is there before the link,
 * as in a push, so that after each single write the store is no worse than before.
 */
export function inPhases(steps: readonly RepairStep[]): RepairStep[][] {
  const phases: RepairStep[][] = [];
  for (const step of steps) {
    const rank = rankOf(step);
    (phases[rank] ??= []).push(step);
  }
  return phases.filter((phase) => phase !== undefined);
}

const REVISIONS = 2;
/** Indexes of indexes of indexes: no registry has more. */
const DEPTH_MAX = 16;

function rankOf(step: RepairStep): number {
  switch (step.kind) {
    case 'fetch':
    case 'quarantine':
      return 0;
    case 'link':
      return linkRank(step.key, step.depth);
    case 'remove':
    case 'abort':
      return REVISIONS + DEPTH_MAX + 3;
  }
}

function linkRank(key: string, depth: number): number {
  switch (parsePath(key).kind) {
    case 'layer-link':
      return 1;
    case 'revision-link':
      return REVISIONS + Math.min(depth, DEPTH_MAX);
    case 'tag-index':
      return REVISIONS + DEPTH_MAX + 1;
    default:
      return REVISIONS + DEPTH_MAX + 2;
  }
}
