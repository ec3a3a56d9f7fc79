import { expect, test } from 'vitest';
import { describeWithServers } from '../servers/index.ts';
import { migrateLive } from './live-source.ts';

describeWithServers(
  'migrate from a registry that is in use for long',
  ['rgw', 'docker-registry', 'skopeo'],
  (servers) => {
    test.each(['soak 1', 'soak 2', 'soak 3'])(
      'shows no tag that cannot be pulled, with clients of the seed %s',
      async (seed) => {
        const outcome = await migrateLive(servers, {
          seed: seed.replace(' ', '-'),
          clients: 4,
          skopeoClients: 3,
          durationMs: 90_000,
        });
        expect(outcome.passes).toBeGreaterThan(1);
      },
    );
  },
);
