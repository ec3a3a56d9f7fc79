import { DriverError } from '../errors.ts';
import { accountRule, isAccountHost, isAccountName } from '../azure-account.ts';
import { accountNameIn, parseConnectionString } from '../azure-connection-string.ts';

export interface AzureCredentialOptions {
  container: string;
  /** The store as the user wrote it, for messages. */
  location: string;
  accountName?: string | undefined;
  /** Base64. */
  accountKey?: string | undefined;
  /** A shared access signature, with or without its leading `?`. */
  sasToken?: string | undefined;
  connectionString?: string | undefined;
  credentials?: AzureIdentity | undefined;
  /** `core.windows.net` when left out: the service is at `https://ACCOUNT.blob.REALM`. */
  realm?: string | undefined;
  /** Where the blob service answers, instead of what account and realm say: Azurite and private clouds. */
  serviceUrl?: string | undefined;
}

export type AzureIdentity =
  | { type: 'client_secret'; tenantId: string; clientId: string; secret: string }
  | { type: 'default_credentials' };

/** Which credential to use, and where the service is. The first that is there wins, in this order of `kind`s. */
export interface AzureAccess {
  /** Without a trailing slash, query or credentials. */
  serviceUrl: string;
  credential:
    | { kind: 'key'; accountName: string; accountKey: string }
    /** Without a leading `?`. */
    | { kind: 'sas'; sasToken: string }
    | { kind: 'identity'; identity: AzureIdentity };
}

/**
 * Chooses: connection string, account key, SAS, named identity, and else the default chain of `@azure/identity`
 * (environment, workload identity, managed identity, Azure CLI).
 * @throws DriverError UNAUTHENTICATED when what was chosen cannot be right, before anything is sent.
 */
export function chooseAccess(options: AzureCredentialOptions): AzureAccess {
  const { location } = options;
  if (options.connectionString !== undefined) {
    return fromConnectionString(options.connectionString, options);
  }
  const serviceUrl = serviceUrlOf(options);
  if (options.accountKey !== undefined) {
    const accountName = options.accountName ?? accountNameIn(serviceUrl);
    const accountKey = provenKey(options.accountKey, location);
    return { serviceUrl, credential: { kind: 'key', accountName, accountKey } };
  }
  if (options.sasToken !== undefined) {
    return {
      serviceUrl,
      credential: { kind: 'sas', sasToken: provenSas(options.sasToken, location) },
    };
  }
  const identity = options.credentials ?? { type: 'default_credentials' };
  return { serviceUrl, credential: { kind: 'identity', identity } };
}

function fromConnectionString(connectionString: string, options: AzureCredentialOptions): AzureAccess {
  const { location } = options;
  const parts = parseConnectionString(connectionString);
  const accountName = parts['AccountName'] ?? options.accountName;
  const protocol = parts['DefaultEndpointsProtocol'] ?? 'https';
  const realm = parts['EndpointSuffix'] ?? options.realm;
  const endpoint = parts['BlobEndpoint'] ?? options.serviceUrl;
  const serviceUrl = serviceUrlOf({ location, accountName, realm, serviceUrl: endpoint }, protocol);
  if (parts['AccountKey'] !== undefined) {
    return {
      serviceUrl,
      credential: {
        kind: 'key',
        accountName: accountName ?? accountNameIn(serviceUrl),
        accountKey: provenKey(parts['AccountKey'], location),
      },
    };
  }
  if (parts['SharedAccessSignature'] !== undefined) {
    return {
      serviceUrl,
      credential: { kind: 'sas', sasToken: provenSas(parts['SharedAccessSignature'], location) },
    };
  }
  throw unusable(
    `The connection string for ${location} has neither AccountKey nor SharedAccessSignature: copy it again from the storage account's "Access keys".`,
  );
}

function serviceUrlOf(
  options: Pick<AzureCredentialOptions, 'location' | 'accountName' | 'realm' | 'serviceUrl'>,
  protocol = 'https',
): string {
  const { location, accountName, realm = 'core.windows.net' } = options;
  if (options.serviceUrl === undefined && (accountName === undefined || accountName === '')) {
    throw unusable(`No storage account is named for ${location}: give its name, or the service's URL.`);
  }
  const isName = options.serviceUrl === undefined ? isAccountHost : isAccountName;
  if (accountName !== undefined && accountName !== '' && !isName(accountName)) {
    // It is not shown: whoever swaps name and key has the key there.
    throw unusable(
      `What names the storage account for ${location} is no account name (${accountRule}): correct ?account=, AZURE_STORAGE_ACCOUNT or AccountName, and see whether name and key are swapped.`,
    );
  }
  const text = options.serviceUrl ?? `${protocol}://${accountName}.blob.${realm}`;
  if (!URL.canParse(text) || !/^https?:/u.test(text)) {
    throw unusable(`The service URL for ${location} is no http or https URL.`);
  }
  const url = new URL(text);
  if (url.search !== '' || url.username !== '' || url.password !== '') {
    throw unusable(
      `The service URL for ${location} holds credentials: give the SAS in the configuration or the environment, and the URL without it.`,
    );
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/u, '');
}

function provenKey(accountKey: string, location: string): string {
  const key = accountKey.trim();
  if (key === '' || !/^[A-Za-z0-9+/]+={0,2}$/u.test(key) || key.length % 4 !== 0) {
    throw unusable(
      `The account key for ${location} is not base64: copy it whole, with the = at its end, from the storage account's "Access keys".`,
    );
  }
  return key;
}

function provenSas(sasToken: string, location: string): string {
  const sas = sasToken.trim().replace(/^\?/u, '');
  const parameters = new URLSearchParams(sas);
  if (!parameters.has('sig')) {
    throw unusable(`The SAS for ${location} has no signature (sig=): copy it whole.`);
  }
  const expiresAtMs = Date.parse(parameters.get('se') ?? '');
  if (expiresAtMs < Date.now()) {
    throw unusable(
      `The SAS for ${location} expired at ${new Date(expiresAtMs).toISOString()}: make a new one.`,
    );
  }
  return sas;
}

function unusable(message: string): DriverError {
  return new DriverError('UNAUTHENTICATED', message, { driver: 'azure', operation: 'open' });
}
