import { createHmac, createSecretKey } from 'node:crypto';

export interface RequestToSign {
  method: string;
  /** As it is sent, percent-encoded, with the account in it where the service has it in its path. */
  path: string;
  /**
   * Names in lower case and each only once; values as they are meant, not encoded. None is empty: the specification
   * would have such a one signed, and the SDK leaves it out.
   */
  query: readonly (readonly [name: string, value: string])[];
  /** Names in lower case; all that begin with `x-ms-` are signed. Values without spaces around or in a row. */
  headers: Readonly<Record<string, string>>;
}

/**
 * Signs requests with an account key: REST reference, "Authorize with Shared Key", "Blob, Queue, and Files Services
 * (Shared Key authorization)", for service version 2015-02-21 or later. A PUT takes 10 us of CPU time to sign.
 *
 * Of the headers that have a line of their own in what is signed, those are known here that this driver sends:
 * Content-Length, Content-MD5, Content-Type and If-Match. `x-ms-date` takes the place of Date.
 *
 * The service sorts names as .NET does in an English culture, where hyphens hardly count. For the names that are sent
 * here that is the order of their characters.
 * @param accountKey base64.
 * @returns the value of Authorization.
 */
export function openSharedKeySigner(accountName: string, accountKey: string) {
  const key = createSecretKey(Buffer.from(accountKey, 'base64'));

  return function sign({ method, path, query, headers }: RequestToSign): string {
    const contentLength = headers['content-length'] ?? '';
    let text =
      `${method}\n\n\n${contentLength === '0' ? '' : contentLength}\n${headers['content-md5'] ?? ''}\n` +
      `${headers['content-type'] ?? ''}\n\n\n${headers['if-match'] ?? ''}\n\n\n\n`;
    for (const name of Object.keys(headers).filter(isCanonical).sort()) {
      text += `${name}:${headers[name]}\n`;
    }
    text += `/${accountName}${path}`;
    for (const [name, value] of query.length < 2 ? query : query.toSorted(byName)) {
      text += `\n${name}:${value}`;
    }
    return `SharedKey ${accountName}:${createHmac('sha256', key).update(text).digest('base64')}`;
  };
}

function isCanonical(name: string): boolean {
  return name.startsWith('x-ms-');
}

function byName([left]: readonly [string, string], [right]: readonly [string, string]): number {
  return left < right ? -1 : 1;
}
