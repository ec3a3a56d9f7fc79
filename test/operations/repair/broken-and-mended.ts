import type { RepairChoices } from '../../../src/operations/repair.ts';
import {
  blobKey,
  currentKey,
  flipped,
  type Healthy,
  indexKey,
  layerKey,
  revisionKey,
  set,
} from '../check/fixtures.ts';

/** Something that a repair can mend, and what it takes. */
export interface Mendable {
  name: string;
  /** Damages the registry of `healthyRegistry`. */
  damage(healthy: Healthy): void;
  /** `repository:tag` of those that cannot be pulled until it is mended. */
  hurts: readonly string[];
  /** A store that is whole is given as the other one. */
  fromOther?: true;
  choices?: Partial<RepairChoices>;
  /** The keys that a repair writes, in order. */
  writes(healthy: Healthy): readonly string[];
}

const V1 = ['shop:v1'];
const MULTI = ['multi:latest'];

/** Every kind of finding that has one right answer, with the ways in which it comes about. */
export const mendable: readonly Mendable[] = [
  ...linkDamages('a layer link', ({ layer }) => [layerKey('shop', layer.digest), layer.digest], V1),
  ...linkDamages('a config link', ({ config }) => [layerKey('shop', config.digest), config.digest], V1),
  ...linkDamages('a revision link', ({ image }) => [revisionKey('shop', image.digest), image.digest], V1),
  ...linkDamages(
    "an index's revision link",
    ({ index }) => [revisionKey('multi', index.digest), index.digest],
    MULTI,
  ),
  ...linkDamages(
    "the revision link of an index's image",
    ({ child }) => [revisionKey('multi', child.digest), child.digest],
    MULTI,
  ),
  ...linkDamages(
    "a link in a tag's index",
    ({ image }) => [indexKey('shop', 'v1', image.digest), image.digest],
    [],
  ),
  {
    name: 'a layer link that holds the digest of another layer',
    damage: ({ registry, layer, otherLayer }) =>
      set(registry, layerKey('shop', layer.digest), otherLayer.digest),
    hurts: V1,
    writes: ({ layer }) => [layerKey('shop', layer.digest)],
  },
  {
    name: 'a manifest that only a layer link leads to',
    damage: ({ registry, image }) => {
      registry.objects.delete(revisionKey('shop', image.digest));
      set(registry, layerKey('shop', image.digest), image.digest);
    },
    hurts: [],
    writes: ({ image }) => [revisionKey('shop', image.digest)],
  },
  {
    name: 'all links of a repository but those of its tag',
    damage: ({ registry, image, index }) => {
      for (const { digest } of [image, index, ...index.children]) {
        registry.objects.delete(revisionKey('shop', digest));
        registry.objects.delete(revisionKey('multi', digest));
      }
      for (const key of registry.objects.keys()) {
        if (key.includes('/_layers/') || key.includes('/index/')) {
          registry.objects.delete(key);
        }
      }
    },
    hurts: [...MULTI, ...V1],
    writes: ({ image, index }) => [
      ...[image, ...index.children].flatMap((one) =>
        [...one.layers, ...(one.config === undefined ? [] : [one.config])].map(({ digest }) =>
          layerKey(one === image ? 'shop' : 'multi', digest),
        ),
      ),
      revisionKey('shop', image.digest),
      ...index.children.map(({ digest }) => revisionKey('multi', digest)),
      revisionKey('multi', index.digest),
      indexKey('shop', 'v1', image.digest),
      indexKey('multi', 'latest', index.digest),
    ],
  },
  {
    name: "a tag's link that a crash emptied",
    damage: ({ registry }) => set(registry, currentKey('shop', 'v1'), ''),
    hurts: V1,
    choices: { tags: true },
    writes: () => [currentKey('shop', 'v1')],
  },
  {
    name: "a tag's link that was cut off",
    damage: ({ registry, image }) => set(registry, currentKey('shop', 'v1'), image.digest.slice(0, 40)),
    hurts: V1,
    choices: { tags: true },
    writes: () => [currentKey('shop', 'v1')],
  },
  {
    name: "a tag's link with a newline at its end, among several entries of its index",
    damage: ({ registry, image }) => {
      registry.push('shop', 'v1', registry.image());
      set(registry, currentKey('shop', 'v1'), `${image.digest}\n`);
    },
    hurts: V1,
    choices: { tags: true },
    writes: () => [currentKey('shop', 'v1')],
  },
  {
    name: 'a tag that has an index and no current link',
    damage: ({ registry }) => registry.objects.delete(currentKey('shop', 'v1')),
    hurts: V1,
    choices: { tags: true },
    writes: () => [currentKey('shop', 'v1')],
  },
  {
    name: "a tag's link, from another store",
    damage: ({ registry }) => set(registry, currentKey('shop', 'v1'), ''),
    hurts: V1,
    fromOther: true,
    writes: () => [currentKey('shop', 'v1')],
  },
  ...(['config', 'layer', 'image', 'child'] as const).flatMap((part): Mendable[] => {
    const hurts = part === 'child' ? MULTI : V1;
    const writes = (healthy: Healthy) => [blobKey(healthy[part].digest)];
    const bytesOf = (healthy: Healthy) =>
      healthy.registry.objects.get(blobKey(healthy[part].digest)) ?? Buffer.of();
    return [
      {
        name: `the bytes of the ${part}, which are missing`,
        damage: (healthy) => healthy.registry.objects.delete(blobKey(healthy[part].digest)),
        hurts,
        fromOther: true,
        writes,
      },
      {
        name: `the bytes of the ${part}, which are empty`,
        damage: (healthy) => set(healthy.registry, blobKey(healthy[part].digest), ''),
        hurts,
        fromOther: true,
        writes,
      },
      {
        name: `the bytes of the ${part}, one of which changed`,
        damage: (healthy) => set(healthy.registry, blobKey(healthy[part].digest), flipped(bytesOf(healthy))),
        hurts,
        fromOther: true,
        writes,
      },
      {
        name: `the bytes of the ${part}, which were cut off`,
        damage: (healthy) =>
          set(healthy.registry, blobKey(healthy[part].digest), bytesOf(healthy).subarray(0, 9)),
        hurts,
        fromOther: true,
        writes,
      },
    ];
  }),
  {
    name: 'an image of an index that garbage collection removed',
    damage: ({ registry, child }) => {
      registry.objects.delete(revisionKey('multi', child.digest));
      registry.objects.delete(blobKey(child.digest));
      for (const { digest } of child.layers) {
        registry.objects.delete(blobKey(digest));
      }
    },
    hurts: MULTI,
    fromOther: true,
    writes: ({ child }) => [
      blobKey(child.digest),
      ...child.layers.map(({ digest }) => blobKey(digest)),
      revisionKey('multi', child.digest),
    ],
  },
];

/** What can befall a link whose content follows from its path. */
function linkDamages(
  what: string,
  link: (healthy: Healthy) => [key: string, digest: string],
  hurts: readonly string[],
): Mendable[] {
  const writes = (healthy: Healthy) => [link(healthy)[0]];
  return [
    {
      name: `${what} that a crash emptied`,
      damage: (healthy) => set(healthy.registry, link(healthy)[0], ''),
      hurts,
      writes,
    },
    {
      name: `${what} with a newline at its end`,
      damage: (healthy) => set(healthy.registry, link(healthy)[0], `${link(healthy)[1]}\n`),
      hurts,
      writes,
    },
    {
      name: `${what} that was cut off`,
      damage: (healthy) => set(healthy.registry, link(healthy)[0], link(healthy)[1].slice(0, 50)),
      hurts,
      writes,
    },
    {
      name: `${what} that is missing`,
      damage: (healthy) => healthy.registry.objects.delete(link(healthy)[0]),
      hurts,
      writes,
    },
  ];
}
