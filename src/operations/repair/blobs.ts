import type { Driver } from '../../drivers/driver.ts';
import { type DriverError, isDriverError } from '../../drivers/errors.ts';
import type { Digest, DigestAlgorithm } from '../../layout/digest.ts';
import { MAX_MANIFEST_BYTES, type Manifest, parseManifest } from '../../layout/manifest.ts';
import { blobDataKey } from '../../layout/paths.ts';
import { confirmAbsent } from '../absence.ts';
import { hashObject } from '../hash-object.ts';
import { isObjectFailure } from '../object-failure.ts';
import { BlobProver } from '../prove-blob.ts';

/** What a blob is at a store. */
export type BlobState =
  | { state: 'proved'; sizeBytes: number }
  | { state: 'missing' }
  /** Its bytes have another digest. */
  | { state: 'corrupt'; actual: Digest; sizeBytes: number }
  /** The store did not give it, so that nothing may be concluded from it. */
  | { state: 'unread'; error: DriverError };

/** Proves the blobs of one store against their names, each once. */
export class ProvedBlobs {
  readonly #driver: Driver;
  readonly #signal: AbortSignal | undefined;
  readonly #prover: BlobProver;
  readonly #known = new Map<Digest, Promise<BlobState>>();

  constructor(driver: Driver, signal: AbortSignal | undefined) {
    this.#driver = driver;
    this.#signal = signal;
    this.#prover = new BlobProver(driver, { signal });
  }

  async state(digest: Digest): Promise<BlobState> {
    const pending = this.#known.get(digest) ?? this.#prove(digest);
    this.#known.set(digest, pending);
    return pending;
  }

  /** What was known of a blob that is another by now. */
  forget(digest: Digest): void {
    this.#known.delete(digest);
  }

  /** The manifest that a proved blob is; undefined where a registry could not read it as one. */
  async manifest(digest: Digest): Promise<Manifest | undefined> {
    try {
      const bytes = await this.#driver.readSmall(blobDataKey(digest), MAX_MANIFEST_BYTES, {
        signal: this.#signal,
      });
      const parsed = parseManifest(bytes);
      return parsed.ok ? parsed : undefined;
    } catch (error) {
      if (isDriverError(error, 'CHANGED') && (await this.#isTooLarge(digest))) {
        return undefined;
      }
      throw error;
    }
  }

  /** The same of a blob that need not be there: undefined then, too. */
  async manifestIfThere(digest: Digest): Promise<Manifest | undefined> {
    try {
      return await this.manifest(digest);
    } catch (error) {
      if (isDriverError(error, 'NOT_FOUND')) {
        return undefined;
      }
      throw error;
    }
  }

  async #isTooLarge(digest: Digest): Promise<boolean> {
    const stat = await this.#driver.stat(blobDataKey(digest), { signal: this.#signal });
    return (stat?.sizeBytes ?? 0) > MAX_MANIFEST_BYTES;
  }

  /** The digest of a blob's bytes under any algorithm. */
  async hash(digest: Digest, algorithm: DigestAlgorithm): Promise<Digest> {
    const hex = await hashObject(this.#driver, blobDataKey(digest), algorithm, { signal: this.#signal });
    return `${algorithm}:${hex}` as Digest;
  }

  async #prove(digest: Digest): Promise<BlobState> {
    try {
      const stat = await this.#driver.stat(blobDataKey(digest), { signal: this.#signal });
      if (stat === undefined) {
        await confirmAbsent(this.#driver, blobDataKey(digest), { signal: this.#signal });
        return { state: 'missing' };
      }
      const { sizeBytes } = stat;
      const proof = await this.#prover.prove(digest, sizeBytes);
      if (proof.matches) {
        return { state: 'proved', sizeBytes };
      }
      return { state: 'corrupt', actual: proof.actual as Digest, sizeBytes };
    } catch (error) {
      if (isObjectFailure(error)) {
        return { state: 'unread', error };
      }
      throw error;
    }
  }
}
