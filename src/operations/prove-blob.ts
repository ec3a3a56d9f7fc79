import type { CallOptions, Driver } from '../drivers/driver.ts';
import { isDriverError } from '../drivers/errors.ts';
import { digestParts, type Digest } from '../layout/digest.ts';
import { blobDataKey } from '../layout/paths.ts';
import { confirmAbsent } from './absence.ts';
import { hashObject } from './hash-object.ts';

/** What a blob's bytes turned out to be. */
export interface BlobProof {
  /** The bytes have the digest that the blob is named by. */
  matches: boolean;
  /** The digest of the bytes, `<algorithm>:<hex>`. */
  actual: string;
  /** Who hashed them: the store when it took them in, or this process. */
  by: 'store' | 'bytes';
}

export interface BlobProverOptions extends CallOptions {
  /** Told of bytes that are proved, as they are. */
  onBytes?: ((bytes: number) => void) | undefined;
}

/** A request more is nothing beside reading a blob of this size. */
const LARGE_BYTES = 4 * 1024 * 1024;
/** So many smaller blobs are asked about before a store is taken for one that keeps no SHA-256. */
const QUESTIONS = 32;
const READS_MAX = 3;

/** Proves blobs of one store against their names. */
export class BlobProver {
  readonly #driver: Driver;
  readonly #options: BlobProverOptions;
  #questions = 0;
  #keepsDigests = false;

  constructor(driver: Driver, options: BlobProverOptions = {}) {
    this.#driver = driver;
    this.#options = options;
  }

  /**
   * Takes the store's own SHA-256 of the whole object where there is one, or else reads the bytes.
   * @throws DriverError NOT_FOUND; CHANGED when the object ends early again and again.
   */
  async prove(digest: Digest, sizeBytes: number): Promise<BlobProof> {
    const expected = digestParts(digest);
    const told = expected.algorithm === 'sha256' ? await this.#ask(digest, sizeBytes) : undefined;
    const hex = told ?? (await this.#read(digest, sizeBytes));
    return {
      matches: hex === expected.hex,
      actual: `${expected.algorithm}:${hex}`,
      by: told === undefined ? 'bytes' : 'store',
    };
  }

  /** Of a blob that was listed, and then not found: see `confirmAbsent`. */
  async confirmAbsent(digest: Digest): Promise<void> {
    await confirmAbsent(this.#driver, blobDataKey(digest), { signal: this.#options.signal });
  }

  async #ask(digest: Digest, sizeBytes: number): Promise<string | undefined> {
    if (sizeBytes < LARGE_BYTES && this.#questions >= QUESTIONS && !this.#keepsDigests) {
      return undefined;
    }
    this.#questions += 1;
    const { signal, onBytes } = this.#options;
    const sha256 = (await this.#driver.stat(blobDataKey(digest), { signal }))?.sha256;
    if (sha256 !== undefined) {
      this.#keepsDigests = true;
      onBytes?.(sizeBytes);
    }
    return sha256;
  }

  /** A connection that breaks in the middle is no statement about the blob: it is read anew. */
  async #read(digest: Digest, sizeBytes: number): Promise<string> {
    const { signal } = this.#options;
    let reportedBytes = 0;
    const onSeen = (seenBytes: number): void => {
      if (seenBytes > reportedBytes) {
        this.#options.onBytes?.(seenBytes - reportedBytes);
        reportedBytes = seenBytes;
      }
    };
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await hashObject(this.#driver, blobDataKey(digest), digestParts(digest).algorithm, {
          signal,
          onSeen,
          sizeBytes,
        });
      } catch (error) {
        const mayHelp = isDriverError(error) && (error.retryable || error.code === 'CHANGED');
        if (!mayHelp || attempt === READS_MAX) {
          throw error;
        }
      }
    }
  }
}
