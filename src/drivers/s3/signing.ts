import { createHmac, hash } from 'node:crypto';
import { openHmac } from '../hmac.ts';
import type { S3Credentials } from './connection.ts';

export interface RequestToSign {
  method: string;
  /** As it is sent, each byte but the unreserved ones and `/` percent-encoded once. */
  path: string;
  /** Names as they are, values percent-encoded as they are sent. */
  query: readonly (readonly [name: string, value: string])[];
  /** Names in lower case and values in turn; `host` is one of them. */
  headers: readonly string[];
  /** The body's SHA-256 in hex, or a word that Signature Version 4 has in its place. */
  payloadSha256: string;
}

/**
 * Signs requests for S3 (AWS Signature Version 4, "Authenticating Requests: Using the Authorization Header").
 * What is the same for many requests is worked out once: the key that signs, for a whole day, and in which order the
 * headers stand, for all requests that have the same ones. A PUT takes 8 us of CPU time to sign, where `aws4`,
 * which knows every service, takes 37 (measured in turns, on two busy cores).
 */
export function openSigner(region: string) {
  let key: SigningKey | undefined;
  const orders = new Map<string, HeaderOrder>();

  /**
   * The headers with all that the signature needs besides them, names and values in turn.
   * @param date as `20240506T070809Z`.
   */
  return function sign(
    request: RequestToSign,
    date: string,
    { accessKeyId, secretAccessKey, sessionToken }: S3Credentials,
  ): string[] {
    if (key === undefined || key.secretAccessKey !== secretAccessKey || !date.startsWith(key.day)) {
      const day = date.slice(0, 8);
      const scope = `${day}/${region}/s3/aws4_request`;
      key = { day, scope, secretAccessKey, hmac: openHmac(deriveKey(day, region, secretAccessKey), 'hex') };
    }
    const headers = [...request.headers, 'x-amz-content-sha256', request.payloadSha256, 'x-amz-date', date];
    if (sessionToken !== undefined) {
      headers.push('x-amz-security-token', sessionToken);
    }
    let names = '';
    for (let index = 0; index < headers.length; index += 2) {
      names += `${headers[index]}\n`;
    }
    let order = orders.get(names);
    if (order === undefined) {
      order = orderOf(headers);
      orders.set(names, order);
    }
    const canonical = canonicalRequest(request, headers, order);
    const text = `AWS4-HMAC-SHA256\n${date}\n${key.scope}\n${hash('sha256', canonical, 'hex')}`;
    headers.push(
      'authorization',
      `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${key.scope}, SignedHeaders=${order.signedNames}, Signature=${key.hmac(text)}`,
    );
    return headers;
  };
}

interface SigningKey {
  day: string;
  scope: string;
  secretAccessKey: string;
  hmac: (text: string) => string;
}

/** Where in a list of headers, names and values in turn, those stand that are signed, in the order of signing. */
interface HeaderOrder {
  indexes: number[];
  signedNames: string;
}

function orderOf(headers: readonly string[]): HeaderOrder {
  const signed = headers
    .flatMap((name, index) => (index % 2 === 0 && isSigned(name) ? [{ name, index }] : []))
    .sort((first, second) => (first.name < second.name ? -1 : 1));
  return {
    indexes: signed.map(({ index }) => index),
    signedNames: signed.map(({ name }) => name).join(';'),
  };
}

function deriveKey(day: string, region: string, secretAccessKey: string): Buffer {
  return [day, region, 's3', 'aws4_request'].reduce<Buffer>(
    (bytes, part) => createHmac('sha256', bytes).update(part).digest(),
    Buffer.from(`AWS4${secretAccessKey}`),
  );
}

function canonicalRequest(
  { method, path, query, payloadSha256 }: RequestToSign,
  headers: readonly string[],
  { indexes, signedNames }: HeaderOrder,
): string {
  let lines = '';
  for (const index of indexes) {
    lines += `${headers[index]}:${singleSpaced(headers[index + 1] ?? '')}\n`;
  }
  const canonicalQuery =
    query.length === 0
      ? ''
      : query
          .toSorted(([first], [second]) => (first < second ? -1 : 1))
          .map(([name, value]) => `${name}=${value}`)
          .join('&');
  return `${method}\n${path}\n${canonicalQuery}\n${lines}\n${signedNames}\n${payloadSha256}`;
}

/** Caches and proxies rewrite ranges on their way, and only what is signed must stay as it is. */
function isSigned(name: string): boolean {
  return name !== 'range';
}

function singleSpaced(value: string): string {
  return /^\s|\s$|\s\s/.test(value) ? value.trim().replaceAll(/\s+/g, ' ') : value;
}
