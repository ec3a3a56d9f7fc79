import { openS3, type S3Options } from '../../src/drivers/s3.ts';
import { createBucket, describeWithServers, type RgwAccess } from '../servers/index.ts';
import { describeDriver } from './contract.ts';

const MIB = 1024 * 1024;

async function openBucket(rgw: RgwAccess, options: Partial<S3Options> = {}) {
  const bucket = options.bucket ?? (await createBucket(rgw));
  return openS3({
    bucket,
    root: '',
    location: `s3://${bucket}`,
    region: rgw.region,
    endpoint: rgw.endpoint,
    accessKeyId: rgw.accessKey,
    secretAccessKey: rgw.secretKey,
    ...options,
  });
}

describeWithServers('S3 driver on Ceph RGW', ['rgw'], (servers) => {
  describeDriver('s3, one PUT for each object', {
    largeBytes: 3 * MIB,
    manyObjects: 2100,
    open: async () => ({ driver: await openBucket(servers.rgw), dispose: async () => {} }),
  });

  describeDriver('s3, below a root, large objects in parts', {
    largeBytes: 12 * MIB,
    open: async () => ({
      driver: await openBucket(servers.rgw, {
        root: 'some/prefix/',
        singlePutMaxBytes: 2 * MIB,
        partSizeBytes: 5 * MIB,
      }),
      dispose: async () => {},
    }),
  });
});
