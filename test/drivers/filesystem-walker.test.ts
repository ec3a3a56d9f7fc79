import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Driver, LeafFolders, ObjectStat } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { openSmallReader } from '../../src/drivers/filesystem/read-small.ts';
import { walkFiles } from '../../src/drivers/filesystem/walk.ts';
import { packError, packPage, unpackError, unpackPage } from '../../src/drivers/filesystem/walk-messages.ts';
import { WalkThreads } from '../../src/drivers/filesystem/walk-threads.ts';
import { openWalker, type WalkerOptions } from '../../src/drivers/filesystem/walker.ts';
import { listAll } from './contract.ts';

/** More than three pages of a thread. */
const FILES = 1600;

/** Of the numbered folders of a hundred files each, how many files are in those whose number begins so. */
function countOf(start: string): number {
  const folders = Array.from({ length: FILES / 100 }, (_, index) => String(index));
  return folders.filter((name) => name.startsWith(start)).length * 100;
}

function propertiesOf(error: unknown): unknown[] {
  return error instanceof Error ? [['message', error.message], ...Object.entries(error)] : [];
}

describe('listing in other threads', () => {
  let root: string;
  let drivers: Driver[] = [];
  beforeAll(() => {
    root = mkdtempSync(path.join(tmpdir(), 'regtool-threads-'));
    for (const name of ['a', 'b']) {
      for (let index = 0; index < FILES / 100; index += 1) {
        mkdirSync(path.join(root, name, String(index)), { recursive: true });
        for (let file = 0; file < 100; file += 1) {
          writeFileSync(path.join(root, name, String(index), `é${file}`), name.repeat(file));
        }
      }
    }
  });
  afterEach(async () => {
    await Promise.all(drivers.map((driver) => driver.close()));
    drivers = [];
  });
  afterAll(() => {
    rmSync(root, { recursive: true, force: true });
  });

  async function open(walkPatienceMs: number): Promise<Driver> {
    const driver = await openFilesystem({ root, walker: { patienceMs: walkPatienceMs, cores: 2 } });
    drivers.push(driver);
    return driver;
  }

  /** On a clock on which whatever is done takes a millisecond. */
  async function pagesOf(options: Partial<WalkerOptions>, prefix: string): Promise<ObjectStat[][]> {
    let clockMs = 0;
    const { readNow } = openSmallReader();
    const walker = openWalker({
      root: `${root}/`,
      readNow,
      onLink: () => {},
      now: () => (clockMs += 1),
      ...options,
    });
    const pages: ObjectStat[][] = [];
    for await (const page of walker.pages(prefix, {}, undefined)) {
      pages.push(page);
    }
    await walker.close();
    return pages;
  }

  it('gives what listing in this thread gives', async () => {
    const here = await listAll(await open(Number.POSITIVE_INFINITY));
    expect(here.length).toBe(2 * FILES);
    expect(await listAll(await open(0))).toEqual(here);
  });

  it.each([1, 2, 7, 12, 16])(
    'takes over behind page %d, in the middle of a folder or of a prefix',
    async (taken) => {
      for (const prefix of ['', 'a', 'b/2']) {
        const here = await listAll(await open(Number.POSITIVE_INFINITY), prefix);
        const pages = await pagesOf({ patienceMs: taken, cores: 2 }, prefix);
        expect(pages.flat()).toEqual(here);
        const ownPages = Math.min(taken, Math.floor(here.length / 100) + 1);
        expect(pages.slice(0, ownPages).every(({ length }) => length <= 100)).toBe(true);
        expect(pages.length > ownPages).toBe(here.length >= ownPages * 100 && here.length !== ownPages * 100);
      }
    },
  );

  it('brings the content of a leaf, and never waits for a pipe in its place', () => {
    const leaves: LeafFolders[] = [{ parent: /^a\/$/, name: /^\d+\/$/, file: 'é7', unless: [] }];
    const { readNow } = openSmallReader();
    const wanted = { leaves, content: { ending: '/é7', maxBytes: 7 }, readNow };
    const found = walkFiles(`${root}/`, 'a/', wanted).nextPage(1000);
    expect(found.length).toBe(FILES / 100);
    expect(new Set(found.map(({ content }) => content))).toEqual(new Set(['aaaaaaa']));
    const folder = path.join(root, 'a', '77');
    mkdirSync(folder);
    execFileSync('mkfifo', [path.join(folder, 'é7')]);
    expect(() => walkFiles(`${root}/`, 'a/', wanted).nextPage(1000)).toThrow('neither a file nor a folder');
    rmSync(folder, { recursive: true });
  });

  it('goes on behind a leaf', () => {
    const leaves: LeafFolders[] = [{ parent: /^a\/$/, name: /^\d+\/$/, file: 'é7', unless: [] }];
    const wanted = { leaves, after: 'a/13/é7' };
    const found = [...walkFiles(`${root}/`, 'a/', wanted).nextPage(1000)].map(({ key }) => key);
    const all = walkFiles(`${root}/`, 'a/', { leaves })
      .nextPage(1000)
      .map(({ key }) => key);
    expect(all.length).toBe(FILES / 100);
    expect(found).toEqual(all.slice(all.indexOf('a/13/é7') + 1));
  });

  it('stays in this thread on a machine with one core and a fast disk', async () => {
    const pages = await pagesOf({ patienceMs: 0, cores: 1 }, '');
    expect(pages.every(({ length }) => length <= 100)).toBe(true);
    expect(pages.flat().length).toBe(2 * FILES);
  });

  it('brings contents and empty folders as well', async () => {
    const none = path.join(root, 'a', '7', 'none');
    mkdirSync(none);
    const here = await open(Number.POSITIVE_INFINITY);
    const there = await open(0);
    const options = { content: { ending: '/é7', maxBytes: 50 }, emptyFolders: true };
    const [expected = [], found = []] = await Promise.all(
      [here, there].map(async (driver) => {
        const listed: ObjectStat[] = [];
        for await (const page of driver.list('a/', options)) {
          listed.push(...page);
        }
        return listed;
      }),
    );
    expect(expected.filter(({ content }) => content === 'aaaaaaa').length).toBe(FILES / 100);
    expect(expected.filter(({ isEmptyFolder }) => isEmptyFolder === true).map(({ key }) => key)).toEqual([
      'a/7/none/',
    ]);
    expect(found).toEqual(expected);
    rmdirSync(none);
  });

  it('lets other work go on between the pages of listings that this thread reads side by side', async () => {
    const driver = await open(Number.POSITIVE_INFINITY);
    const order: string[] = [];
    const listings = ['first', 'second', 'third'].map(async (name) => {
      for await (const page of driver.list('a/7/é7')) {
        order.push(`${name}: ${page.map(({ key }) => key).join()}`);
      }
    });
    while (order.filter((entry) => entry !== 'turn').length < listings.length) {
      order.push('turn');
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(listings);
    const keys = Array.from({ length: 11 }, (_, index) => (index === 0 ? 'a/7/é7' : `a/7/é7${index - 1}`));
    const withoutRepeats = order.filter((entry, index) => entry !== order[index - 1]);
    expect(withoutRepeats).toEqual(
      ['first', 'second', 'third'].flatMap((name) => ['turn', `${name}: ${keys.join()}`]),
    );
  });

  it('names an empty folder once, where another thread takes over behind it', () => {
    const none = path.join(root, 'a', '7', 'none');
    mkdirSync(none);
    const keysBehind = (after: string) =>
      walkFiles(`${root}/`, 'a/7/', { emptyFolders: true, after })
        .nextPage(1000)
        .map(({ key }) => key);
    const all = keysBehind('');
    for (const [index, key] of all.entries()) {
      expect(keysBehind(key)).toEqual(all.slice(index + 1));
    }
    expect(all).toContain('a/7/none/');
    rmdirSync(none);
  });

  it('asks for leaves there as well', async () => {
    const leaves: LeafFolders[] = [{ parent: /^a\/$/, name: /^\d+\/$/, file: 'é7', unless: [] }];
    const found: string[] = [];
    for await (const page of (await open(0)).list('a/', { leaves })) {
      found.push(...page.map(({ key }) => key));
    }
    expect(found.length).toBe(FILES / 100);
    expect(found.every((key) => key.endsWith('/é7'))).toBe(true);
  });

  it('reads two sides in step on however few threads', async () => {
    const driver = await open(0);
    const sides = ['a/', 'b/', 'a/1', 'b/2', 'a/', 'b/'].map((prefix) =>
      driver.list(prefix)[Symbol.asyncIterator](),
    );
    const counts = sides.map(() => 0);
    for (let isUnderWay = true; isUnderWay;) {
      isUnderWay = false;
      for (const [index, side] of sides.entries()) {
        const next = await side.next();
        counts[index] = (counts[index] ?? 0) + (next.done === true ? 0 : next.value.length);
        isUnderWay ||= next.done !== true;
      }
    }
    expect(counts).toEqual([FILES, FILES, countOf('1'), countOf('2'), FILES, FILES]);
  });

  it.each([0, Number.MIN_VALUE])(
    'ends with ABORTED when it is interrupted, patience %d',
    async (patience) => {
      const abort = new AbortController();
      const driver = await open(patience);
      const reading = async () => {
        for await (const page of driver.list('', { signal: abort.signal })) {
          expect(page.length).toBeGreaterThan(0);
          abort.abort(new Error('enough'));
        }
      };
      await expect(reading()).rejects.toMatchObject({ name: 'DriverError', code: 'ABORTED' });
    },
  );

  it('can be left early, and used again', async () => {
    const driver = await open(0);
    for await (const page of driver.list('')) {
      expect(page.length).toBe(250);
      break;
    }
    expect((await listAll(driver, 'b/')).length).toBe(FILES);
  });

  it('throws the very error that this thread throws', async () => {
    const dangling = path.join(root, 'b', 'z');
    symlinkSync('/nowhere/at/all', dangling);
    const errors: unknown[] = [];
    for (const patience of [Number.POSITIVE_INFINITY, 0]) {
      errors.push(await listAll(await open(patience)).catch((error: unknown) => error));
    }
    const [here, there] = errors;
    expect(here).toBeInstanceOf(DriverError);
    expect(there).toBeInstanceOf(DriverError);
    expect(propertiesOf(there)).toEqual(propertiesOf(here));
    expect(propertiesOf(there)).toContainEqual(['code', 'BAD_LISTING']);
    unlinkSync(dangling);
  });

  it('ends threads that have nothing to do, and starts others when there is', async () => {
    const threads = new WalkThreads({
      root: `${root}/`,
      threadsMax: () => 2,
      onSleeps: () => {},
      onLink: () => {},
      idleMs: 0,
    });
    const keysOf = async (prefix: string): Promise<string[]> => {
      const keys: string[] = [];
      for await (const page of threads.pages(prefix, {}, undefined)) {
        keys.push(...page.map(({ key }) => key));
      }
      return keys;
    };
    const running = () => readdirSync('/proc/self/task').length;
    const before = running();
    for (let round = 0; round < 12; round += 1) {
      const [first, second] = await Promise.all([keysOf('a/1'), keysOf('b/')]);
      expect([first.length, second.length]).toEqual([countOf('1'), FILES]);
      // Now one that begins while the threads are about to end, now one that begins when they have.
      await new Promise((resolve) => setTimeout(resolve, (round % 4) * 5));
    }
    await vi.waitUntil(() => running() <= before, { timeout: 10_000 });
    await threads.close();
  });

  it('ends its threads when it is closed, also with a listing under way', async () => {
    const driver = await open(0);
    const listing = driver.list('')[Symbol.asyncIterator]();
    await listing.next();
    await driver.close();
    const rest = async () => {
      while ((await listing.next()).done !== true) {
        // To the end, or rather to the error: what comes short must not look complete.
      }
    };
    await expect(rest()).rejects.toThrow('has ended before its work was done');
  });
});

describe('what goes from thread to thread', () => {
  it('keeps keys, sizes, times, contents and empty folders', () => {
    const page: ObjectStat[] = [
      { key: 'a\nb', sizeBytes: 0, modifiedAtMs: 1.5 },
      { key: 'Grüße/😀', sizeBytes: 2 ** 40, modifiedAtMs: -1 },
      { key: 'plain', sizeBytes: 71, modifiedAtMs: 0 },
    ];
    const others: ObjectStat[] = [
      { key: 'c', sizeBytes: 3, content: 'é\0c' },
      { key: 'd', sizeBytes: 0, content: '' },
      { key: 'e/', sizeBytes: 0, isEmptyFolder: true },
    ];
    for (const each of [page, others, [...page, ...others], []]) {
      expect(unpackPage(structuredClone(packPage(each)))).toEqual(each);
    }
  });

  it('keeps an error with its code, its key and the system’s code', () => {
    const error = new DriverError('UNEXPECTED', 'The network file system lost track.', {
      driver: 'filesystem',
      operation: 'list',
      key: 'docker/',
      retryable: true,
      cause: Object.assign(new Error('ESTALE: stale file handle'), { code: 'ESTALE' }),
    });
    const arrived = unpackError(structuredClone(packError(error)));
    expect(arrived).toBeInstanceOf(DriverError);
    expect(propertiesOf(arrived)).toEqual(propertiesOf(error));
    expect(arrived.cause).toMatchObject({ message: 'ESTALE: stale file handle', code: 'ESTALE' });
  });

  it('tells a mistake in the program from a failed call', () => {
    const arrived = unpackError(structuredClone(packError(new TypeError('x is not a function'))));
    expect(arrived).not.toBeInstanceOf(DriverError);
    expect(arrived.message).toBe('x is not a function');
  });
});
