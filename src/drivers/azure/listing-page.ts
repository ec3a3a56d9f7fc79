import { isAscii } from 'node:buffer';
import { decodeXmlText } from '../xml.ts';
import { describeBlob, type AzureBlob } from './blob.ts';

/** One page of List Blobs. */
export interface AzureListPage {
  blobs: AzureBlob[];
  folders: string[];
  /** What continues the listing; undefined on the last page. */
  nextMarker: string | undefined;
}

/** Why a page cannot be trusted: half a sentence that follows the name of the store. */
export class ListingPageError extends Error {
  override readonly name = 'ListingPageError';
  /** Whether it begins as a listing and ends midway, as when a proxy lost the connection. */
  readonly isCut: boolean;

  constructor(problem: string, isCut = false) {
    super(problem);
    this.isCut = isCut;
  }
}

/**
 * Reads a page of List Blobs from its XML (REST reference, "List Blobs", "Response body") by walking over its tags
 * once: a fiftieth of the CPU time that the SDK takes (6 and 320 us for each blob of a page of 5,000, on busy cores).
 *
 * It trusts nothing: an element that is missing, cut short, or where none is expected ends the listing, for a name
 * that is passed over would later count as absent. Of XML it takes what the service writes: elements, and the five
 * entities and character references. A document type, and with it entities of its own, comments and CDATA are refused.
 * Names that XML cannot hold come percent-encoded, and say so (`Encoded="true"`, from version 2021-02-12).
 *
 * It runs over a Latin-1 view of the bytes, in which an index is a byte offset. Texts that are kept are taken from the
 * bytes, because a slice of the view would keep the whole page in memory.
 * @param body valid UTF-8, with or without a byte order mark: Azure sends one, Azurite none.
 * @throws ListingPageError
 */
export function scanListingPage(body: Buffer): AzureListPage {
  const xml = body.toString('latin1');
  const start = /^(?:\u00EF\u00BB\u00BF)?\s*(?:<\?xml[^>]*\?>)?\s*<EnumerationResults(?:\s[^<>]*)?>/u.exec(
    xml,
  );
  if (start === null) {
    throw new ListingPageError('answered a listing with something else');
  }
  if (!/<\/EnumerationResults>\s*$/u.test(xml.slice(-100))) {
    throw new ListingPageError('sent a page of a listing that ends midway', true);
  }
  const scan = new Scan(body, xml, start[0].length);
  const page: AzureListPage = { blobs: [], folders: [], nextMarker: undefined };
  let hasBlobs = false;
  let hasMarker = false;
  for (let tag = scan.next(); tag !== '/EnumerationResults'; tag = scan.next()) {
    switch (nameOf(tag)) {
      case 'Blobs':
        hasBlobs = true;
        scanBlobs(scan, tag, page);
        break;
      case 'NextMarker': {
        const marker = scan.text(tag);
        page.nextMarker = marker === '' ? undefined : marker;
        hasMarker = true;
        break;
      }
      default:
        scan.skip(tag);
    }
  }
  // Every page says where the next one begins, if only by an empty marker: one that does not is not whole.
  if (!hasBlobs || !hasMarker) {
    throw new ListingPageError('sent a page of a listing that does not say what it holds or how it goes on');
  }
  return page;
}

function scanBlobs(scan: Scan, tag: string, page: AzureListPage): void {
  if (isEmpty(tag)) {
    return;
  }
  for (let child = scan.next(); child !== '/Blobs'; child = scan.next()) {
    if (child === 'Blob') {
      page.blobs.push(scanBlob(scan));
    } else if (child === 'BlobPrefix') {
      page.folders.push(scanPrefix(scan));
    } else {
      throw notUnderstood(child);
    }
  }
}

function scanBlob(scan: Scan): AzureBlob {
  let name: string | undefined;
  let properties: BlobProperties | undefined;
  let isMarkedFolder = false;
  for (let tag = scan.next(); tag !== '/Blob'; tag = scan.next()) {
    switch (nameOf(tag)) {
      case 'Name':
        name = scanName(scan, tag);
        break;
      case 'Properties':
        properties = scanProperties(scan, tag);
        break;
      case 'Metadata':
        isMarkedFolder = scanMetadata(scan, tag);
        break;
      default:
        scan.skip(tag);
    }
  }
  if (name === undefined || properties?.sizeBytes === undefined) {
    throw new ListingPageError('sent a page of a listing in which a name or a size is missing');
  }
  const { sizeBytes, lastModified, etag, contentMd5, blobType } = properties;
  return describeBlob({ name, sizeBytes, lastModified, etag, contentMd5, blobType, isMarkedFolder });
}

/** An account with a hierarchical namespace tells more of a folder than its name. */
function scanPrefix(scan: Scan): string {
  let name: string | undefined;
  for (let tag = scan.next(); tag !== '/BlobPrefix'; tag = scan.next()) {
    if (nameOf(tag) === 'Name') {
      name = scanName(scan, tag);
    } else {
      scan.skip(tag);
    }
  }
  if (name === undefined) {
    throw new ListingPageError('sent a page of a listing in which a name is missing');
  }
  return name;
}

function scanName(scan: Scan, tag: string): string {
  const text = scan.text(tag);
  if (!/^Name\s+Encoded="true"\s*$/u.test(tag)) {
    return text;
  }
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) {
      throw new ListingPageError(`listed a name that is not encoded as it says: ${text.slice(0, 80)}`);
    }
    throw error;
  }
}

interface BlobProperties {
  sizeBytes: number | undefined;
  lastModified: string | undefined;
  etag: string | undefined;
  contentMd5: string | undefined;
  blobType: string | undefined;
}

