import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sampleRegistry } from '../../fixtures/sample-registry.ts';
import { blobKey, currentKey, layerKey, revisionKey, uploadKey } from '../../fixtures/keys.ts';
import Repair from '../../src/commands/repair.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { pullableTags } from '../support/pullable.ts';
import { runClass, type ClassRun } from '../cli/run-class.ts';

let folder: string;
let root: string;
let other: string;
let undoFile: string;
let store: Driver;
let sample: ReturnType<typeof sampleRegistry>;

const run = (...argv: string[]): Promise<ClassRun> => runClass(Repair, argv, 'repair');
const repairIt = (...argv: string[]): Promise<ClassRun> =>
  run(root, '--yes', '--undo-file', undoFile, ...argv);
const pathOf = (key: string) => join(root, key);
const lines = (path: string) =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
/** What the changes of an undo file, as opposed to its head and its marks, found. */
const formers = (path: string) =>
  lines(path)
    .filter(({ change }) => change === 'link')
    .map(({ former }) => former);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'regtool-repair-command-'));
  root = join(folder, 'registry');
  other = join(folder, 'other');
  undoFile = join(folder, 'undo.ndjson');
  mkdirSync(root);
  mkdirSync(other);
  sample = sampleRegistry({ largeLayerBytes: 100_000 });
  for (const [id, at] of [
    [root, 'store'],
    [other, 'other'],
  ] as const) {
    const driver = await openFilesystem({ root: id, location: at });
    await sample.registry.writeTo(driver);
  }
  store = await openFilesystem({ root });
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

