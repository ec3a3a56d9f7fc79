import { describe, expect, it } from 'vitest';
import { contentNamed, COPY_ORDER, copyRank, DELETE_ORDER, isContent } from '../../src/layout/order.ts';
import { parsePath } from '../../src/layout/paths.ts';

const HEX = `ab${'0'.repeat(62)}`;
const V2 = 'docker/registry/v2';
const R = `${V2}/repositories/app`;
const KEYS = {
  blob: `${V2}/blobs/sha256/ab/${HEX}/data`,
  tarsumBlob: `${V2}/blobs/tarsum/v1/sha256/ab/${HEX}/data`,
  lockfile: 'docker/registry/lockfiles/database-in-use',
  schedulerState: 'scheduler-state.json',
  layer: `${R}/_layers/sha256/${HEX}/link`,
  tarsumLayer: `${R}/_layers/tarsum/v1/sha256/${HEX}/link`,
  signature: `${R}/_manifests/revisions/sha256/${HEX}/signatures/sha256/${HEX}/link`,
  revision: `${R}/_manifests/revisions/sha256/${HEX}/link`,
  tagIndex: `${R}/_manifests/tags/v1/index/sha256/${HEX}/link`,
  tagCurrent: `${R}/_manifests/tags/v1/current/link`,
};
const NOT_CONTENT = [
  `${R}/_uploads/x/data`,
  `${R}/_manifests/tags/`,
  `${KEYS.layer}.0f0a7c0e-5b0f-4b0e-8c0d-0a0b0c0d0e0f.tmp`,
  `${R}/other`,
];

function rankOf(name: keyof typeof KEYS): number {
  const rank = copyRank(parsePath(KEYS[name]));
  if (rank === undefined) {
    throw new TypeError(`${name} has no rank`);
  }
  return rank;
}

describe('the copy order', () => {
  // What each thing needs in order to be of use, from the order of writes in a push (A4).
  it.each<[keyof typeof KEYS, (keyof typeof KEYS)[]]>([
    ['layer', ['blob', 'lockfile', 'schedulerState']],
    ['tarsumLayer', ['tarsumBlob', 'lockfile']],
    ['signature', ['blob', 'lockfile']],
    ['revision', ['blob', 'layer', 'tarsumLayer', 'signature', 'lockfile']],
    ['tagIndex', ['revision', 'lockfile']],
    ['tagCurrent', ['revision', 'tagIndex', 'lockfile', 'schedulerState']],
  ])('puts %s after %j', (later, earlier) => {
    for (const name of earlier) {
      expect(rankOf(name)).toBeLessThan(rankOf(later));
    }
  });

  it('lists each kind at its rank', () => {
    for (const key of Object.values(KEYS)) {
      const path = parsePath(key);
      expect(COPY_ORDER[copyRank(path) ?? -1]).toContain(path.kind);
    }
  });

  it('has no place for what is never copied', () => {
    for (const key of NOT_CONTENT) {
      const path = parsePath(key);
      expect(copyRank(path)).toBeUndefined();
      expect(isContent(path)).toBe(false);
      expect(contentNamed(path)).toBe(false);
      expect(COPY_ORDER.flat()).not.toContain(path.kind);
    }
  });

  it('is deletion backwards', () => {
    expect(DELETE_ORDER.at(0)).toEqual(['tag-current']);
    expect(DELETE_ORDER.at(-1)).toContain('blob-data');
    expect(DELETE_ORDER).toHaveLength(COPY_ORDER.length);
  });
});

describe('content', () => {
  it('is settled by its name unless it is rewritten in place', () => {
    const rewritten = new Set(['lockfile', 'schedulerState', 'tagCurrent']);
    for (const key of Object.values(KEYS)) {
      expect(isContent(parsePath(key))).toBe(true);
    }
    const settled = Object.entries(KEYS).filter(([, key]) => contentNamed(parsePath(key)));
    expect(settled.map(([name]) => name)).toEqual(Object.keys(KEYS).filter((name) => !rewritten.has(name)));
  });
});
