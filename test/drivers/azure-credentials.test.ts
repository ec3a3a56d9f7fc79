import { describe, expect, it } from 'vitest';
import { openAzure } from '../../src/drivers/azure.ts';
import { chooseAccess, type AzureCredentialOptions } from '../../src/drivers/azure/credentials.ts';
import { isDriverError } from '../../src/drivers/errors.ts';

const key = Buffer.from('a made up account key').toString('base64');
const sas = `sv=2026-01-01&se=2999-01-01T00%3A00%3A00Z&sp=r&sig=made%2Bup`;
const choose = (options: Partial<AzureCredentialOptions>) =>
  chooseAccess({ container: 'container', location: 'azure://container', ...options });

function refusal(options: Partial<AzureCredentialOptions>): string {
  try {
    choose(options);
  } catch (error) {
    expect(isDriverError(error, 'UNAUTHENTICATED')).toBe(true);
    return error instanceof Error ? error.message : '';
  }
  return 'no error';
}

describe('the choice of Azure credentials', () => {
  const all = {
    accountName: 'account',
    accountKey: key,
    sasToken: sas,
    connectionString: `DefaultEndpointsProtocol=https;AccountName=fromstring;AccountKey=${key};EndpointSuffix=core.windows.net`,
    credentials: { type: 'client_secret', tenantId: 't', clientId: 'c', secret: 's' },
  } as const;

  it('takes the connection string, then the key, then the SAS, then the named identity', () => {
    const { connectionString: _, ...withoutString } = all;
    const { accountKey: __, ...withoutKey } = withoutString;
    const { sasToken: ___, ...withoutSas } = withoutKey;
    const { credentials: ____, ...withoutIdentity } = withoutSas;
    expect(choose(all).credential).toEqual({ kind: 'key', accountName: 'fromstring', accountKey: key });
    expect(choose(withoutString).credential).toEqual({
      kind: 'key',
      accountName: 'account',
      accountKey: key,
    });
    expect(choose(withoutKey).credential).toEqual({ kind: 'sas', sasToken: sas });
    expect(choose(withoutSas).credential).toEqual({ kind: 'identity', identity: all.credentials });
    expect(choose(withoutIdentity).credential).toEqual({
      kind: 'identity',
      identity: { type: 'default_credentials' },
    });
  });

  it.each([
    [{ accountName: 'account' }, 'https://account.blob.core.windows.net'],
    [
      { accountName: 'account', realm: 'core.chinacloudapi.cn' },
      'https://account.blob.core.chinacloudapi.cn',
    ],
    [
      { accountName: 'account', serviceUrl: 'http://127.0.0.1:10000/account/' },
      'http://127.0.0.1:10000/account',
    ],
    [
      { connectionString: `AccountName=account;AccountKey=${key};EndpointSuffix=core.usgovcloudapi.net` },
      'https://account.blob.core.usgovcloudapi.net',
    ],
    [
      { connectionString: `BlobEndpoint=https://x.example/;SharedAccessSignature=${sas}` },
      'https://x.example',
    ],
    [{ connectionString: 'UseDevelopmentStorage=true' }, 'http://127.0.0.1:10000/devstoreaccount1'],
  ])('finds the service of %j', (options, serviceUrl) => {
    expect(choose(options).serviceUrl).toBe(serviceUrl);
  });

  it.each([
    ['https://account.blob.core.windows.net', 'account'],
    ['http://127.0.0.1:10000/devstoreaccount1', 'devstoreaccount1'],
  ])('finds the account in %s when only a key is given', (serviceUrl, accountName) => {
    expect(choose({ serviceUrl, accountKey: key }).credential).toMatchObject({ accountName });
  });

  it('takes a SAS with a question mark, too', () => {
    expect(choose({ accountName: 'account', sasToken: `?${sas}` }).credential).toMatchObject({
      sasToken: sas,
    });
  });

  it.each([
    ['a key that is not base64', { accountName: 'account', accountKey: 'not*base64=' }, 'not base64'],
    ['a key cut short', { accountName: 'account', accountKey: 'abcde' }, 'not base64'],
    ['an empty key', { accountName: 'account', accountKey: '' }, 'not base64'],
    ['a SAS without signature', { accountName: 'account', sasToken: 'sv=1&sp=r' }, 'no signature'],
    [
      'a SAS that expired',
      { accountName: 'account', sasToken: 'se=2020-01-01T00%3A00%3A00Z&sig=x' },
      'expired at 2020-01-01T00:00:00.000Z',
    ],
    ['no account', {}, 'No storage account is named'],
    ['an account that is a host', { accountName: 'evil.example/' }, 'no account name'],
    [
      'a connection string without a secret',
      { connectionString: 'AccountName=account' },
      'neither AccountKey',
    ],
    ['nonsense for a connection string', { connectionString: 'nonsense', accountName: 'account' }, 'neither'],
    ['a service URL with a SAS', { serviceUrl: `https://x.example/?${sas}` }, 'holds credentials'],
    ['a service URL with a password', { serviceUrl: 'https://user:pw@x.example' }, 'holds credentials'],
    ['a service URL that is none', { serviceUrl: 'x.example' }, 'no http or https URL'],
  ])('refuses %s before anything is sent', (_, options, sentence) => {
    const message = refusal(options);
    expect(message).toContain(sentence);
    expect(message).toContain('azure://container');
    expect(message).not.toContain('made%2Bup');
    expect(message).not.toContain('user:pw');
  });

  const swapped = Buffer.alloc(64, 'a key').toString('base64');
  it.each<[string, Partial<AzureCredentialOptions>]>([
    ['of the environment', { accountName: swapped, accountKey: 'myaccount' }],
    ['at an address', { accountName: swapped, accountKey: key, serviceUrl: 'http://127.0.0.1:1/x' }],
    ['in a connection string', { connectionString: `AccountName=${swapped};AccountKey=${key}` }],
  ])('does not show a key that stands where the account belongs: %s', (_, options) => {
    const message = refusal(options);
    expect(message).toContain('no account name');
    expect(message).not.toContain(swapped);
  });

  it('opens with a client secret without asking anybody for a token yet', async () => {
    const driver = await openAzure({
      container: 'container',
      root: 'opt/',
      location: 'azure://container/opt',
      accountName: 'Account'.toLowerCase(),
      credentials: { type: 'client_secret', tenantId: 'tenant', clientId: 'client', secret: 'hidden' },
    });
    expect(driver.identity).toEqual({
      service: 'azure:account.blob.core.windows.net',
      container: 'container',
      root: 'opt/',
    });
    expect(JSON.stringify(driver)).not.toContain('hidden');
    await driver.close();
  });

  it('does not send a token over http', async () => {
    const opening = openAzure({
      container: 'container',
      root: '',
      location: 'azure://container',
      serviceUrl: 'http://127.0.0.1:1/account',
    });
    await expect(opening).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it.each(['UPPER', 'a', 'under_score', 'a--b', '../x', 'a/b', '-ab'])(
    'refuses %j for a container name',
    async (container) => {
      const opening = openAzure({
        container,
        root: '',
        location: 'azure://x',
        accountName: 'a',
        accountKey: key,
      });
      await expect(opening).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' });
    },
  );
});
