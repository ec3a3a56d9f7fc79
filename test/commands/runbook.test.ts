import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import Runbook from '../../src/commands/runbook.ts';
import { runClass } from '../cli/run-class.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'regtool-runbook-'));
const configPath = path.join(folder, 'config.yml');

beforeAll(() => {
  const parameters = {
    bucket: 'old-registry',
    region: 'eu-central-1',
    accesskey: 'AKIAOLDACCESSKEY',
    secretkey: 'secret-of-the-old-store',
  };
  writeFileSync(configPath, `version: 0.1\nstorage: ${JSON.stringify({ s3: parameters })}\n`);
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('runbook', () => {
  test('prints the document for Omnibus when the source is in its folders', async () => {
    const { stdout, exitCode } = await run(
      '/var/opt/gitlab/gitlab-rails/shared/registry',
      's3://my-bucket?region=r',
    );
    expect(exitCode).toBe(0);
    expect(stdout).toContain('gitlab-ctl reconfigure');
  });

  test('is for one kind of registry, and says so once', async () => {
    const { stderr, exitCode } = await run('/a', 's3://my-bucket?region=r', '--omnibus', '--yaml');
    expect(exitCode).toBe(2);
    expect(stderr).toBe('Error: --omnibus and --yaml cannot be given together.\nSee more help with --help\n');
  });

  test.each([
    ['--yaml', 'restart_registry'],
    ['--helm', 'kubectl create secret'],
    ['--omnibus', 'gitlab-ctl reconfigure'],
  ])('prints the document for %s when it is asked for', async (flag, expected) => {
    const { stdout } = await run(
      '/var/opt/gitlab/gitlab-rails/shared/registry',
      's3://my-bucket?region=r',
      flag,
    );
    expect(stdout).toContain(expected);
  });

  test('takes one kind only', async () => {
    const { exitCode } = await run('/srv/registry', 's3://my-bucket?region=r', '--yaml', '--helm');
    expect(exitCode).toBe(2);
  });

  test('names a relative folder by its full path, so that commands work from anywhere', async () => {
    const { stdout } = await run('registry', 's3://my-bucket?region=r');
    expect(stdout).toContain(`regtool migrate ${path.resolve('registry')} `);
  });

  test('takes the region from the environment, and says it in the document', async () => {
    vi.stubEnv('AWS_REGION', 'ap-south-1');
    const { stdout } = await run('/srv/registry', 's3://my-bucket');
    expect(stdout).toContain('region: "ap-south-1"');
    expect(stdout).toContain("'s3://my-bucket?region=ap-south-1'");
  });

  test('refuses a bucket whose region nobody says', async () => {
    for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION', 'AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_S3']) {
      vi.stubEnv(name, undefined);
    }
    const { exitCode, stderr, stdout } = await run('/srv/registry', 's3://my-bucket');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('add ?region=');
    expect(stdout).toBe('');
  });

  test('reads the source from a copy of its configuration, and never shows a credential', async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIANEWACCESSKEY');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret-of-the-new-store');
    for (const flags of [['--omnibus'], ['--yaml'], ['--helm'], ['--json']]) {
      const { stdout, stderr, exitCode } = await run(configPath, 's3://my-bucket?region=r', ...flags);
      expect(exitCode).toBe(0);
      expect(stdout).toContain(`cp -p ${configPath} ${path.join(folder, 'config.before-regtool.yml')}`);
      expect(stdout).not.toContain(`regtool migrate ${configPath} `);
      expect(stdout + stderr).not.toMatch(/AKIA|secret-of/);
    }
  });

  test('takes a gitlab.rb for Omnibus, wherever it lies', async () => {
    const file = path.join(folder, 'e.rb');
    writeFileSync(file, "registry['storage'] = { 's3' => { 'bucket' => 'old', 'region' => 'r' } }\n");
    const { stdout, exitCode } = await run(file, 's3://my-bucket?region=r');
    expect(exitCode).toBe(0);
    expect(stdout).toContain('gitlab-ctl reconfigure');
    expect(stdout).not.toContain('CONFIG=');
  });

  test('refuses one and the same store', async () => {
    const { stdout, stderr, exitCode } = await run('/srv/registry', '/srv/registry');
    expect(exitCode).toBe(6);
    expect(stderr).toContain('Source and target are the same store (/srv/registry)');
    expect(stdout).toBe('');
  });

  test.each(['', 'registry.example.com/app@sha256:abc'])('refuses --image %j', async (image) => {
    const { stderr, exitCode } = await run('/srv/registry', 's3://my-bucket?region=r', '--image', image);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('--image takes an image as docker pull does');
  });

  test('gives the document in the envelope with --json', async () => {
    const { json } = await run('/srv/registry', 's3://my-bucket?region=r', '--json');
    expect(json).toMatchObject({
      ok: true,
      result: { deployment: 'yaml', markdown: expect.stringMatching(/^# Moving a container registry\n/) },
    });
  });
});

function run(...argv: string[]) {
  return runClass(Runbook, argv, 'runbook');
}
