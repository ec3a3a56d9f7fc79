import fc from 'fast-check';
import type { Body, Driver, ObjectStat } from '../../../src/drivers/driver.ts';
import { DriverError, type DriverErrorCode } from '../../../src/drivers/errors.ts';

/** Something that goes wrong with some calls of one store. */
export interface Fault {
  side: 'source' | 'target';
  operation: 'list' | 'listFolder' | 'stat' | 'readSmall' | 'read' | 'write' | 'delete' | 'any';
  /** A part of the keys that it strikes. */
  keys: '' | '/blobs/' | '/_layers/' | '/revisions/' | '/tags/';
  /** So many calls that it could strike pass before it does. */
  skip: number;
  /** So many in a row are struck. */
  times: number;
  /**
   * - `before`: nothing has happened at the store.
   * - `after`: it has happened, and the answer is lost.
   * - `midway`: a part of the pages, of the bytes or of the deletes.
   * - `wrong`: the store answers, and what it says is not so: fewer bytes than there are, or pages out of order.
   */
  how: 'before' | 'after' | 'midway' | 'wrong';
  code: DriverErrorCode;
}

const FOREVER = 1_000_000;

/** Gone when the call is repeated as often as it is. */
export function isTransient({ code, times, how }: Fault): boolean {
  return (code === 'UNAVAILABLE' || code === 'RATE_LIMITED') && times <= 2 && how !== 'wrong';
}

export const faults: fc.Arbitrary<Fault> = fc.record({
  side: fc.constantFrom('source', 'target'),
  operation: fc.constantFrom(
    'any',
    'list',
    'listFolder',
    'stat',
    'readSmall',
    'read',
    'write',
    'write',
    'delete',
    'delete',
  ),
  keys: fc.constantFrom('', '', '/blobs/', '/_layers/', '/revisions/', '/tags/'),
  skip: fc.nat(30),
  times: fc.constantFrom(1, 2, 60, FOREVER),
  how: fc.constantFrom('before', 'before', 'after', 'midway', 'wrong'),
  code: fc.constantFrom(
    'UNAVAILABLE',
    'UNAVAILABLE',
    'UNAVAILABLE',
    'RATE_LIMITED',
    'PERMISSION_DENIED',
    'UNEXPECTED',
    'STORE_FULL',
    'UNAUTHENTICATED',
    'STORE_NOT_FOUND',
    'CHANGED',
    'BAD_LISTING',
  ),
});

/** A driver on which these faults strike, each as its numbers say. */
export function withFaults(driver: Driver, planned: readonly Fault[]): Driver {
  if (planned.length === 0) {
    return driver;
  }
  const counted = planned.map((fault) => ({ fault, seen: 0 }));

  function strike(operation: Fault['operation'], key: string): Fault | undefined {
    const matching = counted.filter(
      ({ fault }) => (fault.operation === 'any' || fault.operation === operation) && key.includes(fault.keys),
    );
    for (const each of matching) {
      each.seen += 1;
    }
    return matching.find(({ fault, seen }) => seen > fault.skip && seen <= fault.skip + fault.times)?.fault;
  }
  const errorOf = ({ code }: Fault, operation: string, key: string) =>
    new DriverError(code, `Made to fail with ${code}.`, { driver: driver.name, operation, key });

  async function around<T>(operation: Fault['operation'], key: string, action: () => Promise<T>): Promise<T> {
    const fault = strike(operation, key);
    if (fault === undefined || fault.how === 'wrong') {
      return action();
    }
    if (fault.how !== 'before') {
      await action();
    }
    throw errorOf(fault, operation, key);
  }

  return {
    ...driver,
    async *list(prefix, options) {
      const fault = strike('list', prefix);
      if (fault?.how === 'before') {
        throw errorOf(fault, 'list', prefix);
      }
      let pages = 0;
      for await (const page of driver.list(prefix, options)) {
        pages += 1;
        yield fault?.how === 'wrong' ? page.toReversed() : page;
        if (fault?.how === 'midway' && pages === 1) {
          throw errorOf(fault, 'list', prefix);
        }
      }
      if (fault !== undefined && fault.how !== 'wrong') {
        throw errorOf(fault, 'list', prefix);
      }
    },
    listFolder: (folder, options) => around('listFolder', folder, () => driver.listFolder(folder, options)),
    stat: (key, options) =>
      around('stat', key, async (): Promise<ObjectStat | undefined> => driver.stat(key, options)),
    async *read(key, options) {
      const fault = strike('read', key);
      if (fault?.how === 'before') {
        throw errorOf(fault, 'read', key);
      }
      for await (const chunk of driver.read(key, options)) {
        if (fault === undefined || fault.how === 'after') {
          yield chunk;
        } else {
          yield chunk.subarray(0, Math.floor(chunk.length / 2));
          break;
        }
      }
      if (fault !== undefined && !(fault.how === 'wrong' && isBlob(key))) {
        throw errorOf(fault, 'read', key);
      }
    },
    async readSmall(key, maxBytes, options) {
      const fault = strike('readSmall', key);
      if (fault === undefined) {
        return driver.readSmall(key, maxBytes, options);
      }
      if (fault.how === 'wrong' && isBlob(key)) {
        // Only a blob can be told from a part of it. Of other objects a driver has to know their size, and does.
        const bytes = await driver.readSmall(key, maxBytes, options);
        return bytes.subarray(0, Math.floor(bytes.length / 2));
      }
      throw errorOf(fault, 'read', key);
    },
    async write(key, body: Body, options) {
      const fault = strike('write', key);
      if (fault === undefined || fault.how === 'after') {
        await driver.write(key, body, options);
      } else if (fault.how === 'midway' && !(body instanceof Uint8Array)) {
        for await (const chunk of body.open()) {
          if (chunk.length > 0) {
            break;
          }
        }
      }
      if (fault !== undefined) {
        throw errorOf(fault, 'write', key);
      }
    },
    async delete(keys, options) {
      const fault = strike('delete', keys.join(' '));
      if (fault === undefined) {
        return driver.delete(keys, options);
      }
      const [first, ...others] = keys;
      if (fault.how === 'before' || first === undefined) {
        throw errorOf(fault, 'delete', first ?? '');
      }
      if (fault.how === 'after') {
        await driver.delete(keys, options);
        throw errorOf(fault, 'delete', first);
      }
      const deleted = fault.how === 'midway' ? [first] : [];
      const failures = deleted.length === 0 ? [] : await driver.delete(deleted, options);
      const rest = fault.how === 'midway' ? others : [first, ...others];
      return [...failures, ...rest.map((key) => ({ key, error: errorOf(fault, 'delete', key) }))];
    },
  };
}

function isBlob(key: string): boolean {
  return key.startsWith('docker/registry/v2/blobs/');
}
