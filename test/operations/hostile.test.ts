import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { blobKey, currentKey, revisionKey } from '../../fixtures/keys.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import type { Driver, ObjectStat } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { silentObserver } from '../../src/operations/observer.ts';
import { verify } from '../../src/operations/verify.ts';
import { runProgram } from '../servers/process.ts';
import { withHooks } from '../support/hooked-driver.ts';
import { digestOf } from '../support/images.ts';
import { contentOf, deleteAnything, memoryOf, runMigrate } from '../support/migrating.ts';
import { brokenTags, pullableTags } from '../support/pullable.ts';
import { observe } from './check/observe.ts';

const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

const verifyAll = (source: Driver, target: Driver) =>
  verify(source, target, { readData: undefined, concurrency: 8, observer: silentObserver });

/** Stores a manifest under its digest, with a revision link and, if wanted, a tag. */
function storeManifest(
  registry: RegistryBuilder,
  manifest: object,
  tag?: string,
): { digest: string; size: number } {
  const bytes = Buffer.from(JSON.stringify(manifest));
  const digest = digestOf(bytes);
  const link = Buffer.from(digest);
  registry.objects.set(blobKey(digest), bytes);
  registry.objects.set(revisionKey('a', digest), link);
  if (tag !== undefined) {
    registry.objects.set(currentKey('a', tag), link);
  }
  return { digest, size: bytes.length };
}

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'regtool-hostile-')));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function openTarget(name = 'target'): Promise<Driver> {
  mkdirSync(join(folder, name));
  return openFilesystem({ root: join(folder, name) });
}

async function objectsOf(driver: Driver): Promise<Map<string, Uint8Array>> {
  const objects = new Map<string, Uint8Array>();
  for await (const page of driver.list('')) {
    for (const { key } of page) {
      objects.set(key, await driver.readSmall(key, 2 ** 23));
    }
  }
  return objects;
}

describe('names', () => {
  test('as long and as odd as registries take are copied to files and back', async () => {
    const registry = new RegistryBuilder();
    const longest = `${'a'.repeat(127)}/${'b'.repeat(127)}`;
    for (const repository of [
      longest,
      'a__b/c-d/e.f',
      'a---b',
      '0/0/0/0/0/0/0/0/0/0/0/0/0/0',
      'blobs',
      'tags/current',
    ]) {
      registry.push(repository, 'T'.repeat(128), registry.image());
      registry.push(repository, '_.-', registry.image());
      registry.push(repository, 'link', registry.image());
    }
    const files = await openTarget();
    const back = openMemory();
    const there = await runMigrate(memoryOf(registry.objects), files);
    const andBack = await runMigrate(files, back);
    expect([there, andBack]).toMatchObject([
      { end: { kind: 'done' }, tally: { failures: [] } },
      { end: { kind: 'done' }, tally: { failures: [] } },
    ]);
    expect(contentOf(back.objects)).toEqual(contentOf(registry.objects));
    expect(await pullableTags(back)).toHaveLength(18);
    expect(await verifyAll(files, back)).toMatchObject({ verdict: 'verified' });
    expect(await observe(back)).toMatchObject({ verdict: 'healthy', tags: { total: 18, pullable: 18 } });
  });

  /** What an object store may hold and a file system must not follow. */
  const escapes = [
    '../escaped',
    '/escaped',
    'docker/registry/v2/../../../../escaped',
    'docker/registry/v2/blobs/sha256/../../../../../../escaped/data',
    'docker/registry/v2/repositories/../../../../../escaped/_manifests/tags/v1/current/link',
    'docker/registry/v2/repositories/a/_manifests/tags/../../../../../../../../escaped/current/link',
    'docker/registry/v2/repositories/a/_manifests/tags/../current/link',
    'docker/registry/lockfiles/../../../../escaped',
    'docker/registry/v2/repositories//a/_manifests/tags/v1/current/link',
    'docker/registry/v2/repositories/a/./link',
    `docker/registry/v2/repositories/a/${'x'.repeat(300)}`,
    'docker/registry/v2/repositories/a\0b/_manifests/tags/v1/current/link',
  ];

  test.each(escapes)('that lead elsewhere are never written outside of the target: %j', async (key) => {
    const registry = new RegistryBuilder();
    const image = registry.push('a', 'v1', registry.image());
    registry.objects.set(key, Buffer.from(image.digest));
    const target = await openTarget();
    const result = await runMigrate(memoryOf(registry.objects), target, { includeForeign: true });
    expect(result.end).toEqual({ kind: 'done' });
    expect(readdirSync(folder)).toEqual(['target']);
    expect(readdirSync(join(folder, 'target'))).toEqual(['docker']);
    expect(await brokenTags(target)).toEqual([]);
    expect(await pullableTags(target)).toContainEqual({ repository: 'a', tag: 'v1', digest: image.digest });
    expect(result.tally.failures.map((failure) => failure.key)).toEqual([key]);
    await verifyAll(memoryOf(registry.objects), target);
    await observe(memoryOf(registry.objects));
  });

  test('of every byte pass between object stores, and are judged without an error', async () => {
    const registry = new RegistryBuilder();
    const image = registry.push('a', 'v1', registry.image());
    for (let code = 1; code < 256; code += 1) {
      const character = String.fromCodePoint(code);
      registry.objects.set(`docker/registry/v2/odd${character}name`, Buffer.from('odd'));
      if (character !== '/') {
        registry.objects.set(currentKey('a', `t${character}`), Buffer.from(image.digest));
        registry.objects.set(currentKey(`r${character}`, 'v1'), Buffer.from(image.digest));
      }
    }
    const source = openMemory({ objects: registry.objects });
    const target = openMemory();
    const result = await runMigrate(source, target);
    expect(result).toMatchObject({ end: { kind: 'done' }, tally: { failures: [] } });
    // What no registry would serve, for its name, is foreign.
    expect(await brokenTags(target)).toEqual([]);
    const withForeign = await runMigrate(source, target, { includeForeign: true });
    expect(withForeign).toMatchObject({ end: { kind: 'done' }, tally: { failures: [] } });
    // What is broken at the source is left out: a tag without its revision.
    const isLeft = ([key]: [string, unknown]) => /repositories\/r[a-z0-9]\//.test(key);
    const expected = [...contentOf(registry.objects)].filter((entry) => !isLeft(entry));
    expect([...contentOf(target.objects)]).toEqual(expected);
    await expect(verifyAll(source, target)).resolves.toBeDefined();
    const checked = await observe(source);
    expect(checked.verdict).toBe('broken');
    expect(checked.unread).toEqual([]);
  });
});

