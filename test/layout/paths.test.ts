import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ForeignReason,
  formatPath,
  fromRepository,
  layerLinkKey,
  ownPrefix,
  parsePath,
  type RegistryPath,
  repositoryOf,
  repositoryPrefix,
  tagsPrefix,
} from '../../src/layout/paths.ts';
import { digestOf, digests, repositories, tags } from './arbitraries.ts';

const HEX = `ab${'0'.repeat(62)}`;
const OTHER_HEX = `cd${'1'.repeat(62)}`;
const DIGEST = digestOf(`sha256:${HEX}`);
const OTHER = digestOf(`sha256:${OTHER_HEX}`);
const LONG_HEX = `ef${'2'.repeat(126)}`;
const LONG = digestOf(`sha512:${LONG_HEX}`);
const UUID = '0f0a7c0e-5b0f-4b0e-8c0d-0a0b0c0d0e0f';
const V2 = 'docker/registry/v2';
const R = `${V2}/repositories/group/app`;
const repository = 'group/app';

/** One key of each kind and form, as the registry's documentation spells it. */
const KNOWN: [string, RegistryPath][] = [
  [`${V2}/blobs/sha256/ab/${HEX}/data`, { kind: 'blob-data', digest: DIGEST }],
  [`${V2}/blobs/sha512/ef/${LONG_HEX}/data`, { kind: 'blob-data', digest: LONG }],
  [`${R}/_layers/sha256/${HEX}/link`, { kind: 'layer-link', repository, digest: DIGEST }],
  // The alias of a blob that was pushed by its sha512 digest.
  [`${R}/_layers/sha512/${LONG_HEX}/link`, { kind: 'layer-link', repository, digest: LONG }],
  [`${R}/_manifests/revisions/sha256/${HEX}/link`, { kind: 'revision-link', repository, digest: DIGEST }],
  [`${R}/_manifests/tags/v1.0/current/link`, { kind: 'tag-current', repository, tag: 'v1.0' }],
  [
    `${R}/_manifests/tags/index/index/sha256/${HEX}/link`,
    { kind: 'tag-index', repository, tag: 'index', digest: DIGEST },
  ],
  [
    `${R}/_manifests/revisions/sha256/${HEX}/signatures/sha256/${OTHER_HEX}/link`,
    { kind: 'signature-link', repository, revision: DIGEST, digest: OTHER },
  ],
  [`${R}/_uploads/${UUID}/data`, { kind: 'upload', repository, uploadId: UUID, file: 'data' }],
  [`${R}/_uploads/${UUID}/startedat`, { kind: 'upload', repository, uploadId: UUID, file: 'startedat' }],
  [
    `${R}/_uploads/${UUID}/hashstates/sha256/1024`,
    { kind: 'upload', repository, uploadId: UUID, file: 'hashstates/sha256/1024' },
  ],
  [`${R}/_uploads/no-uuid/x`, { kind: 'upload', repository, uploadId: 'no-uuid', file: 'x' }],
  [`${R}/_uploads/file`, { kind: 'upload', repository, uploadId: 'file', file: '' }],
  [`${R}/_uploads//x y`, { kind: 'upload', repository, uploadId: '', file: 'x y' }],
  [
    `${R}/_uploads/${UUID}/startedat.${UUID}.tmp`,
    { kind: 'upload', repository, uploadId: UUID, file: `startedat.${UUID}.tmp` },
  ],
  [
    `${R}/_layers/tarsum/v1/sha256/${HEX}/link`,
    { kind: 'tarsum', key: `${R}/_layers/tarsum/v1/sha256/${HEX}/link`, of: 'layer-link', repository },
  ],
  [
    `${V2}/blobs/tarsum/v1/sha256/ab/${HEX}/data`,
    { kind: 'tarsum', key: `${V2}/blobs/tarsum/v1/sha256/ab/${HEX}/data`, of: 'blob-data' },
  ],
  ['docker/registry/lockfiles/database-in-use', { kind: 'lockfile', name: 'database-in-use' }],
  ['docker/registry/lockfiles/filesystem-in-use', { kind: 'lockfile', name: 'filesystem-in-use' }],
  ['scheduler-state.json', { kind: 'scheduler-state' }],
];

describe('a key of the registry', () => {
  it.each(KNOWN)('%s', (key, path) => {
    expect(parsePath(key)).toEqual(path);
    expect(formatPath(path)).toBe(key);
  });

  it('in a repository that the grammar takes for a host', () => {
    expect(parsePath(`${V2}/repositories/Foo/bar/_manifests/tags/x/current/link`)).toEqual({
      kind: 'tag-current',
      repository: 'Foo/bar',
      tag: 'x',
    });
  });
});

