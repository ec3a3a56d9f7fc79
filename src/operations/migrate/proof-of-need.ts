import type { Driver } from '../../drivers/driver.ts';
import { isDriverError } from '../../drivers/errors.ts';
import { digestParts, MAX_LINK_BYTES, readLink, type Digest } from '../../layout/digest.ts';
import { MAX_MANIFEST_BYTES, parseManifest, references } from '../../layout/manifest.ts';
import {
  blobDataKey,
  layerLinkKey,
  ownPrefix,
  parsePath,
  REPOSITORIES_PREFIX,
  repositoryOf,
  revisionLinkKey,
  tagsPrefix,
} from '../../layout/paths.ts';
import { forEachConcurrently } from '../concurrency.ts';
import { SafetyRefusal } from '../errors.ts';
import { KeySum } from '../key-sum.ts';
import { marchShard } from '../march-shard.ts';
import { readProven } from '../read-proven.ts';
import { doomedKeys, type Plan } from './plan.ts';

/** How many needed objects are named in the refusal. */
const EXAMPLES = 5;

/**
 * Refuses a plan that would delete from the target what the source's own tags and manifests still need.
 * Such a plan means that the source has lost blobs or links, and that the target holds the last copy of them.
 * Reads the manifests that the source retains, and only when there is something to protect.
 *
 * A source that deletes and collects garbage while it is listed is no such loss: its tags were listed before, and its
 * blobs after. What the manifests that stay at the target need is then taken out of the plan, for the next run.
 * @throws SafetyRefusal LISTING_INCOMPLETE, naming what is needed by what.
 */
