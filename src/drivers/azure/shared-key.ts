import { openHmac } from '../hmac.ts';

export interface RequestToSign {
  method: string;
  /** As it is sent, percent-encoded, with the account in it where the service has it in its path. */
  path: string;
  /**
   * Names in lower case and each only once; values as they are meant, not encoded. None is empty: the specification
   * would have such a one signed, and the SDK leaves it out.
   */
  query: readonly (readonly [name: string, value: string])[];
  /**
   * Names in lower case and values in turn, each name only once; all that begin with `x-ms-` are signed. Values without
   * spaces around or in a row.
   */
  headers: readonly string[];
}

/**
 * Signs requests with an account key: REST reference, "Authorize with Shared Key", "Blob, Queue, and Files Services
 * (Shared Key authorization)", for service version 2015-02-21 or later. Where the headers stand that are signed is
 * worked out once for all requests that have the same ones.
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
  const hmac = openHmac(Buffer.from(accountKey, 'base64'), 'base64');
  const layouts = new Map<string, HeaderLayout>();

  return function sign({ method, path, query, headers }: RequestToSign): string {
    let names = '';
    for (let index = 0; index < headers.length; index += 2) {
      names += `${headers[index]}\n`;
    }
    let layout = layouts.get(names);
    if (layout === undefined) {
      layout = layoutOf(headers);
      layouts.set(names, layout);
    }
    const value = (index: number): string => headers[index] ?? '';
    const contentLength = value(layout.contentLength);
    let text =
      `${method}\n\n\n${contentLength === '0' ? '' : contentLength}\n${value(layout.contentMd5)}\n` +
      `${value(layout.contentType)}\n\n\n${value(layout.ifMatch)}\n\n\n\n`;
    for (const index of layout.canonical) {
      text += `${headers[index]}:${headers[index + 1]}\n`;
    }
    text += `/${accountName}${path}`;
    for (const [name, meant] of query.length < 2 ? query : query.toSorted(byName)) {
      text += `\n${name}:${meant}`;
    }
    return `SharedKey ${accountName}:${hmac(text)}`;
  };
}

/** Where in a list of headers the values stand that have a line of their own (-1: nowhere), and the names of the rest. */
interface HeaderLayout {
  contentLength: number;
  contentMd5: number;
  contentType: number;
  ifMatch: number;
  /** In the order of signing. */
  canonical: number[];
}

function layoutOf(headers: readonly string[]): HeaderLayout {
  const names = headers.flatMap((name, index) => (index % 2 === 0 ? [{ name, index }] : []));
  const valueOf = (wanted: string): number => {
    const found = names.find(({ name }) => name === wanted);
    return found === undefined ? -1 : found.index + 1;
  };
  return {
    contentLength: valueOf('content-length'),
    contentMd5: valueOf('content-md5'),
    contentType: valueOf('content-type'),
    ifMatch: valueOf('if-match'),
    canonical: names
      .filter(({ name }) => name.startsWith('x-ms-'))
      .sort((left, right) => (left.name < right.name ? -1 : 1))
      .map(({ index }) => index),
  };
}

function byName([left]: readonly [string, string], [right]: readonly [string, string]): number {
  return left < right ? -1 : 1;
}
