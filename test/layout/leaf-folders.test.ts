import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../src/layout/digest.ts';
import { LEAF_FOLDERS } from '../../src/layout/leaf-folders.ts';
import { isContent } from '../../src/layout/order.ts';
import {
  blobDataKey,
  layerLinkKey,
  parsePath,
  revisionLinkKey,
  signatureLinkKey,
  tagCurrentKey,
  tagIndexKey,
  tagsPrefix,
} from '../../src/layout/paths.ts';

const hex = fc.stringMatching(/^[0-9a-f]{64}$/);
const digest = hex.map((text) => `sha256:${text}` as Digest);
const repository = fc.constantFrom('app', 'group/app', 'index/current', 'registry.example/Group/link');
const tag = fc.constantFrom('latest', 'current', 'index', 'link', 'v1.0');

/** The leaf folder that a key lies in, and the rest of the key; undefined where it lies in none, or in one of its folders that is gone into. */
function split(key: string) {
  const parts = key.split('/');
  for (let depth = 1; depth < parts.length - 1; depth += 1) {
    const parent = `${parts.slice(0, depth).join('/')}/`;
    const name = `${parts[depth]}/`;
    const leaf = LEAF_FOLDERS.find((candidate) => candidate.parent.test(parent) && candidate.name.test(name));
    const rest = key.slice((parent + name).length);
    if (leaf !== undefined && (leaf.folder === undefined || !rest.startsWith(leaf.folder))) {
      return { leaf, folder: parent + name, rest };
    }
  }
  return undefined;
}

const NAMES =
  'sha256 sha512 tarsum v1 link data signatures current index tags _layers _manifests _uploads revisions x .. ab'.split(
    ' ',
  );

describe('leaf folders', () => {
  it('are where blobs and links lie, and the file in them is that blob or link', () => {
    fc.assert(
      fc.property(repository, tag, digest, (name, tagName, id) => {
        const keys = [
          blobDataKey(id),
          layerLinkKey(name, id),
          revisionLinkKey(name, id),
          tagCurrentKey(name, tagName),
          tagIndexKey(name, tagName, id),
        ];
        for (const key of keys) {
          expect([key, split(key)?.rest]).toEqual([key, split(key)?.leaf.file]);
          expect(split(key)).toBeDefined();
        }
      }),
    );
  });

  it('hold no other content than that file, but for what has to be asked for', () => {
    const component = fc.oneof(hex, fc.constantFrom(...NAMES));
    const below = fc.array(component, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    fc.assert(
      fc.property(repository, tag, digest, below, fc.nat(5), (name, tagName, id, rest, which) => {
        const folders = [
          blobDataKey(id),
          layerLinkKey(name, id),
          revisionLinkKey(name, id),
          tagCurrentKey(name, tagName),
          tagIndexKey(name, tagName, id),
          `${tagsPrefix(name)}${tagName}/link`,
        ].map((key) => key.slice(0, key.lastIndexOf('/') + 1));
        const folder = folders[which] ?? '';
        if (isContent(parsePath(folder + rest))) {
          const { leaf, folder: leafFolder = '' } = split(`${folder}x`) ?? {};
          const inLeaf = (folder + rest).slice(leafFolder.length);
          const first = inLeaf.split('/')[0] ?? '';
          const isFound =
            leaf?.file === inLeaf || leaf?.unless.includes(first) === true || leaf?.folder === `${first}/`;
          expect([rest, isFound]).toEqual([rest, true]);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('of a revision may hold signatures, which are content', () => {
    const id = `sha256:${'ab'.repeat(32)}` as Digest;
    const key = signatureLinkKey('app', id, id);
    expect(isContent(parsePath(key))).toBe(true);
    expect(split(key)).toMatchObject({ leaf: { file: 'link', unless: ['signatures'] } });
  });

  it.each([
    `docker/registry/v2/repositories/_layers/sha256/${'a'.repeat(64)}/link`,
    `docker/registry/v2/repositories/app/_uploads/_layers/sha256/${'a'.repeat(64)}/link`,
    `docker/registry/v2/repositories/app/_layers/sha256/${'A'.repeat(64)}/link`,
    `docker/registry/v2/repositories/app/_layers/sha256/${'a'.repeat(63)}/link`,
    `docker/registry/v2/blobs/sha256/abc/${'a'.repeat(64)}/data`,
    `docker/registry/v2/blobs/tarsum/v1/sha256/aa/${'a'.repeat(64)}/data`,
    `elsewhere/docker/registry/v2/blobs/sha256/aa/${'a'.repeat(64)}/data`,
    'docker/registry/v2/repositories/app/_manifests/tags/v1/index/past/link',
  ])('are none where the registry has none: %s', (key) => {
    expect(split(key)).toBeUndefined();
  });
});
