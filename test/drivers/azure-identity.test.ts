import { execFileSync } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { openAzure } from '../../src/drivers/azure.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { startAzurite, type AzuriteServer } from '../servers/azurite.ts';
import { createContainer, describeWithServers } from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { describeDriver } from './contract.ts';

/** Azurite over https, which takes tokens, and the endpoint of a managed identity that gives them. */
describeWithServers('azure, as a managed identity', ['azurite', 'openssl'], () => {
  let azurite: AzuriteServer;
  let identity: Server;
  const folder = createTemporaryFolder('regtool-identity');
  let tokensGiven = 0;

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
    identity = createServer((request, response) => {
      const { searchParams } = new URL(request.url ?? '', 'http://identity');
      const isKnown = request.headers['x-identity-header'] === 'the header';
      const resource = searchParams.get('resource') ?? '';
      tokensGiven += isKnown ? 1 : 0;
      response.writeHead(isKnown ? 200 : 401, { 'content-type': 'application/json' });
      response.end(JSON.stringify(isKnown ? tokenFor(resource) : { error: 'who are you' }));
    });
    await new Promise<void>((resolve) => identity.listen(0, '127.0.0.1', resolve));
    // As Azure App Service has it (its documentation, "REST endpoint reference" of managed identities).
    const { port } = identity.address() as AddressInfo;
    vi.stubEnv('IDENTITY_ENDPOINT', `http://127.0.0.1:${port}/token`);
    vi.stubEnv('IDENTITY_HEADER', 'the header');
    vi.stubEnv('AZURE_TOKEN_CREDENTIALS', 'ManagedIdentityCredential');
    // The certificate is signed by nobody; NODE_EXTRA_CA_CERTS is read only when a process starts.
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
  });

  afterAll(async () => {
    vi.unstubAllEnvs();
    identity.close();
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
    const before = tokensGiven;
    await Promise.all(Array.from({ length: 20 }, (_, index) => driver.write(`${index}`, Buffer.from('x'))));
    expect((await driver.stat('7'))?.sizeBytes).toBe(1);
    expect(tokensGiven - before).toBeLessThanOrEqual(1);
    await driver.close();
  });
});

/** What the endpoint of a managed identity answers; Azurite looks at times, issuer and audience of the token. */
function tokenFor(resource: string): Record<string, string> {
  const nowS = Math.floor(Date.now() / 1000);
  const claims = {
    aud: resource.replace(/\/(?:\.default)?$/u, ''),
    iss: 'https://sts.windows.net/01234567-89ab-cdef-0123-456789abcdef/',
    iat: nowS - 60,
    nbf: nowS - 60,
    exp: nowS + 3600,
  };
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return {
    access_token: `${part({ alg: 'none', typ: 'JWT' })}.${part(claims)}.c2lnbmF0dXJl`,
    expires_on: String(claims.exp),
    resource,
    token_type: 'Bearer',
    client_id: '01234567-89ab-cdef-0123-456789abcdef',
  };
}
