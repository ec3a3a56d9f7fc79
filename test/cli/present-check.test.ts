import { describe, expect, test } from 'vitest';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { checkJson, type CheckFacts, findingRecord, presentCheck } from '../../src/cli/present-check.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { type Finding, finding } from '../../src/layout/findings.ts';
import type { CheckedTag, CheckResult } from '../../src/operations/check.ts';
import { flipped, healthyRegistry } from '../operations/check/fixtures.ts';
import { observe, wholeData } from '../operations/check/observe.ts';

const facts: CheckFacts = { location: 's3://bucket', durationMs: 1500, retries: 0, readData: undefined };

const healthy: CheckResult = {
  verdict: 'healthy',
  tags: { total: 3, pullable: 3, notPullable: 0, unknown: 0 },
  brokenTags: [],
  repositories: 2,
  untaggedManifests: 0,
  findings: [],
  counts: { 'blob-data': { objects: 9, bytes: 2048 } },
  lockfiles: [],
  dataRead: undefined,
  unreads: [],
  unreadCount: 0,
  notExamined: [],
};

const broken: CheckResult = {
  ...healthy,
  verdict: 'broken',
  tags: { total: 3, pullable: 2, notPullable: 1, unknown: 0 },
  brokenTags: [tagOf('app', 'v1')],
  findings: [
    tally(
      finding({
        code: 'tag-link-empty',
        detail: 'the link is empty',
        paths: ['a/link'],
        tags: ['v1'],
        repository: 'app',
      }),
    ),
  ],
};

describe('the first line of a check', () => {
  test.each<[string, CheckResult, RegExp]>([
    ['of a healthy store', healthy, /^HEALTHY: s3:\/\/bucket\. All 3 tags can be pulled\.$/],
    ['of broken tags', broken, /^BROKEN: 1 of 3 tags cannot be pulled from s3:\/\/bucket\.$/],
    [
      'of broken manifests without a tag',
      { ...healthy, verdict: 'broken' },
      /^BROKEN: manifests without a tag cannot be pulled from s3:\/\/bucket\. All 3 tags can be pulled\.$/,
    ],
    [
      'of warnings',
      {
        ...healthy,
        verdict: 'warnings',
        findings: [tally(finding({ code: 'marker-empty-tag', detail: '', paths: ['a/'] }))],
      },
      /^NEEDS ATTENTION: s3:\/\/bucket has 1 thing that does harm\. All 3 tags can be pulled\.$/,
    ],
    [
      'of what could not be read',
      {
        ...broken,
        verdict: 'incomplete',
        unreadCount: 2,
        tags: { total: 3, pullable: 1, notPullable: 1, unknown: 1 },
      },
      /^INCOMPLETE: 2 parts of .* not known to be healthy\. 1 of 3 tags can be pulled, 1 cannot, of 1 it is not known\.$/,
    ],
    [
      'of an empty registry',
      { ...healthy, tags: { total: 0, pullable: 0, notPullable: 0, unknown: 0 } },
      /There are no tags\.$/,
    ],
    [
      'of a registry with a database',
      { ...healthy, tags: undefined },
      /GitLab's database, so only its blobs were checked\.$/,
    ],
  ])('%s', (_, result, expected) => {
    expect(presentCheck(result, facts)[0]).toMatch(expected);
  });
});

