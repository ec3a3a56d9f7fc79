import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ManagedIdentity {
  /** What tells a process of it. */
  env: Record<string, string>;
  tokensGiven(): number;
  stop(): Promise<void>;
}

/**
 * The endpoint of a managed identity on 127.0.0.1, as Azure App Service has it (its documentation, "REST endpoint
 * reference" of managed identities).
 */
export async function startManagedIdentity(): Promise<ManagedIdentity> {
  let tokensGiven = 0;
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '', 'http://identity');
    const isKnown = request.headers['x-identity-header'] === 'the header';
    const resource = searchParams.get('resource') ?? '';
    tokensGiven += isKnown ? 1 : 0;
    response.writeHead(isKnown ? 200 : 401, { 'content-type': 'application/json' });
    response.end(JSON.stringify(isKnown ? tokenFor(resource) : { error: 'who are you' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    env: {
      IDENTITY_ENDPOINT: `http://127.0.0.1:${port}/token`,
      IDENTITY_HEADER: 'the header',
      AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential',
    },
    tokensGiven: () => tokensGiven,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

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
