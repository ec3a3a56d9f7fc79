import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { blobKey, layerKey } from '../../fixtures/keys.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { contentOfDriver } from '../crash/crashing.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { brokenTags, pullableTags } from '../support/pullable.ts';
import { type Ended, type FailingCall, runRegtool } from '../support/run-regtool.ts';

// Each test starts processes, which take their time on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const folder = createTemporaryFolder('regtool-bad-disk');
const source = path.join(folder.path, 'source');
let target: string;

const registry = new RegistryBuilder({ seed: 'bad disk' });
const base = registry.image({ layers: 1 });
registry.push('app', 'v1', registry.image({ base, layerBytes: 300_000 }));
registry.push('shop', 'v1', registry.image({ base }));
const lonely = registry.push('lonely', 'v1', registry.image());
const lonelyLayer = lonely.layers[0]?.digest ?? '';

beforeAll(async () => {
  mkdirSync(source);
  await registry.writeTo(await openFilesystem({ root: source }));
});
afterAll(folder.remove);
beforeEach(() => {
  target = mkdtempSync(path.join(folder.path, 'target-'));
});

const migrate = (failing: FailingCall[], ...flags: string[]) =>
  runRegtool(['migrate', source, target, '--no-progress', '--concurrency=4', ...flags], { failing });

function expectNoStack({ stdout, stderr }: Ended): void {
  expect(stdout + stderr).not.toMatch(/bug in regtool|^ {4}at |Unknown system error/m);
}

/** What stands at the target is sound, nothing half-written is left, and a run without faults completes it. */
async function expectSoundAndConvergent(): Promise<void> {
  const driver = await openFilesystem({ root: target });
  expect(await brokenTags(driver)).toEqual([]);
  expect(readdirSync(target, { recursive: true }).filter((name) => String(name).includes('.tmp'))).toEqual(
    [],
  );
  expect(await runRegtool(['migrate', source, target])).toMatchObject({ exitCode: 0 });
  expect(await contentOfDriver(driver)).toEqual(
    await contentOfDriver(await openFilesystem({ root: source })),
  );
}

describe('a target that takes no more in the middle of a migration', () => {
  it.each([
    ['ENOSPC', 'No space is left'],
    ['EDQUOT', 'disk quota is used up'],
  ])('ends it with 5 for %s, which fails every object', async (code, words) => {
    const ended = await migrate([{ call: 'write', path: target, code, after: 6 }]);
    expect(ended).toMatchObject({ exitCode: 5 });
    expect(ended.stdout).toContain(words);
    expect(ended.stdout).not.toMatch(/^Done/m);
    expectNoStack(ended);
    await expectSoundAndConvergent();
  });

  it.each([
    ['write', 'EIO', 'input/output error'],
    ['write', 'EROFS', 'mounted read-only'],
    ['fsync', 'EIO', 'input/output error'],
    ['rename', 'EUCLEAN', 'is damaged'],
    ['mkdir', 'EACCES', 'may not be accessed by this user'],
    ['open', 'ENOTCONN', 'mount it again'],
  ])('ends it with 4 when %s fails with %s, and names each object', async (call, code, words) => {
    const report = path.join(folder.path, 'report.ndjson');
    const ended = await migrate([{ call, path: `${target}/`, code, after: 12 }], '--report', report);
    expect(ended).toMatchObject({ exitCode: 4 });
    expectNoStack(ended);
    const { stdout } = ended;
    expect(stdout).toContain(words);
    const failed = readFileSync(report, 'utf8').match(/"outcome":"failed"/g);
    expect(stdout).toContain(`failed ${failed?.length};`);
    await expectSoundAndConvergent();
  });

  it.each(['EMFILE', 'ENFILE', 'ESTALE', 'EBUSY', 'ETIMEDOUT'])(
    'is asked again for %s, which passes',
    async (code) => {
      expect(await migrate([{ call: 'open', path: `${target}/`, code, after: 5, times: 2 }])).toMatchObject({
        exitCode: 0,
      });
      await expectSoundAndConvergent();
    },
  );
});

