import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { connect } from '../../src/drivers/azure/connection.ts';
import { blobCopier } from '../../src/drivers/azure/copy.ts';
import { azureLocalServers, byKey } from './azure-local-servers.ts';
import { failureOf } from './failure-of.ts';

const { serve } = azureLocalServers();

describe('copying in Azure itself', () => {
  const source = {
    identity: { service: 'azure:x', container: 'other', root: '/' },
    key: 'docker/a b',
    etag: '0x5',
  };

  async function copyAt(listener: RequestListener, sizeBytes: number, maxPutBytes?: number): Promise<void> {
    const connection = await connect({
      container: 'container',
      location: 'azure://container',
      serviceUrl: `${await serve(listener)}/account`,
      ...byKey,
      connections: 4,
    });
    try {
      await blobCopier(connection, maxPutBytes)({ ...source, sizeBytes }, 'docker/b', {
        operation: 'copyFrom',
      });
    } finally {
      connection.close();
    }
  }

  it('is one Put Blob From URL, signed for the source, and only of the version that was listed', async () => {
    const seen: IncomingMessage[] = [];
    await copyAt((request, response) => {
      seen.push(request);
      response.writeHead(201, { etag: '"0x9"' }).end();
    }, 1000);
    expect(seen.length).toBe(1);
    const headers = seen[0]?.headers ?? {};
    expect(seen[0]?.url).toBe('/account/container/docker/b');
    expect(headers['x-ms-blob-type']).toBe('BlockBlob');
    expect(headers['x-ms-source-if-match']).toBe('"0x5"');
    const from = new URL(String(headers['x-ms-copy-source']));
    expect(from.pathname).toBe('/account/other//docker/a%20b');
    expect([from.searchParams.get('sp'), from.searchParams.get('sr')]).toEqual(['r', 'c']);
  });

  it('stages blocks of what is too large for one request, and commits them if the source is unchanged', async () => {
    const seen: string[] = [];
    await copyAt(
      (request, response) => {
        const query = new URL(request.url ?? '', 'http://x').searchParams;
        const range = request.headers['x-ms-source-range'];
        const condition = request.headers['if-match'];
        seen.push([request.method, query.get('comp'), range, condition].filter(Boolean).join(' '));
        request.resume().on('end', () => {
          response.writeHead(request.method === 'HEAD' ? 200 : 201, { etag: '"0x5"' }).end();
        });
      },
      300 * 1024 * 1024,
      1000,
    );
    expect(seen).toEqual([
      'PUT block bytes=0-268435455',
      'PUT block bytes=268435456-314572799',
      'HEAD "0x5"',
      'PUT blocklist',
    ]);
  });

  it('commits nothing when the source changed in the meantime', async () => {
    const seen: (string | null)[] = [];
    const copying = copyAt(
      (request, response) => {
        seen.push(new URL(request.url ?? '', 'http://x').searchParams.get('comp'));
        request.resume().on('end', () => response.writeHead(request.method === 'HEAD' ? 412 : 201).end());
      },
      300 * 1024 * 1024,
      1000,
    );
    expect((await failureOf(copying)).code).toBe('PRECONDITION_FAILED');
    expect(seen).not.toContain('blocklist');
  });

  /** As a service that lacks Put Blob From URL answers, and Copy Blob From URL like this. */
  function older(answer: (response: ServerResponse) => void, seen: string[] = []): RequestListener {
    return (request, response) => {
      const query = new URL(request.url ?? '', 'http://x').searchParams;
      const isAbort = request.headers['x-ms-copy-action'] === 'abort';
      const isPut = 'x-ms-blob-type' in request.headers;
      seen.push(isAbort ? `abort ${query.get('copyid')}` : isPut ? 'put' : 'copy');
      request.resume().on('end', () => {
        if (isAbort) {
          response.writeHead(204).end();
        } else if (isPut) {
          response.writeHead(501).end();
        } else {
          answer(response);
        }
      });
    };
  }

  it('is done when Copy Blob From URL says that it is, and only then', async () => {
    const seen: string[] = [];
    await copyAt(
      older((response) => response.writeHead(202, { 'x-ms-copy-status': 'success' }).end(), seen),
      1000,
    );
    expect(seen).toEqual(['put', 'copy']);
  });

  it.each(['failed', 'aborted', undefined])(
    'has failed, and may be repeated, when the copy that was accepted is %s',
    async (state) => {
      const headers = state === undefined ? {} : { 'x-ms-copy-status': state };
      const copying = copyAt(
        older((response) => response.writeHead(202, headers).end()),
        1000,
      );
      expect(await failureOf(copying)).toMatchObject({
        code: 'UNAVAILABLE',
        retryable: true,
        key: 'docker/a b',
      });
    },
  );

  it.each([204, 409])(
    'ends a copy in the background (answered with %s), and leaves it to others',
    async (status) => {
      const seen: string[] = [];
      const headers = { 'x-ms-copy-status': 'pending', 'x-ms-copy-id': 'id-1' };
      const answers = older((response) => response.writeHead(202, headers).end(), seen);
      const copying = copyAt((request, response) => {
        if (status === 409 && 'x-ms-copy-action' in request.headers) {
          seen.push('abort id-1');
          request.resume().on('end', () => response.writeHead(409).end());
        } else {
          answers(request, response);
        }
      }, 1000);
      expect((await failureOf(copying)).code).toBe('UNSUPPORTED');
      expect(seen).toEqual(['put', 'copy', 'abort id-1']);
    },
  );

  it('says when a copy in the background cannot be ended', async () => {
    const headers = { 'x-ms-copy-status': 'pending', 'x-ms-copy-id': 'id-1' };
    const answers = older((response) => response.writeHead(202, headers).end());
    const copying = copyAt((request, response) => {
      if ('x-ms-copy-action' in request.headers) {
        request.resume().on('end', () => response.writeHead(403).end());
      } else {
        answers(request, response);
      }
    }, 1000);
    expect((await failureOf(copying)).code).toBe('PERMISSION_DENIED');
  });

  const error = '<?xml version="1.0"?><Error><Code>ServerBusy</Code><Message>Later.</Message></Error>';
  it.each([
    [
      'Put Blob From URL',
      1000,
      undefined,
      (response: ServerResponse) => response.writeHead(201, { 'content-type': 'application/xml' }).end(error),
    ],
    [
      'Put Block From URL',
      300 * 1024 * 1024,
      1000,
      (response: ServerResponse) => response.writeHead(201, { 'content-type': 'application/xml' }).end(error),
    ],
  ])('has failed when an error stands in the body: %s', async (_, sizeBytes, maxPutBytes, answer) => {
    const seen: string[] = [];
    const copying = copyAt(
      (request, response) => {
        seen.push(request.url ?? '');
        request.resume().on('end', () => answer(response));
      },
      sizeBytes,
      maxPutBytes,
    );
    expect(await failureOf(copying)).toMatchObject({ code: 'RATE_LIMITED', retryable: true });
    expect(seen.length).toBe(1);
  });

  it('has failed when an error stands in the body: Copy Blob From URL', async () => {
    const copying = copyAt(
      older((response) =>
        response
          .writeHead(202, { 'x-ms-copy-status': 'success', 'content-type': 'application/xml' })
          .end(error),
      ),
      1000,
    );
    expect((await failureOf(copying)).code).toBe('RATE_LIMITED');
  });
});
