import { parsePath } from '../../layout/paths.ts';
import type { RepositoryPlan } from './plan.ts';
import { LinkPublisher } from './publish-links.ts';
import { type Step, TagPublisher } from './publish-tags.ts';
import type { Run } from './run.ts';

/**
 * Publishes what differs in one repository, so that the target can be pulled from at every instant:
 * layer links, then revisions (each after all that its manifest names, children before their index), then of each
 * tag its index links, and then the tag itself.
 *
 * Gives the steps of that, to be begun in this order, any number of them at once. A step waits for what its own link
 * needs, and for nothing else: a revision does not wait for the layers of another, nor a tag for another tag, so that
 * a repository takes four answers of a distant store, however many others are published beside it.
 */
export function* publishingSteps(run: Run, plan: RepositoryPlan): Generator<Step> {
  const links = new LinkPublisher(run, plan);
  for (const { key } of plan.layers) {
    yield () => links.layer(key);
  }
  for (const { key } of plan.revisions) {
    const path = parsePath(key);
    if (path.kind === 'revision-link') {
      yield () => links.revision(path.digest);
    }
  }
  yield* new TagPublisher(run, plan.repository, links).steps(plan);
}