describe('what is not content', () => {
  it.each([
    [`${R}/_layers/sha256/${HEX}/link`, 'registry', '.tmp'],
    [`${V2}/blobs/sha256/ab/${HEX}/data`, 'regtool', '.regtool.tmp'],
    [`${R}/anything`, 'registry', '.tmp'],
    ['docker/registry/lockfiles/database-in-use', 'regtool', '.regtool.tmp'],
    ['scheduler-state.json', 'registry', '.tmp'],
  ])('a temporary of %s by %s', (of, by, suffix) => {
    const key = `${of}.${UUID}${suffix}`;
    expect(parsePath(key)).toEqual({ kind: 'temporary', key, of, by });
  });

  it.each([
    'docker/',
    'docker/registry/',
    'docker/registry/lockfiles/',
    `${V2}/`,
    `${V2}/blobs/`,
    `${V2}/blobs/sha256/ab/${HEX}/data/`,
    `${V2}/repositories/`,
    `${V2}/repositories//`,
    `${R}/`,
    `${R}/_manifests/tags/`,
    `${R}/_manifests/tags/v1/`,
    `${R}/_uploads/`,
    `${R}/_uploads/${UUID}/`,
    `${R}/_layers/sha256/${HEX}/link/`,
  ])('the marker %s', (key) => {
    expect(parsePath(key)).toEqual({ kind: 'directory-marker', key, folder: key.replace(/\/$/, '') });
  });

  it.each<[ForeignReason, string]>([
    ['outside-registry', ''],
    ['outside-registry', 'photos/cat.jpg'],
    ['outside-registry', 'photos/'],
    ['outside-registry', 'docker/other/v2/x'],
    ['outside-registry', `root/${V2}/blobs/sha256/ab/${HEX}/data`],
    ['outside-registry', `photo.${UUID}.tmp`],
    ['outside-registry', 'images/logo.png'],
    ['leading-slash', `/${V2}/blobs/sha256/ab/${HEX}/data`],
    ['leading-slash', '/'],
    ['double-slash', `docker//registry/v2/blobs/sha256/ab/${HEX}/data`],
    ['double-slash', `${V2}/repositories/a//b/_layers/sha256/${HEX}/link`],
    ['double-slash', `${R}/_layers//sha256/${HEX}/link`],
    ['driver-grammar', `${V2}/repositories/host:5000/x/_layers/sha256/${HEX}/link`],
    ['driver-grammar', `${R}/_manifests/tags/a+b/current/link`],
    ['driver-grammar', `${R}/_layers/sha256/${HEX}/link\n`],
    ['unknown-place', 'docker/registry/lockfiles/other'],
    ['unknown-place', 'docker/registry/v3/x'],
    ['unknown-place', `${V2}/other`],
    ['unknown-place', `${V2}/blobs/sha256/ab/${HEX}/data.bak`],
    ['unknown-place', `${V2}/blobs/sha256/ab/${HEX}`],
    ['unknown-place', `${V2}/repositories/README`],
    ['unknown-place', `${R}/_layers/sha256/${HEX}/data`],
    ['unknown-place', `${R}/_uploads`],
    ['unknown-place', `${R}/_other/x`],
    ['unknown-place', `${R}/_manifests/tags/v1/current/link/x`],
    ['unknown-place', `${R}/_manifests/tags/v1`],
    ['unknown-place', `${R}/.${UUID}.tmp`],
    ['repository-name', `${V2}/repositories/_layers/sha256/${HEX}/link`],
    ['repository-name', `${V2}/repositories/Foo/_layers/sha256/${HEX}/link`],
    ['repository-name', `${V2}/repositories/a..b/_uploads/${UUID}/data`],
    ['tag-name', `${R}/_manifests/tags/.hidden/current/link`],
    ['tag-name', `${R}/_manifests/tags/${'x'.repeat(129)}/index/sha256/${HEX}/link`],
    ['digest', `${V2}/blobs/sha256/cd/${HEX}/data`],
    ['digest', `${V2}/blobs/sha256/${HEX}/data`],
    ['digest', `${V2}/blobs/sha256/AB/${HEX.toUpperCase()}/data`],
    ['digest', `${V2}/blobs/sha256/ab/${HEX}0/data`],
    ['digest', `${V2}/blobs/md5/d4/d41d8cd98f00b204e9800998ecf8427e/data`],
    ['digest', `${R}/_layers/sha512/${HEX}/link`],
    ['digest', `${R}/_manifests/revisions/sha256/${HEX.slice(1)}/link`],
    ['digest', `${R}/_manifests/revisions/sha256/${HEX}/signatures/sha1/${HEX}/link`],
    ['digest', `${R}/_manifests/tags/v1/index/sha256/xyz/link`],
    ['v1', 'repositories/library/app/tag_latest'],
    ['v1', `images/${HEX}/layer`],
  ])('%s: %s', (reason, key) => {
    expect(parsePath(key)).toEqual({ kind: 'foreign', key, reason });
  });
});

