import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Driver } from '../../src/drivers/driver.ts';
import { openS3, type S3Options } from '../../src/drivers/s3.ts';

/** A request as it came over the wire. */
export interface SeenRequest {
  method: string;
  /** Path and query, undecoded. */
  path: string;
  headers: http.IncomingHttpHeaders;
  /** As many bytes of the body as came; complete unless the client broke off. */
  body: Buffer;
  isComplete: boolean;
}

export interface Reply {
  status?: number;
  headers?: Record<string, string>;
  body?: string | Buffer;
  /** Breaks the connection after the body instead of ending the answer. */
  thenReset?: boolean;
  /** Never answers. */
  silent?: boolean;
  /** Without the headers that every S3 sends: as what stands between answers. */
  isForeign?: boolean;
  /** The body ends with the connection, and says so nowhere. */
  isEndless?: boolean;
}

export interface LocalServer {
  endpoint: string;
  /** What came, in order of its end. */
  requests: SeenRequest[];
  /** Replaces how it answers. */
  answerWith(answer: (request: SeenRequest) => Reply): void;
  /** A driver for `s3://bucket` on this server. */
  open(options?: Partial<S3Options>): Promise<Driver>;
  stop(): Promise<void>;
}

export const SECRET = 'the-secret-key';

/** A server that answers as a test says: for what no real store produces on demand, and to see what is sent. */
export async function startLocalServer(): Promise<LocalServer> {
  let answer: (request: SeenRequest) => Reply = () => ({});
  const requests: SeenRequest[] = [];
  // What an earlier test broke off may end late.
  let round = 0;
  const drivers: Driver[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    const begunIn = round;
    const seen = (isComplete: boolean): SeenRequest => {
      const { method = '', url: path = '', headers } = request;
      const result = { method, path, headers, body: Buffer.concat(chunks), isComplete };
      if (begunIn === round) {
        requests.push(result);
      }
      return result;
    };
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => seen(false));
    request.on('end', () => send(request, answer(seen(true)), response));
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => {
    server.once('listening', resolve);
  });
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    endpoint,
    requests,
    answerWith(next) {
      answer = next;
      round += 1;
      requests.length = 0;
    },
    async open(options) {
      const driver = await openS3({
        bucket: 'bucket',
        root: '',
        location: 's3://bucket',
        region: 'us-east-1',
        endpoint,
        accessKeyId: 'ACCESSKEY',
        secretAccessKey: SECRET,
        ...options,
      });
      drivers.push(driver);
      return driver;
    },
    async stop() {
      await Promise.all(drivers.map((driver) => driver.close()));
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** An S3 error document. */
export function errorReply(status: number, code: string, headers: Record<string, string> = {}): Reply {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message></Message></Error>`;
  return { status, headers: { 'content-type': 'application/xml', ...headers }, body };
}

/** A page of ListObjectsV2 that lists these keys, which need no escaping. */
export function listPage(keys: readonly string[], nextToken?: string): string {
  const contents = keys.map(
    (key) => `<Contents><Key>${key}</Key><Size>1</Size><ETag>&quot;e&quot;</ETag></Contents>`,
  );
  const end =
    nextToken === undefined
      ? '<IsTruncated>false</IsTruncated>'
      : `<IsTruncated>true</IsTruncated><NextContinuationToken>${nextToken}</NextContinuationToken>`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name>${end}${contents.join('')}</ListBucketResult>`;
}

function send(request: http.IncomingMessage, reply: Reply, response: http.ServerResponse): void {
  if (reply.silent === true) {
    return;
  }
  const { status = 200 } = reply;
  response.useChunkedEncodingByDefault = reply.isEndless !== true;
  const usual = reply.isForeign === true ? {} : usualHeaders(request, status);
  response.writeHead(status, { ...usual, ...reply.headers });
  if (reply.thenReset === true) {
    response.write(reply.body ?? '', () => response.socket?.resetAndDestroy());
  } else {
    response.end(reply.body);
  }
}

/** What every S3 sends: the number of the request, an object's length, and the ETag of what it was given. */
function usualHeaders({ method }: http.IncomingMessage, status: number): Record<string, string> {
  return {
    'x-amz-request-id': 'tx1',
    ...(method === 'HEAD' && status === 200 ? { 'content-length': '0' } : {}),
    ...(method === 'PUT' && status === 200 ? { etag: '"written"' } : {}),
  };
}
