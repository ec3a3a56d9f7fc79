import http from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * Where in a request the client dies: `before` the store has any of it, in the `middle` of its body,
 * or `after` the store has carried it out and before the client learns of that.
 */
export type KillMoment = 'before' | 'middle' | 'after';

export interface KillingProxy {
  /** `http://127.0.0.1:PORT`, to be given in place of the store's own endpoint. */
  endpoint: string;
  /** Lets everything pass from now on, under the same address: for a run after the one that died. */
  revive(): void;
  stop(): Promise<void>;
}

const MUTATING = new Set(['PUT', 'POST', 'DELETE']);

/** The number, from 1, of a request that changes something (PUT, POST, DELETE); or `METHOD url` of the first that matches. */
export type KillPoint = number | RegExp;

/**
 * Stands before an HTTP store, passes everything on as it is, and calls `kill` at one request that changes something. From then on nothing reaches the store any more, as from a process that is gone.
 */
export async function startKillingProxy(
  storeEndpoint: string,
  { at, moment, kill }: { at: KillPoint; moment: KillMoment; kill: () => void },
): Promise<KillingProxy> {
  const { hostname, port } = new URL(storeEndpoint);
  let mutations = 0;
  let isDead = false;
  let isRevived = false;
  const die = (): void => {
    isDead = true;
    kill();
    server.closeAllConnections();
  };
  const server = http.createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    if (isDead) {
      request.destroy();
      return;
    }
    mutations += MUTATING.has(method) ? 1 : 0;
    const isTheOne =
      !isRevived &&
      MUTATING.has(method) &&
      (at instanceof RegExp ? at.test(`${method} ${url}`) : mutations === at);
    if (isTheOne && moment === 'before') {
      die();
      return;
    }
    const passedOn = http.request({ hostname, port, method, path: url, headers }, (answer) => {
      if (isTheOne) {
        // The whole answer is there only once the store has done what was asked.
        answer.resume();
        answer.once('end', die);
        return;
      }
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    passedOn.on('error', () => response.destroy());
    request.on('error', () => passedOn.destroy());
    response.on('close', () => {
      if (!isTheOne || moment !== 'after') {
        passedOn.destroy();
      }
    });
    if (isTheOne && moment === 'middle') {
      request.once('data', (chunk: Buffer) => {
        passedOn.write(chunk.subarray(0, Math.floor(chunk.length / 2)), () => {
          passedOn.destroy();
          die();
        });
      });
      // Without a body there is no middle of it.
      request.once('end', die);
      return;
    }
    request.pipe(passedOn);
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => {
    server.once('listening', resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    revive() {
      isDead = false;
      isRevived = true;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
