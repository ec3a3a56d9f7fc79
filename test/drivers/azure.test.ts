import { createHash, randomBytes } from 'node:crypto';
import {
  ContainerClient,
  generateAccountSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';
import {
  AccountSASPermissions,
  AccountSASResourceTypes,
  AccountSASServices,
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
} from '@azure/storage-blob';
import { beforeAll, describe, expect, it } from 'vitest';
import { openAzure, type AzureOptions } from '../../src/drivers/azure.ts';
import type { Driver } from '../../src/drivers/driver.ts';
import { isDriverError } from '../../src/drivers/errors.ts';
import { createContainer, describeWithServers, type AzuriteAccess } from '../servers/index.ts';
import { openContainer } from '../support/own-stores.ts';
import { describeDriver, listAll, readAll } from './contract.ts';

const small = { partSizeBytes: 64 * 1024, singlePutMaxBytes: 128 * 1024 };

describeWithServers('azure', ['azurite'], (servers) => {
  for (const root of ['', '/', 'some/root/']) {
    describeDriver(`azure, root ${JSON.stringify(root)}`, {
      open: async () => ({
        driver: await open(servers.azurite, { root, listPageSize: 7, ...small }),
        dispose: async () => {},
      }),
      refuses: (key) => key.includes('\\'),
      largeBytes: 700_000,
    });
  }

  describeDriver('azure, with a SAS', {
    open: async () => {
      const { serviceUrl } = servers.azurite;
      const container = await createContainer(servers.azurite);
      const sasToken = accountSas(servers.azurite);
      const location = `azure://${container}`;
      const driver = await openAzure({ container, root: '', location, serviceUrl, sasToken, ...small });
      // Azurite 3.35 answers 500 to Put Blob From URL under a SAS (its table of permissions lacks it).
      const { copyFrom: _, ...withoutCopy } = driver;
      const supports = { ...driver.supports, serverSideCopy: false };
      return { driver: { ...withoutCopy, supports }, dispose: async () => {} };
    },
    refuses: (key) => key.includes('\\'),
    largeBytes: 700_000,
  });

  describe('azure', () => {
    let driver: Driver;
    let client: ContainerClient;
    beforeAll(async () => {
      const container = await createContainer(servers.azurite);
      driver = await open(servers.azurite, { container, ...small });
      client = clientOf(servers.azurite, container);
    });

    describe.each([
      ['a dot at the end of a part of the path', 'tags/v1./current', 'tags/v1/current'],
      ['a dot at the end', 'tags/v1.', 'tags/v1'],
      ['a part that is a dot', 'tags/./v1', 'tags/v1'],
      ['a part that is two dots', 'tags/x/../v1', 'tags/v1'],
      ['a backslash', 'tags\\v1', 'tags/v1'],
      ['a control character', 'tags/v\u00011', 'tags/v1'],
      ['a carriage return', 'tags/v\r1', 'tags/v\n1'],
      ['half a surrogate pair', 'tags/v\ud83d', 'tags/v'],
      ['more than 1024 characters', 'x'.repeat(1025), 'x'.repeat(1024)],
      ['nothing', '', 'x'],
    ])('a key with %s', (_, key, storedAs) => {
      it('is refused by every call, and its neighbour stays', async () => {
        if (!storedAs.includes('\n')) {
          await driver.write(storedAs, Buffer.from('neighbour'));
        }
        const before = await listAll(driver);
        expect(await codeOf(driver.write(key, Buffer.from('x')))).toBe('INVALID_KEY');
        expect(await codeOf(driver.stat(key))).toBe('INVALID_KEY');
        expect(await codeOf(readAll(driver, key))).toBe('INVALID_KEY');
        expect(await codeOf(driver.readSmall(key, 10))).toBe('INVALID_KEY');
        const failures = await driver.delete([key]);
        expect(failures.map((failure) => failure.key)).toEqual([key]);
        expect(await listAll(driver)).toEqual(before);
        await driver.delete(before.map((object) => object.key));
      });
    });

    it('counts the root into the length of a name', async () => {
      const rooted = await open(servers.azurite, { root: 'root/' });
      expect(await codeOf(rooted.write('x'.repeat(1020), Buffer.from('x')))).toBe('INVALID_KEY');
      await rooted.write('x'.repeat(1019), Buffer.from('x'));
      expect((await listAll(rooted)).length).toBe(1);
    });

    it('tells the MD5 that the service computed, and none of a blob made of blocks', async () => {
      const content = randomBytes(71);
      await driver.write('md5/single', content);
      await driver.write('md5/blocks', randomBytes(200_000));
      await client.getAppendBlobClient('md5/append').create();
      const md5 = createHash('md5').update(content).digest('hex');
      expect((await listAll(driver, 'md5/')).map((object) => [object.key, object.md5])).toEqual([
        ['md5/append', undefined],
        ['md5/blocks', undefined],
        ['md5/single', md5],
      ]);
      expect((await driver.stat('md5/single'))?.md5).toBe(md5);
    });

    it('tells the same ETag in listing and stat', async () => {
      await driver.write('etag', Buffer.from('x'));
      const [listed] = await listAll(driver, 'etag');
      expect(listed?.etag).toMatch(/^[^"]+$/u);
      expect((await driver.stat('etag'))?.etag).toBe(listed?.etag);
      expect((await driver.stat('etag'))?.modifiedAtMs).toBe(listed?.modifiedAtMs);
    });

    it('tells a stub that stands for a folder', async () => {
      const metadata = { hdi_isfolder: 'true' };
      await client.getBlockBlobClient('stub/folder').upload('', 0, { metadata });
      await client.getBlockBlobClient('stub/full').upload('x', 1, { metadata });
      await client.getBlockBlobClient('stub/none').upload('', 0);
      const stubs = (await listAll(driver, 'stub/')).filter((object) => object.isFolderStub === true);
      expect(stubs.map((object) => object.key)).toEqual(['stub/folder']);
      expect((await driver.stat('stub/folder'))?.isFolderStub).toBe(true);
    });

    it.each([
      ['as one', 1000],
      ['in blocks', 300_000],
    ])('replaces an append blob by a body that goes %s', async (_, sizeBytes) => {
      const append = client.getAppendBlobClient('append');
      await append.deleteIfExists({ deleteSnapshots: 'include' });
      await append.create();
      await append.appendBlock('registry', 8);
      const content = randomBytes(sizeBytes);
      const wrong = { algorithm: 'sha256', hex: '0'.repeat(64) } as const;
      expect(await codeOf(driver.write('append', content, { expectedDigest: wrong }))).toBe('CORRUPT');
      expect((await readAll(driver, 'append')).toString()).toBe('registry');
      await driver.write('append', content);
      expect(Buffer.compare(await readAll(driver, 'append'), content)).toBe(0);
    });

    it('reads append blobs', async () => {
      const append = client.getAppendBlobClient('append-read');
      await append.create();
      await append.appendBlock('registry', 8);
      expect((await readAll(driver, 'append-read')).toString()).toBe('registry');
      expect(Buffer.from(await driver.readSmall('append-read', 8)).toString()).toBe('registry');
    });

    it('shows nothing of blocks that were sent but not committed, and writes over them', async () => {
      const body = {
        sizeBytes: 300_000,
        async *open() {
          yield randomBytes(200_000);
          throw new Error('the disk is gone');
        },
      };
      await expect(driver.write('blocks/x', body)).rejects.toThrow('the disk is gone');
      expect(await listAll(driver, 'blocks/')).toEqual([]);
      expect(await driver.stat('blocks/x')).toBeUndefined();
      const content = randomBytes(300_000);
      await driver.write('blocks/x', content);
      expect(Buffer.compare(await readAll(driver, 'blocks/x'), content)).toBe(0);
    });

    it('keeps two writers of one key apart', async () => {
      const contents = Array.from({ length: 4 }, () => randomBytes(300_000));
      const results = await Promise.allSettled(contents.map((content) => driver.write('two', content)));
      // Azure drops unfinished blocks when another writer commits: the slower one fails, and nothing is mixed.
      expect(results.some(({ status }) => status === 'fulfilled')).toBe(true);
      const stored = await readAll(driver, 'two');
      expect(contents.some((content) => Buffer.compare(content, stored) === 0)).toBe(true);
    });

    it('deletes more than one batch, snapshots included', async () => {
      const keys = Array.from({ length: 300 }, (_, index) => `gone/%41 ${index}`);
      await Promise.all(keys.map((key) => driver.write(key, Buffer.from('x'))));
      await client.getBlobClient('gone/%41 7').createSnapshot();
      expect(await driver.delete([...keys, 'gone/never'])).toEqual([]);
      expect(await listAll(driver, 'gone/')).toEqual([]);
    });

    it('copies between containers and roots of one account', async () => {
      const target = await open(servers.azurite, { root: '/legacy/' });
      const source = await open(servers.azurite, { root: '/' });
      await source.write('docker/x', Buffer.from('content'));
      const etag = (await source.stat('docker/x'))?.etag ?? '';
      await target.copyFrom?.({ identity: source.identity, key: 'docker/x', sizeBytes: 7, etag }, 'docker/y');
      expect((await readAll(target, 'docker/y')).toString()).toBe('content');
      expect(
        await codeOf(
          target.copyFrom?.({ identity: source.identity, key: 'absent', sizeBytes: 7, etag }, 'docker/z'),
        ),
      ).toBe('NOT_FOUND');
    });

    it('says that it cannot copy from another container with a SAS for one only', async () => {
      const { serviceUrl, accountName, accountKey } = servers.azurite;
      const containerName = client.containerName;
      const permissions = ContainerSASPermissions.parse('racwdl');
      const expiresOn = new Date(Date.now() + 3_600_000);
      const sasToken = generateBlobSASQueryParameters(
        { containerName, permissions, expiresOn },
        new StorageSharedKeyCredential(accountName, accountKey),
      ).toString();
      const limited = await openAzure({
        container: containerName,
        root: '',
        location: 'azure://limited',
        serviceUrl,
        sasToken,
      });
      const other = await open(servers.azurite);
      await limited.write('sas', Buffer.from('x'));
      const source = { key: 'sas', sizeBytes: 1, etag: (await limited.stat('sas'))?.etag ?? '' };
      expect(await codeOf(limited.copyFrom?.({ ...source, identity: other.identity }, 'sas-copy-2'))).toBe(
        'UNSUPPORTED',
      );
    });

    it('says of every call that the container is not there', async () => {
      const absent = await open(servers.azurite, { container: 'not-there' });
      const keys = ['a', 'b'];
      const calls = [
        () => listAll(absent),
        () => absent.listFolder(''),
        () => absent.stat('x'),
        () => readAll(absent, 'x'),
        () => absent.readSmall('x', 10),
        () => absent.write('x', Buffer.from('x')),
        () => absent.write('x', randomBytes(300_000)),
      ];
      for (const call of calls) {
        expect(await codeOf(call())).toBe('STORE_NOT_FOUND');
      }
      const failures = await absent.delete(keys);
      expect(failures.map(({ error }) => isDriverError(error, 'STORE_NOT_FOUND'))).toEqual([true, true]);
    });

    it('says what to check when the key is wrong, without showing it', async () => {
      const accountKey = randomBytes(64).toString('base64');
      const stranger = await open(servers.azurite, { container: client.containerName, accountKey });
      const error = await errorOf(stranger.write('x', Buffer.from('x')));
      expect(error).toMatchObject({ code: 'UNAUTHENTICATED', retryable: false });
      expect(String(error)).toContain('check the account key');
      expect(JSON.stringify([error, error?.stack, error?.cause])).not.toContain(accountKey);
    });

    it('says what a SAS may not do, without showing it', async () => {
      const { serviceUrl } = servers.azurite;
      const sasToken = accountSas(servers.azurite, 'rl');
      const container = client.containerName;
      const reader = await openAzure({ container, root: '', location: 'azure://c', serviceUrl, sasToken });
      const error = await errorOf(reader.write('x', Buffer.from('x')));
      expect(error).toMatchObject({ code: 'PERMISSION_DENIED', retryable: false });
      const failures = await reader.delete(['a', 'b']);
      expect(failures.map((failure) => isDriverError(failure.error, 'PERMISSION_DENIED'))).toEqual([
        true,
        true,
      ]);
      const signature = new URLSearchParams(sasToken).get('sig') ?? 'none';
      const shown = JSON.stringify([String(error), error?.stack, String(error?.cause)]);
      expect(shown).not.toContain(signature);
      expect(shown).not.toContain(encodeURIComponent(signature));
    });

    it('opens by a connection string', async () => {
      const { serviceUrl, accountName, accountKey } = servers.azurite;
      const byString = await openAzure({
        container: client.containerName,
        root: '',
        location: 'azure://c',
        connectionString: `DefaultEndpointsProtocol=http;AccountName=${accountName};AccountKey=${accountKey};BlobEndpoint=${serviceUrl};`,
      });
      await byString.write('by-string', Buffer.from('x'));
      expect((await driver.stat('by-string'))?.sizeBytes).toBe(1);
      expect(byString.identity).toEqual(driver.identity);
    });
  });
});

async function open(azurite: AzuriteAccess, options: Partial<AzureOptions> = {}): Promise<Driver> {
  return openContainer(azurite, options.container ?? (await createContainer(azurite)), options);
}

function clientOf(
  { serviceUrl, accountName, accountKey }: AzuriteAccess,
  container: string,
): ContainerClient {
  return new ContainerClient(
    `${serviceUrl}/${container}`,
    new StorageSharedKeyCredential(accountName, accountKey),
  );
}

function accountSas({ accountName, accountKey }: AzuriteAccess, permissions = 'rwdlac'): string {
  return generateAccountSASQueryParameters(
    {
      expiresOn: new Date(Date.now() + 3_600_000),
      permissions: AccountSASPermissions.parse(permissions),
      services: AccountSASServices.parse('b').toString(),
      resourceTypes: AccountSASResourceTypes.parse('sco').toString(),
    },
    new StorageSharedKeyCredential(accountName, accountKey),
  ).toString();
}

async function errorOf(promise: Promise<unknown> | undefined): Promise<Error | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

async function codeOf(promise: Promise<unknown> | undefined): Promise<string> {
  const error = await errorOf(promise);
  return isDriverError(error) ? error.code : String(error);
}
