import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, test, vi } from 'vitest';
import { sampleRegistry } from '../../fixtures/sample-registry.ts';
import { openFilesystem } from '../../src/drivers/filesystem.ts';
import { startAzurite } from '../servers/azurite.ts';
import { createBucket, createContainer, describeWithServers, type SharedServers } from '../servers/index.ts';
import { findFreePort } from '../servers/ports.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { answerAsTokenService, startMachineMetadata } from '../support/aws-roles.ts';
import { type ForwardProxy, type ForwardProxyOptions, startForwardProxy } from '../support/forward-proxy.ts';
import { inOneLine } from '../support/in-one-line.ts';
import { startManagedIdentity } from '../support/managed-identity.ts';
import { azureEnvironment, type Ended, runRegtool, s3Environment } from '../support/run-regtool.ts';
import {
  type Certificate,
  createCertificate,
  passOnTo,
  startTlsFront,
  type TlsFront,
} from '../support/tls-front.ts';

// Names that no name server knows: whatever reaches them went through the proxy. Azurite takes the account from the first.
const S3_HOST = 'store.test';
const AZURE_HOST = 'devstoreaccount1.blob.store.test';

const folder = createTemporaryFolder('regtool-proxy');
const source = path.join(folder.path, 'registry');
const stopping: { stop(): Promise<void> }[] = [];
let certificate: Certificate;

// Each starts processes, which take their time on a busy machine.
vi.setConfig({ testTimeout: 180_000 });

beforeAll(async () => {
  mkdirSync(source);
  await sampleRegistry({ largeLayerBytes: 1000 }).registry.writeTo(await openFilesystem({ root: source }));
});
afterEach(async () => {
  await Promise.all(stopping.splice(0).map((server) => server.stop()));
});
afterAll(folder.remove);

async function startProxy(options: ForwardProxyOptions): Promise<ForwardProxy> {
  const proxy = await startForwardProxy(options);
  stopping.push(proxy);
  return proxy;
}

async function encrypted(endpoint: string): Promise<TlsFront> {
  const front = await startTlsFront(certificate, passOnTo(endpoint));
  stopping.push(front);
  return front;
}

interface Behind {
  location: string;
  /** Credentials for the store, and whom to trust. */
  env: Record<string, string>;
  names: Record<string, string>;
}

type Scheme = 'http' | 'https';

const kinds = {
  async S3({ rgw }: SharedServers, scheme: Scheme): Promise<Behind> {
    const bucket = await createBucket(rgw);
    const host = scheme === 'http' ? new URL(rgw.endpoint).host : (await encrypted(rgw.endpoint)).host;
    return {
      location: `s3://${bucket}?endpoint=${scheme}://${S3_HOST}`,
      env: { ...s3Environment(rgw), NODE_EXTRA_CA_CERTS: certificate.certificatePath },
      names: { [`${S3_HOST}:${scheme === 'http' ? 80 : 443}`]: host },
    };
  },
  async Azure({ azurite }: SharedServers, scheme: Scheme): Promise<Behind> {
    const container = await createContainer(azurite);
    const { origin, host: plainHost } = new URL(azurite.serviceUrl);
    const host = scheme === 'http' ? plainHost : (await encrypted(origin)).host;
    return {
      location: `azure://${container}?serviceurl=${scheme}://${AZURE_HOST}`,
      env: { ...azureEnvironment(azurite), NODE_EXTRA_CA_CERTS: certificate.certificatePath },
      names: { [`${AZURE_HOST}:${scheme === 'http' ? 80 : 443}`]: host },
    };
  },
};

const hostOf = { S3: S3_HOST, Azure: AZURE_HOST } as const;
const variableOf = { http: 'http_proxy', https: 'HTTPS_PROXY' } as const;
const ways = [
  ['S3', 'http'],
  ['S3', 'https'],
  ['Azure', 'http'],
  ['Azure', 'https'],
] as const;

