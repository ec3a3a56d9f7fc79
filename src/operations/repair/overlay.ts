import type { CallOptions, Driver, FolderListing, ObjectStat } from '../../drivers/driver.ts';
import { DriverError } from '../../drivers/errors.ts';
import { compareKeys } from '../../drivers/keys.ts';

/** What a key holds in place of what the store has under it. */
type Change =
  | { kind: 'bytes'; bytes: Uint8Array }
  | { kind: 'from'; store: Driver; sizeBytes: number }
  | { kind: 'absent' };

/**
 * A store as it would be after changes that were not made: what a check of it says, it would say after them.
 * Keeps the changes in memory, and of a blob from elsewhere only where it is.
 */
export class Overlay {
  /** Reads as a driver does. Writes nothing. */
  readonly driver: Driver;
  readonly #store: Driver;
  readonly #changes = new Map<string, Change>();

  constructor(store: Driver) {
    this.#store = store;
    const { name, location, identity, supports } = store;
    this.driver = {
      name,
      location,
      identity,
      supports: { ...supports, serverSideCopy: false, multipartUploads: false },
      list: (prefix, options) => this.#list(prefix, options),
      listFolder: (folder, options) => this.#listFolder(folder, options),
      stat: async (key, options) => this.#stat(key, options),
      read: (key, options) => this.#read(key, options),
      readSmall: async (key, maxBytes, options) => this.#readSmall(key, maxBytes, options),
      write: async (key) => refuse('write', key),
      delete: async (keys) => refuse('delete', keys[0] ?? ''),
      close: async () => {},
    };
  }

  put(key: string, bytes: Uint8Array): void {
    this.#changes.set(key, { kind: 'bytes', bytes });
  }

  /** The object is to be what another store has under the same key. */
  take(key: string, store: Driver, sizeBytes: number): void {
    this.#changes.set(key, { kind: 'from', store, sizeBytes });
  }

  hide(key: string): void {
    this.#changes.set(key, { kind: 'absent' });
  }

  async *#list(prefix: string, options?: CallOptions): AsyncGenerator<ObjectStat[]> {
    const changed = [...this.#changes.keys()].filter((key) => key.startsWith(prefix)).sort(compareKeys);
    let next = 0;
    const isDue = (before: string | undefined) =>
      next < changed.length && (before === undefined || compareKeys(changed[next] ?? '', before) < 0);
    /** Those that come before a key, or all that are left. */
    const take = (before?: string): ObjectStat[] => {
      const taken: ObjectStat[] = [];
      for (; isDue(before); next += 1) {
        taken.push(...[this.#changed(changed[next] ?? '')].flatMap((object) => object ?? []));
      }
      return taken;
    };
    for await (const page of this.#store.list(prefix, options)) {
      const merged = page.flatMap((object) => [
        ...take(object.key),
        ...(this.#changes.has(object.key) ? [] : [object]),
      ]);
      if (merged.length > 0) {
        yield merged;
      }
    }
    const rest = take();
    if (rest.length > 0) {
      yield rest;
    }
  }

  async #listFolder(folder: string, options?: CallOptions): Promise<FolderListing> {
    const { folders, objects } = await this.#store.listFolder(folder, options);
    const below = [...this.#changes.keys()].filter((key) => key.startsWith(folder));
    const present = below.flatMap((key) => this.#changed(key) ?? []);
    const isDirect = (key: string) => !key.slice(folder.length).includes('/');
    const added = present
      .filter(({ key }) => !isDirect(key))
      .map(({ key }) => key.slice(0, key.indexOf('/', folder.length) + 1));
    return {
      folders: [...new Set([...folders, ...added])].sort(compareKeys),
      objects: [
        ...objects.filter(({ key }) => !this.#changes.has(key)),
        ...present.filter(({ key }) => isDirect(key)),
      ].sort((left, right) => compareKeys(left.key, right.key)),
    };
  }

  async #stat(key: string, options?: CallOptions): Promise<ObjectStat | undefined> {
    return this.#changes.has(key) ? this.#changed(key) : this.#store.stat(key, options);
  }

  async *#read(key: string, options?: CallOptions): AsyncGenerator<Uint8Array> {
    const change = this.#changes.get(key);
    switch (change?.kind) {
      case undefined:
        yield* this.#store.read(key, options);
        return;
      case 'from':
        yield* change.store.read(key, options);
        return;
      case 'bytes':
        yield change.bytes;
        return;
      case 'absent':
        throw missing('read', key);
    }
  }

  async #readSmall(key: string, maxBytes: number, options?: CallOptions): Promise<Uint8Array> {
    const change = this.#changes.get(key);
    switch (change?.kind) {
      case undefined:
        return this.#store.readSmall(key, maxBytes, options);
      case 'from':
        return change.store.readSmall(key, maxBytes, options);
      case 'bytes':
        return change.bytes;
      case 'absent':
        throw missing('readSmall', key);
    }
  }

  #changed(key: string): ObjectStat | undefined {
    const change = this.#changes.get(key);
    switch (change?.kind) {
      case 'bytes':
        return { key, sizeBytes: change.bytes.byteLength };
      case 'from':
        return { key, sizeBytes: change.sizeBytes };
      case 'absent':
      case undefined:
        return undefined;
    }
  }
}

function missing(operation: string, key: string): DriverError {
  return new DriverError('NOT_FOUND', `${key} is not in the store.`, { driver: 'overlay', operation, key });
}

function refuse(operation: string, key: string): never {
  throw new TypeError(`A plan changes nothing: ${operation} of ${key}.`);
}
