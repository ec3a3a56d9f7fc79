import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { blobKey, currentKey } from '../../fixtures/keys.ts';
import { RegistryBuilder } from '../../fixtures/registry-builder.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { runRegtool } from '../support/run-regtool.ts';

vi.setConfig({ testTimeout: 120_000 });

const nobody = 65534;
const isRoot = process.geteuid?.() === 0;
const folder = createTemporaryFolder('regtool-delete-matrix');
/** What is at the source, and what a first pass brought to the target, where a tag is left to be deleted. */
const [source, target] = [path.join(folder.path, 'source'), path.join(folder.path, 'target')];
let layer: string;
let stores = 0;

beforeAll(async () => {
  chmodSync(folder.path, 0o755);
  const registry = new RegistryBuilder({ seed: 'delete matrix' });
  const image = registry.push('shop/web', 'v1', registry.image());
  layer = image.layers[0]?.digest ?? '';
  registry.push('shop/api', 'v1', registry.image());
  registry.push('platform/tools', 'latest', registry.index());
  await write(source, registry);
  registry.push('shop/web', 'gone', image);
  await write(target, registry);
});
afterAll(folder.remove);

async function write(root: string, registry: RegistryBuilder): Promise<void> {
  mkdirSync(root);
  await registry.writeTo(await openFilesystem({ root }));
}

/** A copy of a store, which the user nobody may read and write as far as modes allow. */
function copyOf(store: string): string {
  stores += 1;
  const copy = path.join(folder.path, `copy-${stores}`);
  cpSync(store, copy, { recursive: true });
  if (isRoot) {
    spawnSync('chown', ['-R', `${nobody}:${nobody}`, copy]);
  }
  return copy;
}

function contentOf(store: string): Map<string, string> {
  return new Map(
    readdirSync(store, { recursive: true })
      .map(String)
      .sort()
      .map((name) => {
        const file = path.join(store, name);
        return [name, statSync(file).isFile() ? readFileSync(file, 'base64') : 'a folder'];
      }),
  );
}

interface Row {
  name: string;
  /** Makes the two arguments of the command. */
  stores: () => Promise<[string, string]> | [string, string];
  exitCode: number;
  says: RegExp;
  /** As which user; root may read everything. */
  userId?: number;
}

/** A source that something happened to, beside a whole target. */
const damaged =
  (damage: (at: string) => void): Row['stores'] =>
  () => {
    const copy = copyOf(source);
    damage(copy);
    return [copy, copyOf(target)];
  };

const v2 = (root: string, key = ''): string => path.join(root, 'docker/registry/v2', key);
const current = currentKey('shop/web', 'v1');

/**
 * Sources and targets with which other tools have deleted everything that they should have copied, and ended with 0:
 * `aws s3 sync --delete`, `s5cmd sync --delete` and `rclone sync`, each row but the last ones tried with them.
 */
