import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import type { Digest } from '../../src/layout/digest.ts';
import { blobDataKey, layerLinkKey, parsePath, signatureLinkKey } from '../../src/layout/paths.ts';
import { contentOf, deleteAnything, runMigrate } from '../support/migrating.ts';

const UUID = '01234567-89ab-4def-8123-456789abcdef';

/** Where the source is a folder, migrate asks for the files that it knows, and need not read their folders. */
describe('migrate from a folder', () => {
  let base: string;
  let registry: RegistryBuilder;
  let source: Driver;
  beforeEach(async () => {
    base = mkdtempSync(path.join(tmpdir(), 'regtool-folders-'));
    registry = new RegistryBuilder();
    registry.push('group/app', 'v1', registry.image());
    registry.push('group/app', 'v2', registry.index());
    registry.push('link', 'index', registry.image());
    registry.lockfile('filesystem-in-use');
    source = await open('source', registry.objects);
  });
  afterEach(() => rmSync(base, { recursive: true, force: true }));

  async function open(name: string, objects: ReadonlyMap<string, Uint8Array> = new Map()): Promise<Driver> {
    const root = path.join(base, name);
    mkdirSync(root);
    for (const [key, bytes] of objects) {
      put(name, key, bytes);
    }
    return openFilesystem({ root });
  }

  function put(name: string, key: string, content: Uint8Array | string = 'x'): void {
    mkdirSync(path.dirname(path.join(base, name, key)), { recursive: true });
    writeFileSync(path.join(base, name, key), content);
  }

  /** The first digest that the registry has such a path of. */
  function digestOf(kind: 'blob-data' | 'revision-link', part = ''): Digest {
    for (const key of [...registry.objects.keys()].sort()) {
      const found = parsePath(key);
      if (found.kind === kind && key.includes(part)) {
        return found.digest;
      }
    }
    throw new Error(`The registry has no ${kind}.`);
  }

  const aBlob = () => blobDataKey(digestOf('blob-data'));

  it('copies all content, and finds nothing to do the second time', async () => {
    const target = openMemory();
    expect((await runMigrate(source, target)).tally.failed).toBe(0);
    expect(contentOf(target.objects)).toEqual(contentOf(registry.objects));
    expect((await runMigrate(source, target, { delete: deleteAnything })).tally).toMatchObject({
      copied: {},
      deleted: {},
    });
  });

  it('copies the signatures beside a revision, and does not take them for deleted', async () => {
    const revision = digestOf('revision-link', '/link/');
    const signature = signatureLinkKey('link', revision, digestOf('blob-data'));
    put('source', signature, digestOf('blob-data'));
    const target = openMemory();
    await runMigrate(source, target);
    expect(Buffer.from(target.objects.get(signature) ?? []).toString()).toBe(digestOf('blob-data'));
    const again = await runMigrate(source, target, { delete: deleteAnything });
    expect(again.plan.deletions.size).toBe(0);
    expect(target.objects.has(signature)).toBe(true);
  });

  it('takes a folder without its link for a link that was deleted', async () => {
    const target = openMemory();
    await runMigrate(source, target);
    const unused = layerLinkKey('link', `sha256:${'a'.repeat(64)}` as Digest);
    target.objects.set(unused, new Uint8Array(71));
    mkdirSync(path.join(base, 'source', path.dirname(unused)), { recursive: true });
    const { plan } = await runMigrate(source, target, { dryRun: true, delete: deleteAnything });
    expect(plan.deletions).toEqual(new Map([['layer-link', [unused]]]));
  });

  it('finds what an interrupted run left beside an object at a target that is a folder', async () => {
    const target = await open('target');
    await runMigrate(source, target);
    const left = `${aBlob()}.${UUID}.regtool.tmp`;
    put('target', left);
    const { plan } = await runMigrate(source, target);
    expect(plan.leftovers).toEqual([left]);
    expect(existsSync(path.join(base, 'target', left))).toBe(false);
  });

  it('copies what lies beside an object when foreign files are asked for', async () => {
    const target = await open('target');
    const beside = path.join(path.dirname(aBlob()), 'notes.txt');
    put('source', beside, 'notes');
    await runMigrate(source, target);
    expect(existsSync(path.join(base, 'target', beside))).toBe(false);
    await runMigrate(source, target, { includeForeign: true });
    expect(readFileSync(path.join(base, 'target', beside), 'utf8')).toBe('notes');
  });

  it('sees that a blob lost its data', async () => {
    const target = openMemory();
    await runMigrate(source, target);
    rmSync(path.join(base, 'source', aBlob()));
    const { plan } = await runMigrate(source, target, { dryRun: true });
    expect(plan.keptAtTarget).toBe(1);
  });
});
