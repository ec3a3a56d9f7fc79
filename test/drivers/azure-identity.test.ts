import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { openAzure } from '../../src/drivers/azure.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { startAzurite, type AzuriteServer } from '../servers/azurite.ts';
import { createContainer, describeWithServers } from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { type ManagedIdentity, startManagedIdentity } from '../support/managed-identity.ts';
import { describeDriver } from './contract.ts';

/** Azurite over https, which takes tokens, and the endpoint of a managed identity that gives them. */
describeWithServers('azure, as a managed identity', ['azurite', 'openssl'], () => {
  let azurite: AzuriteServer;
  let identity: ManagedIdentity;
  const folder = createTemporaryFolder('regtool-identity');

  beforeAll(async () => {
    const certificatePath = path.join(folder.path, 'certificate.pem');
    const keyPath = path.join(folder.path, 'key.pem');
    execFileSync(
      'openssl',
      `req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -out ${certificatePath} -keyout ${keyPath}`.split(
        ' ',
      ),
      { stdio: 'ignore' },
    );
    azurite = await startAzurite({ tls: { certificatePath, keyPath } });
    identity = await startManagedIdentity();
    for (const [name, value] of Object.entries(identity.env)) {
      vi.stubEnv(name, value);
    }
    // The certificate is signed by nobody; NODE_EXTRA_CA_CERTS is read only when a process starts.
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
  });

  afterAll(async () => {
    vi.unstubAllEnvs();
    await identity.stop();
    await azurite.stop();
    folder.remove();
  });

  async function open(): Promise<Driver> {
    const container = await createContainer(azurite);
    const { serviceUrl } = azurite;
    const location = `azure://${container}`;
    return openAzure({
      container,
      root: 'some/root/',
      location,
      serviceUrl,
      credentials: { type: 'default_credentials' },
      listPageSize: 7,
      partSizeBytes: 64 * 1024,
      singlePutMaxBytes: 128 * 1024,
    });
  }

  describeDriver('azure, with a token', {
    open: async () => ({ driver: await open(), dispose: async () => {} }),
    refuses: (key) => key.includes('\\'),
    largeBytes: 700_000,
  });

  it('takes one token for many requests', async () => {
    const driver = await open();
    const before = identity.tokensGiven();
    await Promise.all(Array.from({ length: 20 }, (_, index) => driver.write(`${index}`, Buffer.from('x'))));
    expect((await driver.stat('7'))?.sizeBytes).toBe(1);
    expect(identity.tokensGiven() - before).toBeLessThanOrEqual(1);
    await driver.close();
  });
});
