import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { redact } from '../../../src/cli/redact.ts';
import { Secret } from '../../../src/drivers/configuration/secret.ts';
import { parseLocation } from '../../../src/drivers/location.ts';
import { openStore, resolveLocation } from '../../../src/drivers/open.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'regtool-read-configuration-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function resolve(name: string, content: string | Uint8Array, env: Record<string, string> = {}) {
  await writeFile(path.join(folder, name), content);
  return resolveLocation(parseLocation(name), { env, cwd: folder });
}

describe('a location that is a file', () => {
  test.each([
    ['config.yml', 'version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: FOLDER\n'],
    ['no-extension', 'storage: {"filesystem": {"rootdirectory": "FOLDER"}}'],
    ['gitlab.rb', "registry['storage'] = { 'filesystem' => { 'rootdirectory' => 'FOLDER' } }"],
  ])('is read as a configuration: %s', async (name, content) => {
    await mkdir(path.join(folder, 'data'));
    const text = content.replace('FOLDER', path.join(folder, 'data'));
    const resolved = await resolve(name, text);
    expect(resolved.location).toEqual({ driver: 'filesystem', path: path.join(folder, 'data') });
    expect(resolved.configuration?.path).toBe(path.join(folder, name));
    const store = await openStore(parseLocation(path.join(folder, name)), { env: {} });
    expect(store.location).toBe(path.join(folder, 'data'));
    await store.close();
  });

  test('gives a gitlab.rb the same overrides', async () => {
    const env = { REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: folder };
    const resolved = await resolve('gitlab.rb', "external_url 'https://gitlab.example'", env);
    expect(resolved.location).toEqual({ driver: 'filesystem', path: folder });
  });

  test('names a folder that this machine lacks, and what that may mean', async () => {
    await expect(
      resolve('config.yml', 'storage: {filesystem: {rootdirectory: /nowhere/at/all}}'),
    ).rejects.toThrow(
      /the folder \/nowhere\/at\/all, which this machine does not have: if the registry runs in a container/,
    );
  });

  test.each([
    ['binary', new Uint8Array([0xff, 0xfe, 0x00])],
    ['large', new Uint8Array(1024 * 1024 + 1).fill(0x20)],
  ])('is refused when it is %s', async (_, content) => {
    await expect(resolve('file', content)).rejects.toMatchObject({ code: 'CONFIGURATION_UNREADABLE' });
  });
});

test('a folder is no configuration, and gets its full path', async () => {
  await expect(resolveLocation(parseLocation('.'), { cwd: folder })).resolves.toEqual({
    location: { driver: 'filesystem', path: folder },
  });
});

test('credentials that were read from a configuration are blotted out of every message', () => {
  const secret = new Secret('aB3/kY+very-secret');
  expect(redact('the store said: no key aB3/kY+very-secret here', {})).toBe(
    'the store said: no key *** here',
  );
  expect(`${secret.toString()} ${JSON.stringify({ secret })}`).toBe('*** {"secret":"***"}');
});
