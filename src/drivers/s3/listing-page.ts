import { decodeXmlText, elementText } from './xml.ts';

/** One page of ListObjectsV2, with keys as the bucket has them. */
export interface ListingPage {
  objects: ListedObject[];
  /** The common prefixes, when a delimiter was given. */
  folders: string[];
  /** What continues the listing; undefined on the last page. */
  nextToken: string | undefined;
}

export interface ListedObject {
  key: string;
  sizeBytes: number;
  /** Without its quotes. */
  etag: string | undefined;
  modifiedAtMs: number | undefined;
}

/** Why a page cannot be trusted: half a sentence that follows the name of the store. */
export class ListingPageError extends Error {
  override readonly name = 'ListingPageError';
  readonly code: 'BAD_LISTING' | 'INVALID_KEY';

  constructor(problem: string, code: 'BAD_LISTING' | 'INVALID_KEY' = 'BAD_LISTING') {
    super(problem);
    this.code = code;
  }
}

/**
 * Reads a page from its XML text by scanning for the few elements that are needed: a tenth of the time
 * that an XML parser and an SDK take for it. It trusts nothing: an element that is missing, cut short or
 * not understood ends the listing, for a key that is passed over would later count as absent.
 * @throws ListingPageError
 */
export function scanListingPage(xml: string): ListingPage {
  if (!/^\s*(?:<\?xml[^>]*\?>)?\s*<ListBucketResult[\s>]/.test(xml)) {
    throw new ListingPageError('answered a listing with something else');
  }
  if (!xml.trimEnd().endsWith('</ListBucketResult>')) {
    throw new ListingPageError('sent a page of a listing that ends midway');
  }
  const isUrlEncoded = elementText(xml, 'EncodingType') === 'url';
  const objects: ListedObject[] = [];
  for (const block of blocks(xml, 'Contents')) {
    objects.push(scanObject(block, isUrlEncoded));
  }
  const folders: string[] = [];
  for (const block of blocks(xml, 'CommonPrefixes')) {
    folders.push(decodeKey(required(block, 'Prefix'), isUrlEncoded));
  }
  return { objects, folders, nextToken: scanNextToken(xml) };
}

function scanObject(block: string, isUrlEncoded: boolean): ListedObject {
  const size = required(block, 'Size');
  if (!/^\d+$/.test(size)) {
    throw new ListingPageError(`listed a size that is not a number: ${size.slice(0, 40)}`);
  }
  const etag = elementText(block, 'ETag');
  const modifiedAtMs = Date.parse(elementText(block, 'LastModified') ?? '');
  return {
    key: decodeKey(required(block, 'Key'), isUrlEncoded),
    sizeBytes: Number(size),
    etag: etag === undefined ? undefined : unquote(decodeXmlText(etag) ?? etag),
    modifiedAtMs: Number.isNaN(modifiedAtMs) ? undefined : modifiedAtMs,
  };
}

/** Removes the quotes that HTTP puts around an ETag. */
export function unquote(etag: string): string {
  return etag.startsWith('"') && etag.endsWith('"') && etag.length > 1 ? etag.slice(1, -1) : etag;
}

/** What stands between each `<name>` and `</name>`. */
function* blocks(xml: string, name: string): Generator<string> {
  const close = `</${name}>`;
  const start = `<${name}`;
  for (let at = xml.indexOf(start); at !== -1;) {
    const contentAt = at + start.length + 1;
    const end = xml.indexOf(close, contentAt);
    if (xml[contentAt - 1] !== '>' || end === -1) {
      throw new ListingPageError(`sent a ${name} element that is not understood`);
    }
    yield xml.slice(contentAt, end);
    at = xml.indexOf(start, end + close.length);
  }
}

function scanNextToken(xml: string): string | undefined {
  const isTruncated = required(xml, 'IsTruncated').trim().toLowerCase();
  if (isTruncated === 'false') {
    return undefined;
  }
  const token = decodeXmlText(elementText(xml, 'NextContinuationToken') ?? '');
  if (isTruncated !== 'true' || token === undefined || token === '') {
    throw new ListingPageError('says that a listing goes on, but not how (it may lack ListObjectsV2)');
  }
  return token;
}

function required(xml: string, name: string): string {
  const text = elementText(xml, name);
  if (text === undefined) {
    throw new ListingPageError(`sent a page of a listing in which a ${name} element is missing`);
  }
  return text;
}

/**
 * Undoes XML escaping and, when the store applied it, `encoding-type=url`. Stores write a space as `+` or
 * `%20`, and a plus sign always as `%2B`.
 */
function decodeKey(text: string, isUrlEncoded: boolean): string {
  const raw = decodeXmlText(text);
  if (raw === undefined) {
    throw new ListingPageError(`listed a key that is not valid XML text: ${text.slice(0, 80)}`);
  }
  if (!isUrlEncoded || !/[%+]/.test(raw)) {
    return raw;
  }
  try {
    return decodeURIComponent(raw.replaceAll('+', ' '));
  } catch (error) {
    if (error instanceof URIError) {
      throw new ListingPageError(
        `holds a key whose bytes are not UTF-8: ${text.slice(0, 80)}`,
        'INVALID_KEY',
      );
    }
    throw error;
  }
}