describe('sizes', () => {
  /** A store whose listing and stat say that some objects have a gigabyte, and that counts what is asked of them. */
  function withGigabytes(objects: ReadonlyMap<string, Uint8Array>, isHuge: (key: string) => boolean) {
    const sizeBytes = 2 ** 30;
    const swell = (stat: ObjectStat): ObjectStat =>
      isHuge(stat.key) ? { ...stat, sizeBytes, md5: undefined } : stat;
    const memory = memoryOf(objects);
    const readWhole: string[] = [];
    const driver: Driver = {
      ...memory,
      async *list(prefix, options) {
        for await (const page of memory.list(prefix, options)) {
          yield page.map(swell);
        }
      },
      async stat(key, options) {
        const stat = await memory.stat(key, options);
        return stat === undefined ? undefined : swell(stat);
      },
      async *read(key, options) {
        if (isHuge(key)) {
          readWhole.push(key);
        }
        yield* memory.read(key, options);
      },
      async readSmall(key, maxBytes, options) {
        if (isHuge(key)) {
          if (maxBytes > 2 ** 23) {
            readWhole.push(key);
          }
          throw new DriverError('CHANGED', `It has ${sizeBytes} bytes.`, {
            driver: 'memory',
            operation: 'readSmall',
            key,
          });
        }
        return memory.readSmall(key, maxBytes, options);
      },
    };
    return { driver, readWhole };
  }

  test.each([
    ['tag', (key: string) => key.endsWith('/v1/current/link')],
    ['revision', (key: string) => key.includes('/revisions/')],
    ['layer', (key: string) => key.includes('/_layers/')],
    ['tag index', (key: string) => key.includes('/index/')],
    ['manifest', (key: string) => key.includes('/blobs/')],
  ])('of a gigabyte where a %s link or manifest should be are never read whole', async (what, isHuge) => {
    const registry = new RegistryBuilder();
    registry.push('a', 'v1', registry.index());
    const { driver, readWhole } = withGigabytes(registry.objects, isHuge);
    const target = openMemory();
    const result = await runMigrate(driver, target);
    expect(result.tally.failed + result.tally.incomplete).toBeGreaterThan(0);
    expect(await pullableTags(target)).toEqual(
      what === 'tag index' ? await pullableTags(memoryOf(registry.objects)) : [],
    );
    expect(await brokenTags(target)).toEqual([]);
    expect(await verifyAll(driver, memoryOf(registry.objects))).not.toMatchObject({ verdict: 'verified' });
    // Pulling needs no tag index link, and `check` does not read them.
    expect((await observe(driver)).verdict === 'healthy').toBe(what === 'tag index');
    const isManifest = what === 'manifest';
    // A blob may be of any size, and is passed through as it comes.
    expect(isManifest ? [] : readWhole).toEqual([]);
  });
});

