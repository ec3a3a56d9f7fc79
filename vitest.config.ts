import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Shares one S3 store and one Azure blob service among the test files that ask for them.
    globalSetup: ['test/servers/global-setup.ts'],
    // @oclif/test reads what a command prints from the console itself.
    disableConsoleIntercept: true,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
