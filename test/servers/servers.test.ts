import { GetObjectCommand, ListBucketsCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { ContainerClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { expect, test } from 'vitest';
import {
  createBucket,
  createContainer,
  createRgwUser,
  describeWithServers,
  useAzurite,
  useRgw,
  type RgwAccess,
} from './index.ts';

describeWithServers('the shared RGW', ['rgw'], (servers) => {
  test('keeps an object in a bucket of the test', async () => {
    const bucket = await createBucket(servers.rgw);
    const client = connect(servers.rgw);
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'a//b', Body: 'content' }));
    const read = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'a//b' }));
    expect(await read.Body?.transformToString()).toBe('content');
  });

  test('hides the buckets of one user from another', async () => {
    await createBucket(servers.rgw);
    const stranger = connect({ ...servers.rgw, ...(await createRgwUser()) });
    expect((await stranger.send(new ListBucketsCommand({}))).Buckets ?? []).toEqual([]);
  });

  test('is one and the same for everyone who asks', async () => {
    expect(await useRgw()).toMatchObject({ endpoint: servers.rgw.endpoint });
  });
});

describeWithServers('the shared Azurite', ['azurite'], (servers) => {
  test('keeps a blob in a container of the test', async () => {
    const container = await createContainer(servers.azurite);
    const { accountName, accountKey, serviceUrl } = servers.azurite;
    const client = new ContainerClient(
      `${serviceUrl}/${container}`,
      new StorageSharedKeyCredential(accountName, accountKey),
    );
    await client.getBlockBlobClient('/lead').upload('content', 7);
    expect((await client.getBlobClient('/lead').downloadToBuffer()).toString()).toBe('content');
  });

  test('is one and the same for everyone who asks', async () => {
    expect(await useAzurite()).toMatchObject({ serviceUrl: servers.azurite.serviceUrl });
  });
});

function connect(rgw: RgwAccess): S3Client {
  return new S3Client({
    endpoint: rgw.endpoint,
    region: rgw.region,
    forcePathStyle: true,
    credentials: { accessKeyId: rgw.accessKey, secretAccessKey: rgw.secretKey },
  });
}
