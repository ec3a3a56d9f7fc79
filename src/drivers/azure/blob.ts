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

export function describeBlob({ lastModified, isMarkedFolder, ...texts }: BlobTexts): AzureBlob {
  const modifiedAtMs = Date.parse(lastModified ?? '');
  const md5 = Buffer.from(texts.contentMd5 ?? '', 'base64');
  return {
    ...texts,
    modifiedAtMs: Number.isNaN(modifiedAtMs) ? undefined : modifiedAtMs,
    etag: unquoted(texts.etag),
    contentMd5: md5.byteLength === 16 ? md5.toString('hex') : undefined,
    isFolderStub: isMarkedFolder && texts.sizeBytes === 0,
  };
}

export function unquoted(etag: string | undefined): string | undefined {
  return etag?.replace(/^(W\/)?"(.*)"$/u, '$2');
}
