import http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface WatchingProxy {
  /** `http://127.0.0.1:PORT`, to be given in place of the store's own endpoint. */
  endpoint: string;
  stop(): Promise<void>;
}

/**
 * Stands before an HTTP store, passes everything on as it is, and tells of each request once it was answered:
 * what is to happen at a certain point of a run then happens there, however fast the machine is.
 */
export async function startWatchingProxy(
  storeEndpoint: string,
  onAnswered: (method: string, path: string) => void,
): Promise<WatchingProxy> {
  const { hostname, port } = new URL(storeEndpoint);
  const server = http.createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    const passedOn = http.request({ hostname, port, method, path: url, headers }, (answer) => {
      answer.on('end', () => onAnswered(method, url));
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    // Either side may end at any time, as runs are interrupted here; the other side then ends, too.
    passedOn.on('error', () => response.destroy());
    request.on('error', () => passedOn.destroy());
    response.on('close', () => passedOn.destroy());
    request.pipe(passedOn);
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => {
    server.once('listening', resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