function scanProperties(scan: Scan, properties: string): BlobProperties {
  const found: BlobProperties = {
    sizeBytes: undefined,
    lastModified: undefined,
    etag: undefined,
    contentMd5: undefined,
    blobType: undefined,
  };
  if (isEmpty(properties)) {
    return found;
  }
  for (let tag = scan.next(); tag !== '/Properties'; tag = scan.next()) {
    switch (tag) {
      case 'Content-Length':
        found.sizeBytes = sizeOf(scan.plainText(tag));
        break;
      case 'Last-Modified':
        found.lastModified = scan.plainText(tag);
        break;
      case 'Etag':
        found.etag = scan.text(tag);
        break;
      case 'Content-MD5':
        found.contentMd5 = scan.plainText(tag);
        break;
      case 'BlobType':
        found.blobType = scan.plainText(tag);
        break;
      default:
        scan.skip(tag);
    }
  }
  return found;
}

/** Names of metadata are whatever its writer chose, `Blob` and `Metadata` included; they hold text only. */
function scanMetadata(scan: Scan, metadata: string): boolean {
  let isMarkedFolder = false;
  if (isEmpty(metadata)) {
    return false;
  }
  for (let tag = scan.next(); tag !== '/Metadata'; tag = scan.next()) {
    const text = scan.text(tag);
    isMarkedFolder ||= nameOf(tag).toLowerCase() === 'hdi_isfolder' && text === 'true';
  }
  return isMarkedFolder;
}

function sizeOf(text: string): number {
  if (!/^\d+$/u.test(text)) {
    throw new ListingPageError(`listed a size that is not a number: ${text.slice(0, 40)}`);
  }
  return Number(text);
}

/** Walks over tags. A tag is given as what stands between `<` and `>`: `Name`, `/Name`, `Name /`, `Name a="b"`. */
class Scan {
  readonly #body: Buffer;
  readonly #xml: string;
  /** Of a page without other characters, `latin1` is the same as `utf8` and takes half the time. */
  readonly #encoding: 'latin1' | 'utf8';
  #at: number;

  constructor(body: Buffer, xml: string, at: number) {
    this.#body = body;
    this.#encoding = isAscii(body) ? 'latin1' : 'utf8';
    this.#xml = xml;
    this.#at = at;
  }

  /** The next tag. Between it and the one before there is only white space. */
  next(): string {
    const xml = this.#xml;
    let at = this.#at;
    while (isSpace(xml.charCodeAt(at))) {
      at += 1;
    }
    const end = xml.indexOf('>', at);
    if (xml.charCodeAt(at) !== LESS_THAN || end === -1) {
      throw notUnderstood(xml.slice(at, at + 40));
    }
    this.#at = end + 1;
    return xml.slice(at + 1, end);
  }

  /** The text of the element whose start tag was just read, and which holds nothing else. */
  text(tag: string): string {
    if (isEmpty(tag)) {
      return '';
    }
    const start = this.#at;
    const end = this.#close(tag);
    const raw = this.#body.toString(this.#encoding, start, end);
    // XML 1.0, 2.11: a line end that is not written as a reference is a newline.
    const text = decodeXmlText(raw.includes('\r') ? raw.replaceAll(/\r\n?/gu, '\n') : raw);
    if (text === undefined) {
      throw notUnderstood(raw);
    }
    return text;
  }

  /** The same where it is used at once, and holds neither entities nor anything beyond ASCII. */
  plainText(tag: string): string {
    if (isEmpty(tag)) {
      return '';
    }
    const start = this.#at;
    return this.#xml.slice(start, this.#close(tag));
  }

  /** Passes over the element whose start tag was just read, with the elements in it. */
  skip(tag: string, depth = 0): void {
    if (tag.charCodeAt(0) === SLASH || depth > maxDepth) {
      throw notUnderstood(tag);
    }
    if (isEmpty(tag)) {
      return;
    }
    const end = this.#xml.indexOf('<', this.#at);
    if (this.#xml.charCodeAt(end + 1) === SLASH) {
      this.#close(tag, end);
      return;
    }
    const endTag = `/${nameOf(tag)}`;
    for (let child = this.next(); child !== endTag; child = this.next()) {
      this.skip(child, depth + 1);
    }
  }

  /** Goes behind the end tag, which has to be the next one. Returns where it begins. */
  #close(tag: string, end = this.#xml.indexOf('<', this.#at)): number {
    const xml = this.#xml;
    const name = nameOf(tag);
    const last = end + 2 + name.length;
    const isEndTag =
      xml.charCodeAt(end + 1) === SLASH &&
      xml.startsWith(name, end + 2) &&
      xml.charCodeAt(last) === GREATER_THAN;
    if (end === -1 || !isEndTag) {
      throw notUnderstood(tag);
    }
    this.#at = last + 1;
    return end;
  }
}

/** Of elements in what is passed over. The service nests them two deep. */
const maxDepth = 8;

const LESS_THAN = 0x3c;
const GREATER_THAN = 0x3e;
const SLASH = 0x2f;

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

function isEmpty(tag: string): boolean {
  return tag.charCodeAt(tag.length - 1) === SLASH;
}

/** The name in a tag, without what follows it. */
function nameOf(tag: string): string {
  const space = tag.indexOf(' ');
  if (space !== -1) {
    return tag.slice(0, space);
  }
  return isEmpty(tag) ? tag.slice(0, -1) : tag;
}

function notUnderstood(text: string): ListingPageError {
  return new ListingPageError(`sent a page of a listing that is not understood: ${text.slice(0, 80)}`);
}