describe('the output of a check', () => {
  test('names what cannot be pulled by repository, and what mends it', () => {
    const text = presentCheck(broken, facts).join('\n');
    expect(text).toContain('Cannot be pulled:\n  app\n    v1  tag-link-empty\n');
    expect(text).toContain(
      "ERROR tag-link-empty: tag's link is empty (1)\n  app:v1: the link is empty; a/link\n",
    );
    expect(text).toContain('clients see: 500 UNKNOWN');
    expect(text).toContain('to mend: push the tag again');
  });

  test('shows fifty tags at most, and how many more there are', () => {
    const tags = Array.from({ length: 60 }, (_, number) => tagOf('app', `v${number}`));
    const result = {
      ...broken,
      brokenTags: tags,
      tags: { total: 80, pullable: 10, notPullable: 70, unknown: 0 },
    };
    const lines = presentCheck(result, facts);
    expect(lines.filter((line) => line.startsWith('    v'))).toHaveLength(50);
    expect(lines).toContain('  and 20 more tags; all are in --report');
  });

  test('lists hints without more words, as nothing needs to be done', () => {
    const dangling = finding({ code: 'layer-link-dangling', detail: 'gone', paths: ['secret-path'] });
    const text = presentCheck({ ...healthy, findings: [{ ...tally(dangling), count: 12 }] }, facts).join(
      '\n',
    );
    expect(text).toContain('Harmless:\n  layer-link-dangling: layer link to a blob that is gone (12)');
    expect(text).not.toContain('secret-path');
  });

  test('counts a blob once that hurts many repositories', async () => {
    const registry = new RegistryBuilder();
    const image = registry.image();
    for (const repository of ['a', 'b', 'c', 'd']) {
      registry.push(repository, 'v1', image);
    }
    const [first, second] = image.layers;
    damage(registry, first?.digest);
    const headOf = async () => {
      const store = openMemory({ objects: registry.objects });
      const result = await observe(store, { readData: wholeData });
      return presentCheck(result, facts).find((line) => line.startsWith('ERROR blob-corrupt'));
    };
    expect(await headOf()).toMatch(/\(1 blob in 4 repositories, 1000 B\)$/);
    damage(registry, second?.digest);
    expect(await headOf()).toMatch(/\(2 blobs in 8 places, 2\.0 KiB\)$/);
  });

  test('escapes names from the store', () => {
    const evil = 'v\u001B[2J';
    const found = finding({
      code: 'tag-ghost',
      detail: `${evil} is none`,
      paths: [evil],
      tags: [evil],
      repository: evil,
    });
    const result = {
      ...broken,
      brokenTags: [tagOf(evil, evil)],
      findings: [tally(found)],
      unreads: [{ key: evil, message: evil }],
      unreadCount: 1,
    };
    expect(presentCheck(result, { ...facts, location: evil }).join('\n')).not.toContain('\u001B');
  });

  test('says that bytes were not read, or which were', () => {
    const readData = { subset: { percent: 5 }, seed: 77 };
    const sampled = { ...healthy, dataRead: { blobs: 2, bytes: 1024 } };
    expect(presentCheck(healthy, facts).join('\n')).toContain('were not read: --read-data proves them');
    expect(presentCheck(sampled, { ...facts, readData }).join('\n')).toContain(
      'a sample (5%, --seed 77) of 2 blobs (1.0 KiB) were read',
    );
  });

  test('does not pass off a sample of nothing as proof', () => {
    const readData = { subset: { percent: 1 }, seed: 77 };
    const nothing = { ...healthy, dataRead: { blobs: 0, bytes: 0 } };
    expect(presentCheck(nothing, { ...facts, readData }).join('\n')).toContain(
      'The bytes of NO blob were read and compared with their names, as the sample (1%, --seed 77) holds none: take a larger one.',
    );
    const unread = { ...nothing, unreadCount: 1, unreads: [{ key: 'a', message: 'made up' }] };
    const all = { subset: { percent: 100 }, seed: 77 };
    for (const [result, read] of [
      [unread, readData],
      [nothing, all],
    ] as const) {
      expect(presentCheck(result, { ...facts, readData: read }).join('\n')).toContain(
        'The bytes of NO blob were read and compared with their names.',
      );
    }
  });

  test('says what was not concluded', () => {
    const notExamined = ['Which blobs nothing needs was not concluded: a manifest is missing.'];
    expect(presentCheck({ ...healthy, notExamined }, facts)).toContain(notExamined[0]);
  });
});

describe('the JSON of a check', () => {
  test('has the same facts as the terminal, with what is known of each code', async () => {
    const { registry, layer } = healthyRegistry();
    registry.objects.delete(keyOf(layer.digest));
    const result = await observe(openMemory({ objects: registry.objects }));
    const json = checkJson(result, facts);
    expect(json).toMatchObject({
      store: 's3://bucket',
      verdict: 'broken',
      tags: { total: 2, pullable: 1, notPullable: 1, unknown: 0 },
      notPullable: [{ repository: 'shop', tag: 'v1', state: 'not-pullable', codes: ['layer-blob-missing'] }],
      findings: [{ code: 'layer-blob-missing', severity: 'error', count: 1 }],
      lockfiles: ['filesystem-in-use'],
      readData: null,
    });
    expect(JSON.parse(JSON.stringify(json))).toEqual(json);
  });

  test('says null of tags that the store does not tell', async () => {
    const registry = new RegistryBuilder();
    registry.push('app', 'v1', registry.image());
    registry.lockfile('database-in-use');
    expect(checkJson(await observe(openMemory({ objects: registry.objects })), facts).tags).toBeNull();
  });
});

test('a line of the report holds the finding and what is known of its code', () => {
  const found = finding({
    code: 'tag-link-empty',
    detail: 'the link is empty',
    paths: ['a/link'],
    tags: ['v1'],
  });
  expect(findingRecord(found)).toMatchObject({
    type: 'finding',
    code: 'tag-link-empty',
    severity: 'error',
    tags: ['v1'],
    title: "tag's link is empty",
  });
});

function tagOf(repository: string, tag: string): CheckedTag {
  return { repository, tag, state: 'not-pullable', codes: ['tag-link-empty'] };
}

function damage(registry: RegistryBuilder, digest = ''): void {
  const key = keyOf(digest);
  registry.objects.set(key, flipped(registry.objects.get(key) ?? new Uint8Array()));
}

function tally(found: Finding) {
  return { code: found.code, severity: found.severity, count: 1, blobs: 0, sizeBytes: 0, examples: [found] };
}

function keyOf(digest: string): string {
  const hex = digest.slice('sha256:'.length);
  return `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
}