describe('manifests', () => {
  test('nested a thousand deep are copied, children first', async () => {
    const registry = new RegistryBuilder();
    const image = registry.push('a', 'v0', registry.image());
    let child = { digest: image.digest as string, size: image.manifestBytes.length, mediaType: OCI_MANIFEST };
    for (let depth = 1; depth <= 1000; depth += 1) {
      const stored = storeManifest(
        registry,
        { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child] },
        depth === 1000 ? 'deep' : undefined,
      );
      child = { ...stored, mediaType: OCI_INDEX };
    }
    await expectCopied(registry);
  });

  test('that share children on 60 levels are looked at once each, not once for each of 2^60 ways', async () => {
    const registry = new RegistryBuilder();
    const images = [registry.image(), registry.image()].map((image) =>
      registry.push('a', image.digest, image),
    );
    let level = images.map(({ digest, manifestBytes }) => ({
      digest: digest as string,
      size: manifestBytes.length,
      mediaType: OCI_MANIFEST,
    }));
    for (let depth = 1; depth <= 60; depth += 1) {
      level = ['left', 'right'].map((side) => ({
        ...storeManifest(
          registry,
          { schemaVersion: 2, mediaType: OCI_INDEX, manifests: level, annotations: { side } },
          depth === 60 ? side : undefined,
        ),
        mediaType: OCI_INDEX,
      }));
    }
    await expectCopied(registry, { isJudged: false });
  });

  test('of 10,000 layers are copied', async () => {
    const registry = new RegistryBuilder();
    const { config } = registry.push('a', 'v0', registry.image());
    const layers = Array.from({ length: 10_000 }, (_, index) => {
      const content = Buffer.from(`layer ${index}`);
      const digest = registry.blob('a', content);
      return { digest, size: content.length, mediaType: 'application/vnd.oci.image.layer.v1.tar' };
    });
    storeManifest(
      registry,
      {
        schemaVersion: 2,
        mediaType: OCI_MANIFEST,
        config: {
          digest: config?.digest,
          size: config?.bytes.length,
          mediaType: 'application/vnd.oci.image.config.v1+json',
        },
        layers,
      },
      'wide',
    );
    const source = openMemory({ objects: registry.objects });
    const target = openMemory();
    expect(await runMigrate(source, target)).toMatchObject({ tally: { failures: [], incompletes: [] } });
    expect(contentOf(target.objects)).toEqual(contentOf(source.objects));
    expect(await pullableTags(target)).toHaveLength(2);
  });

  test.each([
    ['of a million brackets', '['.repeat(1_000_000)],
    ['of a million nested objects', '{"a":'.repeat(700_000)],
    ['that name a prototype', `{"schemaVersion":2,"__proto__":{"layers":1},"config":{"digest":"__proto__"}}`],
    [
      'of numbers where names should be',
      `{"schemaVersion":2,"mediaType":7,"layers":[7,null,{}],"manifests":{}}`,
    ],
  ])('%s keep their tag from being published, and are named', async (_what, text) => {
    const registry = new RegistryBuilder();
    registry.push('a', 'good', registry.image());
    const bytes = Buffer.from(text);
    const digest = digestOf(bytes);
    registry.objects.set(blobKey(digest), bytes);
    registry.objects.set(revisionKey('a', digest), Buffer.from(digest));
    registry.objects.set(currentKey('a', 'bad'), Buffer.from(digest));
    const target = openMemory();
    const result = await runMigrate(memoryOf(registry.objects), target);
    expect(result.end).toEqual({ kind: 'done' });
    expect(result.tally.incompletes.map(({ key }) => key)).toContain(currentKey('a', 'bad'));
    expect((await pullableTags(target)).map(({ tag }) => tag)).toEqual(['good']);
    const checked = await observe(memoryOf(registry.objects));
    expect(checked.broken).toMatchObject([{ repository: 'a', tag: 'bad', state: 'not-pullable' }]);
  });

  test('that are right but larger than registries take keep their tag from being published', async () => {
    const registry = new RegistryBuilder();
    const image = registry.push('a', 'good', registry.image());
    const manifest = JSON.parse(Buffer.from(image.manifestBytes).toString()) as object;
    storeManifest(registry, { ...manifest, annotations: { filler: 'x'.repeat(5 * 2 ** 20) } }, 'bad');
    const target = openMemory();
    const result = await runMigrate(memoryOf(registry.objects), target);
    expect(result.tally.incompletes.map(({ key }) => key)).toContain(currentKey('a', 'bad'));
    expect((await pullableTags(target)).map(({ tag }) => tag)).toEqual(['good']);
    expect((await observe(memoryOf(registry.objects))).broken).toMatchObject([{ tag: 'bad' }]);
  });

  /** The puller that judges resolves each way to a child by itself, so `isJudged: false` where ways are many. */
  async function expectCopied(registry: RegistryBuilder, { isJudged = true } = {}): Promise<void> {
    const source = openMemory({ objects: registry.objects });
    const target = openMemory();
    const result = await runMigrate(source, target);
    expect(result).toMatchObject({ end: { kind: 'done' }, tally: { failures: [], incompletes: [] } });
    expect(contentOf(target.objects)).toEqual(contentOf(source.objects));
    expect(await verifyAll(source, target)).toMatchObject({ verdict: 'verified' });
    expect(await observe(target)).toMatchObject({ verdict: 'healthy' });
    if (isJudged) {
      expect(await brokenTags(target)).toEqual([]);
    }
  }
});

