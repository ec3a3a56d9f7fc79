import { setImmediate } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { connect } from '../../src/drivers/azure/connection.ts';

vi.mock('../../src/drivers/azure/sdk.ts', () => ({
  openSdk: () => Promise.reject(new Error('no SDK')),
}));

it('a connection whose SDK could not be opened is closed without a further failure', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): unknown => unhandled.push(reason);
  process.on('unhandledRejection', note);
  try {
    const connection = await connect({
      container: 'registry',
      location: 'azure://registry',
      accountName: 'account',
      accountKey: 'aGVsbG8=',
      connections: 1,
    });
    await expect(connection.sdk()).rejects.toThrow('no SDK');
    connection.close();
    await setImmediate();
    await setImmediate();
    expect(unhandled).toEqual([]);
  } finally {
    process.off('unhandledRejection', note);
  }
});
