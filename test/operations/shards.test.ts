import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { openMemory } from '../../src/drivers/memory.ts';
import { findShards, joinBlobShards, type Shard } from '../../src/operations/shards.ts';

const BLOBS = 'docker/registry/v2/blobs/sha256/';

function shards(...names: string[]): Shard[] {
  return names.map((name) => ({ prefix: BLOBS + name, inSource: true, inTarget: true }));
}

function prefixes(found: Shard[]): string[] {
  return found.map(({ prefix }) => prefix.slice(BLOBS.length));
}

const loose = (key: string) => ({ key: BLOBS + key, source: { key, sizeBytes: 1 }, target: undefined });

describe('joining the folders of blobs', () => {
  it('takes those together that share their first letter', () => {
    const joined = joinBlobShards({ blobs: shards('00/', '01/', 'a0/', 'af/', 'ff/'), loose: [] });
    expect(prefixes(joined)).toEqual(['0', 'a', 'ff/']);
  });

  it('lists a side if any of the folders is there', () => {
    const [first, second] = shards('00/', '01/').map((shard) => ({
      ...shard,
      inTarget: false,
      inSource: false,
    }));
    const joined = joinBlobShards({
      blobs: [
        { prefix: first?.prefix ?? '', inSource: true, inTarget: false },
        { prefix: second?.prefix ?? '', inSource: false, inTarget: true },
      ],
      loose: [],
    });
    expect(joined).toEqual([{ prefix: `${BLOBS}0`, inSource: true, inTarget: true }]);
  });

  it.each([
    ['a folder with a longer name', shards('a0/', 'a1/', 'a1b/', 'b0/', 'b1/'), []],
    ['a folder with a shorter name', shards('a/', 'a0/', 'a1/', 'b0/', 'b1/'), []],
    ['a file', shards('a0/', 'a1/', 'b0/', 'b1/'), [loose('a-file')]],
  ])('keeps folders apart that it would mix up with %s', (_, blobs, files) => {
    const joined = joinBlobShards({ blobs, loose: files });
    expect(prefixes(joined)).toEqual([...prefixes(blobs).filter((name) => name.startsWith('a')), 'b']);
  });

  it('loses and repeats no key, whatever lies among the blobs', async () => {
    const names = [
      '00/x',
      '01/x',
      '0/x',
      'a0/x',
      'a1/x',
      'ab',
      'b0/x',
      'b1/x',
      'c0/x',
      'c1/x',
      'zz/x',
      'zz1',
      'G/x',
    ];
    const store = openMemory({ objects: new Map(names.map((name) => [BLOBS + name, new Uint8Array(1)])) });
    const map = await findShards(store, undefined, { concurrency: 4 });
    const listed = map.loose.map(({ key }) => key);
    for (const { prefix } of joinBlobShards(map)) {
      for await (const page of store.list(prefix)) {
        listed.push(...page.map(({ key }) => key));
      }
    }
    expect(listed.sort()).toEqual(names.map((name) => BLOBS + name).sort());
  });
});

describe('finding shards', () => {
  it('asks at once for all that can be asked at once', async () => {
    const keys = ['blobs/sha256/ab/abc/data', 'repositories/group/app/_layers/sha256/abc/link'];
    const store = openMemory({
      objects: new Map(keys.map((key) => [`docker/registry/v2/${key}`, new Uint8Array(1)])),
    });
    const rounds: string[][] = [];
    let waiting: { folder: string; answer: () => void }[] = [];
    const answeringInRounds = {
      ...store,
      listFolder: async (folder: string) => {
        await new Promise<void>((answer) => waiting.push({ folder, answer }));
        return store.listFolder(folder);
      },
    };
    const finding = findShards(answeringInRounds, undefined, { concurrency: 64 });
    for (let round = 0; round < 10; round += 1) {
      await setImmediate();
      const asked = waiting;
      waiting = [];
      rounds.push(asked.map(({ folder }) => folder));
      asked.forEach(({ answer }) => answer());
    }
    const map = await finding;
    const [first = [], ...others] = rounds.filter((asked) => asked.length > 0);
    // The upper folders and the blobs; the one namespace; the repository, which is found to be one.
    expect(others).toEqual([
      ['docker/registry/v2/repositories/group/'],
      ['docker/registry/v2/repositories/group/app/'],
    ]);
    expect(first).toContain('docker/registry/v2/blobs/sha256/');
    expect(map.blobs.map(({ prefix }) => prefix)).toEqual(['docker/registry/v2/blobs/sha256/ab/']);
  });
});