describe('regtool repair', () => {
  it('has nothing to do on a healthy registry, ends with 0, and leaves no undo file', async () => {
    const { exitCode, stdout } = await repairIt('--read-data');
    expect(stdout).toContain('nothing to mend');
    expect(exitCode).toBe(0);
    expect(() => statSync(undoFile)).toThrow('ENOENT');
  });

  it('plans with 3, mends with 0, notes what was there, and puts it back', async () => {
    const { digest } = sample.index.image;
    writeFileSync(pathOf(revisionKey('platform/tools', digest)), '');
    const report = join(folder, 'report.ndjson');
    const dry = await run(root, '--dry-run', '--report', report, '--undo-file', undoFile);
    expect(dry.exitCode).toBe(3);
    expect(dry.stdout).toContain('tags that can be pulled: 8 of 10 now, 10 of 10 afterwards');
    expect(dry.stdout).toContain('Dry run, nothing was changed: would make 1 change');
    expect(lines(report)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          action: 'link',
          outcome: 'planned',
          code: 'revision-link-empty',
          repository: 'platform/tools',
          tags: ['24.04', 'latest'],
        }),
      ]),
    );
    expect(() => statSync(undoFile)).toThrow('ENOENT');

    const wet = await repairIt('--json');
    expect(wet).toMatchObject({
      exitCode: 0,
      json: { ok: true, result: { end: 'done', outcomes: { done: 1 }, undoFile, left: expect.anything() } },
    });
    expect(readFileSync(pathOf(revisionKey('platform/tools', digest)), 'utf8')).toBe(digest);
    expect(statSync(undoFile).mode & 0o777).toBe(0o600);
    expect(await pullableTags(store)).toHaveLength(10);

    const undone = await run(root, '--undo', undoFile, '--yes');
    expect(undone.exitCode).toBe(0);
    expect(undone.stdout).toContain('Undone: put back 1 object');
    expect(statSync(pathOf(revisionKey('platform/tools', digest))).size).toBe(0);
  });

  it('ends with 3 and says why, while something broken is left', async () => {
    rmSync(pathOf(blobKey(sample.largeLayer.digest)));
    const { exitCode, stdout } = await repairIt();
    expect(exitCode).toBe(3);
    expect(stdout).toContain('layer-blob-missing, hurts data/models:large');
    expect(stdout).toContain('--from another store that has it');
  });

  it('fetches from another store what is missing or corrupt, and keeps the corrupt bytes', async () => {
    rmSync(pathOf(blobKey(sample.largeLayer.digest)));
    writeFileSync(pathOf(blobKey(sample.index.image.digest)), '{}');
    const { exitCode, stdout } = await repairIt('--from', other, '--read-data');
    expect(stdout).toContain('blobs to copy from the other store');
    expect(exitCode).toBe(0);
    expect(await pullableTags(store)).toHaveLength(10);
    const entry = lines(undoFile).find(({ key }) => key === blobKey(sample.index.image.digest));
    const { former } = entry as { former: { key: string } };
    expect(readFileSync(pathOf(former.key), 'utf8')).toBe('{}');
    expect((await run(root, '--undo', undoFile, '--yes')).exitCode).toBe(0);
    expect(readFileSync(pathOf(blobKey(sample.index.image.digest)), 'utf8')).toBe('{}');
    expect(() => statSync(pathOf('regtool-quarantine'))).toThrow('ENOENT');
  });

  it('points a tag only when asked, and removes uploads only when asked', async () => {
    writeFileSync(pathOf(currentKey('data/models', 'large')), '');
    const [upload] = sample.interruptedUploads;
    const started = pathOf(uploadKey('shop/web', upload?.uploadId ?? '', 'startedat'));
    const asked = await repairIt();
    expect(asked).toMatchObject({ exitCode: 3 });
    expect(asked.stdout).toContain('--tags makes it so');
    expect(asked.stdout).toContain(
      '2 leftovers of uploads or temporary files: --uploads removes what is old',
    );
    expect(statSync(started).size).toBe(20);
    expect((await repairIt('--tags', '--uploads', '--older-than', '30d')).exitCode).toBe(0);
    expect(await pullableTags(store)).toHaveLength(10);
    expect(() => statSync(started)).toThrow('ENOENT');
  });

  it('goes on with the undo file of an interrupted run, and not with that of another store', async () => {
    const link = layerKey('data/models', sample.largeLayer.digest);
    writeFileSync(pathOf(link), '');
    expect((await repairIt()).exitCode).toBe(0);
    rmSync(pathOf(link));
    expect((await repairIt()).exitCode).toBe(0);
    expect(formers(undoFile)).toEqual(['', null]);
    rmSync(join(other, link));
    const elsewhere = await run(other, '--yes', '--undo-file', undoFile);
    expect(elsewhere.exitCode).toBe(2);
    expect(elsewhere.stderr).toContain('name another file');
    expect(() => statSync(join(other, link))).toThrow('ENOENT');
    expect(await run(other, '--yes', '--undo', undoFile)).toMatchObject({ exitCode: 6 });
  });

  it.each([
    ['an entry', ([head, entry]: string[]) => `${head}\n${entry?.slice(0, -20)}`, ['', null]],
    [
      'a mark',
      ([head, entry, mark]: string[]) => `${head}\n${entry}\n${mark?.slice(0, -20)}`,
      ['', '', null],
    ],
    ['its first line', ([head]: string[]) => head?.slice(0, 20) ?? '', ['', null]],
    ['nothing', () => '', ['', null]],
  ])('goes on with an undo file of which a crash had written only a part: %s', async (_, cut, expected) => {
    const { repository, digest } = sample.largeLayer;
    const layer = pathOf(layerKey(repository, digest));
    const revision = pathOf(revisionKey(repository, sample.registry.revisions(repository)[0] ?? ''));
    writeFileSync(layer, '');
    expect((await repairIt()).exitCode).toBe(0);
    // The change that such a line is about was not made.
    writeFileSync(undoFile, cut(readFileSync(undoFile, 'utf8').split('\n')));
    writeFileSync(layer, '');
    rmSync(revision);
    expect((await repairIt()).exitCode).toBe(0);
    expect(formers(undoFile)).toEqual(expected);
    const undone = await run(root, '--yes', '--undo', undoFile);
    expect(undone).toMatchObject({ exitCode: 0 });
    expect(statSync(layer).size).toBe(0);
    expect(() => statSync(revision)).toThrow('ENOENT');
  });

  it('leaves what the repair may not have written, and says why with 3', async () => {
    const key = layerKey('data/models', sample.largeLayer.digest);
    rmSync(pathOf(key));
    expect((await repairIt()).exitCode).toBe(0);
    const withoutMark = readFileSync(undoFile, 'utf8').split('\n').slice(0, 2);
    writeFileSync(undoFile, `${withoutMark.join('\n')}\n`);
    const undone = await run(root, '--yes', '--undo', undoFile);
    expect(undone).toMatchObject({ exitCode: 3 });
    expect(undone.stdout).toContain('put back 0 objects, left 1 as they are');
    expect(undone.stdout).toContain(
      `Left as it is: 1\n  ${key}: whether the repair wrote it or a push since`,
    );
    expect(statSync(pathOf(key)).size).toBe(71);
  });

  it('puts back what the undo file of a former version tells of, which has no marks', async () => {
    const key = layerKey('data/models', sample.largeLayer.digest);
    const head = { type: 'regtool-undo', format: 1, location: root, identity: store.identity };
    const entry = { change: 'link', key, former: null, written: sample.largeLayer.digest };
    writeFileSync(undoFile, `${JSON.stringify(head)}\n${JSON.stringify(entry)}\n`);
    expect(await run(root, '--yes', '--undo', undoFile)).toMatchObject({ exitCode: 0 });
    expect(() => statSync(pathOf(key))).toThrow('ENOENT');
  });

  it('writes nothing into a file that is no undo file', async () => {
    const link = pathOf(layerKey('data/models', sample.largeLayer.digest));
    for (const text of ['notes without a line end', '{"type":"something else"}\n', 'a\nb']) {
      writeFileSync(link, '');
      writeFileSync(undoFile, text);
      const { exitCode, stderr } = await repairIt();
      expect({ text, stderr, exitCode }).toMatchObject({ exitCode: 2 });
      expect(stderr).toContain('is not an undo file');
      expect(readFileSync(undoFile, 'utf8')).toBe(text);
      expect(statSync(link).size).toBe(0);
    }
  });

  it.each([
    ['no terminal and no --yes', () => [root], 'add --yes'],
    ['an age that is none', () => [root, '--yes', '--older-than', 'long'], '--older-than takes'],
    [
      'an undo file that is not there',
      () => [root, '--yes', '--undo', join(folder, 'none')],
      'does not exist',
    ],
    [
      'an undo file that is none',
      () => [root, '--yes', '--undo', join(folder, 'other.txt')],
      'is not an undo file',
    ],
    ['--undo with what it does not do', () => [root, '--yes', '--undo', undoFile, '--tags'], '--tags'],
  ])('refuses %s', async (_, argv, words) => {
    writeFileSync(join(folder, 'other.txt'), 'something else\n');
    const { exitCode, stderr } = await run(...argv());
    expect(stderr).toContain(words);
    expect(exitCode).toBe(2);
  });

  it('refuses to repair a store from itself, and what is no registry', async () => {
    expect(await repairIt('--from', root)).toMatchObject({ exitCode: 6 });
    expect(await run(folder, '--yes')).toMatchObject({ exitCode: 6 });
  });

  it('changes nothing when the undo file cannot be written', async () => {
    const link = pathOf(layerKey('data/models', sample.largeLayer.digest));
    writeFileSync(link, '');
    const { exitCode, stderr } = await run(
      root,
      '--yes',
      '--undo-file',
      join(folder, 'no', 'such', 'folder'),
    );
    expect(stderr).toContain('Nothing was changed');
    expect(exitCode).toBe(2);
    expect(statSync(link).size).toBe(0);
  });

  it.each([
    ['in no folder', () => join(folder, 'no', 'undo.ndjson'), 'as its folder does not exist'],
    ['that is a folder', () => folder, 'cannot be read, as it is a folder: name a file in it'],
  ])('notices an undo file %s before it checks anything', async (_, file, words) => {
    const { exitCode, stdout, stderr } = await run(root, '--yes', '--undo-file', file());
    expect(stderr).toContain(words);
    expect(stdout).toBe('');
    expect(exitCode).toBe(2);
  });

  it.each(['--undo', '--undo-file'])('refuses an empty %s', async (flag) => {
    const { exitCode, stderr } = await run(root, '--yes', flag, '');
    expect(stderr).toBe(`Error: ${flag} takes the name of a file, and none is given.\n`);
    expect(exitCode).toBe(2);
  });
});
