import type { TokenCredential } from '@azure/identity';
import type * as Identities from '@azure/identity';
import { namesProxy } from '../proxy.ts';
import type { AzureIdentity } from './credentials.ts';
import { azureError, type AzurePlace } from './errors.ts';
import type { AzureTimeouts } from './http.ts';
import type { TokenClient } from './token-client.ts';

/**
 * Prepares to ask for tokens. Sends nothing.
 * @throws DriverError UNAUTHENTICATED when what is known of the identity cannot be right.
 */
export async function openIdentity(
  identity: AzureIdentity,
  place: AzurePlace,
  { connectMs }: Pick<AzureTimeouts, 'connectMs'>,
): Promise<TokenCredential> {
  const identities = await import('@azure/identity');
  const client = namesProxy() ? (await import('./token-client.ts')).openTokenClient(connectMs) : undefined;
  try {
    if (identity.type === 'client_secret') {
      const { tenantId, clientId, secret } = identity;
      return new identities.ClientSecretCredential(tenantId, clientId, secret, client ?? {});
    }
    return client === undefined ? new identities.DefaultAzureCredential() : behindProxy(identities, client);
  } catch (error) {
    throw Object.assign(azureError(error, place, { operation: 'open' }), { code: 'UNAUTHENTICATED' });
  }
}

/**
 * The default chain with a client of its own. Where the environment names the managed identity as all of the chain, the
 * chain makes it without what it was given itself, client included; so it is made here as the chain would.
 */
function behindProxy(
  { DefaultAzureCredential, ManagedIdentityCredential }: typeof Identities,
  client: TokenClient,
): TokenCredential {
  const { AZURE_TOKEN_CREDENTIALS: wanted = '', AZURE_CLIENT_ID: clientId = '' } = process.env;
  if (wanted.trim().toLowerCase() !== 'managedidentitycredential') {
    return new DefaultAzureCredential(client);
  }
  return clientId === ''
    ? new ManagedIdentityCredential(client)
    : new ManagedIdentityCredential({ ...client, clientId });
}
