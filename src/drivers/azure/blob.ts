/** What the service tells of a blob. */
export interface AzureBlob {
  name: string;
  sizeBytes: number;
  modifiedAtMs: number | undefined;
  /** Without quotes. */
  etag: string | undefined;
  /** Hex. What the service computed, or what an uploader claimed. */
  contentMd5: string | undefined;
  /** `BlockBlob`, `AppendBlob` or `PageBlob`. */
  blobType: string | undefined;
  isFolderStub: boolean;
}

/** The same as headers and listings write it. */
export interface BlobTexts {
  name: string;
  sizeBytes: number;
  lastModified: string | undefined;
  etag: string | undefined;
  /** Base64. */
  contentMd5: string | undefined;
  blobType: string | undefined;
  /** Whether its metadata have `hdi_isfolder=true`. */
  isMarkedFolder: boolean;
}

/** For each blob of a listing: its fields are named one by one, for a spread takes longer than all the rest. */
export function describeBlob(texts: BlobTexts): AzureBlob {
  const { name, sizeBytes, blobType } = texts;
  return {
    name,
    sizeBytes,
    modifiedAtMs: texts.lastModified === undefined ? undefined : parseHttpDate(texts.lastModified),
    etag: unquoted(texts.etag),
    contentMd5: texts.contentMd5 === undefined ? undefined : hexOfMd5(texts.contentMd5),
    blobType,
    isFolderStub: texts.isMarkedFolder && sizeBytes === 0,
  };
}

export function unquoted(etag: string | undefined): string | undefined {
  return etag?.includes('"') === true ? etag.replace(/^(W\/)?"(.*)"$/u, '$2') : etag;
}

const md5Bytes = Buffer.alloc(16);

/** Undefined for what is no MD5 in base64. */
function hexOfMd5(base64: string): string | undefined {
  // Of 16 bytes: what is longer would be cut, and hold for another MD5.
  const isOfThatLength = base64.length === 24 && base64.endsWith('==');
  return isOfThatLength && md5Bytes.write(base64, 'base64') === 16 ? md5Bytes.toString('hex') : undefined;
}

const months = 'JanFebMarAprMayJunJulAugSepOctNovDec';

/**
 * As HTTP writes it (RFC 9110, "IMF-fixdate": `Mon, 06 May 2024 07:08:09 GMT`), which `Date.parse` takes ten times as
 * long for; in other forms as that function does.
 * @returns milliseconds since 1970, undefined for what is no date.
 */
export function parseHttpDate(text: string): number | undefined {
  const month = text.length === 29 && text.endsWith(' GMT') ? months.indexOf(text.slice(8, 11)) : -1;
  const fixed =
    month % 3 === 0
      ? Date.UTC(
          digits(text, 12, 16),
          month / 3,
          digits(text, 5, 7),
          digits(text, 17, 19),
          digits(text, 20, 22),
          digits(text, 23, 25),
        )
      : Number.NaN;
  const parsed = Number.isNaN(fixed) ? Date.parse(text) : fixed;
  return Number.isNaN(parsed) ? undefined : parsed;
}

function digits(text: string, start: number, end: number): number {
  let value = 0;
  for (let index = start; index < end; index += 1) {
    const digit = text.charCodeAt(index) - 0x30;
    value = digit >= 0 && digit <= 9 ? value * 10 + digit : Number.NaN;
  }
  return value;
}