describeWithServers('a store behind a proxy', ['rgw', 'azurite', 'openssl'], (servers) => {
  beforeAll(() => {
    certificate = createCertificate(folder.path, [S3_HOST, AZURE_HOST, 'sts.test', 'localhost']);
  });

  async function run(argv: string[], behind: Behind, env: Record<string, string>): Promise<Ended> {
    return runRegtool([...argv, '--no-progress'], { env: { ...behind.env, ...env } });
  }

  describe.each(ways)('%s over %s', (kind, scheme) => {
    it('is migrated to and verified through it, and doctor says so', async () => {
      const behind = await kinds[kind](servers, scheme);
      const proxy = await startProxy({ names: behind.names, credentials: 'operator:correct horse' });
      const env = { [variableOf[scheme]]: `http://operator:correct%20horse@${proxy.host}` };

      const migrated = await run(['migrate', source, behind.location], behind, env);
      expect(migrated).toMatchObject({ exitCode: 0 });
      const verified = await run(['verify', source, behind.location, '--read-data'], behind, env);
      expect(verified.stdout).toMatch(/^VERIFIED/);
      const examined = await run(['doctor', behind.location, '--write-probe'], behind, env);
      expect(inOneLine(examined.stdout)).toContain(
        `is reached through http://${proxy.host}, as ${variableOf[scheme]} says`,
      );
      expect(examined).toMatchObject({ exitCode: 0 });

      const [target] = Object.keys(behind.names);
      const methods = new Set(proxy.passed.map((passed) => passed.method));
      expect(new Set(proxy.passed.map((passed) => passed.target))).toEqual(new Set([target]));
      if (scheme === 'https') {
        expect(methods).toEqual(new Set(['CONNECT']));
      } else {
        // Many are deleted at once with POST, which only the SDKs do here.
        expect(methods).toEqual(new Set([...methods, 'GET', 'HEAD', 'PUT', 'POST']));
        expect(methods).not.toContain('CONNECT');
      }
      expect(proxy.challenges()).toBe(0);
      const printed = [migrated, verified, examined].map(({ stdout, stderr }) => stdout + stderr).join();
      expect(printed).not.toMatch(/correct.{0,3}horse/);
    });

    test.each<[why: string, options: Partial<ForwardProxyOptions>, credentials: string, says: string]>([
      ['that wants credentials', { credentials: 'me:hush-hush' }, '', 'wants credentials (407): write'],
      ['that wants other credentials', { credentials: 'me:hush-hush' }, 'me:not-these@', 'does not accept'],
      ...(scheme === 'http'
        ? []
        : ([
            [
              'that forbids the store',
              { refusesWith: 403 },
              'me:not-these@',
              `${hostOf[kind]}:443 through (403)`,
            ],
            [
              'that does not reach it',
              { names: {} },
              'me:not-these@',
              `does not reach ${hostOf[kind]}:443 (502)`,
            ],
          ] satisfies [string, Partial<ForwardProxyOptions>, string, string][])),
    ])('ends with 5 behind a proxy %s, and names that', async (_, options, credentials, says) => {
      const behind = await kinds[kind](servers, scheme);
      const proxy = await startProxy({ names: behind.names, ...options });
      const env = { [variableOf[scheme]]: `http://${credentials}${proxy.host}` };
      const { exitCode, stdout, stderr } = await run(['migrate', source, behind.location], behind, env);
      const said = inOneLine(stderr);
      expect(said).toContain(`Error: The proxy http://${proxy.host} that ${variableOf[scheme]} names`);
      expect(said).toContain(says);
      expect(exitCode).toBe(5);
      expect(stdout + stderr).not.toMatch(/not-these|hush-hush|^ +at /m);
      expect(proxy.passed).toEqual([]);
    });

    it('ends with 5 where nothing listens at the address of the proxy, and names that', async () => {
      const behind = await kinds[kind](servers, scheme);
      const address = `http://127.0.0.1:${await findFreePort()}`;
      const env = { [variableOf[scheme]]: address.replace('//', '//me:not-these@') };
      const { exitCode, stdout, stderr } = await run(['check', behind.location], behind, env);
      expect(inOneLine(stderr)).toContain(
        `Error: No connection to the proxy ${address} that ${variableOf[scheme]} names (ECONNREFUSED)`,
      );
      expect(exitCode).toBe(5);
      expect(stdout + stderr).not.toMatch(/not-these|^ +at /m);
    });
  });

  describe.each(['http', 'https'] as const)(
    'that itself is reached over TLS, with a store over %s',
    (scheme) => {
      async function examine(
        env: Record<string, string>,
      ): Promise<{ ended: Ended; proxy: ForwardProxy; address: string }> {
        const behind = await kinds.S3(servers, scheme);
        const proxy = await startProxy({ names: behind.names, certificate });
        const address = `https://${proxy.host.replace('127.0.0.1', 'localhost')}`;
        const argv = ['doctor', behind.location, '--write-probe'];
        const ended = await run(argv, behind, { [variableOf[scheme]]: address, ...env });
        return { ended, proxy, address };
      }

      it('lets everything through', async () => {
        const { ended, proxy, address } = await examine({});
        expect(ended).toMatchObject({ exitCode: 0 });
        expect(inOneLine(ended.stdout)).toContain(`is reached through ${address}, as`);
        expect(proxy.passed.length).toBeGreaterThan(0);
      });

      it('is not trusted with a certificate of nobody', async () => {
        const { ended, proxy, address } = await examine({ NODE_EXTRA_CA_CERTS: '' });
        expect(inOneLine(ended.stdout)).toContain(
          `The certificate of the proxy ${address} that ${variableOf[scheme]}`,
        );
        expect(ended).toMatchObject({ exitCode: 5 });
        expect(proxy.passed).toEqual([]);
      });
    },
  );

  it.each(['S3', 'Azure'] as const)('on this machine is reached without it: %s', async (kind) => {
    const { rgw, azurite } = servers;
    const location =
      kind === 'S3'
        ? `s3://${await createBucket(rgw)}?endpoint=${rgw.endpoint}`
        : `azure://${await createContainer(azurite)}?serviceurl=${azurite.serviceUrl}`;
    const proxy = await startProxy({ names: {} });
    const { exitCode, stdout } = await runRegtool(['doctor', location, '--write-probe', '--no-progress'], {
      env: {
        ...(kind === 'S3' ? s3Environment(rgw) : azureEnvironment(azurite)),
        HTTP_PROXY: proxy.host,
        // Azure's own reader of it fails at an address without a scheme.
        HTTPS_PROXY: proxy.host,
      },
    });
    expect({ exitCode, stdout }).toMatchObject({ exitCode: 0 });
    expect(stdout).not.toContain(proxy.host);
    expect(proxy.passed).toEqual([]);
  });

  it('whose address cannot be understood is wrong usage, and its variable is named', async () => {
    const behind = await kinds.S3(servers, 'http');
    const env = { HTTP_PROXY: 'socks5://me:not-these@proxy.test:1080' };
    const { exitCode, stdout, stderr } = await run(['check', behind.location], behind, env);
    expect(inOneLine(stderr)).toContain(
      'HTTP_PROXY names a proxy that speaks socks5, which regtool does not',
    );
    expect(exitCode).toBe(2);
    expect(stdout + stderr).not.toMatch(/not-these|^ +at /m);
  });

  describe('and its credentials', () => {
    it('of a role of this machine are asked for without it', async () => {
      const behind = await kinds.S3(servers, 'http');
      const metadata = await startMachineMetadata(servers.rgw);
      stopping.push(metadata);
      const proxy = await startProxy({ names: behind.names });
      const { exitCode, stdout, stderr } = await runRegtool(['migrate', source, behind.location], {
        env: {
          HTTP_PROXY: proxy.host,
          AWS_EC2_METADATA_DISABLED: 'false',
          AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.endpoint,
        },
      });
      expect({ exitCode, stdout, stderr }).toMatchObject({ exitCode: 0 });
      expect(metadata.keysGiven()).toBeGreaterThan(0);
      expect(new Set(proxy.passed.map(({ target }) => target))).toEqual(new Set([`${S3_HOST}:80`]));
    });

    /** Credentials that are asked of a token service, and a proxy on the way there. */
    function webIdentityBehind({ host }: { host: string }): Record<string, string> {
      const identityFile = path.join(folder.path, 'web-identity');
      writeFileSync(identityFile, 'who this is');
      return {
        HTTPS_PROXY: host,
        AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/registry',
        AWS_WEB_IDENTITY_TOKEN_FILE: identityFile,
        AWS_ENDPOINT_URL_STS: 'https://sts.test',
        NODE_EXTRA_CA_CERTS: certificate.certificatePath,
      };
    }

    it('of a web identity are asked for through it, also where the store itself is on this machine', async () => {
      const { rgw } = servers;
      const store = await encrypted(rgw.endpoint);
      const tokenService = await startTlsFront(certificate, answerAsTokenService(rgw));
      stopping.push(tokenService);
      const proxy = await startProxy({ names: { 'sts.test:443': tokenService.host } });
      const location = `s3://${await createBucket(rgw)}?endpoint=https://${store.host.replace('127.0.0.1', 'localhost')}`;
      const { exitCode, stdout, stderr } = await runRegtool(['migrate', source, location], {
        env: webIdentityBehind(proxy),
      });
      expect({ exitCode, stdout, stderr }).toMatchObject({ exitCode: 0 });
      expect(new Set(proxy.passed.map(({ target }) => target))).toEqual(new Set(['sts.test:443']));
    });

    it('of a web identity are lacking when the proxy forbids that, and it is named', async () => {
      const { rgw } = servers;
      const store = await encrypted(rgw.endpoint);
      const proxy = await startProxy({ names: {}, refusesWith: 403 });
      const location = `s3://${await createBucket(rgw)}?endpoint=https://${store.host.replace('127.0.0.1', 'localhost')}`;
      const { exitCode, stderr } = await runRegtool(['migrate', source, location], {
        env: webIdentityBehind(proxy),
      });
      expect(inOneLine(stderr)).toContain(
        `Error: The proxy http://${proxy.host} that HTTPS_PROXY names does not let requests to sts.test:443 through (403)`,
      );
      expect(exitCode).toBe(5);
    });

    it.each(['', 'ManagedIdentityCredential'])(
      'of a managed identity are asked for without it, with AZURE_TOKEN_CREDENTIALS=%s',
      async (chain) => {
        const [azurite, identity] = await Promise.all([
          startAzurite({ tls: certificate }),
          startManagedIdentity(),
        ]);
        stopping.push(azurite, identity);
        const names = { [`${AZURE_HOST}:443`]: new URL(azurite.serviceUrl).host };
        const proxy = await startProxy({ names });
        vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
        const container = await createContainer(azurite);
        vi.unstubAllEnvs();
        const location = `azure://${container}?serviceurl=https://${AZURE_HOST}`;
        const { exitCode, stdout, stderr } = await runRegtool(['doctor', location, '--write-probe'], {
          env: {
            ...identity.env,
            AZURE_TOKEN_CREDENTIALS: chain,
            // Without a scheme, which the identity's own reader of it does not understand.
            HTTPS_PROXY: proxy.host,
            HTTP_PROXY: proxy.host,
            NODE_EXTRA_CA_CERTS: certificate.certificatePath,
          },
        });
        expect({ exitCode, stdout, stderr }).toMatchObject({ exitCode: 0 });
        expect(identity.tokensGiven()).toBeGreaterThan(0);
        expect(new Set(proxy.passed.map(({ target }) => target))).toEqual(new Set([`${AZURE_HOST}:443`]));
      },
    );
  });
});