export async function assertNothingNeeded(
  source: Driver,
  target: Driver,
  plan: Plan,
  { concurrency, signal }: { concurrency: number; signal: AbortSignal | undefined },
): Promise<void> {
  const candidates = doomedKeys(plan);
  /** Each with what needs it. */
  const needed = new Map<string, string>();
  const blobsAtRisk = (plan.deletions.get('blob-data') ?? []).length > 0;
  const repositoriesAtRisk = new Set([...candidates].flatMap((key) => repositoryOf(key) ?? []));
  const prefixes = blobsAtRisk
    ? [REPOSITORIES_PREFIX]
    : [...repositoriesAtRisk].map((name) => ownPrefix(name));

  await forEachConcurrently(plan.deletions.get('tag-current') ?? [], concurrency, protectTag);
  const revisions = new KeySum();
  for (const prefix of prefixes) {
    for await (const page of source.list(prefix, { signal })) {
      await forEachConcurrently(page, concurrency, ({ key }) => examine(key));
    }
  }
  const isBack = new Set<string>();
  await forEachConcurrently(needed.keys(), concurrency, async (key) => {
    // Pushed again since it was listed.
    if ((await source.stat(key, { signal })) !== undefined) {
      isBack.add(key);
      needed.delete(key);
    }
  });
  if (needed.size > 0) {
    throw new SafetyRefusal(
      'LISTING_INCOMPLETE',
      `The source no longer has ${needed.size} object(s) that its own tags or manifests still need, and the target does: deleting them would destroy the last copy. Nothing was copied or deleted. See \`regtool check\` of the source; what it has lost is still at the target.`,
      { reasons: [...needed].slice(0, EXAMPLES).map(([key, by]) => `${key} is needed by ${by}`) },
    );
  }
  keep(isBack);
  // Links alone are at risk in few repositories, and there the target is always looked at.
  if (!blobsAtRisk || !revisions.equals(plan.sourceRevisions)) {
    await keepForTarget();
  }

  /** Takes out of the plan what a revision needs that stays at the target, and that the source has deleted meanwhile. */
  async function keepForTarget(): Promise<void> {
    const kept = new Set<string>();
    for (const prefix of prefixes) {
      const shard = { prefix, inSource: true, inTarget: true };
      for await (const pairs of marchShard(source, target, shard, { signal })) {
        const staying = pairs.filter((pair) => pair.source === undefined && !candidates.has(pair.key));
        await forEachConcurrently(staying, concurrency, ({ key }) => keepNeedsOf(key, kept));
      }
    }
    keep(kept);
  }

  function keep(kept: ReadonlySet<string>): void {
    for (const [kind, keys] of kept.size === 0 ? [] : plan.deletions) {
      plan.deletions.set(
        kind,
        keys.filter((key) => !kept.has(key)),
      );
    }
  }

  /** An image that is kept for the sake of its index needs its own layers, too. */
  async function keepNeedsOf(key: string, kept: Set<string>): Promise<void> {
    const path = parsePath(key);
    if (path.kind !== 'revision-link') {
      return;
    }
    const found: string[] = [];
    await examineRevision(path.repository, path.digest, (need) => {
      if (candidates.has(need) && !kept.has(need)) {
        kept.add(need);
        found.push(need);
      }
    });
    for (const need of found) {
      await keepNeedsOf(need, kept);
    }
  }

  /**
   * A registry removes a tag's whole folder: where index links of it stay, its `current` link was lost. A tag that is
   * just being removed or pushed is looked at once more.
   */
  async function protectTag(key: string): Promise<void> {
    const path = parsePath(key);
    if (path.kind !== 'tag-current') {
      return;
    }
    const folder = `${tagsPrefix(path.repository)}${path.tag}/`;
    if (!(await hasIndexLink(folder))) {
      return;
    }
    const isBack = (await source.stat(key, { signal })) !== undefined;
    if (isBack || (await hasIndexLink(folder))) {
      needed.set(key, `tag ${path.repository}:${path.tag}, of which the source still has index links`);
    }
  }

  async function hasIndexLink(tagFolder: string): Promise<boolean> {
    for await (const page of source.list(tagFolder, { signal })) {
      if (page.some(({ key }) => parsePath(key).kind === 'tag-index')) {
        return true;
      }
    }
    return false;
  }

  async function examine(key: string): Promise<void> {
    const path = parsePath(key);
    if (path.kind === 'tag-current') {
      const digest = await readDigest(source, key);
      if (digest !== undefined) {
        protect(revisionLinkKey(path.repository, digest), `tag ${path.repository}:${path.tag}`);
      }
    }
    if (path.kind === 'revision-link') {
      revisions.add(key);
      const by = `manifest ${path.repository}@${path.digest}`;
      await examineRevision(path.repository, path.digest, (need) => protect(need, by));
    }
  }

  async function examineRevision(
    repository: string,
    digest: Digest,
    needs: (key: string) => void,
  ): Promise<void> {
    needs(blobDataKey(digest));
    const manifest = parseManifest(await readManifest(digest));
    for (const { digest: reference, role } of manifest.ok ? references(manifest) : []) {
      if (role === 'child') {
        needs(revisionLinkKey(repository, reference));
      } else {
        needs(layerLinkKey(repository, reference));
        const stored = await blobBehind(repository, reference);
        // A registry that finds another digest in the link goes through the link of that.
        needs(layerLinkKey(repository, stored));
        needs(blobDataKey(stored));
      }
    }
  }

  /** What was pushed by another digest than SHA-256 is stored by that, and its layer link says so (facts A3). */
  async function blobBehind(repository: string, digest: Digest): Promise<Digest> {
    if (digestParts(digest).algorithm === 'sha256') {
      return digest;
    }
    const key = layerLinkKey(repository, digest);
    return (await readDigest(source, key)) ?? (await readDigest(target, key)) ?? digest;
  }

  function protect(key: string, by: string): void {
    if (candidates.has(key)) {
      needed.set(key, by);
    }
  }

  async function readDigest(store: Driver, key: string): Promise<Digest | undefined> {
    const bytes = await readOrNothing(store, key, MAX_LINK_BYTES);
    const link = readLink(bytes);
    return link.valid ? link.digest : undefined;
  }

  /**
   * Proven by its digest, from the source, or from the target where the source has lost or damaged it: a damaged
   * manifest names nothing, and what it needs would look needless.
   */
  async function readManifest(digest: Digest): Promise<Uint8Array> {
    for (const store of [source, target]) {
      try {
        return await readProven(store, blobDataKey(digest), digest, MAX_MANIFEST_BYTES, signal);
      } catch (error) {
        if (!isDriverError(error, 'NOT_FOUND', 'CHANGED', 'CORRUPT')) {
          throw error;
        }
      }
    }
    return new Uint8Array();
  }

  async function readOrNothing(store: Driver, key: string, maxBytes: number): Promise<Uint8Array> {
    try {
      return await store.readSmall(key, maxBytes, { signal });
    } catch (error) {
      if (isDriverError(error, 'NOT_FOUND', 'CHANGED')) {
        return new Uint8Array();
      }
      throw error;
    }
  }
}
