import { randomBytes } from 'node:crypto';
import aws4 from 'aws4';
import { beforeAll, describe, inject } from 'vitest';
import { available, type Need } from './available.ts';
import type { AzuriteServer } from './azurite.ts';
import type { RgwServer, RgwUser } from './rgw.ts';

export type { Need } from './available.ts';
export type { AzuriteServer } from './azurite.ts';
export {
  startDockerRegistry,
  startRegistryOnSection,
  type DockerRegistry,
  type DockerRegistryOptions,
} from './docker-registry.ts';
export type { RgwServer, RgwUser } from './rgw.ts';

/** How to reach the S3 store that all tests of a run share. */
export type RgwAccess = Pick<RgwServer, 'endpoint' | 'region' | 'accessKey' | 'secretKey'>;

/** How to reach the Azure blob service that all tests of a run share. */
export type AzuriteAccess = Pick<AzuriteServer, 'serviceUrl' | 'accountName' | 'accountKey'>;

/** The shared servers. Read them inside tests and hooks; they are started by then, not while tests are collected. */
export interface SharedServers {
  readonly rgw: RgwAccess;
  readonly azurite: AzuriteAccess;
}

/**
 * A `describe` whose tests need real servers. Where one is not installed, its tests are skipped and a line
 * says what to install; with CI set the suite fails instead, so that nothing goes unproved there in silence.
 * `rgw` and `azurite` are shared by the whole run: give each test a bucket or container of its own.
 * `docker-registry` and `skopeo` are only looked for: tests start their own.
 */
export function describeWithServers(
  name: string,
  needs: readonly Need[],
  body: (servers: SharedServers) => void,
): void {
  const availability = available(...needs);
  const isSkipped = !availability.ok && !process.env['CI'];
  if (isSkipped) {
    process.stderr.write(`skipped: ${name}: ${availability.reason}\n`);
  }
  // oxlint-disable-next-line vitest/valid-title -- the caller's literal
  describe.skipIf(isSkipped)(name, () => {
    body(startBeforeAll(needs));
  });
}

/** The shared RGW, started when this is the first call of the run. Only in tests and hooks run by vitest. */
export async function useRgw(): Promise<RgwAccess> {
  return (await askBroker('/rgw')) as RgwAccess;
}

/** The shared Azurite, started when this is the first call of the run. Only in tests and hooks run by vitest. */
export async function useAzurite(): Promise<AzuriteAccess> {
  return (await askBroker('/azurite')) as AzuriteAccess;
}

/** A further user of the shared RGW, who may not touch the buckets of the first. */
export async function createRgwUser(): Promise<RgwUser> {
  return (await askBroker('/rgw-user')) as RgwUser;
}

/** A name that is fit for a bucket and a container and that no other test has: `prefix-` and 12 hex digits. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${randomBytes(6).toString('hex')}`;
}

/** Creates a bucket, with a unique name when none is given, and returns its name. */
export async function createBucket(rgw: RgwAccess, name = uniqueName('bucket')): Promise<string> {
  const { host } = new URL(rgw.endpoint);
  const signed = aws4.sign(
    { service: 's3', region: rgw.region, method: 'PUT', host, path: `/${name}`, body: '' },
    { accessKeyId: rgw.accessKey, secretAccessKey: rgw.secretKey },
  );
  const headers = Object.entries(signed.headers ?? {}).map(([key, value]) => [key, String(value)]);
  const response = await fetch(`${rgw.endpoint}/${name}`, {
    method: 'PUT',
    headers: Object.fromEntries(headers.filter(([key]) => key?.toLowerCase() !== 'content-length')),
  });
  if (!response.ok) {
    throw new Error(`Creating bucket ${name} was answered with ${response.status}: ${await response.text()}`);
  }
  return name;
}

/** Creates a container, with a unique name when none is given, and returns its name. */
export async function createContainer(
  azurite: AzuriteAccess,
  name = uniqueName('container'),
): Promise<string> {
  // Loaded here because it takes half a second, which tests without Azure need not pay.
  const { ContainerClient, StorageSharedKeyCredential } = await import('@azure/storage-blob');
  const credential = new StorageSharedKeyCredential(azurite.accountName, azurite.accountKey);
  await new ContainerClient(`${azurite.serviceUrl}/${name}`, credential).create();
  return name;
}

function startBeforeAll(needs: readonly Need[]): SharedServers {
  let rgw: RgwAccess | undefined;
  let azurite: AzuriteAccess | undefined;
  beforeAll(async () => {
    const availability = available(...needs);
    if (!availability.ok) {
      throw new Error(availability.reason);
    }
    [rgw, azurite] = await Promise.all([
      needs.includes('rgw') ? useRgw() : undefined,
      needs.includes('azurite') ? useAzurite() : undefined,
    ]);
  });
  return {
    get rgw() {
      return started('rgw', rgw);
    },
    get azurite() {
      return started('azurite', azurite);
    },
  };
}

function started<Access>(need: Need, access: Access | undefined): Access {
  if (access === undefined) {
    throw new Error(`Name '${need}' among the needs, and read it inside tests and hooks only.`);
  }
  return access;
}

async function askBroker(question: string): Promise<unknown> {
  const response = await fetch(`${inject('serverBroker')}${question}`);
  if (!response.ok) {
    throw new Error(await response.text());
  }
  return response.json();
}
