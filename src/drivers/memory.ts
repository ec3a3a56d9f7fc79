import { hash as hashOnce, randomUUID } from 'node:crypto';
import { bodySizeBytes, provenBody, throwIfAborted } from './body.ts';
import type {
  Body,
  CallOptions,
  CopySource,
  Driver,
  FolderListing,
  ObjectStat,
  WriteOptions,
} from './driver.ts';
import { DriverError } from './errors.ts';
import { compareKeys } from './keys.ts';

export interface MemoryOptions {
  /** Objects that are there from the start. */
  objects?: Iterable<readonly [key: string, content: Uint8Array | string]>;
  /** Keys in one batch of a listing. */
  pageSize?: number;
  /** Stores of the same service can copy from one another. */
  service?: string;
  container?: string;
}

export interface MemoryDriver extends Driver {
  /** The objects themselves, for tests that look at or damage them. */
  readonly objects: Map<string, Uint8Array>;
}

const SURROGATE = /[\uD800-\uDFFF]/;

const services = new Map<string, Map<string, Map<string, Uint8Array>>>();

/** A store in this process: the reference implementation of the driver contract, and what logic is tested on. */
export function openMemory(options: MemoryOptions = {}): MemoryDriver {
  const { pageSize = 1000, service = `memory:${randomUUID()}`, container = randomUUID() } = options;
  const objects = new Map<string, Uint8Array>();
  for (const [key, content] of options.objects ?? []) {
    objects.set(key, typeof content === 'string' ? new TextEncoder().encode(content) : content);
  }
  const containers = services.get(service) ?? new Map<string, Map<string, Uint8Array>>();
  services.set(service, containers.set(container, objects));

  const describe = (operation: string, key?: string) =>
    key === undefined ? { driver: 'memory', operation } : { driver: 'memory', operation, key };

  function content(operation: string, key: string): Uint8Array {
    const found = objects.get(key);
    if (found === undefined) {
      throw new DriverError('NOT_FOUND', `${key} is not in the store.`, describe(operation, key));
    }
    return found;
  }

  function sortedKeys(prefix: string): string[] {
    const keys: string[] = [];
    for (const key of objects.keys()) {
      if (key.startsWith(prefix)) {
        keys.push(key);
      }
    }
    // Without surrogates, JavaScript's own order is that of the bytes, and ten times as fast.
    return keys.some((key) => SURROGATE.test(key)) ? keys.sort(compareKeys) : keys.sort();
  }

  const stat = (key: string): ObjectStat | undefined => {
    const found = objects.get(key);
    return found === undefined ? undefined : describeObject(key, found);
  };

  async function write(
    key: string,
    body: Body,
    { expectedDigest, signal }: WriteOptions = {},
  ): Promise<void> {
    const details = describe('write', key);
    throwIfAborted(signal, details);
    const result = new Uint8Array(bodySizeBytes(body));
    let offset = 0;
    for await (const chunk of provenBody(body, { expectedDigest, signal, details })) {
      result.set(chunk, offset);
      offset += chunk.byteLength;
    }
    objects.set(key, result);
  }

  return {
    name: 'memory',
    location: `memory://${container}`,
    identity: { service, container, root: '' },
    supports: {
      provesSha256UpToBytes: 0,
      serverSideCopy: true,
      multipartUploads: false,
      emptyFolders: false,
      deleteBatchSize: 1000,
      partSizeBytes: Number.MAX_SAFE_INTEGER,
    },
    objects,

    async *list(prefix: string, { signal }: CallOptions = {}) {
      const keys = sortedKeys(prefix);
      for (let start = 0; start < keys.length; start += pageSize) {
        throwIfAborted(signal, describe('list', prefix));
        const page = keys.slice(start, start + pageSize).flatMap((key) => stat(key) ?? []);
        if (page.length > 0) {
          yield page;
        }
      }
    },

    async listFolder(folder: string, { signal }: CallOptions = {}): Promise<FolderListing> {
      throwIfAborted(signal, describe('listFolder', folder));
      const folders = new Set<string>();
      const found: ObjectStat[] = [];
      for (const key of sortedKeys(folder)) {
        const slash = key.indexOf('/', folder.length);
        const object = slash === -1 ? stat(key) : undefined;
        if (object === undefined) {
          folders.add(key.slice(0, slash + 1));
        } else {
          found.push(object);
        }
      }
      return { folders: [...folders], objects: found };
    },

    async stat(key: string, { signal }: CallOptions = {}) {
      throwIfAborted(signal, describe('stat', key));
      return stat(key);
    },

    async *read(key: string, { signal }: CallOptions = {}) {
      throwIfAborted(signal, describe('read', key));
      yield content('read', key);
    },

    async readSmall(key: string, maxBytes: number, { signal }: CallOptions = {}) {
      throwIfAborted(signal, describe('readSmall', key));
      const found = content('readSmall', key);
      if (found.byteLength > maxBytes) {
        throw tooLarge(key, found.byteLength, maxBytes);
      }
      return found;
    },

    write,

    async copyFrom(source: CopySource, key: string, { signal }: CallOptions = {}) {
      throwIfAborted(signal, describe('copyFrom', key));
      const found = services.get(source.identity.service)?.get(source.identity.container)?.get(source.key);
      if (found === undefined) {
        throw new DriverError('NOT_FOUND', `${source.key} is not in the source.`, describe('copyFrom', key));
      }
      if (describeObject(source.key, found).etag !== source.etag) {
        throw new DriverError('PRECONDITION_FAILED', `${source.key} changed.`, describe('copyFrom', key));
      }
      objects.set(key, found);
    },

    async delete(keys: readonly string[], { signal }: CallOptions = {}) {
      throwIfAborted(signal, describe('delete'));
      for (const key of keys) {
        objects.delete(key);
      }
      return [];
    },

    async close() {
      containers.delete(container);
    },
  };
}

function describeObject(key: string, content: Uint8Array): ObjectStat {
  const md5 = hashOnce('md5', content, 'hex');
  return { key, sizeBytes: content.byteLength, etag: md5, md5 };
}

function tooLarge(key: string, sizeBytes: number, maxBytes: number): DriverError {
  return new DriverError('CHANGED', `${key} has ${sizeBytes} bytes, more than the ${maxBytes} expected.`, {
    driver: 'memory',
    operation: 'readSmall',
    key,
  });
}
