import { isAscii } from 'node:buffer';
import { decodeXmlText, elementText } from '../xml.ts';

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

/** Much less than a page of 1,000 keys, which has some 350 KB. */
const WINDOW_BYTES = 32 * 1024;

/**
 * Reads a page from its XML by scanning for the few elements that are needed: a tenth of the time that an XML
 * parser and an SDK take for it. It trusts nothing: an element that is missing, cut short or not understood
 * ends the listing, for a key that is passed over would later count as absent.
 *
 * The scan runs over Latin-1 views of the bytes, in which an index is a byte offset, one window after another: a view
 * of the whole page would be one of V8's large objects, which a collection in the middle of the scan moves to where
 * they stay until the next full one, page after page. Keys and ETags are then taken from the bytes, because a slice
 * of a view would keep all of it in memory.
 * @param body valid UTF-8.
 * @throws ListingPageError
 */
export function scanListingPage(body: Buffer): ListingPage {
  const encoding = isAscii(body) ? 'latin1' : 'utf8';
  if (!/^\s*(?:<\?xml[^>]*\?>)?\s*<ListBucketResult[\s>]/.test(body.toString('latin1', 0, WINDOW_BYTES))) {
    throw new ListingPageError('answered a listing with something else');
  }
  if (!/<\/ListBucketResult>\s*$/.test(body.toString('latin1', Math.max(0, body.length - 100)))) {
    throw new ListingPageError('sent a page of a listing that ends midway');
  }
  const isUrlEncoded = firstText(body, 'EncodingType') === 'url';
  const objects: ListedObject[] = [];
  for (const view of windows(body, '<Contents', '</Contents>')) {
    for (const range of elements(view.xml, '<Contents', '</Contents>')) {
      objects.push(scanObject(view, encoding, range, isUrlEncoded));
    }
  }
  const folders: string[] = [];
  for (const view of windows(body, '<CommonPrefixes', '</CommonPrefixes>')) {
    for (const range of elements(view.xml, '<CommonPrefixes', '</CommonPrefixes>')) {
      const prefix = required(view.xml, '<Prefix>', range);
      folders.push(decodeKey(textOf(view.bytes, encoding, prefix), isUrlEncoded));
    }
  }
  return { objects, folders, nextToken: scanNextToken(body) };
}

/** A part of a page, as bytes and as text: an index into one is an index into the other. */
interface View {
  bytes: Buffer;
  xml: string;
}

/** Cuts a page behind end tags, so that no element begins in one window and ends in another. */
function* windows(body: Buffer, startTag: string, endTag: string): Generator<View> {
  for (let start = body.indexOf(startTag); start !== -1 && start < body.length;) {
    const cut = body.lastIndexOf(endTag, start + WINDOW_BYTES);
    // Behind an element that is longer than a window, or behind everything where none ends any more.
    const last = cut > start ? cut : body.indexOf(endTag, start);
    const end = last === -1 ? body.length : last + endTag.length;
    const bytes = body.subarray(start, end);
    yield { bytes, xml: bytes.toString('latin1') };
    start = end;
  }
}

/** As `elementText`, of bytes. */
function firstText(body: Buffer, name: string): string | undefined {
  const start = body.indexOf(`<${name}>`);
  return start === -1 ? undefined : elementText(body.toString('latin1', start, start + WINDOW_BYTES), name);
}

/** Byte offsets: the first one in, the last one out. */
interface Range {
  start: number;
  end: number;
}

function scanObject(
  { bytes, xml }: View,
  encoding: 'latin1' | 'utf8',
  range: Range,
  isUrlEncoded: boolean,
): ListedObject {
  const key = required(xml, '<Key>', range);
  const size = required(xml, '<Size>', range);
  const sizeText = xml.slice(size.start, size.end);
  if (!/^\d+$/.test(sizeText)) {
    throw new ListingPageError(`listed a size that is not a number: ${sizeText.slice(0, 40)}`);
  }
  const etag = find(xml, '<ETag>', range);
  const modified = find(xml, '<LastModified>', range);
  const modifiedAtMs =
    modified === undefined ? Number.NaN : Date.parse(xml.slice(modified.start, modified.end));
  return {
    key: decodeKey(textOf(bytes, encoding, key), isUrlEncoded),
    sizeBytes: Number(sizeText),
    etag: etag === undefined ? undefined : etagAt({ bytes, xml }, encoding, etag),
    modifiedAtMs: Number.isNaN(modifiedAtMs) ? undefined : modifiedAtMs,
  };
}

/** Removes the quotes that HTTP puts around an ETag. */
export function unquote(etag: string): string {
  return etag.startsWith('"') && etag.endsWith('"') && etag.length > 1 ? etag.slice(1, -1) : etag;
}

const QUOTE = '&quot;';

function etagAt({ bytes, xml }: View, encoding: 'latin1' | 'utf8', { start, end }: Range): string {
  const inner = { start: start + QUOTE.length, end: end - QUOTE.length };
  // The form in which nearly every store writes it. Without the quotes from the beginning: a slice would keep them.
  if (
    inner.start <= inner.end &&
    xml.startsWith(QUOTE, start) &&
    xml.startsWith(QUOTE, inner.end) &&
    xml.indexOf('&', inner.start) === inner.end
  ) {
    return textOf(bytes, encoding, inner);
  }
  const text = textOf(bytes, encoding, { start, end });
  return unquote(decodeXmlText(text) ?? text);
}

/** What stands between each start tag and its end tag. */
function* elements(xml: string, startTag: string, endTag: string): Generator<Range> {
  for (let at = xml.indexOf(startTag); at !== -1;) {
    const start = at + startTag.length + 1;
    const end = xml.indexOf(endTag, start);
    if (xml[start - 1] !== '>' || end === -1) {
      throw new ListingPageError(`sent a ${startTag.slice(1)} element that is not understood`);
    }
    yield { start, end };
    at = xml.indexOf(startTag, end + endTag.length);
  }
}

/** The text of an element within a range; a raw `<` is never part of a text. */
function find(xml: string, startTag: string, { start, end }: Range): Range | undefined {
  const at = xml.indexOf(startTag, start);
  if (at === -1 || at >= end) {
    return undefined;
  }
  const textStart = at + startTag.length;
  const textEnd = xml.indexOf('<', textStart);
  return xml[textEnd + 1] === '/' ? { start: textStart, end: textEnd } : undefined;
}

function required(xml: string, startTag: string, range: Range): Range {
  const found = find(xml, startTag, range);
  if (found === undefined) {
    throw new ListingPageError(
      `sent a page of a listing in which a ${startTag.slice(1, -1)} element is missing`,
    );
  }
  return found;
}

/** Of a page without other characters, `latin1` is the same as `utf8` and takes half the time. */
function textOf(body: Buffer, encoding: 'latin1' | 'utf8', { start, end }: Range): string {
  return body.toString(encoding, start, end);
}

function scanNextToken(body: Buffer): string | undefined {
  const isTruncated = (firstText(body, 'IsTruncated') ?? '').trim().toLowerCase();
  if (isTruncated === 'false') {
    return undefined;
  }
  const token = decodeXmlText(firstText(body, 'NextContinuationToken') ?? '');
  if (isTruncated !== 'true' || token === undefined || token === '') {
    throw new ListingPageError('does not say whether or how a listing goes on (it may lack ListObjectsV2)');
  }
  return token;
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
