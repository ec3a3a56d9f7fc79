import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { sampleRegistry } from '../../fixtures/sample-registry.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { createBucket, describeWithServers, startRegistryOnSection } from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { runRegtool, s3Environment } from '../support/run-regtool.ts';
import { StrictPuller } from '../support/strict-puller.ts';

// Each starts processes, which take their time on a busy machine.
vi.setConfig({ testTimeout: 240_000 });

/** The section that the runbook has for Distribution, as it is printed, between its fences. */
function distributionSection(markdown: string): string {
  const section = /^For Distribution[^\n]*:\n\n```yaml\n([^]*?)^```$/m.exec(markdown)?.[1];
  if (section === undefined) {
    throw new Error(`The runbook has no section for Distribution:\n${markdown}`);
  }
  return section;
}

/**
 * A registry is migrated, and a real docker-registry started on the very lines of the runbook, with nothing added
 * but the address on which it listens.
 */
describeWithServers("a registry on the runbook's section", ['rgw', 'docker-registry'], (servers) => {
  const folder = createTemporaryFolder('regtool-runbook');
  const source = path.join(folder.path, 'source');
  const { registry } = sampleRegistry({ largeLayerBytes: 300_000 });

  beforeAll(async () => {
    mkdirSync(source);
    await registry.writeTo(await openFilesystem({ root: source }));
  });
  afterAll(folder.remove);

  async function expectServes(
    target: string,
    env: Record<string, string>,
    registryEnvironment: Record<string, string>,
  ): Promise<void> {
    expect(await runRegtool(['migrate', source, target], { env })).toMatchObject({ exitCode: 0 });
    const runbook = await runRegtool(['runbook', source, target, '--yaml'], { env });
    expect(runbook.exitCode).toBe(0);
    const server = await startRegistryOnSection(distributionSection(runbook.stdout), registryEnvironment);
    const puller = new StrictPuller(server.address);
    try {
      const tags = registry.tags();
      expect(tags.length).toBeGreaterThan(5);
      for (const { repository, tag } of tags) {
        expect([repository, tag, await puller.failureOf(repository, tag)]).toEqual([
          repository,
          tag,
          undefined,
        ]);
      }
      // It is the section that step 3 asks for: read-only.
      const refused = await fetch(`http://${server.address}/v2/shop/web/blobs/uploads/`, { method: 'POST' });
      expect(refused.status).toBe(405);
    } finally {
      await puller.close();
      await server.stop();
    }
  }

  test.each(['', '/some/root'])('in S3, with the root directory "%s"', async (root) => {
    const bucket = await createBucket(servers.rgw);
    const { endpoint, region, accessKey, secretKey } = servers.rgw;
    const target = `s3://${bucket}${root}?region=${region}&endpoint=${endpoint}&pathstyle=true`;
    await expectServes(target, s3Environment(servers.rgw), {
      // Under the names that the section itself says.
      REGISTRY_STORAGE_S3_ACCESSKEY: accessKey,
      REGISTRY_STORAGE_S3_SECRETKEY: secretKey,
    });
  });

  test('in a folder', async () => {
    const target = path.join(folder.path, 'target');
    mkdirSync(target);
    await expectServes(target, {}, {});
  });
});
