import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);

test('indexes that share children on many levels are each looked at once, not once for each way to them', async () => {
  // In a process of its own, which can be ended: one that goes each of the 2^40 ways takes hours, and hears nothing.
  const { stdout } = await run(
    process.execPath,
    ['--import', 'tsx', 'test/support/check-nested-program.ts', '40'],
    { timeout: 60_000 },
  );
  expect(JSON.parse(stdout)).toEqual({
    verdict: 'healthy',
    tags: { total: 3, pullable: 3, notPullable: 0, unknown: 0 },
    // The other index of the highest level.
    untaggedManifests: 1,
  });
}, 90_000);
