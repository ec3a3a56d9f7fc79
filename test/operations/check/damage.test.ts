import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Random } from '../../../fixtures/random-registry.ts';
import { RegistryBuilder } from '../../../fixtures/registry-builder.ts';
import type { Driver } from '../../../src/drivers/driver.ts';
import { openFilesystem } from '../../../src/drivers/filesystem.ts';
import { describeWithServers, startDockerRegistry, type DockerRegistry } from '../../servers/index.ts';
import { createTemporaryFolder } from '../../servers/process.ts';
import { canPull } from '../../support/seed.ts';
import { StrictPuller } from '../../support/strict-puller.ts';
import { notPullable, type Observed, observe, wholeData } from './observe.ts';

const CASES = 300;
/** Every so many cases the puller itself is compared with skopeo. */
const SKOPEO_EVERY = 64;

/**
 * The whole claim of `check` at once: whatever file of a registry is deleted, emptied, cut off, grown or changed in one
 * bit, it names exactly the tags that a real docker-registry on that very folder then fails to serve.
 */
describeWithServers('a check of a damaged registry', ['docker-registry', 'skopeo'], () => {
  const folder = createTemporaryFolder('regtool-damage');
  let registry: DockerRegistry;
  let puller: StrictPuller;
  let driver: Driver;
  let tags: { repository: string; tag: string }[];
  let files: string[];

  beforeAll(async () => {
    const built = buildRegistry();
    tags = built.tags();
    driver = await openFilesystem({ root: folder.path, location: folder.path });
    await built.writeTo(driver);
    files = filesBelow(folder.path);
    registry = await startDockerRegistry({ storage: { filesystem: { rootdirectory: folder.path } } });
    puller = new StrictPuller(registry.address);
  });
  afterAll(async () => {
    await puller.close();
    await registry.stop();
    await driver.close();
    folder.remove();
  });

  test('finds nothing before, and every tag can be pulled', async () => {
    expect(notPullable(await observe(driver, { readData: wholeData }))).toEqual([]);
    expect(await failedPulls()).toEqual([]);
  });

  test(`names exactly the tags that cannot be pulled, in ${CASES} cases`, { timeout: 240_000 }, async () => {
    const random = new Random('damage');
    let hurtful = 0;
    for (let number = 0; number < CASES; number += 1) {
      const damages = Array.from({ length: random.pick([1, 1, 1, 2, 4]) }, () => damageOneOf(files, random));
      const words = `case ${number}: ${damages.map(({ words }) => words).join(', ')}`;
      const failed = await failedPulls();
      const checked = await observe(driver, { readData: wholeData });
      // The words are on both sides so that a failure shows what was damaged.
      expect({ words, notPullable: notPullable(checked), verdict: checked.verdict }).toEqual({
        words,
        notPullable: failed,
        verdict: failed.length > 0 || hurtsUntagged(checked) ? 'broken' : checked.verdict,
      });
      hurtful += failed.length > 0 ? 1 : 0;
      if (number % SKOPEO_EVERY === 0) {
        await compareWithSkopeo(failed, words);
      }
      for (const { restore } of damages.toReversed()) {
        restore();
      }
    }
    // Otherwise the cases above would prove little.
    expect(hurtful).toBeGreaterThan(CASES / 2);
    expect(hurtful).toBeLessThan(CASES);
    expect(await failedPulls()).toEqual([]);
  });

  async function failedPulls(): Promise<string[]> {
    const failures = await Promise.all(
      tags.map(async ({ repository, tag }) => ({
        name: `${repository}:${tag}`,
        failure: await puller.failureOf(repository, tag),
      })),
    );
    return failures
      .filter(({ failure }) => failure !== undefined)
      .map(({ name }) => name)
      .sort();
  }

  /** skopeo does not compare a manifest that it asks for by tag with the digest that the registry names; others do. */
  async function compareWithSkopeo(failed: readonly string[], words: string): Promise<void> {
    const names = tags.map(({ repository, tag }) => `${repository}:${tag}`);
    const some = [...new Set([...failed, ...names])].slice(0, 3);
    for (const name of some) {
      const [repository = '', tag = ''] = name.split(':');
      const { ok } = await canPull(registry.address, repository, tag);
      const failure = await puller.failureOf(repository, tag);
      const isWrongManifest = ok && failure?.startsWith('what should be ') === true;
      const pulls = { words, name, failure, ok };
      expect(pulls).toEqual({ ...pulls, ok: isWrongManifest || failure === undefined });
    }
  }
});

/** A manifest without a tag that cannot be pulled is an error, too. */
function hurtsUntagged({ all }: Observed): boolean {
  return all.some(({ severity, tags }) => severity === 'error' && tags.length === 0);
}

/** Shared layers, an index, a moved tag, an untagged manifest, nested repositories, uploads: each kind of file. */
function buildRegistry(): RegistryBuilder {
  const built = new RegistryBuilder({ seed: 'damage' });
  const base = built.image({ layers: 1, layerBytes: 200 });
  built.push('app', '1', built.image({ base, layers: 1, layerBytes: 300 }));
  built.push('app', '2', built.image({ base, layers: 1, layerBytes: 100 }));
  built.push('app', '2', built.image({ base, layers: 1, layerBytes: 100 }));
  built.push('app/nested', 'v1', built.image({ base, layers: 1, layerBytes: 64, format: 'docker' }));
  const index = built.index([
    built.image({ layers: 1, layerBytes: 128 }),
    built.image({ layers: 1, layerBytes: 128, architecture: 'arm64' }),
  ]);
  built.push('multi', 'latest', index);
  built.push('multi', 'single', index.children[0] ?? index);
  built.blob('app', new Uint8Array());
  built.sha512Alias('app', Buffer.from('pushed by its sha512'));
  built.upload('app', 50);
  built.lockfile('filesystem-in-use');
  return built;
}

interface Damage {
  words: string;
  restore(): void;
}

type Change = readonly [name: string, change: (bytes: Buffer, random: Random) => Buffer | undefined];

const CHANGES: readonly Change[] = [
  ['deleted', () => undefined],
  ['emptied', () => Buffer.alloc(0)],
  ['cut off', (bytes, random) => bytes.subarray(0, random.below(Math.max(bytes.length, 1)))],
  ['with a newline', (bytes) => Buffer.concat([bytes, Buffer.from('\n')])],
  ['with one bit flipped', flipOneBit],
  ['with one bit flipped', flipOneBit],
  ['with another digest', (_, random) => Buffer.from(`sha256:${String(random.below(10)).repeat(64)}`)],
];

function flipOneBit(bytes: Buffer, random: Random): Buffer {
  const changed = Buffer.from(bytes);
  if (changed.length > 0) {
    const position = random.below(changed.length);
    changed[position] = (changed[position] ?? 0) ^ (1 << random.below(8));
  }
  return changed;
}

function damageOneOf(files: readonly string[], random: Random): Damage {
  const file = random.pick(files);
  const existed = statSync(file, { throwIfNoEntry: false }) !== undefined;
  const before = existed ? readFileSync(file) : undefined;
  const [name, change] = random.pick(CHANGES);
  const after = before === undefined ? undefined : change(before, random);
  if (after === undefined) {
    rmSync(file, { force: true });
  } else {
    writeFileSync(file, after);
  }
  return {
    words: `${file} ${name}`,
    restore() {
      if (before !== undefined) {
        mkdirSync(path.dirname(file), { recursive: true });
        writeFileSync(file, before);
      }
    },
  };
}

function filesBelow(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
}
