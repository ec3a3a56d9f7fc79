import type { Driver } from '../../src/drivers/driver.ts';

export interface Call {
  operation: 'list' | 'listFolder' | 'stat' | 'read' | 'readSmall' | 'write' | 'copyFrom' | 'delete';
  key: string;
  /** Counts the calls of this driver, from 1. */
  number: number;
}

export interface Hooks {
  /** Runs before the call reaches the driver; what it throws is what the call throws. */
  before?: (call: Call) => void | Promise<void>;
  /** Runs after the call has reached the driver, before its caller learns of it. */
  after?: (call: Call) => void | Promise<void>;
}

export const isMutation = ({ operation }: Call): boolean =>
  operation === 'write' || operation === 'copyFrom' || operation === 'delete';

/** A driver whose every call can be watched, failed, or used to change something meanwhile. */
export function withHooks(driver: Driver, { before, after }: Hooks): Driver {
  let number = 0;
  const call = (operation: Call['operation'], key: string): Call => {
    number += 1;
    return { operation, key, number };
  };
  async function around<T>(made: Call, action: () => Promise<T>): Promise<T> {
    await before?.(made);
    const result = await action();
    await after?.(made);
    return result;
  }
  async function* stream<T>(made: Call, items: AsyncIterable<T>): AsyncGenerator<T> {
    await before?.(made);
    yield* items;
    await after?.(made);
  }
  return {
    ...driver,
    list: (prefix, options) => stream(call('list', prefix), driver.list(prefix, options)),
    listFolder: (folder, options) =>
      around(call('listFolder', folder), () => driver.listFolder(folder, options)),
    stat: (key, options) => around(call('stat', key), () => driver.stat(key, options)),
    read: (key, options) => stream(call('read', key), driver.read(key, options)),
    ...(driver.hash === undefined
      ? {}
      : {
          hash: (key, algorithm, options) =>
            around(call('read', key), async () => driver.hash?.(key, algorithm, options) ?? ''),
        }),
    readSmall: (key, maxBytes, options) =>
      around(call('readSmall', key), () => driver.readSmall(key, maxBytes, options)),
    write: (key, body, options) => around(call('write', key), () => driver.write(key, body, options)),
    ...(driver.copyFrom === undefined
      ? {}
      : {
          copyFrom: (source, key, options) =>
            around(call('copyFrom', key), async () => driver.copyFrom?.(source, key, options)),
        }),
    delete: (keys, options) => around(call('delete', keys.join(' ')), () => driver.delete(keys, options)),
  };
}
