import { expect, test } from 'vitest';
import { describeWithServers } from '../servers/index.ts';
import { migrateLive } from './live-source.ts';

// `npm run test:soak` goes on for minutes.
describeWithServers('migrate from a registry that is in use', ['rgw', 'docker-registry'], (servers) => {
  test('shows no tag that cannot be pulled, at any time, and is equal after a last pass with deletes', async () => {
    const outcome = await migrateLive(servers, { seed: 'live', clients: 4, durationMs: 8000 });
    expect(outcome.passes).toBeGreaterThan(1);
    expect(outcome.actions).toBeGreaterThan(20);
    expect(outcome.tags).toBeGreaterThan(2);
  });
});
