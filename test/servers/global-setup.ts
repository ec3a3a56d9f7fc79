import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestProject } from 'vitest/node';
import { startAzurite, type AzuriteServer } from './azurite.ts';
import { startRgw, type RgwServer } from './rgw.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /**
     * `http://127.0.0.1:PORT`: GET /rgw, GET /azurite and GET /rgw-user answer with JSON that says how to
     * reach the one server of this test run. The first question for a server starts it.
     */
    serverBroker: string;
  }
}

/**
 * Once per test run, in vitest's main process: shares one RGW and one Azurite among all test files,
 * without starting what no test asks for.
 */
export async function setup(project: TestProject): Promise<void> {
  broker.listen(0, '127.0.0.1');
  await new Promise((resolve) => {
    broker.once('listening', resolve);
  });
  const { port } = broker.address() as AddressInfo;
  project.provide('serverBroker', `http://127.0.0.1:${port}`);
}

/** Ends whatever was started. */
export async function teardown(): Promise<void> {
  broker.closeAllConnections();
  broker.close();
  const started = await Promise.allSettled([rgw, azurite]);
  await Promise.all(
    started.map(async (outcome) => {
      if (outcome.status === 'fulfilled') {
        await outcome.value?.stop();
      }
    }),
  );
}

let rgw: Promise<RgwServer> | undefined;
let azurite: Promise<AzuriteServer> | undefined;
let users = 0;

const broker = http.createServer((request, response) => {
  answer(request.url ?? '').then(
    (body) => response.writeHead(200).end(JSON.stringify(body)),
    (error: unknown) => response.writeHead(500).end(error instanceof Error ? error.message : String(error)),
  );
});

async function answer(question: string): Promise<unknown> {
  switch (question) {
    case '/rgw': {
      rgw ??= startRgw();
      return await rgw;
    }
    case '/rgw-user': {
      rgw ??= startRgw();
      users += 1;
      const server = await rgw;
      return await server.createUser(`user-${users}`);
    }
    case '/azurite': {
      azurite ??= startAzurite();
      return await azurite;
    }
    default:
      throw new Error(`The server broker does not know ${question}.`);
  }
}
