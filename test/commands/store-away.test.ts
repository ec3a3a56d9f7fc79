import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { sampleRegistry } from '../../fixtures/sample-registry.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { errorReply, listPage, startLocalServer, type LocalServer } from '../drivers/s3-local-server.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { runRegtool } from '../support/run-regtool.ts';

const folder = createTemporaryFolder('regtool-store-away');
const source = path.join(folder.path, 'registry');
let server: LocalServer;

beforeAll(async () => {
  mkdirSync(source);
  await sampleRegistry({ largeLayerBytes: 1000 }).registry.writeTo(await openFilesystem({ root: source }));
});
afterAll(folder.remove);
// Each starts a process, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

beforeEach(async () => {
  server = await startLocalServer();
});
afterEach(() => server.stop());

const NO_UPLOADS =
  '<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>';

/** Lists nothing, and takes each object at the attempt of this number only. */
function takeAtAttempt(number: number): void {
  const attempts = new Map<string, number>();
  server.answerWith(({ method, path: target }) => {
    if (method === 'GET') {
      return { body: /[?&]uploads/.test(target) ? NO_UPLOADS : listPage([]) };
    }
    if (method !== 'PUT') {
      return { status: 404 };
    }
    const attempt = (attempts.get(target) ?? 0) + 1;
    attempts.set(target, attempt);
    return attempt < number ? errorReply(503, 'ServiceUnavailable') : {};
  });
}

async function migrate(...flags: string[]) {
  const location = `s3://bucket?region=eu-central-1&endpoint=${server.endpoint}`;
  return runRegtool(['migrate', source, location, '--no-progress', ...flags], {
    env: { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret' },
  });
}

const notices = (text: string) =>
  text.match(/^s3:\/\/bucket\S*: .* Trying again for up to \d+ s; .*$/gm) ?? [];

describe('a store that is away in the middle of a migration', () => {
  it('is named once on stderr while its requests are made again, and everything is copied in the end', async () => {
    takeAtAttempt(4);
    const { exitCode, stdout, stderr } = await migrate();
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    expect(notices(stderr)).toHaveLength(1);
    expect(stderr).toContain('503');
    expect(stdout).not.toContain('Trying again');
  });

  it('is named on stderr with --json too, which stays one value on stdout', async () => {
    takeAtAttempt(4);
    const { stdout, stderr } = await migrate('--json');
    expect(notices(stderr)).toHaveLength(1);
    expect(JSON.parse(stdout)).toMatchObject({ ok: true });
  });

  it('is not spoken of when one more attempt was enough', async () => {
    takeAtAttempt(2);
    const { exitCode, stderr } = await migrate();
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  });
});
