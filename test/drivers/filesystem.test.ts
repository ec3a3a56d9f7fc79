import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Driver, ObjectStat } from '../../src/drivers/driver.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { describeDriver, listAll } from './contract.ts';

const holdsNot = (key: string) =>
  key.includes('\0') ||
  key.split('/').some((part) => part === '' || part === '.' || part === '..') ||
  key === 'k-and-k/child';

describeDriver('filesystem', {
  open: async () => {
    const root = mkdtempSync(join(tmpdir(), 'regtool-fs-'));
    return {
      driver: await openFilesystem({ root }),
      dispose: async () => rmSync(root, { recursive: true, force: true }),
    };
  },
  refuses: holdsNot,
  largeBytes: 3_000_000,
  manyObjects: 1100,
});

describeDriver('filesystem, listed by another thread', {
  open: async () => {
    const root = mkdtempSync(join(tmpdir(), 'regtool-fs-'));
    const driver = await openFilesystem({ root, walker: { patienceMs: 0, cores: 2 } });
    return {
      driver,
      dispose: async () => {
        await driver.close();
        rmSync(root, { recursive: true, force: true });
      },
    };
  },
  refuses: holdsNot,
  largeBytes: 300_000,
  manyObjects: 1100,
});

describe.each([
  ['this thread', Number.POSITIVE_INFINITY],
  ['another thread', 0],
])('filesystem driver that lists in %s', (_, walkPatienceMs) => {
  let root: string;
  let driver: Driver;
  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'regtool-fs-'));
    driver = await openFilesystem({ root, walker: { patienceMs: walkPatienceMs, cores: 2 } });
  });
  afterEach(async () => {
    await driver.close();
    chmodSync(root, 0o755);
    rmSync(root, { recursive: true, force: true });
    rmSync(`${root}.away`, { recursive: true, force: true });
  });

  const write = (key: string, content = 'x') => driver.write(key, new TextEncoder().encode(content));

  it.each(['/x', 'x/', 'a//b', 'a/../b', './a', 'nul\0byte', 'n'.repeat(256), 'é'.repeat(128)])(
    'refuses %j, which is no file below the root',
    async (key) => {
      await expect(write(key)).rejects.toMatchObject({ code: 'INVALID_KEY' });
      expect(await driver.stat(key)).toBeUndefined();
      expect(readdirSync(root)).toEqual([]);
    },
  );

  it('says so when a file stands where a folder is needed, and the other way round', async () => {
    await write('k/a');
    await expect(write('k/a/child')).rejects.toMatchObject({ code: 'INVALID_KEY' });
    await write('k/b/child');
    await expect(write('k/b')).rejects.toMatchObject({ code: 'INVALID_KEY' });
    expect((await listAll(driver)).map(({ key }) => key)).toEqual(['k/a', 'k/b/child']);
  });

  it('does not open a root that is not there, or that is a file', async () => {
    await expect(openFilesystem({ root: join(root, 'missing') })).rejects.toMatchObject({
      code: 'STORE_NOT_FOUND',
      message: expect.stringContaining('missing does not exist'),
    });
    writeFileSync(join(root, 'file'), '');
    await expect(openFilesystem({ root: join(root, 'file') })).rejects.toMatchObject({
      code: 'STORE_NOT_FOUND',
    });
  });

  it('throws on a dangling link instead of leaving it out', async () => {
    await write('docker/a');
    symlinkSync('/nowhere/at/all', join(root, 'docker/link'));
    await expect(listAll(driver)).rejects.toMatchObject({
      code: 'BAD_LISTING',
      message: expect.stringContaining('docker/link is a symbolic link whose target does not exist'),
    });
    await expect(driver.listFolder('docker/')).rejects.toMatchObject({ code: 'BAD_LISTING' });
  });

  it('follows links to files and folders, and throws on circles', async () => {
    await write('real/a', 'content');
    symlinkSync('real', join(root, 'linked'));
    symlinkSync('real/a', join(root, 'file'));
    expect((await listAll(driver)).map(({ key, sizeBytes }) => [key, sizeBytes])).toEqual([
      ['file', 7],
      ['linked/a', 7],
      ['real/a', 7],
    ]);
    symlinkSync('..', join(root, 'real/up'));
    await expect(listAll(driver, 'real/')).rejects.toMatchObject({
      code: 'BAD_LISTING',
      message: expect.stringContaining('is a symbolic link to a folder that holds it'),
    });
  });

  it('throws on a socket or FIFO', async () => {
    execFileSync('mkfifo', [join(root, 'pipe')]);
    await expect(listAll(driver)).rejects.toMatchObject({ code: 'BAD_LISTING' });
  });

  it('never writes out of the root through a link', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'regtool-outside-'));
    symlinkSync(outside, join(root, 'out'));
    await expect(write('out/file')).rejects.toMatchObject({ code: 'INVALID_KEY' });
    expect(readdirSync(outside)).toEqual([]);
    rmSync(outside, { recursive: true });
  });

  it('never removes anything out of the root through a link', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'regtool-outside-'));
    mkdirSync(join(outside, 'folder'));
    writeFileSync(join(outside, 'folder/file'), 'not of this store');
    symlinkSync(outside, join(root, 'out'));
    expect(await driver.delete(['out/folder/file'])).toMatchObject([
      { key: 'out/folder/file', error: { code: 'INVALID_KEY' } },
    ]);
    expect(readdirSync(join(outside, 'folder'))).toEqual(['file']);
    rmSync(outside, { recursive: true });
  });

  it('throws on a folder that may not be read', async () => {
    await write('docker/secret/a');
    await write('docker/open/a');
    chmodSync(join(root, 'docker/secret'), 0o000);
    chmodSync(root, 0o755);
    await asUnprivileged(async () => {
      await expect(listAll(driver)).rejects.toMatchObject({
        code: 'PERMISSION_DENIED',
        message: expect.stringContaining('docker/secret'),
      });
    });
    chmodSync(join(root, 'docker/secret'), 0o755);
  });

  it('throws when the root was replaced or unmounted, instead of seeing an empty store', async () => {
    await write('docker/a');
    renameSync(root, `${root}.away`);
    mkdirSync(root);
    await expect(listAll(driver)).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' });
    await expect(driver.stat('docker/a')).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' });
    await expect(write('docker/b')).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' });
  });

  it('notices a file that shrinks while it is read', async () => {
    await driver.write('shrinking', new Uint8Array(3_000_000));
    const reading = async () => {
      for await (const chunk of driver.read('shrinking')) {
        expect(chunk.byteLength).toBeGreaterThan(0);
        truncateSync(join(root, 'shrinking'), 1_048_576);
      }
    };
    await expect(reading()).rejects.toMatchObject({ code: 'CHANGED' });
  });

  it('reads straight into memory that it is given', async () => {
    await write('file', 'abcdefghij');
    const memory = new Uint8Array(4);
    const seen: string[] = [];
    for await (const chunk of driver.read('file', { into: () => memory })) {
      expect(chunk.buffer).toBe(memory.buffer);
      seen.push(Buffer.from(chunk).toString());
    }
    expect(seen).toEqual(['abcd', 'efgh', 'ij']);
  });

  describe('hashing in another thread', () => {
    const GIB = 1024 * 1024 * 1024;
    const makeSparse = (key: string, sizeBytes = GIB): void => {
      writeFileSync(join(root, key), '');
      truncateSync(join(root, key), sizeBytes);
    };
    const openFiles = (): string[] =>
      readdirSync('/proc/self/fd').flatMap((name) => {
        try {
          return [readlinkSync(join('/proc/self/fd', name))];
        } catch {
          // Closed since it was listed.
          return [];
        }
      });

    it('notices a file that shrinks meanwhile', async () => {
      makeSparse('shrinking');
      const onSeen = (): void => truncateSync(join(root, 'shrinking'), 1000);
      await expect(driver.hash?.('shrinking', 'sha256', { onSeen })).rejects.toMatchObject({
        code: 'CHANGED',
        key: 'shrinking',
      });
    });

    it('ends in the middle of a file when it is interrupted, and has the thread take others', async () => {
      makeSparse('large', 1024 * GIB);
      const seen: number[] = [];
      const controller = new AbortController();
      const onSeen = (seenBytes: number): void => {
        seen.push(seenBytes);
        controller.abort();
      };
      await expect(
        driver.hash?.('large', 'sha256', { signal: controller.signal, onSeen }),
      ).rejects.toMatchObject({ code: 'ABORTED' });
      expect(Math.max(...seen)).toBeLessThan(1024 * GIB);
      // Linux tells of each file that is open: the thread has left it.
      if (existsSync('/proc/self/fd')) {
        await vi.waitFor(() => expect(openFiles()).not.toContain(join(root, 'large')), 10_000);
      }
      await write('small', 'abc');
      // The digest of "abc", FIPS 180-4's own example.
      expect(await driver.hash?.('small', 'sha256')).toBe(
        'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
      );
    });

    it('says what the system says of a file that it may not read', async () => {
      await write('kept');
      chmodSync(join(root, 'kept'), 0o000);
      await asUnprivileged(async () => {
        await expect(driver.hash?.('kept', 'sha256')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
      });
    });

    it('takes an absent file for absent only while the root is there', async () => {
      renameSync(root, `${root}.away`);
      mkdirSync(root);
      await expect(driver.hash?.('absent', 'sha256')).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' });
    });
  });

  it('removes folders that a deletion leaves empty, but not the root', async () => {
    await write('tags/a/current/link');
    await write('tags/b/current/link');
    await driver.delete(['tags/a/current/link']);
    expect(readdirSync(join(root, 'tags'))).toEqual(['b']);
    await driver.delete(['tags/b/current/link']);
    expect(readdirSync(root)).toEqual([]);
    await write('tags/a/current/link');
    expect(readdirSync(join(root, 'tags'))).toEqual(['a']);
  });

  it('finds folders by the end of their path, and passes over what it may not read', async () => {
    await write('srv/a/docker/registry/v2/blobs/sha256/aa/x/data');
    await write('srv/b/docker/registry/v2/repositories/docker/registry/v2/_layers/x');
    await write('srv/c/docker/registry/v20/x');
    const found: string[] = [];
    for await (const folder of driver.findFolders?.('registry/v2/', { depthMax: 7 }) ?? []) {
      found.push(folder);
    }
    expect(found.sort()).toEqual(['srv/a/docker/registry/v2/', 'srv/b/docker/registry/v2/']);
  });

  it('names empty folders in a level, and lists no object for them', async () => {
    mkdirSync(join(root, 'empty'));
    expect(await driver.listFolder('')).toEqual({ folders: ['empty/'], objects: [] });
    expect(await listAll(driver)).toEqual([]);
  });

  describe('a listing with content', () => {
    const options = { content: { ending: '/link', maxBytes: 80 }, emptyFolders: true };
    const listWith = async (prefix: string) => {
      const found: ObjectStat[] = [];
      for await (const page of driver.list(prefix, options)) {
        found.push(...page);
      }
      return found;
    };

    it('tells that of small files of the name, and of others the size', async () => {
      const all = Uint8Array.from({ length: 80 }, (_, index) => 255 - index);
      await driver.write('a/link', all);
      await driver.write('b/link', new Uint8Array(81));
      await driver.write('c/link', new Uint8Array());
      await driver.write('d/data', all);
      symlinkSync(join(root, 'a/link'), join(root, 'd/link'));
      const found = await listWith('');
      expect(found.map(({ key, sizeBytes }) => [key, sizeBytes])).toEqual([
        ['a/link', 80],
        ['b/link', 81],
        ['c/link', 0],
        ['d/data', 80],
        ['d/link', 80],
      ]);
      expect(found.map(({ content }) => content)).toEqual([
        Buffer.from(all).toString('latin1'),
        undefined,
        '',
        undefined,
        undefined,
      ]);
    });

    it('lists also what may not be read, without content', async () => {
      await driver.write('a/link', new Uint8Array(7));
      chmodSync(root, 0o755);
      chmodSync(join(root, 'a/link'), 0);
      await asUnprivileged(async () => {
        expect(await listWith('')).toMatchObject([{ key: 'a/link', sizeBytes: 7 }]);
        expect((await listWith(''))[0]?.content).toBeUndefined();
      });
    });

    it('names empty folders in order', async () => {
      mkdirSync(join(root, 'a/b/c'), { recursive: true });
      mkdirSync(join(root, 'a/b-/empty'), { recursive: true });
      await driver.write('a/b/d', new Uint8Array(1));
      expect((await listWith('')).map(({ key, isEmptyFolder }) => [key, isEmptyFolder])).toEqual([
        ['a/b-/empty/', true],
        ['a/b/c/', true],
        ['a/b/d', undefined],
      ]);
    });
  });

  it.skipIf(process.geteuid?.() !== 0)(
    'gives what it creates the owner of the root when it runs as root',
    async () => {
      execFileSync('chown', ['1234:2345', root]);
      const owned = await openFilesystem({ root });
      await owned.write('docker/registry/x', new Uint8Array(3));
      for (const path of ['docker', 'docker/registry', 'docker/registry/x']) {
        expect(statSync(join(root, path))).toMatchObject({ uid: 1234, gid: 2345 });
      }
    },
  );
});

/** Root may read everything, so the test becomes another user for as long as it needs. */
async function asUnprivileged(action: () => Promise<void>): Promise<void> {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) {
    process.seteuid?.(65534);
  }
  try {
    await action();
  } finally {
    if (isRoot) {
      process.seteuid?.(0);
    }
  }
}
