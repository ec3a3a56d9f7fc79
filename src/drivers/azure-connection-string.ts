/** Account and key that every Azurite has by default; they are public (Azurite's README). */
const developmentAccount = {
  AccountName: 'devstoreaccount1',
  AccountKey: 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==',
  BlobEndpoint: 'http://127.0.0.1:10000/devstoreaccount1',
};

const knownNames = [
  'AccountName',
  'AccountKey',
  'BlobEndpoint',
  'DefaultEndpointsProtocol',
  'EndpointSuffix',
  'SharedAccessSignature',
  'UseDevelopmentStorage',
];

/** The parts of a connection string by their names as Azure writes them; some write them in other cases. */
export function parseConnectionString(connectionString: string): Record<string, string | undefined> {
  const pairs = connectionString
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '')
    // Only the first `=` separates: keys and signatures hold more of them.
    .map((pair): [string, string] => {
      const equals = pair.indexOf('=');
      const name = equals === -1 ? pair : pair.slice(0, equals);
      const known = knownNames.find((known) => known.toLowerCase() === name.toLowerCase());
      return [known ?? name, equals === -1 ? '' : pair.slice(equals + 1)];
    });
  const given: Record<string, string | undefined> = Object.fromEntries(pairs);
  return given['UseDevelopmentStorage'] === 'true' ? { ...developmentAccount, ...given } : given;
}

/**
 * The account that a connection string leads to, undefined where that cannot be told. The address says it before
 * `AccountName` does: with a SAS, requests go where `BlobEndpoint` says, whatever else stands there.
 */
export function accountOfConnectionString(connectionString: string): string | undefined {
  const { BlobEndpoint: endpoint, AccountName: accountName } = parseConnectionString(connectionString);
  if (endpoint === undefined) {
    return accountName;
  }
  return URL.canParse(endpoint) ? (accountOfHost(new URL(endpoint)) ?? accountName) : accountName;
}

/**
 * `https://ACCOUNT.blob.core.windows.net`, `https://ACCOUNT.z01.blob.storage.azure.net` (Azure, "Standard endpoints" and
 * "Azure DNS zone endpoints"), or as an emulator has it, `http://127.0.0.1:10000/ACCOUNT`. A domain of one's own
 * tells nothing.
 */
function accountOfHost({ hostname, pathname }: URL): string | undefined {
  const [, fromPath = ''] = pathname.split('/', 2);
  return /^([^.]+)\.(?:z\d+\.)?blob\./u.exec(hostname)?.[1] ?? (fromPath === '' ? undefined : fromPath);
}

/** The same of any address of a service, for whose key an account has to be named: of a domain the first part. */
export function accountNameIn(serviceUrl: string): string {
  const { hostname, pathname } = new URL(serviceUrl);
  const [, fromPath = ''] = pathname.split('/', 2);
  const [fromHost = ''] = hostname.split('.', 1);
  return fromPath === '' ? fromHost : fromPath;
}
