import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import path from 'node:path';
import { findFreePort, statusOf } from './ports.ts';
import { createTemporaryFolder, startProcess } from './process.ts';

export interface AzuriteOptions {
  /** Keeps everything in memory: faster, for small data. Default true. */
  inMemory?: boolean;
  /** Where the blob service answers on 127.0.0.1; a free port when left out. */
  port?: number;
  /** Answers over https with this certificate, and accepts the tokens of identities (it checks no signature of them). */
  tls?: { certificatePath: string; keyPath: string };
}

export interface AzuriteServer {
  /** `http://127.0.0.1:PORT/devstoreaccount1`, or with https; containers come below. */
  serviceUrl: string;
  accountName: string;
  /** Base64, made up for this start. */
  accountKey: string;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
}

/**
 * Starts Azurite's blob service on 127.0.0.1.
 * @throws Error with the end of its log when it does not start.
 */
export async function startAzurite(options: AzuriteOptions = {}): Promise<AzuriteServer> {
  const folder = createTemporaryFolder('regtool-azurite');
  const port = options.port ?? (await findFreePort());
  const accountName = 'devstoreaccount1';
  const accountKey = randomBytes(64).toString('base64');
  const persistence =
    options.inMemory === false
      ? ['--location', folder.path]
      : ['--inMemoryPersistence', '--extentMemoryLimit', '8192'];
  const { tls } = options;
  const tlsArguments =
    tls === undefined ? [] : ['--cert', tls.certificatePath, '--key', tls.keyPath, '--oauth', 'basic'];
  const scheme = tls === undefined ? 'http' : 'https';
  try {
    const server = await startProcess({
      name: 'azurite',
      command: process.execPath,
      args: [
        createRequire(import.meta.url).resolve('azurite/dist/src/blob/main.js'),
        '--blobHost',
        '127.0.0.1',
        '--blobPort',
        String(port),
        // Azurite knows fewer API versions than the SDK asks for, and refuses those it does not know.
        '--skipApiVersionCheck',
        '--silent',
        '--disableTelemetry',
        ...persistence,
        ...tlsArguments,
      ],
      env: { ...process.env, AZURITE_ACCOUNTS: `${accountName}:${accountKey}` },
      logPath: path.join(folder.path, 'azurite.out'),
      isReady: async () => (await statusOf(`${scheme}://127.0.0.1:${port}/${accountName}`)) !== undefined,
    });
    return {
      serviceUrl: `${scheme}://127.0.0.1:${port}/${accountName}`,
      accountName,
      accountKey,
      stop: async () => {
        await server.stop();
        folder.remove();
      },
    };
  } catch (error) {
    folder.remove();
    throw error;
  }
}
