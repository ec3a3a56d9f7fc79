import type { TokenCredentialOptions } from '@azure/identity';
import { createDefaultHttpClient } from '@azure/core-rest-pipeline';
import { openSdkAgents } from '../proxy/agents.ts';
import { noProxyOfItsOwn } from './sdk.ts';

/** What an identity takes to reach whoever gives tokens. */
export type TokenClient = Pick<TokenCredentialOptions, 'httpClient' | 'proxyOptions'>;

/** Whoever gives tokens from elsewhere is asked over https; over http only what is beside this process. */
const entraId = new URL('https://login.microsoftonline.com');

/** So few are asked for that there is nothing to share. */
const maxSockets = 4;

/**
 * Lets an identity ask for tokens by the same rules as everything else: those of the metadata of this machine, and of
 * what runs beside it, directly; those of Entra ID through the proxy. The identity by itself asks for both through it.
 */
export function openTokenClient(connectMs: number): TokenClient {
  const agents = openSdkAgents(entraId, { maxSockets, connectMs });
  const client = createDefaultHttpClient();
  return {
    proxyOptions: noProxyOfItsOwn,
    httpClient: {
      sendRequest(request) {
        request.agent = request.url.startsWith('https:') ? agents.https : agents.http;
        return client.sendRequest(request);
      },
    },
  };
}