const rows: Row[] = [
  {
    name: 'an empty source folder',
    stores: damaged((at) => rmSync(path.join(at, 'docker'), { recursive: true })),
    exitCode: 6,
    says: /It is empty/,
  },
  {
    name: 'a source that does not exist',
    stores: damaged((at) => rmSync(at, { recursive: true })),
    exitCode: 5,
    says: /does not exist/,
  },
  {
    name: 'one folder of the source that may not be read',
    stores: damaged((at) => chmodSync(v2(at, 'repositories/shop/api'), 0)),
    exitCode: 6,
    says: /shop\/api\/? may not be accessed/,
    userId: nobody,
  },
  {
    name: 'one folder of blobs that may not be read',
    stores: damaged((at) => chmodSync(path.join(at, path.dirname(path.dirname(blobKey(layer)))), 0)),
    exitCode: 6,
    says: /may not be accessed/,
    userId: nobody,
  },
  {
    name: 'a dangling symbolic link',
    stores: damaged((at) => {
      const blob = path.join(at, blobKey(layer));
      rmSync(blob);
      symlinkSync('/nonexistent/data', blob);
    }),
    exitCode: 6,
    says: /is a symbolic link whose target does not exist/,
  },
  {
    name: 'a tag that may not be read',
    stores: damaged((at) => chmodSync(path.join(at, current), 0)),
    exitCode: 6,
    says: /v1\/current\/link may not be accessed/,
    userId: nobody,
  },
  {
    name: 'a blob that may not be read, and is not at the target yet',
    stores: async () => {
      const registry = new RegistryBuilder({ seed: 'unreadable' });
      const image = registry.push('shop/new', 'v1', registry.image());
      const copy = copyOf(source);
      await registry.writeTo(await openFilesystem({ root: copy }));
      chmodSync(path.join(copy, blobKey(image.layers[0]?.digest ?? '')), 0);
      return [copy, copyOf(target)];
    },
    // All else is copied, and its tag is not.
    exitCode: 4,
    says: /may not be accessed/,
    userId: nobody,
  },
  ...['blobs', 'repositories'].map((part) => ({
    name: `a source without ${part}/`,
    stores: damaged((at) => rmSync(v2(at, part), { recursive: true })),
    exitCode: 6,
    says: /Is a part of it on a disk that is not mounted/,
  })),
  {
    name: 'swapped arguments, the target holding but a part so far',
    stores: async () => {
      const first = copyOf(source);
      const partial = copyOf(source);
      rmSync(v2(partial, 'repositories/platform'), { recursive: true });
      return [partial, first];
    },
    exitCode: 6,
    says: /Check that source and target are not swapped/,
  },
  {
    name: 'another registry as the target',
    stores: async () => {
      const registry = new RegistryBuilder({ seed: 'somebody else' });
      registry.push('their/app', 'v1', registry.image());
      stores += 1;
      const theirs = path.join(folder.path, `copy-${stores}`);
      await write(theirs, registry);
      return [copyOf(source), theirs];
    },
    exitCode: 6,
    says: /more than --max-delete 10%/,
  },
  {
    name: 'a source that lost half of its objects since the last pass',
    stores: damaged((at) => {
      const files = readdirSync(at, { recursive: true })
        .map((name) => path.join(at, String(name)))
        .filter((file) => statSync(file).isFile())
        .sort();
      files.filter((_, index) => index % 2 === 0).forEach((file) => rmSync(file));
    }),
    exitCode: 6,
    says: /more than --max-delete 10%/,
  },
];

describe.concurrent('migrate --delete deletes nothing, and says why, with', () => {
  test.each(rows)('$name', async ({ stores: make, exitCode, says, userId }) => {
    if (userId !== undefined && !isRoot) {
      return;
    }
    const [from, to] = await make();
    const before = contentOf(to);
    const argv = ['migrate', from, to, '--delete', '--yes'];
    const ended = await runRegtool(argv, userId === undefined ? {} : { userId });
    expect({ ...ended, isSaid: says.test(ended.stderr + ended.stdout) }).toMatchObject({
      exitCode,
      isSaid: true,
    });
    const after = contentOf(to);
    expect([...before].filter(([name, content]) => after.get(name) !== content)).toEqual([]);
    expect(exitCode === 4 || after.size === before.size).toBe(true);
    expect(after.has(currentKey('shop/new', 'v1'))).toBe(false);
  });

  test('a source whose disk is not mounted, and deletes what it should when it is again', async ({
    skip,
  }) => {
    const [from, to] = [path.join(folder.path, 'disk'), copyOf(target)];
    mkdirSync(from);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', from]);
    skip(mounted.status !== 0, 'only root may mount a small disk');
    try {
      cpSync(source, from, { recursive: true });
      const bind = path.join(folder.path, 'elsewhere');
      mkdirSync(bind);
      spawnSync('mount', ['--move', from, bind]);
      const before = contentOf(to);
      const argv = ['migrate', from, to, '--delete', '--yes'];
      const refused = await runRegtool(argv);
      expect(refused).toMatchObject({ exitCode: 6, stderr: expect.stringMatching(/It is empty/) });
      expect(contentOf(to)).toEqual(before);
      const whole = await runRegtool(['migrate', bind, to, '--delete', '--yes']);
      expect(whole).toMatchObject({ exitCode: 0 });
      expect([...contentOf(to).keys()].filter((name) => name.includes('/gone/'))).toEqual([]);
    } finally {
      for (const mount of [from, path.join(folder.path, 'elsewhere')]) {
        spawnSync('umount', [mount]);
      }
    }
  });
});
