import type { TokenCredential } from '@azure/identity';

/** What tokens for Azure Storage are taken for, in every cloud. */
const storageScope = 'https://storage.azure.com/.default';
/** Before it expires a token is renewed in time, while it still serves. */
const renewBeforeExpiryMs = 5 * 60_000;
/** A token that expires while it is on its way is refused. */
const uselessBeforeExpiryMs = 5_000;
/** After a renewal failed and the token still serves. */
const renewalPauseMs = 30_000;

/** A token that is taken once for all requests, and renewed in time. */
export interface TokenSource {
  /**
   * A token that is good for now. A promise only where one has to be waited for.
   * @throws what the credential throws, when there is no token that still serves.
   */
  current(): string | Promise<string>;
  /**
   * Takes another token after the service refused one with 401.
   * @param challenge the answer's WWW-Authenticate, which may name a tenant to take the token from.
   * @returns whether there is a token that has not been refused yet.
   */
  replace(refused: string, challenge: string | undefined): Promise<boolean>;
}

interface Token {
  value: string;
  expiresAtMs: number;
  renewAtMs: number;
}

/**
 * Takes tokens of an identity: all requests share one, and whatever asks while it is being taken waits for the
 * same. That of the first request decides: the service may name another tenant in its refusal (REST reference,
 * "Authorize with Microsoft Entra ID", "Bearer challenge"), which then holds for the rest of the run.
 */
export function openTokenSource(credential: Pick<TokenCredential, 'getToken'>): TokenSource {
  let tenantId: string | undefined;
  let token: Token | undefined;
  let renewing: Promise<string> | undefined;

  async function take(): Promise<string> {
    const options = tenantId === undefined ? {} : { tenantId };
    const taken = await credential.getToken(storageScope, options);
    if (taken === null) {
      throw Object.assign(new Error('the identity gave no token'), { name: 'CredentialUnavailableError' });
    }
    const expiresAtMs = taken.expiresOnTimestamp;
    const renewAtMs = Math.min(taken.refreshAfterTimestamp ?? Infinity, expiresAtMs - renewBeforeExpiryMs);
    token = { value: taken.token, expiresAtMs, renewAtMs };
    return taken.token;
  }

  async function renew(): Promise<string> {
    renewing ??= take().finally(() => {
      renewing = undefined;
    });
    return renewing;
  }

  function renewInBackground(old: Token): void {
    renew().catch(() => {
      // The old one still serves. Should this go on, the error goes up when it no longer does.
      old.renewAtMs = Date.now() + renewalPauseMs;
    });
  }

  return {
    current() {
      const nowMs = Date.now();
      if (token === undefined || nowMs >= token.expiresAtMs - uselessBeforeExpiryMs) {
        return renew();
      }
      if (nowMs >= token.renewAtMs && renewing === undefined) {
        renewInBackground(token);
      }
      return token.value;
    },

    async replace(refused, challenge) {
      if (token !== undefined && token.value !== refused) {
        return true;
      }
      tenantId = tenantOf(challenge) ?? tenantId;
      return (await renew()) !== refused;
    },
  };
}

/**
 * `Bearer authorization_uri=https://login.microsoftonline.com/TENANT/oauth2/authorize resource_id=...`. The resource is
 * not followed: whoever answers could have a token that is good for something else than storage.
 */
function tenantOf(challenge = ''): string | undefined {
  return /\bauthorization_uri="?https:\/\/[^/\s]+\/([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})\//iu.exec(
    challenge,
  )?.[1];
}
