import { describe, expect, test } from 'vitest';
import { classifyMarker, markerPlace } from '../../src/layout/markers.ts';

const REPOSITORIES = 'docker/registry/v2/repositories';
const UPLOAD = '0f9a2f8e-0d6f-4d6f-8b51-3f2f6f0a1b2c';

describe('the place of a marker', () => {
  test.each([
    ['docker', { place: 'elsewhere' }],
    ['docker/registry/v2', { place: 'elsewhere' }],
    ['docker/registry/v2/blobs/sha256', { place: 'elsewhere' }],
    [REPOSITORIES, { place: 'walked' }],
    [`${REPOSITORIES}/group`, { place: 'walked' }],
    [`${REPOSITORIES}/group/app`, { place: 'walked' }],
    [`${REPOSITORIES}/group/app/_uploads`, { place: 'walked' }],
    [`${REPOSITORIES}/group/app/_uploads/${UPLOAD}`, { place: 'walked' }],
    [`${REPOSITORIES}/group/app/_uploads/${UPLOAD}/hashstates`, { place: 'walked' }],
    [`${REPOSITORIES}/group/app/_layers`, { place: 'elsewhere' }],
    [`${REPOSITORIES}/group/app/_layers/sha256`, { place: 'elsewhere' }],
    [`${REPOSITORIES}/group/app/_manifests`, { place: 'elsewhere' }],
    [`${REPOSITORIES}/group/app/_manifests/revisions`, { place: 'elsewhere' }],
    [`${REPOSITORIES}/group/app/_manifests/tags`, { place: 'tags', repository: 'group/app' }],
    [`${REPOSITORIES}/group/app/_manifests/tags/v1`, { place: 'tag', repository: 'group/app', tag: 'v1' }],
    [
      `${REPOSITORIES}/group/app/_manifests/tags/v1/current`,
      { place: 'tag', repository: 'group/app', tag: 'v1' },
    ],
  ])('of %s', (folder, expected) => {
    expect(markerPlace(folder)).toEqual(expected);
  });
});

describe('the harm of a marker', () => {
  const tags = `${REPOSITORIES}/app/_manifests/tags`;
  const around = { store: 's3', tagHasLinks: false, sizeBytes: 0 };

  test.each([
    ['of the tags makes an empty tag', tags, {}, 'marker-empty-tag'],
    ['of a tag without links makes a ghost', `${tags}/gone`, {}, 'marker-ghost-tag'],
    ['of a live tag makes nothing', `${tags}/v1`, { tagHasLinks: true }, 'marker-harmless'],
    ['of a repository crashes the purger', `${REPOSITORIES}/app`, {}, 'marker-purger-panic'],
    ['of a folder of layers makes nothing', `${REPOSITORIES}/app/_layers`, {}, 'marker-harmless'],
    [
      'of the same on Azure lists itself',
      `${REPOSITORIES}/app/_layers`,
      { store: 'azure' },
      'marker-lists-itself',
    ],
    [
      'and in a bucket of Google, too',
      `${REPOSITORIES}/app/_layers`,
      { store: 'gcs' },
      'marker-lists-itself',
    ],
    ['of the tags on Azure makes an empty tag, too', tags, { store: 'azure' }, 'marker-empty-tag'],
    ['that has content is none', tags, { sizeBytes: 1 }, 'marker-with-content'],
  ])('%s', (_, folder, surroundings, code) => {
    expect(classifyMarker(folder, { ...around, ...surroundings })).toBe(code);
  });
});
