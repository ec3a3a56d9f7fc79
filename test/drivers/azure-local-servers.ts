import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach } from 'vitest';
import { type AzureOptions, openAzure } from '../../src/drivers/azure.ts';
import type { Driver } from '../../src/drivers/driver.ts';

export const byKey = { accountName: 'account', accountKey: Buffer.from('a key').toString('base64') };

export interface AzureLocalServers {
  /** Starts a server that answers like this: `http://127.0.0.1:PORT`. */
  serve(listener: RequestListener): Promise<string>;
  /** A driver for the container `registry`. */
  open(options: Partial<AzureOptions>): Promise<Driver>;
  /** The same for `account` at such a server, with a key. */
  openAt(origin: string, options?: Partial<AzureOptions>): Promise<Driver>;
  /** The same at a server that answers like this. */
  openWith(listener: RequestListener, options?: Partial<AzureOptions>): Promise<Driver>;
}

/**
 * Servers that answer as a test says: for what neither Azure nor Azurite gives on demand. They are ended after each
 * test, and so are the drivers.
 * @param defaults of each driver that is opened.
 */
export function azureLocalServers(defaults: Partial<AzureOptions> = {}): AzureLocalServers {
  const servers: Server[] = [];
  const drivers: Driver[] = [];
  afterEach(async () => {
    await Promise.all(drivers.splice(0).map((driver) => driver.close()));
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  async function open(options: Partial<AzureOptions>): Promise<Driver> {
    const driver = await openAzure({
      container: 'registry',
      root: '',
      location: 'azure://registry',
      ...defaults,
      ...options,
    });
    drivers.push(driver);
    return driver;
  }

  const openAt: AzureLocalServers['openAt'] = (origin, options) =>
    open({ serviceUrl: `${origin}/account`, ...byKey, ...options });

  async function serve(listener: RequestListener): Promise<string> {
    const server = createServer(listener);
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  return {
    serve,
    open,
    openAt,
    openWith: async (listener, options) => openAt(await serve(listener), options),
  };
}
