import { afterAll, expect, test } from 'vitest';
import { describeWithServers } from '../servers/index.ts';
import { createTemporaryFolder } from '../servers/process.ts';
import { liveOnReal, realCases } from './histories/real-stores.ts';

// `npm run test:soak` goes on for minutes, with another seed each time.
describeWithServers('random histories, between real stores', ['rgw', 'azurite'], (servers) => {
  const folder = createTemporaryFolder('regtool-histories');
  afterAll(folder.remove);

  test.each(realCases)(
    'lose nothing and break no tag: $name',
    async (real) => {
      const seen = await liveOnReal(real, servers, folder.path, {
        numRuns: real.runs,
        seed: 11,
        endOnFailure: true,
      });
      expect(seen['exit 0']).toBeGreaterThanOrEqual(2 * real.runs);
      expect(seen.copied).toBeGreaterThan(100);
    },
    300_000,
  );
});