describe('parsing and formatting', () => {
  const pieces = fc.constantFrom(
    '/',
    '//',
    'docker',
    'registry',
    'v2',
    'blobs',
    'repositories',
    'group',
    '_layers',
    '_manifests',
    'revisions',
    'signatures',
    'tags',
    'index',
    'current',
    'link',
    'data',
    '_uploads',
    'lockfiles',
    'sha256',
    'sha512',
    'ab',
    HEX,
    OTHER_HEX,
    LONG_HEX,
    UUID,
    `.${UUID}.tmp`,
    `.${UUID}.regtool.tmp`,
    'tarsum',
    'A',
    '.',
    ' ',
    '\uD800',
  );
  const nearKeys = fc
    .tuple(
      fc.constantFrom(
        '',
        'docker/registry/',
        `${V2}/blobs/`,
        `${V2}/repositories/`,
        `${R}/_manifests/`,
        `${R}/_uploads/`,
      ),
      fc.array(pieces, { maxLength: 8 }),
      fc.constantFrom('', '/'),
    )
    .map(([start, rest, separator]) => start + rest.join(separator));

  it('give back any string', () => {
    const anyKey = fc.oneof(fc.string({ unit: 'binary' }), nearKeys);
    fc.assert(
      fc.property(anyKey, (key) => {
        expect(formatPath(parsePath(key))).toBe(key);
      }),
      { numRuns: 5000 },
    );
  });

  it('give back a known key with any one character changed', () => {
    const change = fc.tuple(
      fc.constantFrom(...KNOWN.map(([key]) => key)),
      fc.nat(),
      fc.constantFrom('', '/', '_', 'A', '0', '\n'),
    );
    fc.assert(
      fc.property(change, ([known, position, replacement]) => {
        const at = position % known.length;
        const key = known.slice(0, at) + replacement + known.slice(at + 1);
        expect(formatPath(parsePath(key))).toBe(key);
      }),
      { numRuns: 5000 },
    );
  });

  const paths: fc.Arbitrary<RegistryPath> = fc.oneof(
    fc.record({ kind: fc.constant('blob-data'), digest: digests }),
    fc.record({ kind: fc.constant('layer-link'), repository: repositories, digest: digests }),
    fc.record({ kind: fc.constant('revision-link'), repository: repositories, digest: digests }),
    fc.record({ kind: fc.constant('tag-current'), repository: repositories, tag: tags }),
    fc.record({ kind: fc.constant('tag-index'), repository: repositories, tag: tags, digest: digests }),
    fc.record({
      kind: fc.constant('signature-link'),
      repository: repositories,
      revision: digests,
      digest: digests,
    }),
    fc.record({
      kind: fc.constant('upload'),
      repository: repositories,
      uploadId: fc.uuid(),
      file: fc.constantFrom('data', 'startedat', 'hashstates/sha256/0', 'odd//one', ''),
    }),
  );

  it('give back any path', () => {
    fc.assert(
      fc.property(paths, (path) => {
        const parsed = parsePath(formatPath(path));
        expect(parsed).toEqual(path);
        expect(fromRepository(parsed)).toBe('repository' in path ? path.repository : undefined);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a repository', () => {
  it('is found in any of its keys without parsing them', () => {
    fc.assert(
      fc.property(repositories, digests, (name, digest) => {
        expect(repositoryOf(layerLinkKey(name, digest))).toBe(name);
        expect(repositoryOf(`${repositoryPrefix(name)}_uploads/x_/_y`)).toBe(name);
      }),
    );
  });

  it.each([
    `${V2}/repositories/`,
    `${V2}/repositories/a/b`,
    `${V2}/repositories/_layers/x`,
    `${V2}/blobs/_x/_y`,
    '',
  ])('is not in %j', (key) => {
    expect(repositoryOf(key)).toBeUndefined();
  });

  it('has keys of its own that no nested repository shares', () => {
    fc.assert(
      fc.property(repositories, repositories, tags, (outer, inner, tag) => {
        expect(tagsPrefix(outer).startsWith(ownPrefix(outer))).toBe(true);
        const nested = formatPath({
          kind: 'tag-current',
          repository: `${outer}/${inner.toLowerCase()}`,
          tag,
        });
        expect(nested.startsWith(repositoryPrefix(outer))).toBe(true);
        expect(nested.startsWith(ownPrefix(outer))).toBe(false);
      }),
    );
  });
});
