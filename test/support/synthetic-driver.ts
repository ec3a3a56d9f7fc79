import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Driver, FolderListing, ObjectStat } from '../../src/drivers/driver.ts';
import { DriverError } from '../../src/drivers/errors.ts';

/** Blobs in one two-letter folder; layer links, revisions and tags of each repository follow from it. */
export interface SyntheticSize {
  repositories: number;
  layersPerRepository: number;
  blobsPerFolder: number;
}

const root = 'docker/registry/v2/';
const PAGE = 1000;

/**
 * A registry that exists only as a rule: objects are made when they are asked for, so that a million of them
 * take no memory of the test's own. Its links are valid and its blobs are not looked at.
 */
export function openSynthetic(size: SyntheticSize): Driver {
  const digestOf = (text: string) => createHash('sha256').update(text).digest('hex');
  const repositoryName = (index: number) => `group/r${String(index).padStart(6, '0')}`;

  function* keysBelow(prefix: string): Generator<ObjectStat> {
    if (prefix.startsWith(`${root}blobs/sha256/`)) {
      for (const folder of folders(`${root}blobs/sha256/`).filter((name) => name.startsWith(prefix))) {
        for (let index = 0; index < size.blobsPerFolder; index += 1) {
          const hex = `${folder.slice(-3, -1)}${String(index).padStart(62, '0')}`;
          yield { key: `${folder}${hex}/data`, sizeBytes: 1000 };
        }
      }
      return;
    }
    const named = /^docker\/registry\/v2\/repositories\/group\/r(\d{6})\//.exec(prefix)?.[1];
    if (named !== undefined) {
      yield* keysOfRepository(`${root}repositories/${repositoryName(Number(named))}/`, Number(named));
      return;
    }
    for (let index = 0; index < size.repositories; index += 1) {
      yield* keysOfRepository(`${root}repositories/${repositoryName(index)}/`, index);
    }
  }

  function* keysOfRepository(folder: string, index: number): Generator<ObjectStat> {
    for (let layer = 0; layer < size.layersPerRepository; layer += 1) {
      const hex = String(layer).padStart(64, '0');
      yield { key: `${folder}_layers/sha256/${hex}/link`, sizeBytes: 71 };
    }
    const hex = digestOf(`manifest ${index}`);
    yield { key: `${folder}_manifests/revisions/sha256/${hex}/link`, sizeBytes: 71 };
    yield { key: `${folder}_manifests/tags/v1/current/link`, sizeBytes: 71 };
    yield { key: `${folder}_manifests/tags/v1/index/sha256/${hex}/link`, sizeBytes: 71 };
  }

  function folders(folder: string): string[] {
    switch (folder) {
      case '':
        return ['docker/'];
      case 'docker/':
        return ['docker/registry/'];
      case 'docker/registry/':
        return [root];
      case root:
        return [`${root}blobs/`, `${root}repositories/`];
      case `${root}blobs/`:
        return [`${root}blobs/sha256/`];
      case `${root}blobs/sha256/`:
        return Array.from({ length: 256 }, (_, index) => `${folder}${index.toString(16).padStart(2, '0')}/`);
      case `${root}repositories/`:
        return [`${folder}group/`];
      case `${root}repositories/group/`:
        return Array.from(
          { length: size.repositories },
          (_, index) => `${root}repositories/${repositoryName(index)}/`,
        );
      default:
        return [];
    }
  }

  function linkOf(key: string): Uint8Array {
    const named = /\/sha256\/([0-9a-f]{64})\/link$/.exec(key)?.[1];
    const index = Number(/repositories\/group\/r(\d+)\//.exec(key)?.[1]);
    return new TextEncoder().encode(`sha256:${named ?? digestOf(`manifest ${index}`)}`);
  }

  const unsupported = (operation: string) =>
    new DriverError('UNSUPPORTED', 'A synthetic store has no bytes.', { driver: 'synthetic', operation });

  return {
    name: 'synthetic',
    location: 'synthetic://',
    identity: { service: 'synthetic', container: JSON.stringify(size), root: '' },
    supports: {
      provesSha256UpToBytes: 0,
      serverSideCopy: false,
      multipartUploads: false,
      emptyFolders: false,
      deleteBatchSize: 1000,
      partSizeBytes: Number.MAX_SAFE_INTEGER,
    },
    async *list(prefix: string) {
      let page: ObjectStat[] = [];
      for (const object of keysBelow(prefix)) {
        page.push(object);
        if (page.length === PAGE) {
          yield page;
          page = [];
          // As a real store does: between two pages everything else gets its turn.
          await setImmediate();
        }
      }
      await setImmediate();
      if (page.length > 0) {
        yield page;
      }
    },
    async listFolder(folder: string): Promise<FolderListing> {
      return { folders: folders(folder), objects: [] };
    },
    async stat(key: string) {
      return key.startsWith(`${root}blobs/`) ? { key, sizeBytes: 1000 } : undefined;
    },
    async *read(key: string) {
      yield linkOf(key);
    },
    async readSmall(key: string) {
      return linkOf(key);
    },
    async write() {
      throw unsupported('write');
    },
    async delete() {
      throw unsupported('delete');
    },
    async close() {
      // Nothing is open.
    },
  };
}
