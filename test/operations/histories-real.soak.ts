import { afterAll, expect, test } from 'vitest';
import { describeWithServers } from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { liveOnReal, realCases } from './histories/real-stores.ts';

const MINUTES = 3;

describeWithServers('random histories, between real stores, for long', ['rgw', 'azurite'], (servers) => {
  const folder = createTemporaryFolder('regtool-histories');
  afterAll(folder.remove);

  test.each(realCases)('lose nothing and break no tag: $name', async (real) => {
    // A failure prints the seed and the path that repeat it: `{ seed, path }` beside the number of runs.
    const seen = await liveOnReal(real, servers, folder.path, {
      numRuns: 1_000_000,
      interruptAfterTimeLimit: MINUTES * 60_000,
      markInterruptAsFailure: false,
      endOnFailure: true,
    });
    expect(seen['exit 0']).toBeGreaterThan(20);
  });
});
