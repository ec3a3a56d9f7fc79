import http from 'node:http';
import https from 'node:https';
import net from 'node:net';

/**
 * A TCP port that nothing listens on at 127.0.0.1, never the same twice from one process.
 * It is below 32768, where Linux takes the ports of outgoing connections from, so that none of those
 * takes it before the server does.
 */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    if (!given.has(port) && (await isFree(port))) {
      given.add(port);
      return port;
    }
  }
  throw new Error('No free port between 12000 and 32000 was found on 127.0.0.1.');
}

/** The status of `GET url`, or undefined when nothing answers. */
export async function statusOf(url: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const { get } = url.startsWith('https:') ? https : http;
    // Whether something answers is all that is asked, and a test's certificate is signed by nobody.
    const request = get(url, { agent: false, timeout: 2000, rejectUnauthorized: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(undefined));
  });
}

const given = new Set<number>();

async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
