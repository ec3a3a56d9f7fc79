import { defineConfig } from 'vitest/config';

/** `npm run test:soak`: the long versions of what the normal run only samples. Minutes, seeded, bounded. */
// oxlint-disable-next-line import/no-default-export -- what vitest asks for
export default defineConfig({
  test: {
    include: ['test/**/*.soak.ts'],
    globalSetup: ['test/servers/global-setup.ts'],
    disableConsoleIntercept: true,
    testTimeout: 30 * 60_000,
    hookTimeout: 120_000,
    // One after another: each takes all that the machine has.
    fileParallelism: false,
  },
});