describe('files that are none', () => {
  async function openSource(): Promise<{ registry: RegistryBuilder; root: string; source: Driver }> {
    const registry = new RegistryBuilder();
    registry.push('a', 'v1', registry.image());
    registry.push('b', 'v1', registry.image());
    const source = await openTarget('source');
    await registry.writeTo(source);
    return { registry, root: join(folder, 'source'), source };
  }

  /** Neither an error nor what was there before may pass for an absence. */
  async function expectNamed(
    source: Driver,
    objects: ReadonlyMap<string, Uint8Array>,
    name: string,
  ): Promise<void> {
    const target = memoryOf(objects);
    await expect(runMigrate(source, target, { delete: deleteAnything })).rejects.toMatchObject({
      name: 'SafetyRefusal',
    });
    expect(contentOf(target.objects)).toEqual(contentOf(objects));
    const copied = await runMigrate(source, openMemory());
    expect(copied.tally.failures.map(({ message }) => message).join('\n')).toContain(name);
    expect(await verifyAll(source, target)).toMatchObject({ verdict: 'incomplete' });
    expect(await observe(source)).toMatchObject({ verdict: 'incomplete' });
  }

  test.each(['repositories/b/_layers/pipe', 'blobs/sha256/00/pipe'])(
    'such as a pipe at %s are named, and nothing waits for it',
    async (place) => {
      const { registry, root, source } = await openSource();
      const path = join(root, 'docker/registry/v2', place);
      mkdirSync(join(path, '..'), { recursive: true });
      await runProgram('mkfifo', [path]);
      await expectNamed(source, registry.objects, path);
    },
  );

  test('such as a socket are named', async () => {
    const { registry, root, source } = await openSource();
    const path = join(root, 'docker/registry/v2/repositories/b/s');
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(path, resolve);
    });
    try {
      await expectNamed(source, registry.objects, path);
    } finally {
      await new Promise((resolve) => {
        server.close(resolve);
      });
    }
  });

  test.each([
    ['to itself', 'loop'],
    ['to a folder above', '..'],
    ['to nowhere', 'absent'],
  ])('such as a link %s are named', async (_where, to) => {
    const { registry, root, source } = await openSource();
    const path = join(root, 'docker/registry/v2/repositories/b/loop');
    symlinkSync(to, path);
    await expectNamed(source, registry.objects, path);
  });

  test('such as a link out of the target are not written or deleted through', async () => {
    const { registry, source } = await openSource();
    const target = await openTarget();
    mkdirSync(join(folder, 'target/docker/registry/v2/repositories'), { recursive: true });
    const outside = await openTarget('outside');
    const other = new RegistryBuilder({ seed: 'not mine' });
    other.push('b', 'mine', other.image());
    await other.writeTo(outside);
    const before = await objectsOf(outside);
    symlinkSync(
      join(folder, 'outside/docker/registry/v2/repositories/b'),
      join(folder, 'target/docker/registry/v2/repositories/b'),
    );
    const result = await runMigrate(source, target, { delete: deleteAnything });
    expect(result.tally.failed).toBeGreaterThan(0);
    expect(await objectsOf(outside)).toEqual(before);
    expect(contentOf(await objectsOf(source))).toEqual(contentOf(registry.objects));
    const tags = await pullableTags(target);
    expect(tags.filter(({ repository }) => repository === 'a')).toHaveLength(1);
  });
});

test('a store that lists the same page for ever is given up', async () => {
  const registry = new RegistryBuilder();
  registry.push('a', 'v1', registry.image());
  const memory = memoryOf(registry.objects);
  const repeating: Driver = {
    ...withHooks(memory, {}),
    async *list(prefix, options) {
      for await (const page of memory.list(prefix, options)) {
        for (;;) {
          // A batch belongs to whoever gets it: the next one is an array of its own.
          yield [...page];
        }
      }
    },
  };
  const target = openMemory();
  await expect(runMigrate(repeating, target, { delete: deleteAnything })).rejects.toMatchObject({
    name: expect.stringMatching(/SafetyRefusal|DriverError/),
  });
  expect(target.objects.size).toBe(0);
});