describe('a source that cannot be read in part', () => {
  it.each([
    ['read', 'EIO', 'input/output error'],
    ['open', 'EACCES', 'may not be accessed by this user'],
    ['open', 'EUCLEAN', 'is damaged'],
  ])('gives everything else, without what needs it (%s: %s)', async (call, code, words) => {
    const failing = [{ call, path: lonelyLayer.slice('sha256:'.length), code }];
    const ended = await migrate(failing);
    expect(ended).toMatchObject({ exitCode: 4 });
    expect(ended.stdout).toContain(words);
    expectNoStack(ended);
    const tags = await pullableTags(await openFilesystem({ root: target }));
    expect(tags.map(({ repository }) => repository)).toEqual(['app', 'shop']);
    await expectSoundAndConvergent();
  });

  it('lets nothing be deleted at the target when a folder of it cannot be listed', async () => {
    expect(await migrate([])).toMatchObject({ exitCode: 0 });
    const extra = path.join(target, layerKey('shop', lonelyLayer));
    mkdirSync(path.dirname(extra), { recursive: true });
    writeFileSync(extra, lonelyLayer);
    const failing = [{ call: 'readdir', path: 'source/docker/registry/v2/repositories/app/_m', code: 'EIO' }];
    const ended = await migrate(failing, '--delete', '--yes');
    expect(ended).toMatchObject({ exitCode: 6 });
    expectNoStack(ended);
    expect(readFileSync(extra, 'utf8')).toBe(lonelyLayer);
    expect(await pullableTags(await openFilesystem({ root: target }))).toHaveLength(3);
  });

  it.each([
    ['readdir', 'EIO'],
    ['readdir', 'ESTALE'],
    ['stat', 'ENOTCONN'],
  ])('ends everything with 5 when it is the root (%s: %s)', async (call, code) => {
    const after = call === 'stat' ? 2 : 0;
    const failing = [{ call, path: call === 'stat' ? source : `${source}/docker/registry/v2/`, code, after }];
    for (const argv of [
      ['migrate', source, target, '--delete', '--yes'],
      ['check', source],
    ]) {
      const ended = await runRegtool([...argv, '--no-progress'], { failing });
      expect(ended).toMatchObject({ exitCode: 5, stderr: expect.stringContaining(source) });
      expectNoStack(ended);
    }
    expect(readdirSync(target)).toEqual([]);
  });
});

describe('what only looks', () => {
  const unreadable = (call: string, part: string): FailingCall[] => [{ call, path: part, code: 'EIO' }];
  const link = `lonely/_layers/sha256/${lonelyLayer.slice('sha256:'.length)}`;
  const blob = path.dirname(blobKey(lonelyLayer));

  it.each([
    ['a link', unreadable('open', link)],
    ['a folder', unreadable('readdir', 'lonely/_manifests')],
    ['a blob', unreadable('read', blob)],
  ])(
    'check and repair say with 4 that %s could not be read, and conclude nothing from it',
    async (_, failing) => {
      for (const argv of [
        ['check', source],
        ['repair', source, '--dry-run'],
      ]) {
        const ended = await runRegtool([...argv, '--read-data', '--no-progress'], { failing });
        expect(ended).toMatchObject({ exitCode: 4 });
        expect(ended.stdout).toContain('input/output error');
        expect(ended.stdout).not.toMatch(/^HEALTHY|^All .* can be pulled|\. All .* can be pulled/m);
        expectNoStack(ended);
      }
    },
  );

  it('verify does not call equal what it could not read', async () => {
    expect(await migrate([])).toMatchObject({ exitCode: 0 });
    for (const failing of [
      unreadable('read', blob),
      unreadable('readdir', `${target}/docker/registry/v2/blobs`),
    ]) {
      const ended = await runRegtool(['verify', source, target, '--read-data', '--no-progress'], { failing });
      expect([4, 5]).toContain(ended.exitCode);
      expect(ended.stdout + ended.stderr).toContain('input/output error');
      expectNoStack(ended);
    }
  });
});
