import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Driver } from '../../src/drivers/driver.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { listAll } from './contract.ts';

/** More than the pages that another thread reads before the first is worked on. */
const FILES = 700;

/** Disks that are mounted or linked below the root, and go away. */
describe.each([
  ['this thread', Number.POSITIVE_INFINITY],
  ['another thread', 0],
])('a filesystem of several disks, listed by %s', (_, patienceMs) => {
  let base: string;
  let root: string;
  let driver: Driver;
  let many: string;
  beforeAll(() => {
    many = mkdtempSync(path.join(tmpdir(), 'regtool-many-'));
    for (let index = 0; index < FILES; index += 1) {
      writeFileSync(path.join(many, String(index)), '');
    }
  });
  afterAll(() => rmSync(many, { recursive: true }));
  beforeEach(async () => {
    base = realpathSync(mkdtempSync(path.join(tmpdir(), 'regtool disks-')));
    root = path.join(base, 'root');
    mkdirSync(root);
    put('root/middle/file');
  });
  afterEach(async () => {
    await driver.close();
    if (existsSync(path.join(root, 'many-files'))) {
      renameSync(path.join(root, 'many-files'), many);
    }
    rmSync(base, { recursive: true, force: true });
  });

  function put(file: string): void {
    mkdirSync(path.join(base, path.dirname(file)), { recursive: true });
    writeFileSync(path.join(base, file), 'content');
  }

  function putMany(): void {
    renameSync(many, path.join(root, 'many-files'));
  }

  /** Opens the store as a system would show it on which these folders are mount points. */
  async function open(...mounted: string[]): Promise<void> {
    const mountsFile = path.join(base, 'mounts');
    const points = mounted.map((folder) => path.join(root, folder).replaceAll(' ', String.raw`\040`));
    // Two lines of proc_pid_mountinfo(5), and the same for each of these.
    const lines = ['22 27 0:21 / /proc rw,relatime - proc proc rw', '27 1 8:1 / / rw - ext4 /dev/sda1 rw'];
    for (const point of points) {
      lines.push(`36 27 8:17 /images ${point} rw,noatime master:1 - ext4 /dev/sdb1 rw`);
    }
    writeFileSync(mountsFile, `${lines.join('\n')}\n`);
    driver = await openFilesystem({ root, walker: { patienceMs, cores: 2 }, mountsFile });
  }

  /** Leaves what a disk that is unmounted leaves: another folder, with nothing in it. */
  function unmount(folder: string): void {
    renameSync(path.join(base, folder), path.join(base, 'unmounted'));
    mkdirSync(path.join(base, folder));
  }

  function link(name: string, target: string): void {
    symlinkSync(path.join(base, target), path.join(root, name));
  }

  /** Lists all, and does something behind the first page. */
  async function listAnd(action: () => void, prefix = ''): Promise<string[]> {
    const keys: string[] = [];
    for await (const page of driver.list(prefix)) {
      if (keys.length === 0) {
        action();
      }
      keys.push(...page.map(({ key }) => key));
    }
    return keys;
  }

  const isGone = (folder: string) => ({
    name: 'DriverError',
    code: 'STORE_NOT_FOUND',
    message: expect.stringContaining(`${folder} is no longer the folder that it was`),
  });
  const dangles = (name: string) => ({
    name: 'DriverError',
    code: 'BAD_LISTING',
    message: expect.stringContaining(`${name} is a symbolic link whose target does not exist`),
  });

  it('does not take for deleted what was mounted when the folders above were looked at', async () => {
    put('root/many/team 1/a/link');
    await open('many/team 1');
    expect(await driver.listFolder('many/')).toEqual({ folders: ['many/team 1/'], objects: [] });
    unmount('root/many/team 1');
    for (const prefix of ['', 'many/', 'many/team 1/', 'many/team 1/a/', 'many/t']) {
      await expect(listAll(driver, prefix)).rejects.toMatchObject(isGone('many/team 1'));
    }
    await expect(driver.listFolder('many/team 1/')).rejects.toMatchObject(isGone('many/team 1'));
    await expect(driver.listFolder('many/team 1/a/')).rejects.toMatchObject(isGone('many/team 1'));
    await expect(driver.stat('many/team 1/a/link')).rejects.toMatchObject(isGone('many/team 1'));
    await expect(driver.readSmall('many/team 1/a/link', 80)).rejects.toMatchObject(isGone('many/team 1'));
    await expect(driver.hash?.('many/team 1/a/link', 'sha256')).rejects.toMatchObject(isGone('many/team 1'));
  });

  it('neither writes to nor counts as deleted what is on a disk that is gone', async () => {
    put('root/many/team/a/link');
    await open('many/team');
    await driver.listFolder('many/');
    unmount('root/many/team');
    await expect(driver.write('many/team/b', new Uint8Array(1))).rejects.toMatchObject(isGone('many/team'));
    expect(await driver.delete(['many/team/a/link', 'middle/none'])).toMatchObject([
      { key: 'many/team/a/link', error: isGone('many/team') },
    ]);
  });

  it('goes on with what is on other disks', async () => {
    put('root/many/team/link');
    await open('many/team');
    await driver.listFolder('many/');
    unmount('root/many/team');
    expect((await listAll(driver, 'middle/')).map(({ key }) => key)).toEqual(['middle/file']);
    expect(await driver.listFolder('many/')).toEqual({ folders: ['many/team/'], objects: [] });
    expect(await driver.stat('many/none')).toBeUndefined();
    expect(await driver.stat('many/tea')).toBeUndefined();
    await driver.write('many/teams/link', new Uint8Array(1));
  });

  it('notices in a listing that a disk was unmounted, behind it or before it', async () => {
    putMany();
    put('root/first/link');
    put('root/zero/link');
    await open('first', 'zero');
    await expect(listAnd(() => unmount('root/zero'))).rejects.toMatchObject(isGone('zero'));
    rmSync(path.join(base, 'unmounted'), { recursive: true });
    await expect(listAnd(() => unmount('root/first'), 'f')).rejects.toMatchObject(isGone('first'));
  });

  it('notices that a disk is unmounted which was mounted since the store was opened', async () => {
    put('root/many/team/link');
    await open();
    await listAll(driver);
    writeFileSync(
      path.join(base, 'mounts'),
      `36 27 8:17 / ${root.replaceAll(' ', String.raw`\040`)}/many rw -`,
    );
    await listAll(driver);
    unmount('root/many');
    await expect(listAll(driver)).rejects.toMatchObject(isGone('many'));
  });

  it('notices that a link of which it has read the name leads nowhere by now', async () => {
    putMany();
    put('disk/link');
    link('zero', 'disk');
    await open();
    const remove = () => renameSync(path.join(base, 'disk'), path.join(base, 'unmounted'));
    await expect(listAnd(remove)).rejects.toMatchObject(dangles('zero'));
  });

  it.each(['first', 'zero'])('notices that what the link %s leads to was unmounted', async (name) => {
    putMany();
    put('disk/link');
    link(name, 'disk');
    await open();
    await expect(listAnd(() => unmount('disk'))).rejects.toMatchObject(isGone(name));
  });

  it.each(['', 'linked/', 'linked/a/'])(
    'notices that what a link leads to was unmounted since it was listed as %j',
    async (prefix) => {
      put('disk/a/link');
      link('linked', 'disk');
      await open();
      await listAll(driver, prefix);
      unmount('disk');
      await expect(listAll(driver)).rejects.toMatchObject(isGone('linked'));
      await expect(listAll(driver, 'linked/a/')).rejects.toMatchObject(isGone('linked'));
      await expect(driver.listFolder('linked/')).rejects.toMatchObject(isGone('linked'));
      await expect(driver.stat('linked/a/link')).rejects.toMatchObject(isGone('linked'));
      expect(await driver.stat('middle/none')).toBeUndefined();
    },
  );

  it('notices that what a link leads to was unmounted since its name was listed', async () => {
    put('disk/a/link');
    link('linked', 'disk');
    await open();
    expect((await driver.listFolder('')).folders).toEqual(['linked/', 'middle/']);
    unmount('disk');
    await expect(listAll(driver, 'linked/')).rejects.toMatchObject(isGone('linked'));
  });

  it('tells nothing of what is behind a link that leads nowhere', async () => {
    link('linked', 'nowhere');
    symlinkSync('../linked/deep', path.join(root, 'middle/twice'));
    await open();
    for (const [folder, name] of [
      ['linked/', 'linked'],
      ['linked/a/b/', 'linked'],
      ['middle/twice/', 'middle/twice'],
    ] as const) {
      await expect(listAll(driver, folder)).rejects.toMatchObject(dangles(name));
      await expect(driver.listFolder(folder)).rejects.toMatchObject(dangles(name));
      await expect(driver.stat(`${folder}key`)).rejects.toMatchObject(dangles(name));
      await expect(driver.readSmall(`${folder}key`, 80)).rejects.toMatchObject(dangles(name));
      expect(await driver.delete([`${folder}key`])).toMatchObject([{ error: dangles(name) }]);
    }
    await expect(driver.stat('linked')).rejects.toMatchObject(dangles('linked'));
  });

  it('still takes for absent what was deleted, behind links as well', async () => {
    putMany();
    put('disk/a/link');
    put('root/zero/link');
    link('linked', 'disk');
    await open('middle');
    const keys = await listAnd(() => rmSync(path.join(root, 'zero'), { recursive: true }));
    expect(keys.filter((key) => !key.startsWith('many-files/'))).toEqual(['linked/a/link', 'middle/file']);
    unlinkSync(path.join(base, 'disk/a/link'));
    expect(await driver.stat('linked/a/link')).toBeUndefined();
    expect(await driver.stat('middle/file/below')).toBeUndefined();
    expect(await driver.stat('none/at/all')).toBeUndefined();
    expect(await driver.listFolder('none/at/all/')).toEqual({ folders: [], objects: [] });
    expect(await listAll(driver, 'linked/')).toEqual([]);
    expect(await listAll(driver, 'none/')).toEqual([]);
    expect(await driver.delete(['none/at/all', 'middle/file/below'])).toEqual([]);
  });

  it('lists on a system that does not tell what is mounted', async () => {
    await open();
    rmSync(path.join(base, 'mounts'));
    expect((await listAll(driver)).map(({ key }) => key)).toEqual(['middle/file']);
  });
});
