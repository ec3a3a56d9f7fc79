import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http, { type RequestListener } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

export interface Certificate {
  /** For NODE_EXTRA_CA_CERTS: the certificate is its own authority. */
  certificatePath: string;
  keyPath: string;
}

/** A certificate for some host names, made with openssl. */
export function createCertificate(folder: string, names: readonly string[]): Certificate {
  const certificatePath = path.join(folder, 'certificate.pem');
  const keyPath = path.join(folder, 'key.pem');
  const alternatives = names.map((name) => `DNS:${name}`).join(',');
  execFileSync(
    'openssl',
    `req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext subjectAltName=${alternatives} -out ${certificatePath} -keyout ${keyPath}`.split(
      ' ',
    ),
    { stdio: 'ignore' },
  );
  return { certificatePath, keyPath };
}

/** As Node's servers take it. */
export function readCertificate({ certificatePath, keyPath }: Certificate): { cert: Buffer; key: Buffer } {
  return { cert: readFileSync(certificatePath), key: readFileSync(keyPath) };
}

export interface TlsFront {
  /** `127.0.0.1:PORT`. */
  host: string;
  stop(): Promise<void>;
}

/** An https server on 127.0.0.1. */
export async function startTlsFront(certificate: Certificate, answer: RequestListener): Promise<TlsFront> {
  const server = https.createServer(readCertificate(certificate), answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** Passes every request on to a server without TLS, as it is. */
export function passOnTo(endpoint: string): RequestListener {
  const { hostname, port } = new URL(endpoint);
  return (request, response) => {
    const { method, url, headers } = request;
    const onward = http.request({ hostname, port, method, path: url, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  };
}
