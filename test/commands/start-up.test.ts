import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { sampleRegistry } from '../../fixtures/sample-registry.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { errorReply, listPage, type LocalServer, startLocalServer } from '../drivers/s3-local-server.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { runRegtool } from '../support/run-regtool.ts';

const folder = createTemporaryFolder('regtool-start-up');
const source = path.join(folder.path, 'source');
const credentials = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' };
let server: LocalServer;

beforeAll(async () => {
  mkdirSync(source);
  const { registry } = sampleRegistry({ largeLayerBytes: 300_000 });
  await registry.writeTo(await openFilesystem({ root: source }));
  server = await startLocalServer();
  // An empty bucket that takes everything.
  server.answerWith(({ method, path: asked }) => {
    if (method !== 'GET') {
      return method === 'HEAD' ? { status: 404 } : {};
    }
    if (asked.includes('list-type=2')) {
      return { body: listPage([]) };
    }
    return asked.includes('uploads')
      ? {
          body: '<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>',
        }
      : errorReply(404, 'NoSuchKey');
  });
});
afterAll(async () => {
  await server.stop();
  folder.remove();
});
// Each starts a process, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

interface Loaded {
  exitCode: number;
  /** Packages in node_modules, by name. */
  packages: Set<string>;
  /** Files in dist, as `drivers/s3.js`. */
  own: Set<string>;
}

/**
 * Runs a command to its end, and says what it loaded. V8 counts, for its coverage, what ran of each script; in the
 * bundle each module that is not always needed is a function that has its file's path for a name.
 */
async function modulesOf(argv: readonly string[], env: Record<string, string> = {}): Promise<Loaded> {
  const coverage = path.join(folder.path, `coverage-${crypto.randomUUID()}`);
  const { exitCode } = await runRegtool(argv, { env: { ...env, NODE_V8_COVERAGE: coverage } });
  const scripts = readdirSync(coverage).flatMap((file) => {
    const report = JSON.parse(readFileSync(path.join(coverage, file), 'utf8')) as {
      result: { url: string; functions: { functionName: string; ranges: { count: number }[] }[] }[];
    };
    return report.result;
  });
  const files = scripts.flatMap(({ url, functions }) => [
    url,
    ...functions.filter(({ ranges }) => (ranges[0]?.count ?? 0) > 0).map(({ functionName }) => functionName),
  ]);
  const all = (pattern: RegExp) => new Set(files.flatMap((file) => pattern.exec(file)?.[1] ?? []));
  return {
    exitCode,
    packages: all(/^(?:.*\/)?node_modules\/((?:@[^/]+\/)?[^/]+)\//),
    own: all(/^dist\/(.+)$/),
  };
}

const heavy = [
  'zod',
  'yaml',
  'fast-glob',
  'cli-progress',
  'undici',
  '@azure/storage-blob',
  '@aws-sdk/client-s3',
];

/** What oclif has for commands that are to be found in folders, or that draw. */
const unusedByHelp = ['tinyglobby', 'minimatch', 'lilconfig', 'cli-spinners', 'wsl-utils'];

describe('a command loads only what it needs', () => {
  test.each([[['--help']], [['--version']], [['migrate', '--help']]])(
    '%j: no command at all',
    async (argv) => {
      const { exitCode, packages, own } = await modulesOf(argv);
      expect(exitCode).toBe(0);
      expect(packages).toContain('@oclif/core');
      expect([...own]).toEqual([]);
      expect([...heavy, ...unusedByHelp].filter((name) => packages.has(name))).toEqual([]);
    },
  );

  test('check of a folder: itself and the filesystem driver', async () => {
    const { packages, own } = await modulesOf(['check', source]);
    expect(own).toContain('drivers/filesystem.js');
    expect([...own].filter((file) => /^commands\/|^drivers\/(s3|azure)[/.]/.test(file))).toEqual([
      'commands/check.js',
    ]);
    expect(heavy.filter((name) => packages.has(name))).toEqual([]);
  });

  test('migrate to S3 with keys in the environment and no large blob: not the AWS SDK', async () => {
    const target = `s3://bucket?region=eu-1&endpoint=${server.endpoint}`;
    const { exitCode, packages, own } = await modulesOf(['migrate', source, target], credentials);
    expect(exitCode).toBe(0);
    // It was a whole migration: the tags came last.
    expect(
      server.requests.filter(
        ({ method, path: asked }) => method === 'PUT' && asked.endsWith('/current/link'),
      ),
    ).not.toHaveLength(0);
    expect(own).toContain('drivers/s3.js');
    expect(heavy.filter((name) => packages.has(name))).toEqual(['undici']);
    expect([...packages].filter((name) => /^@(aws-sdk|smithy|azure)\//.test(name))).toEqual([]);
  });

  test('migrate to S3 with a profile: the AWS SDK, which is not in the bundle', async () => {
    const shared = path.join(folder.path, 'credentials');
    writeFileSync(shared, '[backup]\naws_access_key_id = key\naws_secret_access_key = secret\n');
    const target = `s3://bucket?region=eu-1&endpoint=${server.endpoint}`;
    const { exitCode, packages } = await modulesOf(['migrate', source, target], {
      AWS_SHARED_CREDENTIALS_FILE: shared,
      AWS_PROFILE: 'backup',
    });
    expect(exitCode).toBe(0);
    expect(packages).toContain('@aws-sdk/client-s3');
  });
});
