import aws4 from 'aws4';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeKey, encodeQueryValue } from '../../src/drivers/s3/keys.ts';
import { EMPTY_SHA256 } from '../../src/drivers/s3/http.ts';
import { openSigner, type RequestToSign } from '../../src/drivers/s3/signing.ts';

/** S3 API reference, "Signature Calculations for the Authorization Header", its examples. */
const EXAMPLE_CREDENTIALS = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const EXAMPLE_DATE = '20130524T000000Z';
const EXAMPLE_HOST = ['host', 'examplebucket.s3.amazonaws.com'];

function signatureOf(headers: readonly string[]): string | undefined {
  return authorizationOf(headers)?.split('Signature=')[1];
}

function authorizationOf(headers: readonly string[]): string | undefined {
  return headers[headers.indexOf('authorization') + 1];
}

describe('signing a request to S3', () => {
  it.each([
    {
      what: 'a listing',
      query: [
        ['prefix', 'J'],
        ['max-keys', '2'],
      ] as const,
      signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    },
    {
      what: 'a request about the bucket',
      query: [['lifecycle', '']] as const,
      signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    },
  ])("gives AWS's own signature for $what", ({ query, signature }) => {
    const request = { method: 'GET', path: '/', query, headers: EXAMPLE_HOST, payloadSha256: EMPTY_SHA256 };
    const signed = openSigner('us-east-1')(request, EXAMPLE_DATE, EXAMPLE_CREDENTIALS);
    expect(signatureOf(signed)).toBe(signature);
  });

  it("gives AWS's own signature for an upload", () => {
    const request = {
      method: 'PUT',
      path: encodeKey('/test$file.text'),
      query: [],
      headers: [
        ...EXAMPLE_HOST,
        'date',
        'Fri, 24 May 2013 00:00:00 GMT',
        'x-amz-storage-class',
        'REDUCED_REDUNDANCY',
      ],
      payloadSha256: '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
    };
    const signed = openSigner('us-east-1')(request, EXAMPLE_DATE, EXAMPLE_CREDENTIALS);
    expect(signatureOf(signed)).toBe('98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd');
  });

  it('signs any request as another implementation does', () => {
    fc.assert(
      fc.property(
        anyRequest(),
        fc.option(fc.stringMatching(/^[\da-f]{1,20}$/), { nil: undefined }),
        (request, token) => {
          const credentials = {
            ...EXAMPLE_CREDENTIALS,
            ...(token === undefined ? {} : { sessionToken: token }),
          };
          const sign = openSigner('eu-central-1');
          const signed = sign(request, EXAMPLE_DATE, credentials);
          expect(authorizationOf(signed)).toBe(signedByAws4(request, credentials));
          expect(sign(request, EXAMPLE_DATE, credentials)).toEqual(signed);
        },
      ),
    );
  });

  it('signs one request after another, whatever headers each has', () => {
    const sign = openSigner('eu-central-1');
    fc.assert(
      fc.property(anyRequest(), (request) => {
        expect(authorizationOf(sign(request, EXAMPLE_DATE, EXAMPLE_CREDENTIALS))).toBe(
          signedByAws4(request, EXAMPLE_CREDENTIALS),
        );
      }),
    );
  });

  it('signs with the key of the day and of the credentials that it is given', () => {
    const request = {
      method: 'GET',
      path: '/',
      query: [],
      headers: EXAMPLE_HOST,
      payloadSha256: EMPTY_SHA256,
    };
    const sign = openSigner('us-east-1');
    const cases = [
      [EXAMPLE_DATE, EXAMPLE_CREDENTIALS],
      ['20130525T000000Z', EXAMPLE_CREDENTIALS],
      ['20130525T000000Z', { ...EXAMPLE_CREDENTIALS, secretAccessKey: 'rotated' }],
      [EXAMPLE_DATE, EXAMPLE_CREDENTIALS],
    ] as const;
    for (const [date, credentials] of cases) {
      expect(sign(request, date, credentials)).toEqual(openSigner('us-east-1')(request, date, credentials));
    }
    expect(
      new Set(cases.map(([date, credentials]) => signatureOf(sign(request, date, credentials)))).size,
    ).toBe(3);
  });
});

function anyRequest(): fc.Arbitrary<RequestToSign> {
  const word = fc.stringMatching(/^[a-z][a-z-]{0,6}$/);
  return fc.record({
    method: fc.constantFrom('GET', 'HEAD', 'PUT', 'DELETE'),
    path: fc
      .string({ unit: 'grapheme-ascii' })
      .map((key) => `/bucket/${encodeKey(key.replaceAll('/', '_'))}`),
    query: fc
      .dictionary(word, fc.string())
      .map((query) => Object.entries(query).map(([name, value]) => [name, encodeQueryValue(value)] as const)),
    headers: fc
      .dictionary(
        word.map((name) => `x-amz-${name}`),
        fc.stringMatching(/^[ -~]{0,20}$/),
      )
      .map((headers) => [...EXAMPLE_HOST, ...Object.entries(headers).flat(), 'range', 'bytes=1-2']),
    payloadSha256: fc.constantFrom(EMPTY_SHA256, 'UNSIGNED-PAYLOAD'),
  });
}

function signedByAws4(request: RequestToSign, credentials: aws4.Credentials): unknown {
  const query = request.query.map((pair) => pair.join('=')).join('&');
  const { headers } = aws4.sign(
    {
      service: 's3',
      region: 'eu-central-1',
      method: request.method,
      path: query === '' ? request.path : `${request.path}?${query}`,
      headers: {
        ...Object.fromEntries(pairsOf(request.headers)),
        'x-amz-date': EXAMPLE_DATE,
        'x-amz-content-sha256': request.payloadSha256,
      },
    },
    credentials,
  );
  return headers?.['Authorization'];
}

function pairsOf(headers: readonly string[]): [string, string][] {
  return headers.flatMap((name, index) => (index % 2 === 0 ? [[name, headers[index + 1] ?? '']] : []));
}
