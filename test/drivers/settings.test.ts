import { PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import type { Driver, StoreSettings } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';
import { openMemory } from '../../src/drivers/memory.ts';
import { withLimits } from '../../src/drivers/with-limits.ts';
import { withRetry } from '../../src/drivers/with-retry.ts';
import {
  createBucket,
  createContainer,
  createRgwUser,
  describeWithServers,
  type RgwAccess,
} from '../servers/index.ts';
import { openBucket, openContainer } from '../support/own-stores.ts';

async function settingsOf(rgw: RgwAccess, bucket: string): Promise<StoreSettings | undefined> {
  const driver = await openBucket(rgw, bucket);
  try {
    return await driver.describe?.();
  } finally {
    await driver.close();
  }
}

describeWithServers('the settings of a bucket', ['rgw'], (servers) => {
  it('tell whether it keeps versions', async () => {
    const { rgw } = servers;
    const bucket = await createBucket(rgw);
    const client = new S3Client({
      endpoint: rgw.endpoint,
      region: rgw.region,
      forcePathStyle: true,
      credentials: { accessKeyId: rgw.accessKey, secretAccessKey: rgw.secretKey },
    });
    const set = async (Status: 'Enabled' | 'Suspended') => {
      await client.send(
        new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status } }),
      );
    };
    expect(await settingsOf(rgw, bucket)).toEqual({ versioning: 'disabled' });
    await set('Enabled');
    expect(await settingsOf(rgw, bucket)).toEqual({ versioning: 'enabled' });
    await set('Suspended');
    expect(await settingsOf(rgw, bucket)).toEqual({ versioning: 'suspended' });
    client.destroy();
  });

  it('stay unknown to credentials that may not ask', async () => {
    const bucket = await createBucket(servers.rgw);
    const stranger = await createRgwUser();
    expect(await settingsOf({ ...servers.rgw, ...stranger }, bucket)).toEqual({});
  });

  it('are no answer where there is no such bucket', async () => {
    await expect(settingsOf(servers.rgw, 'there-is-no-such-bucket')).rejects.toMatchObject({
      code: 'STORE_NOT_FOUND',
    });
  });
});

describeWithServers('the settings of a storage account', ['azurite'], (servers) => {
  it('tell whether it has a hierarchical namespace', async () => {
    const { azurite } = servers;
    const container = await createContainer(azurite);
    const driver = await openContainer(azurite, container);
    expect((await driver.describe?.())?.hierarchicalNamespace).toBeFalsy();
    await driver.close();
  });
});

describe('wrapped drivers', () => {
  it('pass settings on, repeat the question, and have none where the store has none', async () => {
    expect(withRetry(withLimits(openMemory(), {})).describe).toBeUndefined();
    let calls = 0;
    const driver: Driver = {
      ...openMemory(),
      async describe() {
        calls += 1;
        if (calls === 1) {
          throw new DriverError('UNAVAILABLE', 'made up', { driver: 'memory', operation: 'describe' });
        }
        return { versioning: 'enabled' };
      },
    };
    const wrapped = withRetry(withLimits(driver, {}), { sleep: async () => {} });
    expect(await wrapped.describe?.()).toEqual({ versioning: 'enabled' });
    expect(calls).toBe(2);
    await wrapped.close();
  });
});
